"""A page that follows what changes, as a client of the API: what it was told, applied."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from fleetseal.app import Application
from fleetseal.web.events import position_in

KINDS = {"device": "devices", "task": "tasks", "alarm": "alarms"}

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
Rows = dict[str, dict[int, dict[str, Any]]]


class Page:
    """Loads its lists when a stream is open, and when told to; applies what it is told otherwise."""

    def __init__(
        self, application: Application, stream: Callable[[int | None], Asgi] | None = None, *, cookie: str = ""
    ) -> None:
        """Of this user of the computer, or of whoever has this cookie. `stream`, given a position, in place of that of
        the API."""
        self.rows: Rows = {kind: {} for kind in KINDS}
        self.position: str | None = None
        self.kinds: list[str] = []  # of the events, in their order
        self.received = 0  # bytes
        self.status = 0
        self.comments = 0
        self.ended = asyncio.Event()
        self.takes = asyncio.Event()  # while this is set the client takes what it is sent
        self.takes.set()
        self.aborted = asyncio.Event()
        self._application = application
        self._stream = stream
        self._cookie = cookie
        self._buffer = b""
        self._begins = True

    async def follow(self, left: asyncio.Event, last: str | None, query: str) -> None:
        """Until the stream ends, as it does soon after `left`."""

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        def abort() -> None:
            self.aborted.set()
            left.set()
            self.takes.set()

        self._buffer = b""
        self._begins = last is None and not query
        self.ended.clear()
        asked = scope(last, query, abort)
        asked["headers"].append((b"cookie", self._cookie.encode()))
        answer = self._application.api if self._cookie else self._application.local
        if self._stream is not None:
            answer = self._stream(position_in(last))
        await answer(asked, receive, self._send)
        self.ended.set()

    async def until(self, true: Callable[[], object], *, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)  # noqa: TID251 - the stream runs beside, in real time

    async def load(self) -> None:
        self.rows = await told(self._application)

    async def _send(self, message: Any) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._begins and self.status == 200:
                await self.load()  # what changes from now on is told
            return
        self.received += len(message["body"])
        self._buffer += message["body"]
        while b"\n\n" in self._buffer:
            block, self._buffer = self._buffer.split(b"\n\n", 1)
            await self._apply(block.decode())

    async def _apply(self, block: str) -> None:
        """One block of the stream, as the HTML standard 9.2.6 says."""
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        self.comments += "" in fields
        if "event" in fields:
            await self._applied(fields["event"], json.loads(fields["data"]))
        self.position = fields.get("id", self.position)  # only now: applying may be cut off

    async def _applied(self, kind: str, data: Any) -> None:
        if kind == "resync":
            await self.load()
        elif kind.endswith("-gone"):
            for one in data:
                self.rows[kind.removesuffix("-gone")].pop(one, None)
        else:
            self.rows[kind].update({row["id"]: row for row in data})
        self.kinds.append(kind)


@asynccontextmanager
async def following(*pages: Page, last: str | None = None, query: str = "") -> AsyncIterator[None]:
    """The streams of these pages are open until the block ends; each resumes where it is, or at `last`."""
    async with asyncio.TaskGroup() as group:
        left = {page: asyncio.Event() for page in pages}
        for page in pages:
            group.create_task(page.follow(left[page], page.position if last is None else last, query))
        try:
            yield
        finally:
            for one in left.values():
                one.set()


async def told(application: Application) -> Rows:
    """What the lists tell."""
    transport = httpx.ASGITransport(application.local)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        lists = {kind: (await client.get(f"/{path}")).json() for kind, path in KINDS.items()}
    return {kind: {row["id"]: row for row in rows} for kind, rows in lists.items()}


def scope(last: str | None, query: str, abort: Callable[[], None]) -> dict[str, Any]:
    headers = [(b"host", b"test")]
    if last is not None:
        headers.append((b"last-event-id", last.encode("latin-1")))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "extensions": {"fleetseal.abort": abort},
    }
