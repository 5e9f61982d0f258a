"""CRLs: made when something is to be told or time has come, recorded before they are signed, published as files.

The steps are those of docs/procedures/revoke.md.
"""

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from fleetseal.core.errors import FleetsealError, IssuanceRefused
from fleetseal.core.model import AuthorityId
from fleetseal.core.text import timestamp
from fleetseal.operations import issuing, publication, recording
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current as current_settings
from fleetseal.pki import chain, crl, keys, profile
from fleetseal.pki.content import Signer, may_sign_crls
from fleetseal.pki.crl import CrlContent, Entry, Reason
from fleetseal.pki.issuer import Issuer, crl_to_be_signed
from fleetseal.store import alarms, audit, authorities, certificates, crls
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.crls import CrlId, CrlRecord
from fleetseal.store.database import Transaction

Row = dict[str, Any]

_LIFE: Final = {"root": crl.ROOT_LIFE, "intermediate": crl.ISSUING_LIFE}
_EARLY: Final = {"root": timedelta(days=30), "intermediate": timedelta(days=5)}
"""With less than this to the next update a CRL is due, and, where the key is locked, an alarm."""
_OFTEN: Final = timedelta(hours=12)  # once in each nightly run, whenever in its window that begins


async def renew_crls(services: Services, *, actor: str, anew: bool = False) -> list[Row]:
    """Every CA whose key is open has a CRL that is up to date, on record and published. As `list_crls`.

    A new one is made when a certificate is missing on the last, when that is older than twelve hours or near its
    next update, and with `anew`; otherwise nothing is signed. Alarms tell which CRLs run out because a key is locked.
    Raises the first of what prevented one: StoreError (nothing can be written, a key file is damaged),
    IssuanceRefused (the clock is behind the last signature), Locked.
    """
    failures: list[FleetsealError] = []
    async with services.vault.crls:
        for standing in await _standings(services):
            if not (standing.possible and standing.open and (anew or standing.due or standing.old)):
                continue
            try:
                file = issuing.key_file(standing.record)
                issuer = await recording.issuer(services, standing.record, file, standing.signer)
                await _make(services, standing.record.id, issuer, actor=actor)
            except FleetsealError as error:  # raised below: the other CAs have theirs all the same
                failures.append(error)
        standings = await _standings(services)
        await asyncio.to_thread(publication.publish, services.data, [(one.signer, one.der) for one in standings])
        await _tell_alarms(services, standings)
    if failures:
        raise failures[0]
    return await list_crls(services)


async def first_crl(services: Services, authority: AuthorityId, issuer: Issuer, *, actor: str) -> None:
    """A CA that is being made, and whose key is in hand for that, has a CRL, unless it may not sign any."""
    if issuer.signer is None or not may_sign_crls(issuer.signer.der):
        return
    async with services.vault.crls:
        await _make(services, authority, issuer, actor=actor)
        async with services.database.reading() as tx:
            newest = await crls.newest(tx, authority)
        told = [(issuer.signer, None if newest is None else newest.der)]
        await asyncio.to_thread(publication.publish, services.data, told)


async def list_crls(services: Services) -> list[Row]:
    """The CRL of each CA: `{"name","role","issuer","state","number","this_update","next_update","revoked","missing",
    "sha256","file","url","id"}`; `id` is that of the CA.

    `state`: `current`; `due`, to be made anew; `locked`, due and its key is closed; `impossible`, the CA may not
    sign any, or has expired. What a CA without CRL has not is null. `revoked` counts the certificates on it, `missing`
    those that it does not tell of yet.
    """
    async with services.database.reading() as tx:
        public_url = (await current_settings(services, tx)).certificate_public_url
    return [_row(standing, services.data, public_url) for standing in await _standings(services)]


