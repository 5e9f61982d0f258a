"""CRLs that CA keys signed, or were about to: rows of table `crl` (ISS-RECORDED)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import NotFound
from fleetseal.core.model import AuthorityId
from fleetseal.store.database import Transaction
from fleetseal.store.schema import crl

CrlId = NewType("CrlId", int)


@dataclass(frozen=True)
class CrlRecord:
    """`state`: intended, issued or abandoned. `content` and `der` are None once `prune` took them."""

    id: CrlId
    authority_id: AuthorityId
    number: int
    state: str
    this_update: datetime
    next_update: datetime
    entries: int
    content: dict[str, Any] | None
    tbs_sha256: str
    der: bytes | None
    sha256: str | None
    actor: str
    created: datetime


async def add(tx: Transaction, **columns: Any) -> CrlId:
    """A new intent. Raises Conflict when another one of this CA is open, or the number was used."""
    inserted = await tx.execute(insert(crl).values(state="intended", **columns))
    return CrlId(inserted.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted


async def change(tx: Transaction, id_: CrlId, **columns: Any) -> None:
    await tx.execute(update(crl).where(crl.c.id == id_).values(**columns))


async def get(tx: Transaction, id_: CrlId) -> CrlRecord:
    row = (await tx.execute(select(crl).where(crl.c.id == id_))).first()
    if row is None:
        raise NotFound(f"There is no CRL record {id_}.")
    return _record(row)


async def open_intent(tx: Transaction, authority_id: AuthorityId) -> CrlRecord | None:
    """What was intended and neither signed nor abandoned."""
    row = (await tx.execute(select(crl).where(crl.c.authority_id == authority_id, crl.c.state == "intended"))).first()
    return None if row is None else _record(row)


async def newest(tx: Transaction, authority_id: AuthorityId) -> CrlRecord | None:
    """The last one that was signed."""
    query = select(crl).where(crl.c.authority_id == authority_id, crl.c.state == "issued")
    row = (await tx.execute(query.order_by(crl.c.number.desc()).limit(1))).first()
    return None if row is None else _record(row)


async def next_number(tx: Transaction, authority_id: AuthorityId) -> int:
    """Higher than any that was ever intended: a number is never used again (RFC 5280 5.2.3)."""
    return int(await tx.scalar(select(func.max(crl.c.number)).where(crl.c.authority_id == authority_id)) or 0) + 1


async def skip_numbers(tx: Transaction, authority_id: AuthorityId, *, now: datetime, actor: str) -> None:
    """The CA comes from a backup, and what it signed since is forgotten: its next number is above the seconds since
    1970, so that none is used again and none is smaller than a published one. An open intent is abandoned."""
    if (left := await open_intent(tx, authority_id)) is not None:
        await change(tx, left.id, state="abandoned")
    number = max(await next_number(tx, authority_id), int(now.timestamp()))
    columns = {"number": number, "this_update": now, "next_update": now, "entries": 0, "tbs_sha256": ""}
    gap = await add(tx, authority_id=authority_id, **columns, actor=actor, created=now)
    await change(tx, gap, state="abandoned")


async def prune(tx: Transaction, authority_id: AuthorityId, *, below: int, now: datetime) -> None:
    """CRLs with smaller numbers, past their next update or never signed, keep numbers, times and hashes only."""
    old = (crl.c.authority_id == authority_id, crl.c.number < below, crl.c.content.is_not(None))
    unused = (crl.c.next_update < now) | (crl.c.state == "abandoned")
    await tx.execute(update(crl).where(*old, unused).values(content=None, der=None))


def _record(row: Row[Any]) -> CrlRecord:
    return CrlRecord(**row._mapping)
