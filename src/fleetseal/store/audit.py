"""Who did what: numbered records, each holding the hash of the one before (AUD-TAMPER-EVIDENT)."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, Select, insert, select

from fleetseal.core.errors import StoreError
from fleetseal.store.database import Transaction
from fleetseal.store.schema import audit

START: Final = "0" * 64
"""What the first record holds in place of the hash of the one before."""

BATCH: Final = 500
"""Records in memory at a time, however many there are."""


@dataclass(frozen=True)
class Record:
    number: int
    at: datetime
    actor: str
    action: str
    object: str
    detail: dict[str, Any]
    previous: str  # SHA-256 of the record before, as hex
    hash: str  # SHA-256 of this one, as `digest` has it


@dataclass(frozen=True)
class Unreadable:
    """A record whose number is there and whose content cannot be decoded."""

    number: int


async def record(
    tx: Transaction,
    *,
    now: datetime,
    actor: str,
    action: str,
    object: str,  # noqa: A002 - the word of the table and of the contract
    detail: Mapping[str, Any] | None = None,
) -> None:
    """One more record, in the caller's transaction: what cannot be recorded does not happen (AUD-FAILS-CLOSED).

    `detail` holds JSON values and no secret.
    """
    last = await head(tx)
    number, previous = (1, START) if last is None else (last[0] + 1, last[1])
    content: dict[str, Any] = {
        "at": now,
        "actor": actor,
        "action": action,
        "object": object,
        "detail": dict(detail or {}),
    }
    hashed = digest(Record(number, **content, previous=previous, hash=""))
    await tx.execute(insert(audit).values(id=number, **content, previous=previous, hash=hashed))


async def head(tx: Transaction) -> tuple[int, str] | None:
    """Number and hash of the newest record; None when there is none."""
    last = (await tx.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1))).first()
    return None if last is None else (last.id, last.hash)


async def first_hash(tx: Transaction) -> str | None:
    """The hash of the oldest record; None when there is none. It tells this log from others."""
    return await tx.scalar(select(audit.c.hash).order_by(audit.c.id).limit(1))


async def of_action(tx: Transaction, action: str) -> list[Record]:
    """The records of one action, the newest first."""
    rows = await tx.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id.desc()))
    return [_record(row) for row in rows]


async def records(tx: Transaction, *, before: int | None = None, limit: int | None = None) -> list[Record]:
    """The newest records first; with `before`, those with smaller numbers. Raises StoreError for one that cannot be
    read, naming it."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    entries = await _entries(tx, query if before is None else query.where(audit.c.id < before))
    return [_readable(entry) for entry in entries]


async def newest(tx: Transaction, *, before: int | None = None) -> AsyncIterator[Record]:
    """As `records`, one by one."""
    while batch := await records(tx, before=before, limit=BATCH):
        for entry in batch:
            yield entry
        before = batch[-1].number


async def oldest(tx: Transaction, *, after: int = 0) -> AsyncIterator[Record]:
    """As `newest`, the other way round: those with larger numbers than `after`."""
    async for entry in _everything(tx, after=after):
        yield _readable(entry)


def digest(entry: Record) -> str:
    """SHA-256, as hex, of the hash of the record before and the content, as one JSON array without blanks.

    docs/procedures/audit.md has the recipe, so that anybody can recompute it.
    """
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [entry.previous, entry.number, at, entry.actor, entry.action, entry.object, entry.detail]
    text = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


# ---------------------------------------------------------------- verification


class Fault(StrEnum):
    """What is wrong with the records from one number on."""

    UNREADABLE = "unreadable"  # its values cannot be decoded
    CHANGED = "changed"  # its content is not that of its hash
    UNLINKED = "unlinked"  # whole in itself, but it does not hold the hash of the one before
    MISSING = "missing"  # a gap in the numbers
    REWRITTEN = "rewritten"  # chained, and not what an anchor says
    CUT_OFF = "cut off"  # an anchor knows of later records than there are


