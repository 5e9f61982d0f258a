"""What many tests need: clocks, randomness, databases."""

import asyncio
import hashlib
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleetseal.core.runtime import SystemClock
from fleetseal.store.database import Database

LOGGERS = (None, "dbos", "alembic", "uvicorn.access", "aiosqlite")
"""Those to which the product gives a handler or a level (core/log.py); the root first."""

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeClock:
    """Time that passes only when somebody sleeps or a test says so."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds


class FakeRng:
    """The same bytes in every run."""

    def __init__(self, seed: bytes = b"seed") -> None:
        self._state = seed

    def bytes(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            self._state = hashlib.sha256(self._state).digest()
            out += self._state
        return out[:count]


class FastClock:
    """Time that passes `factor` times as fast as real time, and jumps when a test says so: for real sockets and long
    waits. The monotonic part does not jump."""

    def __init__(self, now: datetime, *, factor: float = 1.0) -> None:
        self._factor = factor
        self._start = asyncio.get_running_loop().time()
        self._base = now

    def now(self) -> datetime:
        return self._base + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (asyncio.get_running_loop().time() - self._start) * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._factor)  # noqa: TID251 - a clock

    def jump(self, how_far: timedelta) -> None:
        self._base += how_far

    def go_to(self, when: datetime) -> None:
        self.jump(when - self.now())


class Turns(SystemClock):
    """Time that passes only while this program has its turn: a busy computer hears as much as a quiet one."""

    def __init__(self) -> None:
        self._slept = 0.0

    def monotonic(self) -> float:
        return self._slept

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._slept += seconds


_empty: list[bytes] = []


async def open_database(file: Path) -> Database:
    """The store in this file; a new one has the newest schema. The migrations, a tenth of a second, run once."""
    if not _empty:
        with tempfile.TemporaryDirectory() as directory:
            first = Path(directory) / "fleetseal.db"
            await (await Database.open(first)).close()
            _empty.append(first.read_bytes())
    if not file.exists():
        file.write_bytes(_empty[0])
    return await Database.open(file)
