"""`GET /api/v1/events`: what changes, as server-sent events (HTML standard 9.2)."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from fleetseal.core.runtime import until_first
from fleetseal.web.auth import VIEWER, Guarded, needs, still_admitted
from fleetseal.web.backend import Asked
from fleetseal.web.feed import Feed, Feeds, encoded
from fleetseal.web.listener import ABORT

router = APIRouter(prefix="/events", tags=["events"], route_class=Guarded)

_PATIENCE: Final = 20.0  # seconds: a client that takes nothing for so long is left
_LAST_SECONDS: Final = 1.0  # for the end of the stream: the end of the server waits for it
_PIECE: Final = 2**16  # bytes: more does not wait in memory for one client
_BEGINNING: Final = b"retry: 2000\n\n"  # milliseconds before a browser that lost the stream asks again
_COMMENT: Final = b":\n\n"
_POSITION: Final = re.compile(r"[0-9]{1,16}")

NOWHERE: Final = -1
"""A position from which nothing can be told: the client loads its lists."""

StillAllowed = Callable[[], Awaitable[bool]]


class EventStream(Response):
    """Runs until the client leaves or takes nothing more, may no longer ask, or the feeds are closed.

    Raises TooManyListeners before anything is sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        feeds: Feeds,
        who: str,
        *,
        after: int | None,
        allowed: StillAllowed,
        patience: float = _PATIENCE,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feeds = feeds
        self._who = who
        self._after = after
        self._allowed = allowed
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._feeds.listening(self._who) as feed:
            await until_first(self._tell(feed, send), feed.ended(), _left(receive))
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:  # what waits for it in memory would keep the connection, and the end of the server
            if (abort := scope.get("extensions", {}).get(ABORT)) is not None:
                abort()
                await _left(receive)

    async def _tell(self, feed: Feed, send: Send) -> None:
        """Returns when the client takes nothing more, too."""
        async with aclosing(contents(feed, self._after, self._allowed)) as parts:
            part: bytes | None = await anext(parts)  # where the stream begins is settled before the client knows of it
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while part is not None:
                for start in range(0, len(part), _PIECE):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._patience):
                            await send(
                                {"type": "http.response.body", "body": part[start : start + _PIECE], "more_body": True}
                            )
                            continue
                    return
                part = await anext(parts, None)


async def contents(feed: Feed, after: int | None, allowed: StillAllowed) -> AsyncGenerator[bytes]:
    """The bytes of one stream: what its client lacks, then what changes, and a comment at each pulse; until `allowed`
    says no, in the beginning or at a pulse."""
    number, pulse = feed.newest, feed.pulse  # before it is read what the client lacks: nothing lies between
    lacked = feed.here() if after is None else await feed.catch_up(after)
    yield _BEGINNING + encoded(lacked)
    if not await allowed():  # what ended access before this was no pulse of this stream's
        return
    while True:
        happened = feed.happening()
        if feed.pulse != pulse:
            pulse = feed.pulse
            if not await allowed():
                return
            yield _COMMENT
        try:
            batch = feed.beyond(number)
        except LookupError:  # the client is too slow
            number = feed.newest
            lacked = await feed.catch_up(NOWHERE)
            yield encoded(lacked)
            continue
        if batch is None:
            await happened.wait()
            continue
        number = batch.number
        if batch.position >= lacked.position:
            yield batch.content


@router.get(
    "",
    status_code=200,
    summary="What changes, as server-sent events",
    response_class=EventStream,
    description=(
        "Kinds `device`, `task` and `alarm` carry rows as `GET devices`, `GET tasks` and `GET alarms` tell them, "
        "`device-gone`, `task-gone` and `alarm-gone` ids, each as an array. `id` is a position: a client resumes with "
        "`Last-Event-ID`, or begins with `after`; with neither, it begins here and now. `resync` says that what "
        "changed cannot be told: load the lists anew."
    ),
)
@needs(VIEWER)
async def follow_events(
    backend: Asked,
    request: Request,
    after: Annotated[str | None, Query(description="A position: that of a list, or of the last event")] = None,
    last_event_id: Annotated[str | None, Header(description="As `after`, and before it")] = None,
) -> EventStream:
    allowed = partial(still_admitted, request, VIEWER)
    return EventStream(backend.feeds, backend.actor, after=position_in(last_event_id or after), allowed=allowed)


def position_in(text: str | None) -> int | None:
    """None: none is given. `NOWHERE`: what is given is none."""
    if not text:
        return None
    return int(text) if _POSITION.fullmatch(text) else NOWHERE


async def _left(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
