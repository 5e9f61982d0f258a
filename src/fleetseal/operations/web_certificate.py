"""The certificate of this server's own door: issued by the CA here, on record like any other, renewed by the night.

The steps are those of docs/procedures/web.md. `DATA/web/server.pem` holds key and chain in one file, which is replaced
at once: whoever serves it sees the old pair or the new one. The key is encrypted, its passphrase in the same file is
sealed by `secrets.key` (SEC-SEALED).
"""

import asyncio
import base64
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from fleetseal.core.errors import InvalidInput, NotFound, StoreError
from fleetseal.core.model import IssuanceId, KeyOrigin
from fleetseal.core.secrets import Secret, write_private
from fleetseal.devices.discovery.interfaces import interfaces
from fleetseal.operations import issuing, signing
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current as current_settings
from fleetseal.pki import chain, keys, names, profile
from fleetseal.pki.content import Signer
from fleetseal.store import certificates
from fleetseal.store.certificates import IssuanceRecord
from fleetseal.store.database import Transaction

PURPOSE: Final = "server"
_HEAD: Final = re.compile(rb"Certificate of this server, issuance (\d{1,12})\nPassphrase: ([A-Za-z0-9+/=]{1,400})\n")


@dataclass(frozen=True)
class Host:
    """What this computer is called and where it is reached."""

    name: str
    addresses: tuple[str, ...]


def this_computer() -> Host:
    """As the system tells. No name server is asked: an answer that comes and goes would change the certificate."""
    return Host(socket.gethostname(), tuple(one.address for one in interfaces() if not one.network.is_link_local))


def names_of(host: Host, listens_at: str) -> tuple[str, ...]:
    """What browsers may call this computer when it listens at this address: its name, and the address, or all of its
    own if it listens at every one."""
    place = ipaddress.ip_address(listens_at)
    wanted = []
    reached = [one for one in host.addresses if place.version == 6 or "." in one]
    for text in (host.name, *(reached if place.is_unspecified else (listens_at,))):
        try:
            wanted.append(names.classify(text).text)
        except InvalidInput:  # a computer may be called what no certificate may say
            continue
    return tuple(dict.fromkeys(wanted))[: profile.MOST_NAMES]


def path_of(services: Services) -> Path:
    return services.data / "web" / "server.pem"


async def ensure(
    services: Services, *, actor: str, wanted: Sequence[str], chosen: bool, passphrase: Secret | None = None
) -> None:
    """The file holds a certificate of the CA that signs now, for these names, that is not due. `chosen`: a person named
    them; otherwise it may have more, and those that the CA may not vouch for are left out. `passphrase` opens the CA
    key for it, if need be.

    Raises NotFound without a CA, Locked when it cannot sign, IssuanceRefused, InvalidInput, StoreError.
    """
    async with services.database.reading() as tx:
        signer = (await issuing.current_authority(tx)).signer
        fitting = _classified(wanted)
        if not chosen:
            fitting = _permitted(signer, fitting)
        held = await _held(services, tx)
        if held is not None and await _serves_on(services, tx, held, fitting, chosen=chosen):
            return
    async with signing.opened(services, actor=actor, passphrase=passphrase):
        await _issue(services, fitting, actor=actor)


async def usable(services: Services, wanted: Sequence[str], *, chosen: bool) -> bool:
    """What the file holds can be shown, though another certificate should take its place."""
    async with services.database.reading() as tx:
        held = await _held(services, tx)
    return (
        held is not None
        and held.state == "installed"
        and services.clock.now() < held.not_after
        and (not chosen or held.names == _classified(wanted))
    )


async def renew(services: Services, *, actor: str) -> None:
    """As `ensure`, for the names that it has; nothing is done where this server has no certificate of ours in use."""
    async with services.database.reading() as tx:
        held = await _held(services, tx)
    if held is not None:
        await ensure(services, actor=actor, wanted=held.names, chosen=True)


async def retire(services: Services) -> None:
    """This server shows another certificate, or none: its key is gone, and its certificate is on the next CRL."""
    path = path_of(services)
    if not path.exists():
        return
    async with services.database.transaction() as tx:
        await _supersede(services, tx, besides=None)
    try:
        path.unlink()
    except OSError as error:
        raise StoreError(f"The file {path} cannot be removed: {error.strerror}.") from error


def passphrase(services: Services) -> str:
    """Opens the key in the file. Raises StoreError when it is damaged, or `secrets.key` is another one."""
    found = _HEAD.match(_read(path_of(services)) or b"")
    if found is None:
        raise _damaged(path_of(services))
    sealed = base64.b64decode(found[2])
    return services.sealer.open(sealed, table="web", row=int(found[1]), column="passphrase", version=1).decode()


