"""Getting in and out: the first administrator, sessions that end, and what a viewer may not do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from fleetseal.core.access import Role
from fleetseal.operations import access
from tests import people
from tests.web.accessible import assert_accessible
from tests.web.browser import watched
from tests.web.served import Served, serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server to which everybody must sign in, and nobody can yet."""
    async with serving(tmp_path_factory.mktemp("web") / "data", "12.11", door=True) as running:
        await running.add()
        yield running


@asynccontextmanager
async def visitor(browser: Browser, served: Served) -> AsyncIterator[Page]:
    """A browser of its own; it fails for what no page may do, but for the refusals that are expected here."""
    context = await browser.new_context(base_url=served.origin)
    page, watch = await watched(context, served.origin)
    watch.expected = lambda text: bool(re.search("401|403|429", text))
    yield page
    await context.close()
    assert watch.wrong == []


async def test_the_setup_code_makes_the_first_administrator(browser: Browser, served: Served) -> None:
    code = await access.make_setup_code(served.application.services, actor="test")
    assert code is not None
    async with visitor(browser, served) as page:
        await page.goto("/devices")
        await expect(page.get_by_role("heading", name="Welcome to Fleetseal")).to_be_visible()
        await assert_accessible(page)
        for label, text in (
            ("Setup code", "not-the-code"),
            ("Your name", "anna"),
            ("Password", people.PASSWORD),
            ("Password again", "another one"),
        ):
            await page.get_by_label(label, exact=True).fill(text)
        create = page.get_by_role("button", name="Create administrator")
        await create.click()
        await expect(page.get_by_text("The two passwords differ.")).to_be_visible()
        await page.get_by_label("Password again").fill(people.PASSWORD)
        await create.click()
        await expect(page.get_by_role("alert")).to_contain_text("code")
        await page.get_by_label("Setup code").fill(code.reveal())
        await create.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
        await expect(page.get_by_role("button", name="anna")).to_be_visible()


async def test_a_session_that_ends_leads_back_to_where_one_was(browser: Browser, served: Served) -> None:
    async with visitor(browser, served) as page:
        await page.goto("/devices?filter=P3265")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await assert_accessible(page)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("Name is needed.")).to_be_visible()
        await page.get_by_label("Name").fill("anna")
        await page.get_by_label("Password").fill("wrong, wrong, wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("Password").fill(people.PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("1 device")).to_be_visible()
        await page.context.clear_cookies()
        await page.get_by_role("grid", name="Devices").get_by_role("row").nth(1).dblclick()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_label("Name").fill("anna")
        await page.get_by_label("Password").fill(people.PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("P3265-V")
        await page.get_by_role("button", name="anna").click()
        await page.get_by_role("menuitem", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_viewer_sees_everything_and_changes_nothing(browser: Browser, served: Served) -> None:
    await people.add_user(served.application, "viktor", Role.VIEWER)
    async with visitor(browser, served) as page:
        await page.goto("/devices")
        await page.get_by_label("Name").fill("viktor")
        await page.get_by_label("Password").fill(people.PASSWORD)
        await page.keyboard.press("Enter")
        links = page.get_by_role("navigation", name="Pages").get_by_role("link")
        await expect(links.filter(has_text="Renewal")).to_be_visible()
        await expect(links.filter(has_text=re.compile("Add devices|Users|Audit log|Backup"))).to_have_count(0)
        row = page.get_by_role("grid", name="Devices").get_by_role("row").nth(1)
        await row.click(button="right")
        for name in ("Refresh", "Edit…", "Remove"):
            item = page.get_by_role("menuitem", name=name)
            assert await item.get_attribute("aria-disabled") == "true"
            await expect(item).to_contain_text("Needs the role operator.")
        await page.keyboard.press("Escape")
        assert await page.get_by_role("button", name="Enable HTTPS…").get_attribute("aria-disabled") == "true"
        await row.dblclick()
        await expect(page.get_by_role("region", name="What to do")).to_contain_text("HTTPS is disabled")
        await expect(page.get_by_role("button", name="Enable HTTPS…")).to_have_count(0)


async def test_an_operator_acts_on_devices_and_decides_no_trust(browser: Browser, served: Served) -> None:
    await people.add_user(served.application, "olga", Role.OPERATOR)
    async with visitor(browser, served) as page:
        await page.goto("/add")
        await page.get_by_label("Name").fill("olga")
        await page.get_by_label("Password").fill(people.PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Search")).to_be_visible()
        links = page.get_by_role("navigation", name="Pages").get_by_role("link")
        await expect(links.filter(has_text=re.compile("Users|Audit log|Backup"))).to_have_count(0)
        await page.goto("/configuration/security")
        await expect(page.get_by_label("Ignore certificate validation", exact=True)).to_be_disabled()
        await page.goto("/devices")
        await page.get_by_role("grid", name="Devices").get_by_role("row").nth(1).click(button="right")
        await page.get_by_role("menuitem", name="Security").click()
        trust = page.get_by_role("menuitem", name="Trust…")
        await expect(trust).to_contain_text("Needs the role administrator.")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Refresh").click()
        await expect(page.get_by_role("grid", name="Tasks").get_by_role("row").nth(1)).to_contain_text("olga")