async def export_crls(services: Services) -> list[Row]:
    """Every CRL as files: `{"name","content"}`, DER as `NAME.crl` and PEM as `NAME.pem`, `content` in base64."""
    files = []
    for standing in await _standings(services):
        if standing.der is not None:
            name = profile.public_name(standing.signer.sha256)
            for file, content in ((f"{name}.crl", standing.der), (f"{name}.pem", keys.pem("X509 CRL", standing.der))):
                files.append({"name": file, "content": base64.b64encode(content).decode()})
    return files


# ---------------------------------------------------------------- what is there, and what is to be


@dataclass(frozen=True)
class Standing:
    """A CA of ours and its last CRL."""

    record: AuthorityRecord
    signer: Signer
    newest: CrlRecord | None
    entries: tuple[Entry, ...]  # what the next one will hold
    open: bool  # its key
    now: datetime

    @property
    def possible(self) -> bool:
        return may_sign_crls(self.signer.der) and self.now <= self.signer.certificate.not_valid_after_utc

    @property
    def der(self) -> bytes | None:
        """The last CRL."""
        return None if self.newest is None else self.newest.der

    @cached_property
    def missing(self) -> int:
        """How many certificates the last CRL does not tell of."""
        if self.newest is None or self.newest.content is None:
            return len(self.entries)
        return len(set(self.entries) - set(CrlContent.from_json(self.newest.content).entries))

    @property
    def due(self) -> bool:
        """Clients would learn something, or would soon have to do without."""
        newest = self.newest
        return newest is None or self.missing > 0 or newest.next_update - self.now < _EARLY[self.record.role]

    @property
    def old(self) -> bool:
        return self.newest is not None and self.now - self.newest.this_update >= _OFTEN

    @property
    def state(self) -> str:
        if not self.possible:
            return "impossible"
        if not self.due:
            return "current"
        return "due" if self.open else "locked"


async def _standings(services: Services) -> list[Standing]:
    """Every CA of ours whose key is here."""
    now = services.clock.now()
    async with services.database.reading() as tx:
        return [
            Standing(
                record=record,
                signer=await issuing.signer_of(tx, record.id),
                newest=await crls.newest(tx, record.id),
                entries=await _entries(tx, record.id, now=now),
                open=services.vault.is_open(issuing.key_file(record)),
                now=now,
            )
            for record in await authorities.every(tx)
            if record.in_use and record.key_file is not None and record.der is not None
        ]


async def _entries(tx: Transaction, authority: AuthorityId, *, now: datetime) -> tuple[Entry, ...]:
    """RFC 5280 3.3: a certificate stays until it was on one CRL that was made after its end."""
    newest = await crls.newest(tx, authority)
    since = now if newest is None else newest.this_update
    return tuple(
        Entry(int(serial, 16), profile.whole_second(at), Reason(reason or Reason.SUPERSEDED))
        for serial, at, reason in await certificates.ended(tx, authority, since=since)
    )


def _row(standing: Standing, data: Path, public_url: str) -> Row:
    newest, sha256 = standing.newest, standing.signer.sha256
    return {
        "id": standing.record.id,
        "name": standing.record.name,
        "role": standing.record.role,
        "issuer": chain.describe(standing.signer.der).subject,
        "state": standing.state,
        "number": newest and newest.number,
        "this_update": newest and timestamp(newest.this_update),
        "next_update": newest and timestamp(newest.next_update),
        "revoked": newest and newest.entries,
        "missing": standing.missing,
        "sha256": newest and newest.sha256,
        "file": newest and str(publication.crl_file(data, sha256)),
        "url": profile.address_of(public_url, profile.crl_path(sha256)),
    }


# ---------------------------------------------------------------- making one


async def _make(services: Services, authority: AuthorityId, issuer: Issuer, *, actor: str) -> None:
    """What will be signed is committed; then it is signed, once, and committed (JOB-INTENT-FIRST)."""
    async with services.database.transaction() as tx:
        intent = await _intend(services, tx, authority, issuer, actor=actor)
    services.failpoint("crl-intended")
    async with services.database.transaction() as tx:
        await _sign(services, tx, intent, issuer, actor=actor)
        services.failpoint("crl-signed")