@dataclass(frozen=True)
class Broken:
    """The first fault; it is in the records `number` to `last`."""

    fault: Fault
    number: int
    last: int


@dataclass(frozen=True)
class Verdict:
    records: int  # how many are whole, from the first on
    anchors: int  # how many of them an anchor confirms
    broken: Broken | None


async def verify(tx: Transaction, anchors: Mapping[int, Set[str]] | None = None) -> Verdict:
    """Every record from the first on, up to the first fault. `anchors` are hashes by number, kept elsewhere: without
    them, records that were cut off at the end, or written anew as a whole, leave no trace."""
    anchors = anchors or {}
    number, previous = 0, START
    confirmed = matched = 0
    async for entry in _everything(tx):
        if (broken := judge(number, previous, entry)) is not None:
            return Verdict(number, matched, broken)
        assert isinstance(entry, Record)
        number, previous = entry.number, entry.hash
        if number in anchors:
            if anchors[number] != {previous}:
                return Verdict(confirmed, matched, Broken(Fault.REWRITTEN, confirmed + 1, number))
            confirmed, matched = number, matched + 1
    latest = max(anchors, default=0)
    return Verdict(number, matched, Broken(Fault.CUT_OFF, number + 1, latest) if latest > number else None)


def judge(number: int, previous: str, entry: Record | Unreadable) -> Broken | None:
    """What is wrong with an entry that follows the record with this number and hash (0 and `START`: is the first)."""
    if entry.number > number + 1:
        return Broken(Fault.MISSING, number + 1, entry.number - 1)
    if isinstance(entry, Unreadable):
        return Broken(Fault.UNREADABLE, entry.number, entry.number)
    if digest(entry) != entry.hash:
        return Broken(Fault.CHANGED, entry.number, entry.number)
    if (entry.number, entry.previous) != (number + 1, previous):
        return Broken(Fault.UNLINKED, entry.number, entry.number)
    return None


# ---------------------------------------------------------------- rows

_UNDECODABLE: Final = (ValueError, TypeError, RecursionError, StoreError)
"""What the drivers raise for values that were not written here: no time, no JSON, nested without end, no UTF-8."""


async def _everything(tx: Transaction, *, after: int | None = None) -> AsyncIterator[Record | Unreadable]:
    """What lies in the table in the order of its numbers, also what cannot be read."""
    query = select(audit).order_by(audit.c.id).limit(BATCH)
    while batch := await _entries(tx, query if after is None else query.where(audit.c.id > after)):
        for entry in batch:
            yield entry
        after = batch[-1].number


async def _entries(tx: Transaction, query: Select[Any]) -> list[Record | Unreadable]:
    """One that cannot be decoded does not hide the others."""
    try:
        return [_record(row) for row in await tx.execute(query)]
    except _UNDECODABLE:
        numbers = list(await tx.scalars(query.with_only_columns(audit.c.id)))
    return [await _one(tx, number) for number in numbers]


async def _one(tx: Transaction, number: int) -> Record | Unreadable:
    try:
        return _record((await tx.execute(select(audit).where(audit.c.id == number))).one())
    except _UNDECODABLE:
        return Unreadable(number)


def _record(row: Row[Any]) -> Record:
    """Raises TypeError when a value is not of its column's type, which SQLite does not demand."""
    entry = Record(row.id, row.at, row.actor, row.action, row.object, row.detail, row.previous, row.hash)
    texts = (entry.actor, entry.action, entry.object, entry.previous, entry.hash)
    if not (isinstance(entry.at, datetime) and isinstance(entry.detail, dict) and all(map(_is_text, texts))):
        raise TypeError
    return entry


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _readable(entry: Record | Unreadable) -> Record:
    if isinstance(entry, Unreadable):
        raise StoreError(
            f"Audit record {entry.number} cannot be read: it was damaged or changed. See: fleetseal audit verify"
        )
    return entry
