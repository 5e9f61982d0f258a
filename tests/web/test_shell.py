"""What is around every page: navigation, focus, errors, a lost connection, light and dark."""

import asyncio

from playwright.async_api import Page, Route, expect

from tests.web.browser import NARROW, Watch

DEVICES = ("12.11",)


async def test_a_page_says_where_it_is(page: Page) -> None:
    await page.goto("/")
    await expect(page).to_have_title("Dashboard – Fleetseal")
    await page.get_by_role("navigation").get_by_role("link", name="Devices", exact=True).click()
    await expect(page).to_have_title("Devices – Fleetseal")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    assert await page.get_by_role("link", name="Devices", exact=True).get_attribute("aria-current") == "page"
    await expect(page.get_by_role("main")).to_be_focused()
    await expect(page.locator("#announcements")).to_contain_text("Devices")


async def held(page: Page, pattern: str) -> asyncio.Event:
    """What the page asks for in this way is answered once the event is set."""
    go_on = asyncio.Event()

    async def late(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route(pattern, late)
    return go_on


async def test_a_page_that_is_not_there_yet_says_that_it_is_loaded(page: Page) -> None:
    """From the very beginning: whoever waits for its end, with eyes or a program, meets the page."""
    stream = await held(page, "**/api/v1/events")
    script = await held(page, "**/pages/devices.js")
    rows = await held(page, "**/api/v1/devices*")
    await page.goto("/devices")
    main = page.get_by_role("main")
    assert await main.get_attribute("aria-busy") == "true"
    stream.set()
    assert await main.evaluate("main => getComputedStyle(main, '::before').content") == '"Loading…"'
    script.set()
    await expect(main.get_by_text("Loading…").first).to_be_visible()
    assert await main.get_attribute("aria-busy") == "true"
    rows.set()
    await expect(page.locator("main:not([aria-busy])")).to_be_visible()
    await expect(main.get_by_role("grid", name="Devices").get_by_role("gridcell").first).to_be_visible()


async def test_a_path_that_is_no_page_says_so(page: Page) -> None:
    await page.goto("/nothing/here")
    await expect(page.get_by_role("alert")).to_have_text("There is no such page.")
    await page.get_by_role("link", name="Devices", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    await page.go_back()
    await expect(page.get_by_role("alert")).to_be_visible()


async def test_a_lost_connection_is_told_and_mended_by_itself(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "ERR_" in text
    await page.goto("/nothing")
    lost = True

    async def cut(route: Route) -> None:
        await (route.abort("connectionfailed") if lost else route.continue_())

    await page.route("**/api/v1/devices*", cut)
    await page.get_by_role("link", name="Devices", exact=True).click()
    banner = page.locator("#connection")
    await expect(banner).to_have_text("Connection lost. Trying again…")
    lost = False
    await expect(banner).to_be_hidden()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Devices")


async def test_the_appearance_is_chosen_and_kept(page: Page) -> None:
    await page.goto("/devices")
    root = page.locator("html")
    for choice in ("Dark", "Light"):
        await page.get_by_role("button", name="administrator").click()
        await page.get_by_role("menuitem", name="Appearance").click()
        await page.get_by_role("menuitem", name=choice).click()
        await expect(root).to_have_attribute("data-theme", choice.lower())
    await page.reload()
    await expect(root).to_have_attribute("data-theme", "light")


async def test_on_a_phone_the_navigation_is_behind_a_button(page: Page) -> None:
    await page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    await page.goto("/devices")
    link = page.get_by_role("navigation").get_by_role("link", name="Devices", exact=True)
    await expect(link).to_be_hidden()
    await page.get_by_role("button", name="Pages").click()
    await link.click()
    await expect(link).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
