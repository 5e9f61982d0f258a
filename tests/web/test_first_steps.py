"""The first page of a new installation says what to do next."""

from pathlib import Path

from playwright.async_api import Browser, expect

from tests.web.accessible import assert_accessible
from tests.web.browser import watched
from tests.web.served import serving


async def test_a_new_installation_is_told_what_to_do_next(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path / "data", authority=False) as empty:
        context = await browser.new_context(base_url=empty.origin)
        page, watch = await watched(context, empty.origin)
        watch.expected = lambda text: "404" in text  # there is no CA to trust yet
        await page.goto("/")
        await expect(page.locator("[aria-current=step]")).to_contain_text("Generate or import a certificate authority")
        steps = page.get_by_role("listitem")
        for text, path in (
            ("Generate or import", "/configuration/certificates"),
            ("Add devices", "/add"),
            ("Enable HTTPS", "/devices"),
            ("Trust the authority", "/trust"),
        ):
            await expect(steps.get_by_role("link", name=text)).to_have_attribute("href", path)
        await assert_accessible(page)
        await page.goto("/trust")
        await expect(page.get_by_role("link", name="Generate or import one")).to_be_visible()
        assert watch.wrong == []
        await context.close()
