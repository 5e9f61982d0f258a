"""A glance: is this still the device of the record? One connection without a login, for thousands of devices in turn.

It does by hand, with one shared TLS context, the little of HTTP that it needs: a session, a context and a connector of
the transport's kind for each device cost several times what the handshake does. Bounds (INP-BOUNDED): one deadline for
all of it, 64 KiB in all, 128 header fields.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable
from typing import Final, Self

from fleetseal.core.errors import Busy, DeviceError, ProtocolViolation, Unreachable
from fleetseal.core.model import Endpoint, Serial, serial_of
from fleetseal.core.text import clean
from fleetseal.devices import tls
from fleetseal.devices.axis import wire_json
from fleetseal.devices.digest import parse_challenges
from fleetseal.devices.driver import Glance
from fleetseal.devices.http import Answer
from fleetseal.devices.target import Resolver, addresses, resolve

SECONDS: Final = 10.0
"""For all of it."""

_MOST_BYTES: Final = 65_536
_MOST_FIELDS: Final = 128
_CHUNK: Final = 16_384


async def glance(
    endpoint: Endpoint, leaf: bytes | None, *, resolver: Resolver = addresses, seconds: float = SECONDS
) -> Glance:
    """As `devices.driver.Connector.glance`, within so many seconds."""
    address = await resolve(endpoint.host, resolver)
    if leaf is not None:
        return await _within(seconds, endpoint, _over_tls(endpoint, address, leaf))
    try:
        return await _within(seconds / 2, endpoint, _over_tls(endpoint, address, leaf))
    except Unreachable:
        return await _within(seconds / 2, endpoint, _over_http(endpoint, address))


async def _within(seconds: float, endpoint: Endpoint, work: Awaitable[Glance]) -> Glance:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise Unreachable(f"{endpoint.host} did not answer within {seconds:.0f} seconds.") from error


async def _over_tls(endpoint: Endpoint, address: str, leaf: bytes | None) -> Glance:
    with await _connected(endpoint, address, endpoint.https_port) as line:
        shown = await line.secure()
        if shown != leaf:
            return Glance(shown, asked=False)
        return _told(await line.ask(), shown)


async def _over_http(endpoint: Endpoint, address: str) -> Glance:
    with await _connected(endpoint, address, endpoint.http_port) as line:
        return _told(await line.ask(), None)


def _told(answer: Answer, leaf: bytes | None) -> Glance:
    serial, firmware = _identity(answer)
    return Glance(leaf, asked=True, serial=serial, firmware=firmware, date=answer.date)


def _identity(answer: Answer) -> tuple[Serial | None, str | None]:
    """From the properties, or, where they want a login, from the realm (device-api 3.1)."""
    if answer.status == 401:
        challenges = parse_challenges(answer.all("www-authenticate"))
        return next((one.serial for one in challenges if one.serial), None), None
    try:
        properties = _QUESTION.decode(answer)
    except DeviceError:  # a web page, an interface that is not there: it tells nothing
        return None, None
    return serial_of(properties.get("SerialNumber", "")), clean(properties.get("Version", ""), limit=30) or None


_QUESTION: Final = wire_json.unrestricted_properties()


class _Line:
    """One connection: what is sent is short, and what comes back is bounded."""

    def __init__(self, connection: socket.socket, endpoint: Endpoint, port: int) -> None:
        self._socket = connection
        self._endpoint = endpoint
        self._where = f"{endpoint.host} port {port}"
        self._left = _MOST_BYTES
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._secured: ssl.SSLObject | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def secure(self) -> bytes:
        """The leaf (DER), whose key the handshake proved. Raises HandshakeFailed."""
        context = tls.shared_context(legacy_tls=self._endpoint.legacy_tls)
        secured = context.wrap_bio(self._incoming, self._outgoing, server_hostname=self._endpoint.host)
        try:
            while True:
                try:
                    secured.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await self._flush()
                    self._incoming.write(await self._received() or _cut())
            await self._flush()
        except OSError as error:
            raise tls.handshake_failed(self._endpoint, error) from error
        shown = secured.getpeercert(True)
        if shown is None:
            raise tls.HandshakeFailed(f"{self._where} showed no certificate.")
        self._secured = secured
        return shown

    async def ask(self) -> Answer:
        """The answer to `_QUESTION`; without its body, if it is not 200. HTTP/1.0: what is answered is not chunked, and
        ends with the connection (RFC 9112 6.1, 6.3)."""
        request = _QUESTION.request
        host = self._endpoint.host
        head = (
            f"{request.method} {request.target} HTTP/1.0\r\nHost: {f'[{host}]' if ':' in host else host}\r\n"
            f"Accept: */*\r\nAccept-Encoding: identity\r\nContent-Type: {request.content_type}\r\n"
            f"Content-Length: {len(request.body)}\r\n\r\n"
        )
        try:
            await self._send(head.encode("latin-1") + request.body)
            return await self._answer()
        except OSError as error:
            raise self._silent() from error

    async def _answer(self) -> Answer:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = await self._receive()
            if not more:
                raise self._silent()
            data += more
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.[01] ([0-9]{3})(?: .*)?", first)
        fields = [line.partition(":") for line in lines]
        if status is None or len(fields) > _MOST_FIELDS:
            raise ProtocolViolation(f"The answer of {self._where} is not valid HTTP or not within bounds.")
        answer = Answer(int(status[1]), tuple((name.lower(), value.strip()) for name, _, value in fields), b"")
        if answer.status in (429, 503):
            raise Busy(f"{self._where} is busy and asks to be left alone for now (HTTP {answer.status}).")
        if answer.status != 200:
            return answer
        return Answer(answer.status, answer.headers, await self._body(data[end + 4 :], answer.header("content-length")))

    async def _body(self, body: bytearray, told: str | None) -> bytes:
        """As long as `told`, or until the connection ends."""
        length = int(told) if told is not None and re.fullmatch(r"[0-9]{1,9}", told) else None
        while length is None or len(body) < length:
            more = await self._receive()
            if not more:
                break
            body += more
        return bytes(body[:length])

    async def _send(self, data: bytes) -> None:
        if self._secured is None:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
            return
        self._secured.write(data)
        await self._flush()

    async def _receive(self) -> bytes:
        """What comes next; empty at the end."""
        if self._secured is None:
            return await self._received()
        while True:
            try:
                return self._secured.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not (more := await self._received()):
                    return b""
                self._incoming.write(more)
            except ssl.SSLZeroReturnError:
                return b""

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self._socket, self._outgoing.read())

    async def _received(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolViolation(f"{self._where} sent more than {_MOST_BYTES // 1024} KiB.")
        return data

    def _silent(self) -> Unreachable:
        return Unreachable(f"{self._where} did not answer and closed the connection.")


async def _connected(endpoint: Endpoint, address: str, port: int) -> _Line:
    """Raises Unreachable."""
    try:
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise Unreachable(tls.no_connection(endpoint.host, port, error)) from error
    return _Line(connection, endpoint, port)


def _cut() -> bytes:
    raise ConnectionResetError
