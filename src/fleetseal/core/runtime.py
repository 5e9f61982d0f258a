"""Time and randomness as arguments: the protocols, and the one place that asks the system; work side by side."""

import asyncio
import concurrent.futures
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable
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


async def until_first(*works: Coroutine[Any, Any, Any]) -> None:
    """Returns when one of them has; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


class Aside:
    """Work on disks that may be dead: a network disk can hold a thread for ever, which must hold neither the end of
    this process nor a thread of the pool that others need. One work at a time."""

    def __init__(self, patience: float = 30.0) -> None:
        self._patience = patience  # seconds
        self._thread: threading.Thread | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Raises TimeoutError when that takes longer than the patience, and at once
        while an earlier work has not come back."""
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        outcome.set_running_or_notify_cancel()  # whoever stops waiting cannot stop it

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:
                outcome.set_exception(error)

        self._thread = threading.Thread(target=run, name="aside", daemon=True)
        self._thread.start()
        async with asyncio.timeout(self._patience):
            return await asyncio.wrap_future(outcome)
