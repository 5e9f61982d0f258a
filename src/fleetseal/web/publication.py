"""The one door for everybody, by plain HTTP: CRLs and CA certificates, and nothing else (setting `publish.listen`).

Whoever comes is unknown, so each connection has an end, and only so many are open at once (INP-BOUNDED).
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleetseal.core.config import Settings, host_and_port
from fleetseal.core.errors import InvalidInput, StoreError
from fleetseal.operations import publication
from fleetseal.web.listener import Scope, server

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """What strangers may take."""

    seconds: float = 60.0  # that a connection lasts, whatever it does
    connections: int = 100  # at once; more are closed as they come


class Publication:
    """The ASGI application: GET and HEAD of the published files of a data directory."""

    def __init__(self, data: Path, public_url: str) -> None:
        self._data = data
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        response = await self._answer(scope["method"], scope["path"])
        await response(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        try:
            found = await asyncio.to_thread(publication.find, self._data, path, public_url=self._public_url)
        except StoreError as error:
            _log.error("%s", error.message)
            return Response(status_code=503)
        if found is None:
            return Response(status_code=404)
        if method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        return Response(found.content, media_type=found.media_type)


class PublicListener:
    """Serves `Publication` at `publish.listen`, from `open` to `close`."""

    def __init__(self, data: Path, settings: Settings, bounds: Bounds = Bounds()) -> None:
        self.shown = settings.publish_listen
        self._server = server(
            Publication(data, settings.certificate_public_url),
            http=partial(_Bounded, bounds),
            timeout_keep_alive=5,
            timeout_graceful_shutdown=5,
        )
        self._serving: asyncio.Task[None] | None = None

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Everybody who reaches the address is served. Raises InvalidInput when it cannot be used."""
        host, port = host_and_port(self.shown)
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            dual = host == "::" and socket.has_dualstack_ipv6()
            listening = socket.create_server((host, port), family=family, dualstack_ipv6=dual)
        except OSError as error:
            raise InvalidInput(
                f"CRLs cannot be served at {self.shown} (setting publish.listen): {error.strerror}. Nothing is served."
            ) from error
        self._serving = group.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not self._serving.done():
            await asyncio.wait([self._serving], timeout=0.01)

    async def close(self) -> None:
        """Nobody is let in any more."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving


class _Bounded(H11Protocol):
    """A connection within `Bounds`."""

    def __init__(self, bounds: Bounds, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bounds = bounds
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            transport.abort()
            return
        self._end = self.loop.call_later(self._bounds.seconds, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
