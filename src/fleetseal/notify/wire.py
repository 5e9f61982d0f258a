"""One conversation with a server outside: a deadline for the whole of it, bounded lines, TLS that is verified.

Streams of asyncio, since a deadline over a whole conversation, and its cancellation, are what a server that drips one
byte a minute needs; the blocking clients of the standard library bound each read alone.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fleetseal.core.errors import DeliveryFailed

LONGEST_LINE = 8192  # bytes
_CLOSE_SECONDS = 2.0


class Wire:
    """An open connection to one server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._plain: asyncio.StreamWriter | None = None

    @property
    def own_address(self) -> str:
        return str(self._writer.get_extra_info("sockname")[0])

    async def line(self) -> str:
        """The next line without its end; what is no ASCII is replaced."""
        return (await self._reader.readuntil(b"\n")).decode("ascii", "replace").rstrip("\r\n")

    async def send(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """TLS from here on. What the server said before is forgotten, whoever slipped it in (RFC 3207 section 6)."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await loop.start_tls(self._writer.transport, protocol, context, server_hostname=host)
        if transport is None:
            raise ConnectionResetError("the connection was closed")
        protocol.connection_made(transport)
        self._plain = self._writer  # kept: a writer that nobody holds closes its connection
        self._reader, self._writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def stays_open(self, seconds: float) -> None:
        """The other side does not end the connection within this time; what it says is passed over."""
        try:
            async with asyncio.timeout(seconds):
                while await self._reader.read(LONGEST_LINE):
                    pass
        except TimeoutError:
            return
        raise ConnectionResetError(errno.ECONNRESET, "")

    async def finish(self) -> None:
        """All that was sent is on its way, and the connection is closed."""
        self._writer.close()
        await self._writer.wait_closed()

    def abort(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def conversation(host: str, port: int, *, context: ssl.SSLContext | None, seconds: float) -> AsyncIterator[Wire]:
    """A connection that is gone when the block ends; `context`: with TLS from the first byte.

    Raises DeliveryFailed for whatever goes wrong in it, also when the block takes longer than `seconds`.
    """
    where = f"{host} port {port}"
    try:
        async with asyncio.timeout(seconds):
            tls = {} if context is None else {"ssl_shutdown_timeout": _CLOSE_SECONDS}
            wire = Wire(*await asyncio.open_connection(host, port, ssl=context, limit=LONGEST_LINE, **tls))
            try:
                yield wire
            finally:
                wire.abort()
    except TimeoutError as error:
        raise DeliveryFailed(f"The server {where} did not do its part within {seconds:.0f} s.") from error
    except ssl.SSLCertVerificationError as error:
        raise DeliveryFailed(
            f"The certificate of the server {where} is not trusted: {error.verify_message}. Nothing was told to it."
        ) from error
    except ssl.SSLError as error:
        raise DeliveryFailed(f"The server {where} speaks no TLS that could be used. Nothing was told to it.") from error
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise DeliveryFailed(f"The server {where} broke off, or answered in a way that is not understood.") from error
    except OSError as error:
        raise DeliveryFailed(f"The server {where} cannot be reached: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return os.strerror(error.errno) if error.errno else "no connection"
