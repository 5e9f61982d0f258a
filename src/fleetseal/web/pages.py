"""The web application's files, and what every answer of the door to the network says to browsers.

There is no build step: `static/` is served as it lies in the package, read once, so that a page never mixes two
versions. Every path that is neither the API's nor a file's is a page of the application: `index.html`.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from fleetseal.core.errors import InvalidInput, NotFound, StoreError
from fleetseal.web.door import home
from fleetseal.web.listener import Asgi, Scope
from fleetseal.web.problems import problem_document

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
"""What is served; other files of the folder are for those who work on it."""

POLICY: Final = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'"),
        *("font-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
        "require-trusted-types-for 'script'",
    )
)

SECURITY_HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every answer. There is no Strict-Transport-Security: it counts for every port of a host (RFC 6797 8.3), also for
those of other programs, and this port never speaks plain HTTP beside TLS."""

_HEADERS: Final = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_API: Final = ("/api", "/metrics")

_LONGEST_BODY: Final = 8 * 2**20  # bytes
_BODIES: Final = 128 * 2**20  # bytes of all requests under way together
_BODIES_OF_ONE: Final = 16 * 2**20  # of those of one home


@dataclass(frozen=True)
class File:
    content: bytes
    media_type: str
    tag: str  # an entity tag (RFC 9110 8.8.3)


def files(folder: Traversable | None = None) -> dict[str, File]:
    """What is served, by its path of a URL: the package's own files, or those of `folder`."""
    return dict(_files(folder or resources.files("fleetseal.web").joinpath("static"), "/static"))


class Pages:
    """The ASGI application for browsers: pages and files, and the API beside them."""

    def __init__(self, api: Asgi, served: dict[str, File]) -> None:
        self._api = api
        self._files = served
        self._bodies: Counter[object] = Counter()  # bytes promised by the requests under way, by home

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        path = scope["path"]
        if any(path == own or path.startswith(own + "/") for own in _API):
            await self._pass(scope, receive, guarded)
        else:
            await _answer(scope, guarded, self._find(path))

    async def _pass(self, scope: Scope, receive: Any, send: Any) -> None:
        """To the API, if the request says how long its body is and there is room for that."""
        headers, who = dict(scope["headers"]), home(scope["client"])
        length = int(headers.get(b"content-length", b"0"))  # digits: h11 lets nothing else in
        if b"transfer-encoding" in headers:
            refusal = (411, InvalidInput.code, "The request does not say how long it is (Content-Length).")
        elif length > _LONGEST_BODY:
            refusal = (413, InvalidInput.code, f"The request is longer than {_LONGEST_BODY // 2**20} MB.")
        elif self._bodies[who] + length > _BODIES_OF_ONE or self._bodies.total() + length > _BODIES:
            refusal = (503, StoreError.code, "Too much is being sent to this server at once. Try again.")
        else:
            self._bodies[who] += length
            try:
                await self._api(scope, receive, send)
            finally:
                self._bodies[who] -= length
                self._bodies += Counter()  # forgets who sends nothing
            return
        await _problem(send, *refusal)

    def _find(self, path: str) -> File | None:
        page = not path.startswith("/static/") and "." not in path.rpartition("/")[2]
        return self._files.get("/static/index.html" if page else path)


async def _answer(scope: Scope, send: Any, file: File | None) -> None:
    if file is None:
        await _problem(send, 404, NotFound.code, "There is no such page.")
    elif scope["method"] not in ("GET", "HEAD"):
        await _send(send, 405, b"", {"allow": "GET, HEAD"})
    elif file.tag in _tags(scope):
        await _send(send, 304, None, {"etag": file.tag, "cache-control": "no-cache"})
    else:
        headers = {"content-type": file.media_type, "etag": file.tag, "cache-control": "no-cache"}
        await _send(send, 200, file.content, headers, head=scope["method"] == "HEAD")


def _tags(scope: Scope) -> set[str]:
    """What the browser holds already."""
    told = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
    return {tag.strip().removeprefix("W/") for tag in told.split(",")}


async def _problem(send: Any, status: int, code: str, detail: str) -> None:
    document, media_type = problem_document(status, code, detail)
    headers = {"content-type": media_type, "cache-control": "no-store"}
    await _send(send, status, json.dumps(document).encode(), headers)


async def _send(send: Any, status: int, body: bytes | None, headers: dict[str, str], *, head: bool = False) -> None:
    if body is not None:
        headers["content-length"] = str(len(body))
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head or body is None else body})


def _files(folder: Traversable, path: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for entry in folder.iterdir():
        name = f"{path}/{entry.name}"
        if entry.is_dir():
            found += _files(entry, name)
        elif (media_type := MEDIA_TYPES.get("." + entry.name.rpartition(".")[2])) is not None:
            content = entry.read_bytes()
            found.append((name, File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')))
    return found
