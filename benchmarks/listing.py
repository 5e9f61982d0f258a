"""A page of 100,000 devices in the database, against a plain SELECT of as many rows by an index: JSON lines.

Milliseconds are CPU time of this process, the least of several tries. For each filter and order: a first page of 200
rows, one that begins where half of what fits was passed, and the ratio of the slower to the plain SELECT of 200 rows in
the same run. The aim is 5 ms. `count_ms` is for the number of all that fit, which is asked for with a first page only.
The first line says how long it takes to make all rows; the last how long it takes to make rows anew of devices that
were seen again, or have another name, and its ratio to the same without the search for texts, in turn in this run: the
aim is 1.3.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from fleetseal.app import open_application
from fleetseal.operations import listed, pages
from fleetseal.operations.listing import parse_filters
from fleetseal.operations.services import Services
from fleetseal.store import device_pages, inventory
from fleetseal.store.database import Transaction
from fleetseal.store.device_listing import TRIGGERS
from fleetseal.store.device_pages import Order

_DEVICES = 100_000
_ROWS = 200
_TRIES = 7
_CHANGED = 2000
_TURNS = 2
_CHANGES = {"seen": "last_seen = '2026-11-23T13:00:00.000000Z'", "named": "host_name = 'door-' || id"}

_LISTS: tuple[tuple[str, str], ...] = (
    ("", "id"),
    ("", "address"),
    ("", "-last_seen"),
    ("", "status"),
    ("", "firmware"),
    ("status:unreachable", "address"),
    ("model:M7", "address"),
    ("model:M7 status:unreachable", "firmware"),
    ("firmware:<10", "address"),
    ("tags:gate", "hostname"),
    ("status:unreachable", "-last_seen"),
    ("firmware:<10", "-firmware"),
    ("https_port:444", "id"),
    ("mac:00:10", "-status"),
    ("hostname:cam-77", "firmware"),
    ("last_seen:12:00:07", "address"),
    ("example.org", "address"),
    ("cam-77777", "-last_seen"),
    ("nothing-like-this", "address"),
    ("M7", "address"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder)))


async def _measure(data: Path) -> None:
    async with open_application(data, environment={}) as application:
        services = application.services
        async with services.database.transaction() as tx:
            await inventory.add_all(tx, services.sealer, [(_device(number), None) for number in range(_DEVICES)])
        start = time.perf_counter(), time.process_time()
        await listed.freshen(services)
        made = time.perf_counter() - start[0], time.process_time() - start[1]
        _tell(benchmark="listing", devices=_DEVICES, make_all_s=round(made[0], 1), make_all_cpu_s=round(made[1], 1))
        async with services.database.reading() as tx:
            plain = await _best(lambda: _plain(tx))
            for words, sort in _LISTS:
                _tell(**await _one(tx, words, sort, plain))
        for what, change in _CHANGES.items():
            _tell(benchmark="listing", change=what, **await _changed(services, change))


async def _one(tx: Transaction, words: str, sort: str, plain: float) -> dict[str, Any]:
    conditions = [await pages.condition(tx, word) for word in parse_filters([words])]
    order = Order(sort.removeprefix("-"), descending=sort.startswith("-"))
    number = await device_pages.count(tx, conditions)
    passed = await device_pages.page(tx, conditions, order, after=None, limit=max(1, number // 2))
    half = passed[-1][0] if passed else None

    async def page(after: device_pages.Place | None) -> None:
        await device_pages.page(tx, conditions, order, after=after, limit=_ROWS)

    begin, following = await _best(lambda: page(None)), await _best(lambda: page(half))
    count = await _best(lambda: device_pages.count(tx, conditions))
    return {
        "benchmark": "listing",
        "filter": words,
        "sort": sort,
        "fit": number,
        "first_ms": round(begin * 1000, 2),
        "far_ms": round(following * 1000, 2),
        "count_ms": round(count * 1000, 2),
        "plain_ms": round(plain * 1000, 2),
        "ratio": round(max(begin, following) / plain, 1),
        "aim_ms": 5,
    }


async def _changed(services: Services, change: str) -> dict[str, float]:
    """Microseconds of CPU for each device that is listed anew, with the search for texts and without."""
    least: dict[bool, float] = {}
    for turn in range(2 * _TURNS):
        search = turn % 2 == 0
        async with services.database.transaction() as tx:
            if not search:
                await tx.execute(text("DROP TRIGGER device_search_update"))
            await tx.execute(text(f"UPDATE device SET {change} WHERE id % {_DEVICES // _CHANGED} = {turn}"))  # noqa: S608 - ours
        start = time.process_time()
        await listed.freshen(services)
        spent = (time.process_time() - start) / _CHANGED * 1e6
        least[search] = min(spent, least.get(search, spent))
        if not search:
            async with services.database.transaction() as tx:
                await tx.execute(text(f"CREATE TRIGGER device_search_update {TRIGGERS['device_search_update']}"))
    ratio = round(least[True] / least[False], 2)
    return {"us": round(least[True]), "without_search_us": round(least[False]), "ratio": ratio, "aim_ratio": 1.3}


async def _plain(tx: Transaction) -> None:
    (await tx.execute(text("SELECT device_id, shown FROM device_row WHERE device_id > 50000 LIMIT 200"))).all()


async def _best(act: Callable[[], Awaitable[Any]]) -> float:
    """Seconds of CPU of the quickest of some tries."""
    taken = []
    for _ in range(_TRIES):
        start = time.process_time()
        await act()
        taken.append(time.process_time() - start)
    return min(taken)


def _device(number: int) -> dict[str, Any]:
    """One of a site as sites are: few models and firmwares, one in twenty out of reach, in no order."""
    mixed = number * 2_654_435_761 % 2**32
    now = datetime(2026, 11, 23, 12, 0, mixed % 60, tzinfo=UTC)
    return {
        "address": f"10.{mixed % 199}.{number >> 8 & 255}.{number & 255}",
        "serial": f"B8A44F{number:06X}",
        "host_name": f"cam-{number}.example.org",
        "http_port": 80,
        "https_port": 443 + (number >> 16),
        "site": "default",
        "tags": [["north", "gate"], ["gate"], []][mixed % 3],
        "model": f"M{mixed >> 8 & 31}",
        "product_type": "Dome Camera",
        "firmware": f"{9 + (mixed >> 16) % 4}.{mixed % 30}.{mixed % 7}",
        "username": "root",
        "reachable": mixed % 20 != 0,
        "added": now,
        "last_seen": now,
    }


def _tell(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
