"""Our own records of what CA keys signed, or were about to: rows of table `issuance` (ISS-RECORDED)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import NotFound
from fleetseal.core.model import Alias, AuthorityId, DeviceId, IssuanceId, JobId, KeyOrigin, Serial, TaskId
from fleetseal.store.database import Transaction
from fleetseal.store.schema import authority, device_key, issuance

OPEN = ("intended", "issued")
"""States of an issuance whose job is still at work on it."""


_ENDED = or_(
    issuance.c.state.in_(("revoked", "superseded")),
    and_(issuance.c.state == "installed", issuance.c.superseded.is_not(None)),
)


class RenewalCause(StrEnum):
    """Why a certificate is replaced before its time has come, as the night's audit found it."""

    KEY = "key"  # weak, or seen on another device
    ISSUER = "issuer"  # another CA signs now
    NAMES = "names"  # address or host name changed
    WARNING = "warning"  # it warns already, because the setting was raised after it was issued
    SUPERSEDED = "superseded"  # another took its place once, which a CRL tells, and the device serves it again
    REVOKED = "revoked"  # and the device serves it all the same


class Disowned(NamedTuple):
    """Why a certificate is not to be taken: superseded, revoked, or, if neither, signed by a CA that is retired."""

    superseded: datetime | None
    revoked: datetime | None
    reason: str | None  # of the revocation


_SIGNED = (issuance.c.purpose != "ca", issuance.c.der.is_not(None))


@dataclass(frozen=True)
class IssuanceRecord:
    """`state`: intended, issued, installed, superseded, abandoned or revoked."""

    id: IssuanceId
    authority_id: AuthorityId
    serial: str
    device_id: DeviceId | None
    mac: Serial | None
    job_id: JobId | None
    task_id: TaskId | None
    purpose: str
    origin: KeyOrigin
    alias: Alias | None
    content: dict[str, Any]
    tbs_sha256: str
    spki_sha256: str
    state: str
    der: bytes | None
    sha256: str | None
    subject: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    renew_at: datetime | None
    created: datetime
    installed: datetime | None
    superseded: datetime | None
    revoked: datetime | None
    revocation_reason: str | None
    reissue: RenewalCause | None


@dataclass(frozen=True)
class DeviceKey:
    """`content` holds it; `in_use` by the newest certificate of it."""

    device_id: DeviceId
    mac: Serial | None
    content: dict[str, Any]
    in_use: bool


