"""One browser for all tests of a worker, one site for each module, a page for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.web.browser import CHROMIUM, MISSING, WIDE, Watch, chromium, watched
from tests.web.served import Served, serving

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser, server and tests share one event loop. Without a browser there is one loud skip for each test."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.enable_socket)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(300))  # seconds: a browser on a busy computer is slow
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server over the devices that the module names in `DEVICES`, each in the inventory."""
    specs = getattr(request.module, "DEVICES", ("12.11",))
    async with serving(tmp_path_factory.mktemp("web") / "data", *specs) as running:
        await running.add()
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def watch_and_page(
    request: pytest.FixtureRequest, browser: Browser, served: Served
) -> AsyncIterator[tuple[Watch, Page]]:
    """A page of its own for the test, signed in as an administrator; it fails the test for what no page may do."""
    size = getattr(request, "param", WIDE)
    context = await browser.new_context(base_url=served.origin, viewport={"width": size[0], "height": size[1]})
    page, watch = await watched(context, served.origin)
    try:
        yield watch, page
        assert watch.wrong == []
    finally:
        await context.close()


@pytest.fixture
def page(watch_and_page: tuple[Watch, Page]) -> Page:
    return watch_and_page[1]


@pytest.fixture
def watch(watch_and_page: tuple[Watch, Page]) -> Watch:
    return watch_and_page[0]
