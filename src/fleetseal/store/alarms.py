"""Conditions that hold now: one open alarm for each cause and object (ALM-TRUE)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from fleetseal.core.errors import NotFound
from fleetseal.store.database import Transaction
from fleetseal.store.schema import alarm


@dataclass(frozen=True)
class Alarm:
    id: int
    cause: str
    object: str
    severity: str
    message: str
    since: datetime
    acknowledged: datetime | None
    expires: datetime | None


async def raise_alarm(
    tx: Transaction,
    *,
    now: datetime,
    cause: str,
    object: str,  # noqa: A002 - the word of the table and of the contract
    severity: str,
    message: str,
    expires: datetime | None = None,
) -> None:
    """An alarm of this cause and object is open and says `message`. One that was open keeps its beginning.

    `expires`: the end of what it warns about; people are reminded as that comes nearer.
    """
    same = (alarm.c.cause == cause) & (alarm.c.object == object) & alarm.c.closed.is_(None)
    changed = await tx.execute(update(alarm).where(same).values(severity=severity, message=message, expires=expires))
    if changed.rowcount == 0:
        await tx.execute(
            insert(alarm).values(
                cause=cause, object=object, severity=severity, message=message, since=now, expires=expires
            )
        )


async def close_alarm(tx: Transaction, *, now: datetime, cause: str, object: str) -> None:  # noqa: A002 - as above
    """No alarm of this cause and object is open."""
    same = (alarm.c.cause == cause) & (alarm.c.object == object) & alarm.c.closed.is_(None)
    await tx.execute(update(alarm).where(same).values(closed=now))


async def close_all(tx: Transaction, *, now: datetime, object: str, causes: Collection[str] | None = None) -> None:  # noqa: A002 - as above
    """No alarm of this object is open; only these causes, if they are given."""
    conditions = [alarm.c.object == object, alarm.c.closed.is_(None)]
    if causes is not None:
        conditions.append(alarm.c.cause.in_(causes))
    await tx.execute(update(alarm).where(*conditions).values(closed=now))


async def prune(tx: Transaction, *, before: datetime) -> None:
    """Alarms that were closed before this time are forgotten."""
    await tx.execute(delete(alarm).where(alarm.c.closed < before))


async def acknowledge(tx: Transaction, alarm_id: int, *, now: datetime) -> None:
    """Somebody has seen it; it stays open. Raises NotFound when no such alarm is open."""
    same = (alarm.c.id == alarm_id) & alarm.c.closed.is_(None)
    if (await tx.execute(update(alarm).where(same).values(acknowledged=now))).rowcount == 0:
        raise NotFound(f"There is no open alarm {alarm_id}.")


async def open_alarms(tx: Transaction, only: Collection[int] | None = None) -> list[Alarm]:
    """All, or those of these that are open; oldest first."""
    query = select(alarm).where(alarm.c.closed.is_(None)).order_by(alarm.c.since, alarm.c.id)
    rows = await tx.execute(query if only is None else query.where(alarm.c.id.in_(only)))
    return [alarm_of(row) for row in rows]


async def count_open(tx: Transaction) -> int:
    return int(await tx.scalar(select(func.count()).select_from(alarm).where(alarm.c.closed.is_(None))) or 0)


async def open_by_cause(tx: Transaction) -> dict[tuple[str, str], int]:
    """How many are open: (cause, severity) -> number."""
    query = select(alarm.c.cause, alarm.c.severity, func.count().label("number")).where(alarm.c.closed.is_(None))
    rows = await tx.execute(query.group_by(alarm.c.cause, alarm.c.severity))
    return {(row.cause, row.severity): row.number for row in rows}


def alarm_of(row: Any) -> Alarm:
    return Alarm(row.id, row.cause, row.object, row.severity, row.message, row.since, row.acknowledged, row.expires)
