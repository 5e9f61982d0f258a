"""Mutated answers over real connections: status lines, header fields, lengths, chunks, and TLS handshakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random  # noqa: TID251 - the same damage in every run

import pytest

from fleetseal.core.errors import DeviceError
from fleetseal.core.model import Endpoint, FirstUse, Login, Plaintext
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.devices.connect import AxisConnector
from fleetseal.devices.http import Answer, Request

from .conversations import Conversations, Key, key_of, one_damaged, remembered
from .harness import Fuzz, only_our_errors
from .mutation import NASTY

PARTS = 4
CLOSED = 1
"""A port where nothing answers."""

STATUS_LINES = (
    *(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 Switching"),
    *(b"HTTP/2 200", b"HTTP/1.1 999 ?", b"HTTP/1.1 -1 no", b"ICY 200 OK", b"", b"HTTP/1.1 204 No", b"HTTP/1.1 302 F"),
    b"HTTP/1.1 304 Not Modified",
)
FIELDS = (
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 5, 6"),
    *(b"Content-Length: 9", b"Content-Length: \xd9\xa3", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
    *(b"Transfer-Encoding: chunked, identity", b"Content-Encoding: gzip", b"Content-Encoding: br, gzip"),
    *(b"Location: //[", b"Location: http://[::1", b"Location: /login", b"Location: \xff\xfe", b"Location:"),
    *(b"Date: Thu, 01 Jan 0000 99:99:99 +9999", b"Date: 1", b"Date: " + b"9" * 300, b"Date: Fri, 31 Dec 9999 23:59:59"),
    *(b"WWW-Authenticate: Digest", b"WWW-Authenticate: \xff=", b'WWW-Authenticate: Basic realm="AXIS_B8A44F000001"'),
    *(b"Content-Type: text/html; charset=no-such", b"Set-Cookie: a=\xff; Domain=..", b"X: " + b"y" * 20_000),
    *(
        b"no colon",
        b": no name",
        b" folded",
        b"X\x00: y",
        b"Connection: upgrade",
        b"Retry-After: x",
        b"X: y\r\n" * 3000,
    ),
)


@pytest.mark.parametrize("part", range(PARTS))
async def test_a_device_that_answers_one_question_badly(fuzz: Fuzz, conversations: Conversations, part: int) -> None:
    """Looked at, and logged into: the transport, its digest and its bounds are the real ones."""
    connector = AxisConnector(SystemClock(), SystemRng())
    profiles = [kept for kept in conversations.values() if len(kept) > 10]
    opened = 0
    for label, source in fuzz.cases("socket", share=0.005, part=part, parts=PARTS):
        kept = source.choice(profiles)
        answers, hurt = one_damaged(source, kept) if source.random() < 0.3 else (remembered(kept), None)
        raw = {key: _framed(source, answer, hurt=answer is hurt) for key, answer in answers.items()}
        if hurt is None:
            key = source.choice(list(raw))
            raw[key] = _misframed(source, answers[key])
        async with _mimic(raw) as port:
            endpoint = Endpoint("127.0.0.1", port, CLOSED)
            with only_our_errors(label, hurt):
                await connector.look(endpoint)
            with only_our_errors(label, hurt):
                async with connector.open(endpoint, Plaintext(), Login("root", "none"), serial=None) as connection:
                    await connection.driver.certificates()
                    opened += 1
    assert opened, "no conversation came to its end, so nothing beyond the first answer was tried"


async def test_a_peer_that_speaks_tls_badly(fuzz: Fuzz) -> None:
    connector = AxisConnector(SystemClock(), SystemRng())
    for label, source in fuzz.cases("handshake", share=0.002):
        records = bytes([source.choice((20, 21, 22, 23, 72)), 3, source.randrange(5)])
        sent = records + source.randbytes(source.randint(0, 60)) + source.choice(NASTY)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes = sent) -> None:
            await reader.read(100)
            writer.write(sent)

        async with _server(talk) as port:
            endpoint = Endpoint("127.0.0.1", CLOSED, port)
            with only_our_errors(label, sent), pytest.raises(DeviceError):
                await connector.served(endpoint)
            with only_our_errors(label, sent), pytest.raises(DeviceError):
                async with connector.open(endpoint, FirstUse(), Login("root", "none"), serial=None):
                    pass


def _framed(source: Random, answer: Answer, *, hurt: bool) -> bytes:
    """As a web server sends it; the length of a damaged one may have stayed what it was."""
    fields = [
        f"{name}: {value}".encode("utf-8", "surrogateescape")
        for name, value in answer.headers
        if name not in ("content-length", "transfer-encoding", "connection")
    ]
    length = len(answer.body) + (source.choice((0, 0, 1, -1, 1000)) if hurt else 0)
    fields += [b"Content-Length: %d" % max(0, length), b"Connection: close"]
    return b"\r\n".join([b"HTTP/1.1 %d X" % answer.status, *fields]) + b"\r\n\r\n" + answer.body


def _misframed(source: Random, answer: Answer) -> bytes:
    """The head, the chunks or the bytes between them are wrong."""
    head, _, body = _framed(source, answer, hurt=False).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    match source.randrange(5):
        case 0:
            lines[0] = source.choice(STATUS_LINES)
        case 1:
            lines = [*(line for line in lines if not line.startswith(b"Content-Length")), b"Transfer-Encoding: chunked"]
            body = b"".join(_chunk(source, body[at : at + 100]) for at in range(0, len(body), 100)) + b"0\r\n\r\n"
        case 2:
            lines[source.randrange(len(lines))] += source.choice(NASTY)
        case _:
            for _ in range(source.randint(1, 3)):
                lines.insert(source.randint(1, len(lines)), source.choice(FIELDS))
    raw = b"\r\n".join(lines) + source.choice((b"\r\n\r\n",) * 6 + (b"\n\n", b"\r\n", b"")) + body
    return raw[: source.randrange(len(raw))] if source.random() < 0.1 else raw


def _chunk(source: Random, data: bytes) -> bytes:
    size = b"%x" % len(data)
    if source.random() < 0.1:
        size = source.choice((b"-5", b"ffffffffffffffffff", b"", b"x", b"5;ext=" + b"y" * 9000, b"0x10", b" 5"))
    return size + b"\r\n" + data + source.choice((b"\r\n",) * 20 + (b"", b"\n"))


@asynccontextmanager
async def _mimic(raw: Mapping[Key, bytes]) -> AsyncIterator[int]:
    """The port of a web server that gives these answers; it believes every login."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n")[0].split(" ", 2)
        length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
        request = Request(method, target, await reader.readexactly(length))
        known = "\r\nauthorization:" in head.lower()
        keys: Sequence[Key] = [key for key in raw if key[:3] == key_of(request)[:3]]
        chosen = next((key for key in keys if key[3] is not known), None)
        challenge = next(value for value in raw.values() if b"www-authenticate" in value)
        missing = b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n" if known else challenge
        writer.write(missing if chosen is None else raw[chosen])

    async with _server(answer) as port:
        yield port


@asynccontextmanager
async def _server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Listens while in use; each connection is closed after its turn."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await talk(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
