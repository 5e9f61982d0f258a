"""What changed since: each device, task and alarm has the position of its newest change.

Positions only grow, in the order in which transactions are committed. They are given by the triggers of
`store/change_log.py`, in the transaction of the change.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, text, update

from fleetseal.core.model import DeviceId, TaskId
from fleetseal.store.change_log import change, change_floor
from fleetseal.store.database import Transaction

KEPT: Final = timedelta(days=1)
"""What is gone is told for at least this long."""


@dataclass(frozen=True)
class Changed:
    """What is not as it was. Whoever applied it is at `position`."""

    position: int
    devices: tuple[DeviceId, ...]
    devices_gone: tuple[DeviceId, ...]
    tasks: tuple[TaskId, ...]
    tasks_gone: tuple[TaskId, ...]
    alarms: tuple[int, ...]  # open ones
    alarms_gone: tuple[int, ...]  # closed, or forgotten


async def current(tx: Transaction) -> int:
    """The position of what this transaction sees."""
    return max(int(await tx.scalar(_LAST_GIVEN) or 0), await _floor(tx))


async def changed(tx: Transaction, after: int, *, limit: int = 10_000) -> Changed | None:
    """What changed after this position, each once, in the order of the changes. One index is read, from there on.

    None when that cannot be told: the position is older than what is kept, it is none of this database, or there is
    more than `limit`. Whoever asked reads everything anew.
    """
    position = await current(tx)
    if not await _floor(tx) <= after <= position:
        return None
    query = select(change).where(change.c.position > after).order_by(change.c.position).limit(limit + 1)
    rows = (await tx.execute(query)).all()
    if len(rows) > limit:
        return None

    def of(kind: str, *, gone: bool) -> list[int]:
        return [row.object for row in rows if row.kind == kind and row.gone is gone]

    return Changed(
        position=position,
        devices=tuple(map(DeviceId, of("device", gone=False))),
        devices_gone=tuple(map(DeviceId, of("device", gone=True))),
        tasks=tuple(map(TaskId, of("task", gone=False))),
        tasks_gone=tuple(map(TaskId, of("task", gone=True))),
        alarms=tuple(of("alarm", gone=False)),
        alarms_gone=tuple(of("alarm", gone=True)),
    )


async def prune(tx: Transaction, *, now: datetime) -> None:
    """What was gone when this was last done, `KEPT` ago or more, is told no more: older positions are too old."""
    position = await current(tx)
    row = (await tx.execute(select(change_floor))).one_or_none()
    if row is None:
        await tx.execute(insert(change_floor).values(id=1, floor=0, mark=position, marked=now))
    elif now - row.marked >= KEPT:
        await tx.execute(delete(change).where(change.c.gone, change.c.position <= row.mark))
        await tx.execute(update(change_floor).values(floor=row.mark, mark=position, marked=now))
    elif now < row.marked:  # the clock was set back: `KEPT` is counted from here
        await tx.execute(update(change_floor).values(marked=now))


async def break_off(tx: Transaction, *, now: datetime) -> None:
    """After a restore: no position that was given before, here or where the backup was made, can be told from.

    Positions go on from the milliseconds since 1970 if that is more: they grow slower than those, so that none given
    since the backup was made is as high.
    """
    position = max(await current(tx) + 1, int(now.timestamp() * 1000))
    await tx.execute(delete(change))
    await tx.execute(delete(change_floor))
    await tx.execute(insert(change_floor).values(id=1, floor=position, mark=position, marked=now))
    await tx.execute(text("DELETE FROM sqlite_sequence WHERE name = 'change'"))
    await tx.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('change', :seq)"), {"seq": position})


_LAST_GIVEN: Final = text("SELECT seq FROM sqlite_sequence WHERE name = 'change'")
"""The newest row does not tell: it may be a tombstone that was pruned."""


async def _floor(tx: Transaction) -> int:
    return int(await tx.scalar(select(change_floor.c.floor)) or 0)
