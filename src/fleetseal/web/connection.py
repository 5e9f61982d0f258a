"""A connection of a server that a request can end."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from fleetseal.web.listener import ABORT


class Connection(H11Protocol):
    """Tells each request, under `ABORT` in its scope, how to end the connection at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        super().connection_made(transport)
        application = self.app

        async def abortable(scope: Any, receive: Any, send: Any) -> None:
            await application(scope | {"extensions": {ABORT: transport.abort}}, receive, send)

        self.app = abortable
