"""A TCP door that strangers may knock at: what one of them takes is bounded, and others still get in (INP-BOUNDED).

A connection is counted from its first moment, before a TLS handshake. The certificate is asked for at each
connection, so that a new one serves from the next connection on.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import h11

from fleetseal.web.connection import Connection
from fleetseal.web.listener import Asgi, server

_HANDSHAKE_SECONDS = 10.0
_HEAD_BYTES = 32 * 1024


@dataclass(frozen=True)
class Bounds:
    """What strangers may take."""

    connections: int = 300  # at once; more are closed as they come
    of_one_address: int = 100  # of an IPv4 address, or a /64 of IPv6
    seconds: float | None = None  # that a connection lasts, whatever it does
    request_seconds: float = 30.0  # until a whole request has come, from the connection's beginning or its first byte
    stalled_seconds: float = 30.0  # that a client takes nothing of its answer
    leaving_seconds: float = 5.0  # that answers in progress get when the door closes


class Door:
    """Serves one ASGI application at an address, from `open` to `close`; with `context` over TLS, and only so."""

    def __init__(
        self,
        application: Asgi,
        host: str,
        port: int,
        *,
        bounds: Bounds = Bounds(),
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self.host, self.port = host, port  # port 0: a free one, known once it is open
        protocol: Any = partial(Bounded, bounds) if context is None else partial(_Handshake, bounds, context)
        self._server = server(
            application,
            http=protocol,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=bounds.leaving_seconds,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
        self._serving: asyncio.Task[None] | None = None
        self._listening: socket.socket | None = None

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Everybody who reaches the address is served. Raises OSError when it cannot be used."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        dual = self.host == "::" and socket.has_dualstack_ipv6()
        self._listening = listening = socket.create_server((self.host, self.port), family=family, dualstack_ipv6=dual)
        self.port = listening.getsockname()[1]
        self._serving = group.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not self._serving.done():
            await asyncio.wait([self._serving], timeout=0.01)

    async def close(self) -> None:
        """Nobody is let in any more; answers in progress are given their last seconds."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._listening is not None:
            self._listening.close()  # a server that was told to leave before it had begun leaves it open


class Bounded(Connection):
    """A connection within `Bounds`."""

    def __init__(self, bounds: Bounds, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bounds = bounds
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        super().connection_made(transport)
        if _crowded(self, self.connections, self._bounds):
            transport.abort()
            return
        if self._bounds.seconds is not None:
            self._end("life", self._bounds.seconds)
        self._end("request", self._bounds.request_seconds)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end("answer", self._bounds.stalled_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._spare("answer")

    def connection_lost(self, exc: Exception | None) -> None:
        for what in tuple(self._ends):
            self._spare(what)
        super().connection_lost(exc)

    def _watch_request(self) -> None:
        """A request that has come in part has until its end, however slowly more of it comes."""
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._end("request", self._bounds.request_seconds)
        else:
            self._spare("request")

    def _end(self, what: str, seconds: float) -> None:
        if what not in self._ends and not self.transport.is_closing():
            self._ends[what] = self.loop.call_later(seconds, self.transport.abort)

    def _spare(self, what: str) -> None:
        if (end := self._ends.pop(what, None)) is not None:
            end.cancel()


class _Handshake(asyncio.Protocol):
    """A connection until its TLS handshake has come to its end; then it is a `Bounded` one."""

    def __init__(self, bounds: Bounds, context: Callable[[], ssl.SSLContext], *arguments: Any, **options: Any) -> None:
        self._inner = Bounded(bounds, *arguments, **options)
        self._bounds = bounds
        self._context = context
        self._early = bytearray()  # the first request may come together with the end of the handshake
        self._lost = False
        self.client: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()  # until the handshake reads
        self.client = transport.get_extra_info("peername")
        self._transport = transport
        self._inner.connections.add(self)  # type: ignore[arg-type]  # it is counted and told to leave like the others
        if _crowded(self, self._inner.connections, self._bounds):
            transport.abort()
            return
        task = self._inner.loop.create_task(self._secure(transport))
        self._inner.tasks.add(task)
        task.add_done_callback(self._inner.tasks.discard)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._leave()

    def shutdown(self) -> None:
        """The server leaves."""
        self._transport.abort()

    async def _secure(self, transport: asyncio.Transport) -> None:
        inner = self._inner
        try:
            secured = await inner.loop.start_tls(
                *(transport, self, self._context()),
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=1.0,
            )
        except OSError:  # no TLS, no version or suite in common, no certificate believed, or silence: theirs to mend
            transport.abort()
            return
        finally:
            self._leave()
        if secured is None or self._lost:
            return
        secured.set_protocol(inner)
        inner.connection_made(secured)
        if self._early and not secured.is_closing():
            inner.data_received(bytes(self._early))

    def _leave(self) -> None:
        self._inner.connections.discard(self)


def _crowded(new: Any, connections: set[Any], bounds: Bounds) -> bool:
    """Too many are open with this one, or too many of its address."""
    its = home(new.client)
    return (
        len(connections) > bounds.connections
        or sum(home(one.client) == its for one in connections) > bounds.of_one_address
    )


def home(client: Sequence[Any] | None) -> object:
    """Whose connection comes from this address and port: an IPv4 address, or a /64 of IPv6, which is one host's."""
    if not client:
        return None
    address = ipaddress.ip_address(str(client[0]).partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or int(address) >> 64
    return address
