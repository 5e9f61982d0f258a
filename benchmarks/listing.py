"""A page of 100,000 devices in the database, against a plain SELECT of as many rows by an index: JSON lines.

For each filter and order: the milliseconds of a first and a following page of 200 rows, best of several, and the ratio
of the slower to the plain SELECT of 200 rows in the same run. The aim is 5 ms. `count_ms` is for the number of all that
fit, which is asked for with a first page only. The first line says how long it takes to make all rows.
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
from fleetseal.core.model import DeviceId
from fleetseal.operations import listed, pages
from fleetseal.operations.listing import parse_filters
from fleetseal.store import device_pages, inventory
from fleetseal.store.database import Transaction
from fleetseal.store.device_pages import Order

_DEVICES = 100_000
_ROWS = 200
_TRIES = 7

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
    ("example.org", "address"),
    ("cam-77777", "address"),
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


async def _one(tx: Transaction, words: str, sort: str, plain: float) -> dict[str, Any]:
    conditions = [await pages.condition(tx, word) for word in parse_filters([words])]
    order = Order(sort.removeprefix("-"), descending=sort.startswith("-"))
    first = await device_pages.page(tx, conditions, order, after=None, limit=_ROWS)

    async def page(after: device_pages.Place | None) -> None:
        found = await device_pages.page(tx, conditions, order, after=after, limit=_ROWS)
        await device_pages.shown(tx, [DeviceId(one.id) for one in found])

    begin, following = await _best(lambda: page(None)), await _best(lambda: page(first[-1]))
    count = await _best(lambda: device_pages.count(tx, conditions))
    return {
        "benchmark": "listing",
        "filter": words,
        "sort": sort,
        "rows": len(first),
        "first_ms": round(begin * 1000, 2),
        "next_ms": round(following * 1000, 2),
        "count_ms": round(count * 1000, 2),
        "plain_ms": round(plain * 1000, 2),
        "ratio": round(max(begin, following) / plain, 1),
        "aim_ms": 5,
    }


async def _plain(tx: Transaction) -> None:
    (await tx.execute(text("SELECT device_id, shown FROM device_row WHERE device_id > 50000 LIMIT 200"))).all()


async def _best(act: Callable[[], Awaitable[Any]]) -> float:
    """Seconds of the quickest of some tries."""
    taken = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        await act()
        taken.append(time.perf_counter() - start)
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
