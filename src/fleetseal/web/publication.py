"""The one door for everybody, by plain HTTP: CRLs and CA certificates, and nothing else (setting `publish.listen`).

Whoever comes is unknown, so each connection has an end, and only so many are open at once (INP-BOUNDED).
"""

import asyncio
import logging
from pathlib import Path
from typing import Any

from starlette.responses import Response

from fleetseal.core.config import Settings, host_and_port
from fleetseal.core.errors import InvalidInput, StoreError
from fleetseal.operations import publication
from fleetseal.web.door import Bounds, Door
from fleetseal.web.listener import Scope

_log = logging.getLogger(__name__)


_BOUNDS = Bounds(connections=100, seconds=60.0)


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

    def __init__(self, data: Path, settings: Settings, bounds: Bounds = _BOUNDS) -> None:
        self.shown = settings.publish_listen
        application = Publication(data, settings.certificate_public_url)
        self._door = Door(application, *host_and_port(self.shown), bounds=bounds)

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Everybody who reaches the address is served. Raises InvalidInput when it cannot be used."""
        try:
            await self._door.open(group)
        except OSError as error:
            raise InvalidInput(
                f"CRLs cannot be served at {self.shown} (setting publish.listen): {error.strerror}. Nothing is served."
            ) from error

    async def close(self) -> None:
        """Nobody is let in any more."""
        await self._door.close()
