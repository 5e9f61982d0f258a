"""What changes, read once for all who listen.

While somebody listens, one reader looks at the database after each commit of this process, at most five times a second,
and every other second in any case. Where a session or token has ended since, whoever listens is asked for rights again.
What it reads is kept, as the bytes that go out, in one short memory for all; a listener is no more than a place in it,
and one that falls out of it loads its lists anew.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from fleetseal.core.errors import StoreError, TooManyListeners
from fleetseal.core.runtime import until_first
from fleetseal.operations import access, news
from fleetseal.operations.news import News
from fleetseal.operations.services import Services

PULSE: Final = 12.0
"""Seconds between two pulses; the reader may be `_LOOK` late."""

_BATCH: Final = 0.2  # seconds between two looks
_LOOK: Final = 2.0  # seconds: what this process did not write, and whether an engine runs
_KEPT: Final = 8 * 2**20  # bytes of batches: seconds of the heaviest traffic
_KEPT_BATCHES: Final = 1000
_AT_ONCE: Final = 4  # listeners that come together read so many at a time: connections are left to others

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    number: int  # one more than that of the batch before
    position: int
    content: bytes


class Feed:
    """One reader and its memory, from the first listener to the last."""

    def __init__(
        self,
        services: Services,
        working: Callable[[], bool],
        *,
        position: int,
        opened: tuple[int, ...],
        room: int,
    ) -> None:
        self.newest = 0  # number of a batch
        self.pulse = 0  # grows every `PULSE`, and when a session or token has ended
        self.size = 0  # bytes of the batches kept: `room`, or one batch
        self.over = False
        self._services = services
        self._working = working
        self._position = position
        self._opened = opened  # sessions and tokens, as of `access.opened`
        self._room = room
        self._kept: deque[Batch] = deque()
        self._happened = asyncio.Event()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Reads until `end`. Never raises: without a reader the streams end, and their pages ask again."""
        try:
            await self._read_all()
        except Exception:  # a defect of ours must not end the server
            _log.exception("What changes could not be told; the streams of events end.")
        finally:
            self.end()

    def end(self) -> None:
        """Nobody is told anything any more."""
        self.over = True
        self._wake()

    def beyond(self, number: int) -> Batch | None:
        """The batch after this one; None when there is none yet. Raises LookupError when it is forgotten."""
        if number == self.newest:
            return None
        oldest = self._kept[0].number if self._kept else self.newest + 1
        if number + 1 < oldest:
            raise LookupError
        return self._kept[number + 1 - oldest]

    def happening(self) -> asyncio.Event:
        """Set at the next batch or pulse, or the end."""
        return self._happened

    async def ended(self) -> None:
        """Returns when nobody is told anything any more."""
        while not self.over:
            await self._happened.wait()

    def here(self) -> News:
        """What a listener begins with that loads its lists from now on."""
        return News(self._position, {})

    async def catch_up(self, after: int) -> News:
        """What a listener lacks that was at this position."""
        async with self._turn:
            return await news.since(self._services, after, working=self._working(), unfinished=True)

    async def _read_all(self) -> None:
        clock, database = self._services.clock, self._services.database
        pulsed, was_working = clock.monotonic(), self._working()
        while not self.over:
            written, working = database.written(), self._working()
            try:
                read = await news.since(
                    self._services, self._position, working=working, unfinished=working != was_working
                )
                opened = await access.opened(self._services)
            except StoreError as error:
                _log.warning("What changes cannot be told now: %s", error.message)
                await clock.sleep(_LOOK)
                continue
            self._keep(read)
            was_working = working
            if clock.monotonic() - pulsed >= PULSE or opened != self._opened:
                pulsed, self._opened = clock.monotonic(), opened
                self.pulse += 1
                self._wake()
            await clock.sleep(_BATCH)
            await until_first(written.wait(), clock.sleep(_LOOK - _BATCH))

    def _keep(self, read: News) -> None:
        self._position = read.position
        if not read.told:
            return
        self.newest += 1
        batch = Batch(self.newest, read.position, encoded(read))
        self._kept.append(batch)
        self.size += len(batch.content)
        while len(self._kept) > _KEPT_BATCHES or (self.size > self._room and len(self._kept) > 1):
            self.size -= len(self._kept.popleft().content)
        self._wake()

    def _wake(self) -> None:
        self._happened.set()
        self._happened = asyncio.Event()


class Feeds:
    """Who listens. One feed at a time, and none while nobody does."""

    def __init__(
        self,
        services: Services,
        *,
        working: Callable[[], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        most: int = 256,
        most_of_one: int = 16,
        room: int = _KEPT,
    ) -> None:
        self._services = services
        self._working = working
        self._spawn = spawn
        self._most = most
        self._most_of_one = most_of_one
        self._room = room
        self._listeners: Counter[str] = Counter()
        self._feed: Feed | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def listening(self, who: str) -> AsyncIterator[Feed]:
        """A feed that tells everything after a position that is read from now on. Raises TooManyListeners."""
        if self._listeners.total() >= self._most:
            raise TooManyListeners("As many pages follow this server as it can tell what changes. Close some.")
        if self._listeners[who] >= self._most_of_one:
            raise TooManyListeners(f"You have {self._most_of_one} pages open that follow this server. Close some.")
        self._listeners[who] += 1
        try:
            yield await self._running()
        finally:
            self._listeners[who] -= 1
            if not self._listeners[who]:
                del self._listeners[who]
            if not self._listeners:
                self._end()

    def close(self) -> None:
        """Every stream ends now, and whoever comes later is told nothing."""
        self._closed = True
        self._end()

    async def _running(self) -> Feed:
        async with self._starting:
            if self._feed is None or self._feed.over:
                at, opened = await news.position(self._services), await access.opened(self._services)
                feed = Feed(self._services, self._working, position=at, opened=opened, room=self._room)
                self._feed = feed
                if self._closed:
                    feed.end()
                else:
                    self._spawn(feed.run())
            return self._feed

    def _end(self) -> None:
        if self._feed is not None:
            self._feed.end()
            self._feed = None


def encoded(read: News) -> bytes:
    """As server-sent events (HTML standard 9.2). Only the last carries the position: a connection that is lost before
    resumes where the whole began."""
    parts = [b"event: %b\ndata: %b\n" % (kind.encode(), rows) for kind, rows in read.told.items()] or [b""]
    parts[-1] = b"id: %d\n%b" % (read.position, parts[-1])
    return b"".join(part + b"\n" for part in parts)
