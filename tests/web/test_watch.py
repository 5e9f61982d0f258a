"""The tests of pages notice what they look for: each misdeed is done once, on purpose."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.web.accessible import assert_accessible
from tests.web.browser import Watch
from tests.web.gridpage import grid_page
from tests.web.hostile import HOSTILE


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(browser: Browser) -> AsyncIterator[tuple[Page, Watch]]:
    async with grid_page(browser) as page_and_watch:
        yield page_and_watch


@pytest.mark.parametrize(
    ("misdeed", "noticed"),
    [
        ("() => { alert(1); }", "dialog: 1"),
        ("() => { setTimeout(() => { throw new Error('broken'); }); }", "error: broken"),
        ("() => { console.error('wrong'); }", "console: wrong"),
        ("() => { new Image().src = 'http://127.0.0.1:9/x.png'; }", "foreign request: http://127.0.0.1:9/x.png"),
        (
            "() => { document.body.append(Object.assign(document.createElement('iframe'), {src: '/test/page.js'})); }",
            "Content Security Policy",
        ),
        ("() => { document.body.setAttribute('style', 'color: red'); }", "Content Security Policy"),
        ("() => { try { document.body.innerHTML = '<p>'; } catch { /* refused */ } }", "TrustedHTML"),
    ],
)
async def test_a_misdeed_of_a_page_is_noticed(shared: tuple[Page, Watch], misdeed: str, noticed: str) -> None:
    page, watch = shared
    watch.wrong.clear()
    await page.evaluate(misdeed)
    await page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    assert noticed in "\n".join(watch.wrong)


async def test_a_page_that_runs_hostile_text_is_noticed(browser: Browser) -> None:
    async with grid_page(browser) as (page, watch):
        await page.route("**/bad", lambda route: route.fulfill(body="<title>x</title>" + "".join(HOSTILE)))
        await page.goto("http://localhost:9/bad", wait_until="domcontentloaded")
        assert any(one.startswith("dialog") for one in watch.wrong)


async def test_a_page_that_is_not_accessible_is_noticed(browser: Browser) -> None:
    async with grid_page(browser) as (page, _):
        await page.evaluate("() => document.querySelector('main').append(document.createElement('input'))")
        with pytest.raises(AssertionError, match="label: Form elements must have labels"):
            await assert_accessible(page)
