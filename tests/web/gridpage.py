"""A page that is a grid alone, without a server: the browser's requests are answered from the files here."""

import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, Route

from fleetseal.web.pages import SECURITY_HEADERS
from tests.web.browser import Watch, watched

ORIGIN = "http://localhost:9"  # a host that browsers trust without TLS; nothing listens there
_OURS = Path(__file__).parent / "grid"
_STATIC = Path(str(resources.files("fleetseal.web") / "static"))


@asynccontextmanager
async def grid_page(browser: Browser, *, more: Path | None = None) -> AsyncIterator[tuple[Page, Watch]]:
    """The page under the product's own policy; `make()`, `devices(n)` and `drawn()` are its globals.

    Files of the folder `more` are at `/more/`.
    """
    folders = {"static": _STATIC, "test": _OURS, "more": more or _OURS}
    context = await browser.new_context(viewport={"width": 1280, "height": 720})
    await context.route("**/*", lambda route: _answer(route, folders))
    page, watch = await watched(context, ORIGIN)
    try:
        await page.goto(f"{ORIGIN}/")
        await page.wait_for_function("window.ready")
        yield page, watch
    finally:
        await context.close()


async def _answer(route: Route, folders: dict[str, Path]) -> None:
    place, _, name = urlsplit(route.request.url).path.lstrip("/").partition("/")
    file = folders[place] / name if place in folders else _OURS / "index.html"
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if file.is_file():
        await route.fulfill(body=file.read_bytes(), headers={**SECURITY_HEADERS, "content-type": kind})
    else:
        await route.fulfill(status=404)
