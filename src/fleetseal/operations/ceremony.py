"""The steps of making or bringing a CA, in an order that survives a crash at every one of them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from fleetseal.core.errors import Conflict
from fleetseal.core.model import AuthorityId, IssuanceId, KeyOrigin
from fleetseal.core.secrets import Secret
from fleetseal.operations import issuing, revocation
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current as current_settings
from fleetseal.pki import chain, keys, profile
from fleetseal.pki.acceptance import Accepted
from fleetseal.pki.content import Content, RootContent, Signer
from fleetseal.pki.issuer import Issuer, KeyFile, NewKey, Sealing
from fleetseal.pki.names import Constraints
from fleetseal.store import audit, authorities, certificates
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction


@dataclass(frozen=True)
class Kept:
    """A key and its file; `id` is the row that its CA has already: a request, or an anchor trusted so far."""

    id: AuthorityId | None
    key: NewKey
    file: KeyFile


@dataclass(frozen=True)
class Made:
    """A CA of this ceremony."""

    id: AuthorityId
    key: NewKey
    file: KeyFile


@dataclass(frozen=True)
class RootWish:
    """What a person asked of a root of our own."""

    name: str
    tiers: int
    key_type: str
    years: int | None
    organization: str | None
    constraints: Constraints
    remember: bool


class Ceremony:
    """One at a time in a process, and a process owns its data directory. Rows stay `requested` until `complete`."""

    def __init__(self, services: Services, actor: str) -> None:
        self._services = services
        self._actor = actor
        self._made: list[AuthorityId] = []

    @classmethod
    @asynccontextmanager
    async def begin(cls, services: Services, actor: str, *, beside: bool = False) -> AsyncIterator[Self]:
        """Raises Conflict when there is a CA already, unless another is to stand `beside` it. What an interrupted
        ceremony left is removed first."""
        async with services.vault.ceremony:
            ceremony = cls(services, actor)
            await ceremony._clear(beside=beside)
            yield ceremony

    async def hierarchy(self, wish: RootWish, passphrase: Secret) -> RootContent:
        """A root, its key under the passphrase, and with two tiers an issuing CA under it."""
        services, now = self._services, self._services.clock.now()
        key = await asyncio.to_thread(services.vault.generate, keys.ROOT_KEYS[wish.key_type])
        async with services.database.reading() as tx:
            number = 1 + sum(one.role == "root" and one.created.year == now.year for one in await _own(tx))
        content = profile.root_content(
            wish.name,
            key.spki,
            serial=profile.new_serial(services.rng),
            now=now,
            years=wish.years,
            organization=wish.organization,
            one_tier=wish.tiers == 1,
            constraints=wish.constraints,
            number=number,
        )
        root = await self.root(
            wish.name, key, KeyFile(key.name, Sealing.PASSPHRASE, wish.remember), content, passphrase
        )
        if wish.tiers == 2:
            signer = Signer(await self.certificate(root))
            below = await self.issuing_authority(
                root,
                signer,
                name=wish.name,
                key_type=wish.key_type,
                organization=wish.organization or wish.name,
                constraints=wish.constraints,
            )
            await self.first_crl(below, above=(signer.der,))
        await self.first_crl(root)
        return content

    async def root(self, name: str, key: NewKey, file: KeyFile, content: RootContent, passphrase: Secret) -> Made:
        """A self-signed CA: recorded, its key kept, signed."""
        signs_leaves = content.path_length == 0
        async with self._services.database.transaction() as tx:
            id_ = await self._add(
                tx, name, "root", tiers=1 if signs_leaves else 2, signs_leaves=signs_leaves, **_key_columns(file)
            )
            intent = await self._intend(tx, content, None, id_)
        self._services.failpoint("ca-root-intended")
        made = Made(id_, key, file)
        await self.keep(made, passphrase)
        await self._sign(intent, key.issuer(None), subject=id_)
        return made

    async def issuing_authority(
        self,
        parent: Made,
        signer: Signer,
        *,
        name: str,
        key_type: str,
        organization: str | None,
        constraints: Constraints,
    ) -> Made:
        """An issuing CA of ours under `parent`, its key sealed by signer.key: recorded, kept, signed."""
        services, now = self._services, self._services.clock.now()
        key = await asyncio.to_thread(services.vault.generate, keys.ISSUING_KEYS[key_type])
        file = KeyFile(key.name, Sealing.SIGNER)
        async with services.database.transaction() as tx:
            content = profile.issuing_content(
                signer,
                key.spki,
                name=name,
                serial=profile.new_serial(services.rng),
                now=now,
                number=1 + sum(one.signs_leaves and one.parent_id is not None for one in await _own(tx)),
                organization=organization,
                constraints=constraints,
                public_url=(await current_settings(services, tx)).certificate_public_url,
            )
            id_ = await self._add(
                tx, name, "intermediate", tiers=1, signs_leaves=True, parent_id=parent.id, **_key_columns(file)
            )
            intent = await self._intend(tx, content, signer, parent.id)
        services.failpoint("ca-issuing-intended")
        await asyncio.to_thread(services.vault.keep, key, file)
        await self._sign(intent, parent.key.issuer(signer), subject=id_)
        return Made(id_, key, file)

    async def requested(self, name: str, key: NewKey, csr: bytes) -> None:
        """The key waits, sealed by signer.key, for a certificate."""
        file = KeyFile(key.name, Sealing.SIGNER)
        async with self._services.database.transaction() as tx:
            id_ = await self._add(tx, name, "intermediate", tiers=1, signs_leaves=True, **_key_columns(file))
            await self._audit(tx, "ca request", name)
        self._services.failpoint("ca-request-recorded")
        await asyncio.to_thread(self._services.vault.keep, key, file)
        async with self._services.database.transaction() as tx:
            await authorities.change(tx, id_, request_der=csr)

    async def imported(self, name: str, kept: Kept, accepted: Accepted, tiers: int) -> Made:
        """Rows for a CA from outside and those above it."""
        der, *above = accepted.path
        async with self._services.database.transaction() as tx:
            parent: AuthorityId | None = None
            for upper in reversed(above):
                parent = await self._add_known(tx, upper, parent)
            columns: dict[str, Any] = {
                "parent_id": parent,
                "der": der,
                "sha256": hashlib.sha256(der).hexdigest(),
                "role": "intermediate" if above else "root",
                "tiers": tiers,
                "signs_leaves": tiers == 1,
                **_key_columns(kept.file),
            }
            if kept.id is None:
                id_ = await self._add(tx, name, **columns)
            else:
                id_ = kept.id
                self._made.append(id_)
                await authorities.change(tx, id_, **columns)
            await self._audit(tx, "ca key keep", name)
        self._services.failpoint("ca-import-recorded")
        return Made(id_, kept.key, kept.file)

    async def keep(self, made: Made, passphrase: Secret) -> None:
        """The key file is on disk, sealed by the passphrase."""
        await asyncio.to_thread(self._services.vault.keep, made.key, made.file, passphrase)
        self._services.failpoint("ca-key-kept")

    async def certificate(self, made: Made) -> bytes:
        """DER. The CA is signed."""
        async with self._services.database.reading() as tx:
            der = (await authorities.get(tx, made.id)).der
        assert der is not None
        return der

    async def first_crl(self, made: Made, *, above: tuple[bytes, ...] = ()) -> None:
        """The CRL that a CA is born with: later on, the key of a root is seldom open."""
        signer = Signer(await self.certificate(made), above)
        await revocation.first_crl(self._services, made.id, made.key.issuer(signer), actor=self._actor)

    async def complete(
        self, action: str, name: str, *, state: str = "active", replaces: Collection[AuthorityId] = ()
    ) -> None:
        """All CAs of this ceremony are in this state, and those that they replace are `replaced`, at once."""
        self._services.failpoint("ca-complete")
        async with self._services.database.transaction() as tx:
            for id_ in self._made:
                await authorities.change(tx, id_, state=state)
            for id_ in replaces:
                await authorities.change(tx, id_, state="replaced")
            await self._audit(tx, action, name)

    async def _clear(self, *, beside: bool) -> None:
        async with self._services.database.transaction() as tx:
            for record in await authorities.every(tx):
                if record.state == "active" and record.key_file is not None and not beside:
                    raise Conflict(
                        f'There is a CA already: "{record.name}". A new one beside it: "fleetseal ca renew".'
                    )
                if record.state != "requested":
                    continue
                for intent in await certificates.unfinished_ceremony(tx, record.id):
                    await certificates.change(tx, intent.id, state="abandoned")
                if record.request_der is not None:
                    continue  # it waits for its certificate
                await authorities.change(tx, record.id, state="abandoned", sha256=None)
                await self._audit(tx, "ca abandon", record.name)
                if record.key_file is not None:
                    self._services.vault.discard(issuing.key_file(record))

    async def _add(self, tx: Transaction, name: str, role: str, **columns: Any) -> AuthorityId:
        now = self._services.clock.now()
        id_ = await authorities.add(tx, name=name, role=role, state="requested", created=now, **columns)
        self._made.append(id_)
        return id_

    async def _add_known(self, tx: Transaction, der: bytes, parent: AuthorityId | None) -> AuthorityId:
        """The row of a CA whose key is elsewhere; the one that is there, if it is trusted already."""
        described = chain.describe(der)
        for record in await authorities.every(tx):
            if record.sha256 == described.sha256:
                return record.id
        return await self._add(
            tx,
            described.common_name or "CA",
            "intermediate" if parent else "root",
            tiers=1,
            signs_leaves=False,
            parent_id=parent,
            der=der,
            sha256=described.sha256,
        )

    async def _intend(
        self, tx: Transaction, content: Content, signer: Signer | None, authority: AuthorityId
    ) -> IssuanceId:
        return await issuing.record_intent(
            tx,
            content,
            signer=signer,
            authority=authority,
            created=self._services.clock.now(),
            actor=self._actor,
            origin=KeyOrigin.MANAGER,
        )

    async def _sign(self, intent_id: IssuanceId, issuer: Issuer, *, subject: AuthorityId) -> None:
        async with self._services.database.transaction() as tx:
            intent = await certificates.get(tx, intent_id)
            der = await asyncio.to_thread(issuer.issue, issuing.ticket_for(issuer, intent))
            await issuing.record_signature(tx, intent, der, now=self._services.clock.now(), actor=self._actor)
            await authorities.change(tx, subject, der=der, sha256=hashlib.sha256(der).hexdigest())
            self._services.failpoint("ca-signed")

    async def _audit(self, tx: Transaction, action: str, name: str) -> None:
        await audit.record(tx, now=self._services.clock.now(), actor=self._actor, action=action, object=name)


async def _own(tx: Transaction) -> list[AuthorityRecord]:
    """The CAs signed here, abandoned ones too: a CN has a number of its own for each key."""
    known = await authorities.ever_signed(tx)
    keyed = {one.id for one in known if one.key_file is not None}
    return [one for one in known if one.id in keyed and (one.role == "root" or one.parent_id in keyed)]


def _key_columns(file: KeyFile) -> dict[str, Any]:
    return {"key_file": file.name, "key_sealing": file.sealing, "remembered": file.remembered}
