"""What an administrator wants to know first: counted by the database, whatever the size of the site."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from fleetseal.core.text import timestamp
from fleetseal.operations import alarms, listed, nights, tasks
from fleetseal.operations.services import Services
from fleetseal.operations.sort_keys import sort_key
from fleetseal.store import authorities, device_pages

Row = dict[str, Any]

DAYS: Final = (7, 30, 90)
_MONTHS: Final = 13  # with the rest of this one: a year is among them
_RECENT: Final = timedelta(days=7)
_COUNTED: Final = ("status", "https", "trust")


async def overview(services: Services, *, serving: bool, working: bool) -> Row:
    """`{"authority","devices","expiring","alarms","tasks","failed","night"}`.

    `authority`: a CA signs here. `devices`: `{"total","status","https","trust"}`, each but the first
    `[{"value","count"}]`. `expiring`: `{"expired","days","months"}` of the certificates that devices serve: `days` is
    `[{"days","count"}]`, those that end within; `months` this one, from now on, and the next twelve as
    `[{"month": "2027-01","count"}]`. `alarms`: open ones, as listed. `tasks`: unfinished ones, as listed. `failed`: the
    newest of the last seven days that failed on a device, as listed, or null. `night`: as `nightly` tells.
    """
    now = services.clock.now()
    months = _months(now)
    bounds = [now, *(now + timedelta(days=days) for days in DAYS), *months[1:]]
    async with listed.fresh(services) as tx:
        signing = await authorities.find_signing(tx)
        counted = {column: await device_pages.counts(tx, column) for column in _COUNTED}
        ends = await device_pages.expiring(tx, [sort_key(timestamp(bound), "expires") for bound in bounds])
    every = await tasks.list_(services, working=working)
    recent = timestamp(now - _RECENT)
    expired, within, monthly = ends[0], ends[1 : 1 + len(DAYS)], ends[1 + len(DAYS) :]
    return {
        "authority": signing is not None,
        "devices": {
            "total": sum(count for _, count in counted["status"]),
            **{column: _values(column, counts) for column, counts in counted.items()},
        },
        "expiring": {
            "expired": expired,
            "days": [{"days": days, "count": count - expired} for days, count in zip(DAYS, within, strict=True)],
            "months": [
                {"month": f"{month:%Y-%m}", "count": later - earlier}
                for month, (earlier, later) in zip(months, pairwise([expired, *monthly]), strict=False)
            ],
        },
        "alarms": await alarms.list_(services),
        "tasks": [one for one in every if one["finished"] is None],
        "failed": next((one for one in every if one["failed"] and (one["finished"] or "") > recent), None),
        "night": await nights.status(services, serving=serving),
    }


def _months(now: datetime) -> list[datetime]:
    """The beginnings of this month, of the twelve after it, and of the one after these."""
    first = now.year * 12 + now.month - 1
    return [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(first, first + _MONTHS + 1)]


def _values(column: str, counts: list[tuple[bytes, int]]) -> list[Row]:
    return [{"value": value, "count": count} for key, count in counts for value in listed.values(column, key)]
