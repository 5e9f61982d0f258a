"""A small HTTP/1.1 server side: bounded reading, full control of what is written (RFC 9112)."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

MAX_LINE = 8 * 1024
MAX_HEADERS = 64
MAX_BODY = 1024 * 1024
IDLE_SECONDS = 60.0

Headers = tuple[tuple[str, str], ...]


class Dropped(Exception):
    """The connection is to end now, without an answer."""


class BadRequest(Exception):
    """The request is answered with this status and the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request, whole. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    secure: bool

    @property
    def path(self) -> str:
        """Without the query, not decoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; on a form POST, with its fields."""
        fields = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            fields += parse_qsl(self.body.decode("latin-1"), keep_blank_values=True)
        return dict(fields)

    @property
    def segments(self) -> list[str]:
        """The path's segments, each decoded; `+` stays a plus."""
        return [unquote_plus(part.replace("+", "%2B")) for part in self.path.strip("/").split("/")]


@dataclass(frozen=True)
class Response:
    """One answer. `chunked` changes how it is sent, not what."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Headers = field(default=())
    chunked: bool = False

    @classmethod
    def text(cls, text: str, *, status: int = 200, content_type: str = "text/plain") -> "Response":
        return cls(status, text.encode("latin-1", "replace"), content_type)

    @classmethod
    def json(
        cls, value: Any, *, status: int = 200, content_type: str = "application/json", indent: int | None = None
    ) -> "Response":
        return cls(status, json.dumps(value, indent=indent).encode(), content_type)


async def read_request(reader: asyncio.StreamReader, *, secure: bool) -> Request | None:
    """The next request; None when the client is done. Raises BadRequest when it is out of bounds."""
    first = await _line(reader)
    if not first:
        return None
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest(400)
    headers = await _headers(reader)
    if "transfer-encoding" in headers:
        raise BadRequest(411)
    size = headers.get("content-length", "0")
    if not size.isdecimal() or len(size) > 12:
        raise BadRequest(400)
    if int(size) > MAX_BODY:
        raise BadRequest(413)
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            body = await reader.readexactly(int(size))
    except (asyncio.IncompleteReadError, TimeoutError) as error:
        raise Dropped from error
    return Request(parts[0], parts[1], headers, body, secure)


async def _line(reader: asyncio.StreamReader) -> str:
    """One line without its end; empty at the end of the connection."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            line = await reader.readuntil(b"\r\n")
    except asyncio.IncompleteReadError:
        return ""
    except TimeoutError as error:
        raise Dropped from error
    except asyncio.LimitOverrunError as error:
        raise BadRequest(414) from error
    return line[:-2].decode("latin-1")


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = await _line(reader)
        if not line:
            return headers
        name, found, value = line.partition(":")
        if not found or name != name.strip():
            raise BadRequest(400)
        headers[name.lower()] = value.strip()
    raise BadRequest(431)


def encode(response: Response, common: Headers, *, close: bool, lower_case: bool = False) -> bytes:
    """The bytes of an answer, with the server's `common` headers before its own. `lower_case`: names as in HTTP/2."""
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Unknown"
    headers = [*common, *response.headers]
    if close:
        options = [value for name, value in headers if name == "Connection"]
        headers = [header for header in headers if header[0] != "Connection"]
        headers.append(("Connection", ", ".join([*options, "close"])))
    body = response.body
    if response.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
        body = (f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
    else:
        headers.append(("Content-Length", str(len(body))))
    if response.content_type:
        headers.append(("Content-Type", response.content_type))
    lines = [
        f"HTTP/1.1 {response.status} {reason}",
        *(f"{name.lower() if lower_case else name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
