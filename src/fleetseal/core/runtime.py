"""Time and randomness as arguments: the protocols, and the one place that asks the system."""

import asyncio
import secrets
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow; for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""


class Rng(Protocol):
    def bytes(self, count: int) -> bytes:
        """This many bytes, unpredictable to anyone else."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this class is the one place

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251 - this class is the one place


class SystemRng:
    def bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)
