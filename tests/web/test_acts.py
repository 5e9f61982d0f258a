"""What people do to devices, each from its first click to what the device then is."""

from playwright.async_api import Browser, Locator, Page, expect

from fleetseal.core.model import Selection
from fleetseal.operations import inventory
from fleetseal.operations.inventory import Changes
from tests.web.browser import watched
from tests.web.served import Served

DEVICES = ("11.6", "9.10")


def row(page: Page, mac: str) -> Locator:
    return page.get_by_role("grid", name="Devices").get_by_role("row").filter(has_text=mac)


async def test_a_remedy_leads_to_the_dialog_that_does_it(page: Page, served: Served) -> None:
    camera = served.fleet.devices[0]
    selection = Selection(refs=(camera.serial,))
    await inventory.change(served.application.services, actor="test", selection=selection, changes=Changes(http_port=1))
    await page.goto("/devices/1?do=enable")
    enable = page.get_by_role("dialog", name="Enable HTTPS on 127.0.0.1")
    await expect(enable.get_by_text("No way back")).to_be_visible()
    await expect(enable.get_by_role("link", name="Switching HTTPS on")).to_be_visible()
    await enable.get_by_role("link", name="Edit the device…").click()
    await expect(enable).to_have_count(0)
    edit = page.get_by_role("dialog", name="Edit 127.0.0.1")
    await edit.get_by_label("HTTP port").fill(str(camera.http_port))
    await edit.get_by_role("button", name="Save").click()
    await expect(page.get_by_text(f"HTTP {camera.http_port}, HTTPS {camera.https_port}")).to_be_visible()
    await expect(page).to_have_url(f"{served.origin}/devices/1")


async def test_a_tap_selects_one_more(browser: Browser, served: Served) -> None:
    context = await browser.new_context(base_url=served.origin, viewport={"width": 390, "height": 844}, has_touch=True)
    page, watch = await watched(context, served.origin)
    await page.goto("/devices")
    await expect(page.locator(".grid-more").first).to_be_attached()
    for mac in ("F0:00:01", "F0:00:02"):
        await row(page, mac).get_by_text("OK", exact=True).tap()
    await expect(page.get_by_text("2 devices, 2 selected")).to_be_visible()
    assert watch.wrong == []
    await context.close()
