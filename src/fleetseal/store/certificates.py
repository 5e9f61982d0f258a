"""Our own records of what CA keys signed, or were about to: rows of table `issuance` (ISS-RECORDED)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import NotFound
from fleetseal.core.model import Alias, AuthorityId, DeviceId, IssuanceId, JobId, KeyOrigin
from fleetseal.store.database import Transaction
from fleetseal.store.schema import device_key, issuance

OPEN = ("intended", "issued")
"""States of an issuance whose job is still at work on it."""


@dataclass(frozen=True)
class IssuanceRecord:
    """`state`: intended, issued, installed, superseded, abandoned or revoked."""

    id: IssuanceId
    authority_id: AuthorityId
    serial: str
    device_id: DeviceId | None
    mac: str | None
    job_id: JobId | None
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


async def open_of_job(tx: Transaction, job_id: JobId, origin: KeyOrigin | None = None) -> tuple[IssuanceRecord, ...]:
    """What a job intends or has had signed, and is not installed; of one key origin or of both."""
    conditions = [issuance.c.job_id == job_id, issuance.c.state.in_(OPEN)]
    return await _select(tx, *conditions, *(() if origin is None else (issuance.c.origin == origin,)))


async def signed_for_job(tx: Transaction, job_id: JobId) -> tuple[IssuanceRecord, ...]:
    """What was signed for a job and is not abandoned."""
    return await _select(tx, issuance.c.job_id == job_id, issuance.c.der.is_not(None), issuance.c.state != "abandoned")


async def of_device(tx: Transaction, device_id: DeviceId, purpose: str = "https") -> tuple[IssuanceRecord, ...]:
    """The lineage: everything signed for a device, oldest first."""
    return await _select(
        tx, issuance.c.device_id == device_id, issuance.c.purpose == purpose, issuance.c.der.is_not(None)
    )


async def installed(tx: Transaction, device_id: DeviceId, purpose: str = "https") -> IssuanceRecord | None:
    found = await _select(
        tx, issuance.c.device_id == device_id, issuance.c.purpose == purpose, issuance.c.state == "installed"
    )
    return found[0] if found else None


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


async def key_origins(tx: Transaction) -> dict[str, str]:
    """Where the key of each certificate signed for a device was made, by the certificate's SHA-256 (hex)."""
    columns = (issuance.c.sha256, issuance.c.origin)
    rows = await tx.execute(select(*columns).where(issuance.c.sha256.is_not(None), issuance.c.purpose == "https"))
    return {row.sha256: row.origin for row in rows}


async def owner_of_key(tx: Transaction, spki_sha256: str) -> DeviceId | None:
    """The device on which this key was first seen."""
    found = await tx.scalar(select(device_key.c.device_id).where(device_key.c.spki_sha256 == spki_sha256))
    return None if found is None else DeviceId(found)


async def serial_of_leaf(tx: Transaction, sha256: str) -> str | None:
    """The serial of the device for which this certificate was signed here."""
    serial: str | None = await tx.scalar(select(issuance.c.mac).where(issuance.c.sha256 == sha256))
    return serial


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
    return IssuanceRecord(**values)
