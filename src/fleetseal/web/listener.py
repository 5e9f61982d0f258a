"""The door to the API for other processes of this user: a Unix socket, or a loopback port with a token.

Windows, and socket paths over 100 bytes (the system's limit is 104 to 108), use the port.
"""

import asyncio
import hmac
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetseal.core.errors import InUse, StoreError
from fleetseal.core.runtime import Rng
from fleetseal.core.secrets import write_private

if TYPE_CHECKING:
    import uvicorn

ABORT = "fleetseal.abort"
"""Extension of a request's scope: a function that ends its connection at once. A client that takes nothing would keep
it, and with it the end of the server."""

_LONGEST_SOCKET_PATH = 100  # bytes
_ANSWER_SECONDS = 5.0
_CLOSE_SECONDS = 600  # requests in progress may take this long: a device has up to 240 s

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True)
class Place:
    """Where the owner of a data directory serves the API: a socket, or a port and the token it asks for."""

    socket: Path | None = None
    port: int | None = None
    token: str | None = None


def place_of(data: Path) -> Place | None:
    """Where the last owner of `data` served; None when no trace of one is there."""
    if (path := _socket_path(data)) is not None:
        return Place(socket=path) if path.exists() else None
    try:
        kept = json.loads(_port_file(data).read_text(encoding="utf-8"))
        return Place(port=int(kept["port"]), token=str(kept["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"The file {_port_file(data)} is damaged. Remove it when no server runs.") from error


async def answers(place: Place) -> bool:
    """Whether the API answers there; False when nobody listens. Raises InUse when somebody listens and is silent."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            status = await _first_line(place)
    except TimeoutError:
        where = place.socket or f"port {place.port}"
        raise InUse(
            f"The process that uses this data directory does not answer at {where}. Wait, or end that process."
        ) from None
    except OSError:
        return False
    return status.startswith(b"HTTP/1.1 200")


async def _first_line(place: Place) -> bytes:
    if place.socket is not None:
        reader, writer = await asyncio.open_unix_connection(str(place.socket))
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        token = f"Authorization: Bearer {place.token}\r\n" if place.token else ""
        writer.write(f"GET /api/v1/server HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n".encode())
        return await reader.readline()
    finally:
        writer.close()


class Listener:
    """Serves one ASGI application to other processes of this user, from `open` to `close`."""

    def __init__(self, application: Asgi, data: Path, rng: Rng) -> None:
        self._application = application
        self._data = data
        self._rng = rng
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._listening: socket.socket | None = None
        self._closed = False
        self.shown = "nowhere"

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Others can reach the API, unless it was closed before. Raises StoreError when the socket or its file cannot
        be made."""
        if self._closed:
            return
        path = _socket_path(self._data)
        try:
            listening = _unix_socket(path) if path is not None else socket.create_server(("127.0.0.1", 0))
        except OSError as error:
            raise StoreError(f"No socket can be opened in {self._data}: {error.strerror}.") from error
        application = self._application
        self.shown = str(path)
        if path is None:
            token, port = self._rng.bytes(32).hex(), listening.getsockname()[1]
            application = _with_token(application, token)
            write_private(_port_file(self._data), json.dumps({"port": port, "token": token}).encode())
            self.shown = f"127.0.0.1:{port}"
        self._server, self._listening = server(application), listening
        self._serving = group.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not self._serving.done():
            await asyncio.wait([self._serving], timeout=0.01)

    async def close(self) -> None:
        """Nobody is let in any more, now or later; requests in progress are answered."""
        self._closed = True
        if self._server is None or self._serving is None:
            return
        (_socket_path(self._data) or _port_file(self._data)).unlink(missing_ok=True)
        self._server.should_exit = True
        await self._serving
        if self._listening is not None:
            self._listening.close()  # a server that was told to leave before it had begun leaves it open


def server(application: Asgi, **options: Any) -> "uvicorn.Server":
    """Runs one ASGI application; `options` of uvicorn beside, or in place of, those that all have."""
    import uvicorn

    from fleetseal.web.connection import Connection

    class Server(uvicorn.Server):
        """Leaves signals to the command that runs it, and looks at itself once a second: ten times are for a limit of
        requests that nobody sets, and cost an idle server a part of what it may take."""

        def __init__(self, config: uvicorn.Config) -> None:
            self._asked_to_leave = asyncio.Event()
            super().__init__(config)

        @property
        def should_exit(self) -> bool:
            return self._asked_to_leave.is_set()

        @should_exit.setter
        def should_exit(self, asked: bool) -> None:
            if asked:
                self._asked_to_leave.set()

        async def main_loop(self) -> None:
            while not await self.on_tick(0):  # the date in answers is made anew
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await self._asked_to_leave.wait()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    common: dict[str, Any] = {
        "http": Connection,
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "ws": "none",
        "timeout_graceful_shutdown": _CLOSE_SECONDS,
    }
    return Server(uvicorn.Config(application, **(common | options)))


def _unix_socket(path: Path) -> socket.socket:
    """Listening, and open to this user only from its first moment on. The caller owns the data directory."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.setblocking(False)
    return listening


def _with_token(application: Asgi, token: str) -> Asgi:
    """Every user of this computer reaches a loopback port: without the token nothing is told."""
    expected = f"Bearer {token}".encode()

    async def guarded(
        scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if hmac.compare_digest(given, expected):
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
        await send({"type": "http.response.body", "body": b""})

    return guarded


def _socket_path(data: Path) -> Path | None:
    path = data / "fleetseal.sock"
    if os.name == "nt" or len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        return None
    return path


def _port_file(data: Path) -> Path:
    return data / "fleetseal.port"