async def _intend(services: Services, tx: Transaction, authority: AuthorityId, issuer: Issuer, *, actor: str) -> CrlId:
    """An intent that was left open is abandoned visibly; its number is not used again."""
    assert issuer.signer is not None
    record = await authorities.get(tx, authority)
    now = issuing.signing_time(record, services.clock.now())
    if (left := await crls.open_intent(tx, authority)) is not None:
        await crls.change(tx, left.id, state="abandoned")
        await _audit(tx, "crl abandoned", record, left.number, now=now, actor=actor)
    content = crl.crl_content(
        issuer.signer,
        number=await crls.next_number(tx, authority),
        now=now,
        life=_LIFE[record.role],
        entries=await _entries(tx, authority, now=now),
    )
    tbs = await asyncio.to_thread(crl_to_be_signed, content, issuer.signer)
    intent = await crls.add(
        tx,
        authority_id=authority,
        number=content.number,
        this_update=content.this_update,
        next_update=content.next_update,
        entries=len(content.entries),
        content=content.to_json(),
        tbs_sha256=hashlib.sha256(tbs).hexdigest(),
        actor=actor,
        created=now,
    )
    await _audit(tx, "crl intended", record, content.number, now=now, actor=actor, entries=len(content.entries))
    return intent


async def _sign(services: Services, tx: Transaction, intent_id: CrlId, issuer: Issuer, *, actor: str) -> None:
    intent = await crls.get(tx, intent_id)
    now = issuing.signing_time(await authorities.get(tx, intent.authority_id), services.clock.now())
    assert intent.content is not None
    ticket = await asyncio.to_thread(issuer.prepare_crl, CrlContent.from_json(intent.content))
    if hashlib.sha256(ticket.tbs).hexdigest() != intent.tbs_sha256:
        raise IssuanceRefused(
            "What would be signed differs from what was recorded; no CRL was signed. Start again.", rule="ISS-ONCE"
        )
    der = await asyncio.to_thread(issuer.issue, ticket)
    sha256 = hashlib.sha256(der).hexdigest()
    await crls.change(tx, intent_id, state="issued", der=der, sha256=sha256)
    await crls.prune(tx, intent.authority_id, below=intent.number, now=now)
    await authorities.change(tx, intent.authority_id, last_signed=now)
    record = await authorities.get(tx, intent.authority_id)
    await _audit(tx, "crl issued", record, intent.number, now=now, actor=actor, sha256=sha256)


async def _audit(
    tx: Transaction, action: str, record: AuthorityRecord, number: int, *, now: datetime, actor: str, **detail: Any
) -> None:
    detail = {"role": record.role, "number": number, **detail}
    await audit.record(tx, now=now, actor=actor, action=action, object=record.name, detail=detail)


async def _tell_alarms(services: Services, standings: list[Standing]) -> None:
    """One alarm for each CRL that runs out because no person opens the key of its CA (ALM-TRUE)."""
    async with services.database.transaction() as tx:
        public_url = (await current_settings(services, tx)).certificate_public_url
        for standing in standings:
            record, newest = standing.record, standing.newest
            what = chain.describe(standing.signer.der).common_name or record.name
            if standing.state != "locked" or not (newest or public_url):  # nobody was told where to look for one
                await alarms.close_alarm(tx, now=standing.now, cause="crl-due", object=what)
                continue
            last = f"The last one is good until {newest.next_update:%Y-%m-%d}." if newest else "There is none yet."
            await alarms.raise_alarm(
                tx,
                now=standing.now,
                cause="crl-due",
                object=what,
                severity="warning",
                message=f'The CRL of the CA "{record.name}" cannot be made anew: its key is locked. {last} '
                "Make one: fleetseal crl --passphrase-file FILE.",
            )
