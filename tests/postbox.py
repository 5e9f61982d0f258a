"""Servers on loopback that take messages about alarms, and ones that misbehave."""

import asyncio
import base64
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@cache
def identity(name: str = "127.0.0.1") -> tuple[str, bytes]:
    """A server certificate for this address or host name, which is its own anchor, and its key: PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        general: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        general = x509.DNSName(name)
    now = datetime.now(UTC)  # noqa: DTZ005, TID251, RUF100 - real TLS asks the real clock
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([general]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    return pem.decode(), pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def serving(name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "server.pem"
        path.write_bytes(identity(name)[1])
        context.load_cert_chain(path)
    return context


def trusting(name: str = "127.0.0.1") -> ssl.SSLContext:
    """As the trust store of a computer that knows this server's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=identity(name)[0])
    return context


@asynccontextmanager
async def listening(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port where each connection is given to `handler`; whatever still goes on is cut off at the end."""
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@dataclass
class MailServer:
    """Takes mail as RFC 5321 says, if it is not told to do otherwise. `answers`: command word -> reply instead."""

    starttls: ssl.SSLContext | None = None
    mechanisms: str = "PLAIN LOGIN"
    answers: dict[str, bytes] = field(default_factory=dict)
    injected: bytes = b""  # said in clear together with the answer to STARTTLS
    heard: list[str] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := (await reader.readline()).decode("ascii").rstrip("\r\n"):
            self.heard.append(line)
            word = line.partition(":")[0].upper() if line.upper().startswith(("MAIL", "RCPT")) else line.split()[0]
            reply = self.answers.get(line) or self.answers.get(word.upper())
            if reply is not None:
                writer.write(reply)
            elif word.upper() == "STARTTLS" and self.starttls is not None:
                writer.write(b"220 go ahead\r\n" + self.injected)
                await writer.drain()
                await writer.start_tls(self.starttls)
                self.starttls = None
            elif not await self._take(word.upper(), line, reader, writer):
                return
            await writer.drain()

    async def _take(self, word: str, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if word == "EHLO":
            offered = b"250-STARTTLS\r\n" if self.starttls is not None else f"250-AUTH {self.mechanisms}\r\n".encode()
            writer.write(b"250-mail.example\r\n" + offered + b"250 SIZE 1000000\r\n")
        elif line == "AUTH LOGIN":
            for prompt in (b"User", b"Word"):
                writer.write(b"334 " + base64.b64encode(prompt) + b"\r\n")
                self.heard.append((await reader.readline()).decode("ascii").rstrip("\r\n"))
            writer.write(b"235 welcome\r\n")
        elif word == "AUTH":
            writer.write(b"235 welcome\r\n")
        elif word == "DATA":
            writer.write(b"354 go on\r\n")
            letter = await reader.readuntil(b"\r\n.\r\n")
            self.letters.append(letter.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."))
            writer.write(b"250 taken\r\n")
        elif word == "QUIT":
            writer.write(b"221 bye\r\n")
            return False
        else:
            writer.write(b"250 fine\r\n")
        return True


@dataclass
class WebServer:
    """Answers each request with `answer`, and keeps the requests."""

    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    requests: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[16:]) for line in head.splitlines() if line.startswith(b"Content-Length: "))
        self.requests.append(head + await reader.readexactly(length))
        writer.write(self.answer)
        await writer.drain()


@dataclass
class LogServer:
    """Reads frames of RFC 6587 3.4.1 until the end."""

    frames: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while digits := await reader.readuntil(b" "):
            self.frames.append(await reader.readexactly(int(digits)))


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything and says nothing."""
    while await reader.read(65536):
        pass


def saying(content: bytes) -> Handler:
    """Says this to whoever connects, and waits."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await hang(reader, writer)

    return handler


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte of a line that never ends, again and again."""
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.02)  # noqa: TID251 - a slow server


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends the connection at once."""
