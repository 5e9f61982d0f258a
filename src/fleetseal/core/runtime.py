"""Time and randomness as arguments: the protocols, and the one place that asks the system; work side by side."""

import asyncio
import secrets
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


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


class LocalZone(tzinfo):
    """The time zone of this computer, as the system knows it at each moment."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None  # the system tells the whole offset only

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)


async def side_by_side(works: Iterable[Coroutine[Any, Any, T]], *, at_once: int) -> list[T]:
    """The results, in order. The first failure cancels the others and is raised as it is."""
    places = asyncio.Semaphore(at_once)

    async def one(work: Coroutine[Any, Any, T]) -> T:
        async with places:
            return await work

    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(work)) for work in works]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # callers tell errors by their class
    return [task.result() for task in running]
