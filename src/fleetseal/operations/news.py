"""What changed since a position, as the rows that the lists show."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fleetseal.operations import alarms, listed, tasks
from fleetseal.operations.services import Services
from fleetseal.store import device_pages, positions
from fleetseal.store import tasks as store

MOST: Final = 2000
"""Entries that are told one by one. Of more, only that they changed: to load a list anew costs less."""

RELOAD: Final = "resync"


@dataclass(frozen=True)
class News:
    """`told` by kind, as JSON: rows as `GET devices`, `GET tasks` and `GET alarms` have them, or, of what is gone, ids.
    Whoever had what they told at the position asked for, and applies this, has what they tell at `position`."""

    position: int
    told: Mapping[str, bytes]


async def position(services: Services) -> int:
    async with services.database.reading() as tx:
        return await positions.current(tx)


async def since(services: Services, after: int, *, working: bool, unfinished: bool = False) -> News:
    """What changed after this position; `RELOAD` where that cannot be told, or is too much.

    `working`: an engine runs on this data. `unfinished`: with every task that has not ended, changed or not: how it is
    called depends on `working` too.
    """
    async with listed.fresh(services) as tx:
        changed = await positions.changed(tx, after, limit=MOST)
        if changed is None:
            return News(await positions.current(tx), {RELOAD: b"[]"})
        shown = set(changed.tasks)
        if unfinished:
            shown |= {task.id for task in await store.unfinished_tasks(tx)}
        told = {
            "device-gone": _json(changed.devices_gone),
            "device": _array((await device_pages.shown(tx, changed.devices)).values()),
            "task-gone": _json(changed.tasks_gone),
            "task": _json(await tasks.rows_of(tx, shown, working=working)),
            "alarm-gone": _json(changed.alarms_gone),
            "alarm": _json(await alarms.rows_of(tx, changed.alarms)),
        }
    return News(changed.position, {kind: rows for kind, rows in told.items() if rows != b"[]"})


def _json(rows: Iterable[object]) -> bytes:
    return _array(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() for row in rows)


def _array(rows: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(rows) + b"]"
