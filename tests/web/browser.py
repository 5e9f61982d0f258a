"""A real browser on the web application, and what no page may do in it."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    async_playwright,
    expect,
)

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
MISSING = "Pages are tested in Chromium, which is not here (Debian: chromium)."
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic"),
)

expect.set_options(timeout=15_000)  # milliseconds: the computer of a test may be busy

WIDE = (1440, 900)
NARROW = (390, 844)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Watch:
    """What a page did that no page may do: errors, what its policy forbids, a dialog of the
    browser's own, and anything asked of another host.

    `expected` says of a message on the console whether the test is about it: a browser reports each answer that is an
    error there, and a lost connection.
    """

    origin: str
    expected: Callable[[str], bool] = lambda _: False
    wrong: list[str] = field(default_factory=list)

    def message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self.expected(message.text):
            self.wrong.append(f"console: {message.text} {message.location}")

    def error(self, error: Exception) -> None:
        self.wrong.append(f"error: {error}")

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.wrong.append(f"foreign request: {request.url}")

    async def dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def response(self, response: Response) -> None:
        if response.status >= 500:
            self.wrong.append(f"status {response.status}: {response.url}")


async def watched(context: BrowserContext, origin: str) -> tuple[Page, Watch]:
    """A new page whose misdeeds are kept. What its policy forbids is reported on the console."""
    page, watch = await context.new_page(), Watch(origin)
    page.on("console", watch.message)
    page.on("pageerror", watch.error)
    page.on("request", watch.request)
    page.on("response", watch.response)
    page.on("dialog", watch.dialog)
    page.set_default_timeout(10_000)
    return page, watch
