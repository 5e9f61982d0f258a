"""Who did what: numbered records, each holding the hash of the one before (AUD-TAMPER-EVIDENT)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert, select

from fleetseal.store.database import Transaction
from fleetseal.store.schema import audit

_START: Final = "0" * 64


@dataclass(frozen=True)
class Record:
    number: int
    at: datetime
    actor: str
    action: str
    object: str
    detail: dict[str, Any]


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
    last = (await tx.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1))).first()
    number, previous = (1, _START) if last is None else (last.id + 1, last.hash)
    entry = Record(number, now, actor, action, object, dict(detail or {}))
    values = {"at": now, "actor": actor, "action": action, "object": object, "detail": entry.detail}
    await tx.execute(insert(audit).values(id=number, previous=previous, hash=_hash(previous, entry), **values))


async def records(tx: Transaction, *, limit: int | None = None) -> list[Record]:
    """The newest records first."""
    rows = await tx.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))
    return [_record(row) for row in rows]


async def of_action(tx: Transaction, action: str) -> list[Record]:
    """The records of one action, the newest first."""
    rows = await tx.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id.desc()))
    return [_record(row) for row in rows]


async def first_broken(tx: Transaction) -> int | None:
    """The number of the first record that was changed, moved, inserted or follows a gap; None when all are whole.

    Records cut off at the end leave no trace here: only a hash kept elsewhere shows that.
    """
    previous = _START
    for number, row in enumerate(await tx.execute(select(audit).order_by(audit.c.id)), start=1):
        if (row.id, row.previous, row.hash) != (number, previous, _hash(previous, _record(row))):
            return number
        previous = row.hash
    return None


def _record(row: Any) -> Record:
    return Record(row.id, row.at, row.actor, row.action, row.object, row.detail)


def _hash(previous: str, entry: Record) -> str:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [previous, entry.number, at, entry.actor, entry.action, entry.object, entry.detail]
    text = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