# ---------------------------------------------------------------- what is held


async def _held(services: Services, tx: Transaction) -> IssuanceRecord | None:
    """The record of what the file holds; None without a file. A file that is damaged, or belongs to another database,
    counts as none: another certificate takes its place."""
    content = _read(path_of(services))
    found = _HEAD.match(content or b"")
    if content is None or found is None:
        return None
    try:
        record = await certificates.get(tx, IssuanceId(int(found[1])))
        leaf = chain.parse_all(content)[:1]
    except (NotFound, InvalidInput):
        return None
    return record if leaf == (record.der,) and record.purpose == PURPOSE else None


async def _serves_on(
    services: Services, tx: Transaction, held: IssuanceRecord, wanted: Sequence[str], *, chosen: bool
) -> bool:
    """Nothing asks for another one. One that was not put on record as in use before a crash is not taken up again."""
    authority = await issuing.signing_record(tx)
    return (
        held.state == "installed"
        and held.authority_id == authority.id
        and (held.names == tuple(wanted) if chosen else set(held.names) >= set(wanted))
        and held.renew_at is not None
        and services.clock.now() < held.renew_at
    )


def _classified(wanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names.classify(text).text for text in wanted))


def _permitted(signer: Signer, wanted: Sequence[str]) -> tuple[str, ...]:
    classified = [names.classify(text) for text in wanted]
    refused = names.refused(classified, signer.constraints)
    return tuple(one.text for one in classified if one not in refused) or tuple(wanted)  # refused below, with the rule


# ---------------------------------------------------------------- another one


async def _issue(services: Services, wanted: Sequence[str], *, actor: str) -> None:
    key = await asyncio.to_thread(keys.generate, "ec-p256")
    async with services.database.transaction() as tx:
        issuance_id = await _reserve(services, tx, keys.spki(key.public_key()), wanted, actor=actor)
    async with services.database.transaction() as tx:
        signed = await issuing.issue(services, tx, issuance_id)
    secret = Secret(services.rng.bytes(32).hex())
    sealed = services.sealer.seal(
        secret.reveal().encode(), table="web", row=issuance_id, column="passphrase", version=1
    )
    encrypted = keys.to_pem_under(keys.to_pkcs8(key), secret)
    head = f"Certificate of this server, issuance {issuance_id}\nPassphrase: {base64.b64encode(sealed).decode()}\n"
    chained = b"".join(keys.pem("CERTIFICATE", der) for der in (signed.leaf, *signed.intermediates))
    await asyncio.to_thread(write_private, path_of(services), head.encode() + encrypted + chained)
    async with services.database.transaction() as tx:
        await _supersede(services, tx, besides=issuance_id)
        await issuing.mark_installed(tx, issuance_id, services.clock.now())


async def _reserve(
    services: Services, tx: Transaction, spki: bytes, wanted: Sequence[str], *, actor: str
) -> IssuanceId:
    """The intent is on record; what an earlier try left open is abandoned, because its key is gone."""
    authority = await issuing.current_authority(tx)
    issuing.require_openable(services, authority.record)
    now = issuing.signing_time(authority.record, services.clock.now())
    for earlier in await certificates.of_purpose(tx, PURPOSE, *certificates.OPEN):
        await issuing.abandon(tx, earlier.id, "It was not put to use before the server ended.", now=now)
    settings = await current_settings(services, tx)
    content = profile.leaf_content(
        authority.signer,
        spki,
        serial=profile.new_serial(services.rng),
        now=now,
        life=timedelta(days=settings.certificate_validity_days),
        common_name=wanted[0] if wanted else None,
        names=tuple(wanted),
        public_url=settings.certificate_public_url,
    )
    return await issuing.record_intent(
        tx,
        content,
        signer=authority.signer,
        authority=authority.id,
        created=now,
        actor=actor,
        purpose=PURPOSE,
        origin=KeyOrigin.MANAGER,
        renew_at=profile.renew_at(
            content.not_after,
            warning_days=settings.certificate_warning_days,
            life=content.life,
            device=PURPOSE,
        ),
    )


async def _supersede(services: Services, tx: Transaction, *, besides: IssuanceId | None) -> None:
    now = services.clock.now()
    for one in await certificates.of_purpose(tx, PURPOSE, "installed"):
        if one.id != besides:
            await certificates.change(tx, one.id, state="superseded", superseded=now)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"The file {path} cannot be read: {error.strerror}.") from error


def _damaged(path: Path) -> StoreError:
    return StoreError(f"The file {path} is damaged. Remove it: the server gets another certificate at its next start.")
