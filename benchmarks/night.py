"""Planning a night over 100,000 certificates that are all due.

`ratio` is (find what is due, decide, write task, jobs and the run's row) divided by (compute the schedule + write as
many job rows in batches), in CPU seconds of this run; the aim is 1.5. A second line compares finding 1,000 due
certificates among 100,000 with finding them among 2,000: the due list costs what is due.
"""

import asyncio
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import delete, insert, update

from fleetseal.core.config import Settings
from fleetseal.core.model import TaskAction
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.operations import nightly
from fleetseal.operations.services import Services
from fleetseal.pki import profile
from fleetseal.store import nights, renewals
from fleetseal.store.database import Database
from fleetseal.store.schema import authority, device, issuance, job, task

_COUNT = 100_000
_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_LIFE = timedelta(days=365)
_ROUNDS = 3


def main() -> None:
    for line in asyncio.run(_measure()):
        sys.stdout.write(json.dumps(line) + "\n")


async def _measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        database = await Database.open(Path(directory) / "fleetseal.db")
        try:
            await _fill(database)
            planned, bare = [], []
            for _ in range(_ROUNDS):
                planned.append(await _planned(database))
                bare.append(_schedule() + await _batched(database))
            few, many = await _due_times(database)
        finally:
            await database.close()
    ratio = min(planned) / min(bare)
    return [
        {
            "benchmark": "night",
            "certificates": _COUNT,
            "planned_s": round(min(planned), 2),
            "bare_s": round(min(bare), 2),
            "ratio": round(ratio, 2),
            "aim": 1.5,
        },
        {
            "benchmark": "due-list",
            "due": 1000,
            "of_100000_ms": round(many * 1000, 1),
            "of_2000_ms": round(few * 1000, 1),
            "ratio": round(many / few, 2),
            "aim": 1.5,
        },
    ]


async def _fill(database: Database) -> None:
    ca = {"name": "Bench", "role": "root", "tiers": 1, "signs_leaves": True, "state": "active", "created": _NOW}
    async with database.transaction() as tx:
        await tx.execute(insert(authority).values(id=1, **ca))
        await tx.execute(insert(device), [_device(number) for number in range(1, _COUNT + 1)])
        await tx.execute(insert(issuance), [_issuance(number) for number in range(1, _COUNT + 1)])


def _device(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "serial": f"B8A44F{number:06X}",
        "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        "http_port": 80,
        "https_port": 443,
        "site": "default",
        "tags": [],
        "model": "P3265-V",
        "firmware": "12.11.77",
        "username": "root",
        "password_version": 1,
        "tls": True,
        "policy": "both",
        "added": _NOW,
    }


def _issuance(number: int) -> dict[str, Any]:
    dates = {"not_before": _NOW - _LIFE, "not_after": _NOW + timedelta(days=36), "created": _NOW - _LIFE}
    return {
        "authority_id": 1,
        "serial": f"{number:040x}",
        "device_id": number,
        "purpose": "https",
        "origin": "device",
        "content": {},
        "tbs_sha256": "",
        "spki_sha256": "",
        "state": "installed",
        "der": b"x",
        "sha256": f"{number:064x}",
        "subject": "",
        "names": [],
        "renew_at": _NOW - timedelta(days=1),
        "installed": _NOW - _LIFE,
        **dates,
    }


async def _planned(database: Database) -> float:
    services = cast(Services, SimpleNamespace(database=database, clock=SystemClock(), rng=SystemRng(), zone=UTC))
    start = time.process_time()
    async with database.transaction() as tx:
        night = await nights.begin(tx, window=None, now=_NOW)
        await nightly.decide(services, Settings(), tx, night, now=_NOW, obstacle=None)
    seconds = time.process_time() - start
    await _forget(database)
    return seconds


def _schedule() -> float:
    start = time.process_time()
    for number in range(_COUNT):
        profile.renew_at(_NOW, warning_days=30, life=_LIFE, device=f"B8A44F{number:06X}")
    return time.process_time() - start


async def _batched(database: Database) -> float:
    """The job rows of one task, and nothing that decides about them."""
    start = time.process_time()
    async with database.transaction() as tx:
        action = TaskAction.RENEW_CERTIFICATE
        await tx.execute(insert(task).values(id=1, action=action, wish={}, requested=_NOW))
        rows = [
            {
                "task_id": 1,
                "device_id": number,
                "mac": f"B8:A4:4F:{number:06X}",
                "address": "10.0.0.1",
                "cohort": "P3265-V 12.11.77",
                "named": False,
                "status": "Waiting",
                "active": True,
            }
            for number in range(1, _COUNT + 1)
        ]
        await tx.execute(insert(job), rows)
    seconds = time.process_time() - start
    await _forget(database)
    return seconds


async def _forget(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(delete(job))
        await tx.execute(delete(task))


async def _due_times(database: Database) -> tuple[float, float]:
    """Seconds to find 1,000 that are due, among 2,000 and among all."""
    later = {"renew_at": _NOW + timedelta(days=100)}
    async with database.transaction() as tx:
        await tx.execute(update(issuance).where(issuance.c.id > 1000).values(**later))
    many = await _due_time(database)
    async with database.transaction() as tx:
        await tx.execute(delete(issuance).where(issuance.c.id > 2000))
        await tx.execute(delete(device).where(device.c.id > 2000))
    return await _due_time(database), many


async def _due_time(database: Database) -> float:
    times = []
    async with database.reading() as tx:
        for _ in range(40):
            start = time.process_time()
            assert len(await renewals.due(tx, _NOW)) == 1000
            times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    main()