async def add(tx: Transaction, **columns: Any) -> IssuanceId:
    """A new intent. Raises Conflict when the serial was used before by this CA."""
    inserted = await tx.execute(insert(issuance).values(state="intended", **columns))
    return IssuanceId(inserted.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted


async def change(tx: Transaction, id_: IssuanceId, **columns: Any) -> None:
    await tx.execute(update(issuance).where(issuance.c.id == id_).values(**columns))


async def get(tx: Transaction, id_: IssuanceId) -> IssuanceRecord:
    found = await _select(tx, issuance.c.id == id_)
    if not found:
        raise NotFound(f"There is no certificate record {id_}.")
    return found[0]


async def under_serial(tx: Transaction, authority_id: AuthorityId, serial: str) -> IssuanceRecord | None:
    """What a CA signed, or intended, under this serial number."""
    found = await _select(tx, issuance.c.authority_id == authority_id, issuance.c.serial == serial)
    return found[0] if found else None


async def name_alias(tx: Transaction, sha256: str, alias: Alias) -> None:
    """The entry that holds this certificate is on record, where it was not: the record was made without a login."""
    await tx.execute(
        update(issuance).where(issuance.c.sha256 == sha256, issuance.c.alias.is_(None)).values(alias=alias)
    )


async def open_of_job(tx: Transaction, job_id: JobId, origin: KeyOrigin | None = None) -> tuple[IssuanceRecord, ...]:
    """What a job intends or has had signed, and is not installed; of one key origin or of both."""
    conditions = [issuance.c.job_id == job_id, issuance.c.state.in_(OPEN)]
    return await _select(tx, *conditions, *(() if origin is None else (issuance.c.origin == origin,)))


async def of_purpose(tx: Transaction, purpose: str, *states: str) -> tuple[IssuanceRecord, ...]:
    """What was signed, or intended, for this purpose and is in one of these states."""
    return await _select(tx, issuance.c.purpose == purpose, issuance.c.state.in_(states))


async def signed_for_job(tx: Transaction, job_id: JobId) -> tuple[IssuanceRecord, ...]:
    """What was signed for a job and is not abandoned."""
    return await _select(tx, issuance.c.job_id == job_id, issuance.c.der.is_not(None), issuance.c.state != "abandoned")


async def of_device(tx: Transaction, device_id: DeviceId, purpose: str = "https") -> tuple[IssuanceRecord, ...]:
    """The lineage: everything signed for a device, oldest first."""
    return await _select(
        tx, issuance.c.device_id == device_id, issuance.c.purpose == purpose, issuance.c.der.is_not(None)
    )


async def of_devices(tx: Transaction, device_ids: Sequence[DeviceId]) -> dict[DeviceId, list[IssuanceRecord]]:
    """As `of_device`, of several devices at once; those without a lineage are left out."""
    lineages: dict[DeviceId, list[IssuanceRecord]] = {}
    for record in await _select(
        tx, issuance.c.device_id.in_(device_ids), issuance.c.purpose == "https", issuance.c.der.is_not(None)
    ):
        assert record.device_id is not None
        lineages.setdefault(record.device_id, []).append(record)
    return lineages


async def installed_with_key(tx: Transaction, spki_sha256: str) -> tuple[IssuanceRecord, ...]:
    """What devices have installed for this key."""
    return await _select(
        tx, issuance.c.spki_sha256 == spki_sha256, issuance.c.state == "installed", issuance.c.purpose == "https"
    )


async def installed(tx: Transaction, device_id: DeviceId, purpose: str = "https") -> IssuanceRecord | None:
    found = await _select(
        tx, issuance.c.device_id == device_id, issuance.c.purpose == purpose, issuance.c.state == "installed"
    )
    return found[0] if found else None


async def signed(tx: Transaction) -> tuple[IssuanceRecord, ...]:
    """Every device certificate that was ever signed, also for devices that are forgotten; oldest first."""
    return await _select(tx, *_SIGNED)


async def signed_after(tx: Transaction, after: IssuanceId, *, limit: int) -> tuple[IssuanceRecord, ...]:
    """The next of `signed` after this one, at most `limit`."""
    query = select(issuance).where(*_SIGNED, issuance.c.id > after).order_by(issuance.c.id).limit(limit)
    return tuple(_record(row) for row in await tx.execute(query))


async def number_signed_for_devices(tx: Transaction) -> int:
    """How many `signed` are."""
    return int(await tx.scalar(select(func.count()).select_from(issuance).where(*_SIGNED)) or 0)


async def of_hardware(tx: Transaction, device_id: DeviceId, mac: Serial | None) -> tuple[IssuanceRecord, ...]:
    """As `of_device`, with what was signed for the same hardware under another id, before it was forgotten."""
    same = (
        issuance.c.device_id == device_id
        if mac is None
        else or_(issuance.c.device_id == device_id, issuance.c.mac == mac)
    )
    return await _select(tx, same, issuance.c.purpose != "ca", issuance.c.der.is_not(None))


async def by_serial(tx: Transaction, serial: str) -> tuple[IssuanceRecord, ...]:
    """What was signed under this serial number; by several CAs in theory."""
    return await _select(tx, issuance.c.serial == serial, issuance.c.der.is_not(None))


async def ended(
    tx: Transaction, authority_id: AuthorityId, *, since: datetime
) -> list[tuple[str, datetime, str | None]]:
    """What a CA signed and does not stand for any more: serial, since when, and the reason if it was revoked.

    Superseded and revoked ones alike, also one that a device serves again after it was superseded: what a CRL told
    once is not taken back (RFC 5280 5.3.1). Those that expired before `since` are left out.
    """
    columns = (issuance.c.serial, issuance.c.superseded, issuance.c.revoked, issuance.c.revocation_reason)
    rows = await tx.execute(
        select(*columns).where(
            _ENDED,
            issuance.c.authority_id == authority_id,
            issuance.c.not_after >= since,
        )
    )
    return [(row.serial, row.superseded or row.revoked, row.revocation_reason) for row in rows]


async def ended_among(tx: Transaction, sha256: Collection[str]) -> frozenset[str]:
    """Those of these certificates that were superseded or revoked."""
    return frozenset((await tx.scalars(select(issuance.c.sha256).where(_ENDED, issuance.c.sha256.in_(sha256)))).all())


async def disowned(tx: Transaction, now: datetime, among: Collection[str] | None = None) -> dict[str, Disowned]:
    """What clients are told not to take though it has not expired, by SHA-256 (hex); only of these certificates, if
    they are given."""
    wanted = issuance.c.sha256.is_not(None) if among is None else issuance.c.sha256.in_(among)
    retired = authority.c.state == "retired"
    rows = await tx.execute(
        select(issuance.c.sha256, issuance.c.superseded, issuance.c.revoked, issuance.c.revocation_reason)
        .join(authority, authority.c.id == issuance.c.authority_id)
        .where(wanted, issuance.c.purpose == "https", issuance.c.not_after >= now, or_(_ENDED, retired))
        .order_by(issuance.c.id)
    )
    return {sha256: Disowned(*rest) for sha256, *rest in rows}


async def keys_revoked_for(tx: Transaction, reason: str) -> frozenset[str]:
    """SHA-256 (hex) of the keys with a certificate that was revoked for this reason."""
    columns = (issuance.c.state == "revoked", issuance.c.revocation_reason == reason)
    return frozenset((await tx.scalars(select(issuance.c.spki_sha256).where(*columns))).all())


async def device_keys(tx: Transaction) -> list[DeviceKey]:
    """Every key that was ever to be certified for a device, once."""
    newest = select(func.max(issuance.c.id)).where(issuance.c.device_id.is_not(None)).group_by(issuance.c.spki_sha256)
    columns = (issuance.c.content, issuance.c.mac, issuance.c.device_id, issuance.c.state)
    rows = await tx.execute(select(*columns).where(issuance.c.id.in_(newest)).order_by(issuance.c.id))
    return [
        DeviceKey(DeviceId(row.device_id), row.mac, row.content, in_use=row.state in ("issued", "installed"))
        for row in rows
    ]


async def unfinished_ceremony(tx: Transaction, authority_id: AuthorityId) -> tuple[IssuanceRecord, ...]:
    """Intents to sign CA certificates by this CA that were not carried out."""
    return await _select(
        tx, issuance.c.authority_id == authority_id, issuance.c.purpose == "ca", issuance.c.state == "intended"
    )


async def counts(tx: Transaction, authority_id: AuthorityId, now: datetime) -> tuple[int, int]:
    """Device certificates that a CA (issued, of which valid: in time, and neither replaced nor revoked)."""
    signed = (issuance.c.authority_id == authority_id, issuance.c.purpose != "ca", issuance.c.der.is_not(None))
    total = await tx.scalar(select(func.count()).select_from(issuance).where(*signed))
    current = (issuance.c.state.in_(("issued", "installed")), issuance.c.not_after > now)
    valid = await tx.scalar(select(func.count()).select_from(issuance).where(*signed, *current))
    return int(total or 0), int(valid or 0)


async def number_signed(tx: Transaction) -> int:
    """Certificates of devices on record."""
    query = select(func.count()).select_from(issuance).where(issuance.c.purpose != "ca", issuance.c.der.is_not(None))
    return int(await tx.scalar(query) or 0)


async def key_origins(tx: Transaction, among: Collection[str] | None = None) -> dict[str, str]:
    """Where the key of each certificate signed for a device was made, by the certificate's SHA-256 (hex); only of these
    certificates, if they are given."""
    wanted = issuance.c.sha256.is_not(None) if among is None else issuance.c.sha256.in_(among)
    rows = await tx.execute(select(issuance.c.sha256, issuance.c.origin).where(wanted, issuance.c.purpose == "https"))
    return {row.sha256: row.origin for row in rows}


async def owner_of_key(tx: Transaction, spki_sha256: str) -> DeviceId | None:
    """The device on which this key was first seen."""
    found = await tx.scalar(select(device_key.c.device_id).where(device_key.c.spki_sha256 == spki_sha256))
    return None if found is None else DeviceId(found)


async def serial_of_leaf(tx: Transaction, sha256: str) -> str | None:
    """The serial of the device for which this certificate was signed here."""
    serial: str | None = await tx.scalar(select(issuance.c.mac).where(issuance.c.sha256 == sha256))
    return serial


async def claim_key(tx: Transaction, spki_sha256: str, device_id: DeviceId, *, now: datetime) -> bool:
    """A key belongs to one device for ever (ISS-KEY-PROVED): from now on to this one. False: to another already."""
    owner = await owner_of_key(tx, spki_sha256)
    if owner is None:
        await remember_key(tx, spki_sha256, device_id, now=now)
    return owner in (None, device_id)


async def remember_key(tx: Transaction, spki_sha256: str, device_id: DeviceId, *, now: datetime) -> None:
    """A key belongs to one device for ever. Raises Conflict when it is known already."""
    await tx.execute(insert(device_key).values(spki_sha256=spki_sha256, device_id=device_id, first_seen=now))


async def _select(tx: Transaction, *conditions: Any) -> tuple[IssuanceRecord, ...]:
    rows = await tx.execute(select(issuance).where(*conditions).order_by(issuance.c.id))
    return tuple(_record(row) for row in rows)


def _record(row: Row[Any]) -> IssuanceRecord:
    values = dict(row._mapping)
    values["names"] = tuple(values["names"])
    values["origin"] = KeyOrigin(values["origin"])
    values["reissue"] = row.reissue and RenewalCause(row.reissue)
    return IssuanceRecord(**values)
