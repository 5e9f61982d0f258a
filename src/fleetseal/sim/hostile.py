"""Answers meant to hurt the client: endless, slow, deep, huge, compressed, mislabelled."""

import asyncio
import gzip
from collections.abc import Iterator

from fleetseal.core.runtime import Clock

_BLOCK = b"x" * 65536
_DRIP_SECONDS = 0.2


async def answer(kind: str, writer: asyncio.StreamWriter, clock: Clock) -> None:
    """Write such an answer until it is done or the client leaves (OSError). `kind` is one of faults.ANSWERS."""
    writer.write(_head(kind))
    for part in _body(kind):
        writer.write(part)
        await writer.drain()  # it lets nobody else run while TLS is being ended: that drops what is written
        await clock.sleep(_DRIP_SECONDS if kind == "drip" else 0)
    if kind == "wrong-length":  # the rest never comes, and the connection stays
        await clock.sleep(600.0)


def _head(kind: str) -> bytes:
    lines = ["HTTP/1.1 200 OK"]
    match kind:
        case "endless" | "drip" | "huge":
            lines.append("Content-Type: text/plain")
        case "deep-xml":
            lines.append("Content-Type: application/soap+xml")
        case "deep-json":
            lines.append("Content-Type: application/json")
        case "compressed":
            lines += ["Content-Type: text/plain", "Content-Encoding: gzip"]
        case "wrong-length":
            lines += ["Content-Type: application/json", "Content-Length: 1000"]
        case "many-headers":
            lines += [f"X-Header-{number}: {'y' * 200}" for number in range(5000)]
    lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _body(kind: str) -> Iterator[bytes]:
    match kind:
        case "endless":
            while True:
                yield _BLOCK
        case "drip":
            while True:
                yield b"x"
        case "huge":
            for _ in range(512):  # 32 MiB
                yield _BLOCK
        case "deep-xml":
            yield b"<a>" * 20_000 + b"</a>" * 20_000
        case "deep-json":
            yield b"[" * 100_000 + b"]" * 100_000
        case "compressed":
            yield gzip.compress(b"root.Brand.Brand=AXIS\n" * 500_000)
        case "wrong-length":
            yield b'{"apiVersion":'
        case _:
            yield b"{}"
