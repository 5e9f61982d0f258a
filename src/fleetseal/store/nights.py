"""The runs of the night: one row for each, and one row for each window (REN-ONCE-A-NIGHT)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import NotFound
from fleetseal.core.model import TaskId
from fleetseal.store.database import Transaction
from fleetseal.store.schema import night

NightId = NewType("NightId", int)


@dataclass(frozen=True)
class NightRecord:
    id: NightId
    window: str | None
    begun: datetime
    planned: datetime | None
    finished: datetime | None
    task_id: TaskId | None
    skipped: list[dict[str, Any]]
    waited: bool
    succeeded: bool
    report: dict[str, Any] | None


async def begin(tx: Transaction, *, window: str | None, now: datetime) -> NightId:
    """A new run. Raises Conflict when this window had its run."""
    inserted = await tx.execute(insert(night).values(window=window, begun=now, skipped=[]))
    return NightId(inserted.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted


async def get(tx: Transaction, night_id: NightId) -> NightRecord:
    row = (await tx.execute(select(night).where(night.c.id == night_id))).first()
    if row is None:
        raise NotFound(f"There is no nightly run {night_id}.")
    return _record(row)


async def latest(tx: Transaction) -> NightRecord | None:
    """The run that began last."""
    row = (await tx.execute(select(night).order_by(night.c.id.desc()).limit(1))).first()
    return None if row is None else _record(row)


async def of_window(tx: Transaction, window: str) -> NightRecord | None:
    row = (await tx.execute(select(night).where(night.c.window == window))).first()
    return None if row is None else _record(row)


async def unfinished(tx: Transaction) -> tuple[NightRecord, ...]:
    """Oldest first."""
    rows = await tx.execute(select(night).where(night.c.finished.is_(None)).order_by(night.c.id))
    return tuple(_record(row) for row in rows)


async def last_success(tx: Transaction) -> datetime | None:
    """When a run last ended well."""
    query = select(night.c.finished).where(night.c.succeeded).order_by(night.c.id.desc()).limit(1)
    found: datetime | None = await tx.scalar(query)
    return found


async def change(tx: Transaction, night_id: NightId, **columns: Any) -> None:
    await tx.execute(update(night).where(night.c.id == night_id).values(**columns))


async def prune(tx: Transaction, *, before: datetime) -> None:
    """Runs that ended before this time are forgotten, except the newest one and the last good one."""
    kept = [
        await tx.scalar(select(func.max(night.c.id))),
        await tx.scalar(select(func.max(night.c.id)).where(night.c.succeeded)),
    ]
    await tx.execute(delete(night).where(night.c.finished < before, night.c.id.not_in([one or 0 for one in kept])))


def _record(row: Row[Any]) -> NightRecord:
    return NightRecord(**row._mapping)
