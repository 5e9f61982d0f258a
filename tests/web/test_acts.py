"""What people do to devices, each from its first click to what the device then is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.async_api import Browser, Locator, Page, expect

from fleetseal.core.model import Selection
from fleetseal.operations import inventory
from fleetseal.operations.inventory import Changes
from fleetseal.pki import chain
from tests.devices import SiteAuthority
from tests.site import DeviceSpec
from tests.web.browser import Watch, watched
from tests.web.served import Served

DEVICES = (
    "11.6",
    "9.10",
    DeviceSpec("12.11", setup_done=False),
    DeviceSpec("9.10", faults={"clock_offset": 4000.0}),
)
OLD, FRESH, LATE = 1, 2, 3


def row(page: Page, mac: str) -> Locator:
    return page.get_by_role("grid", name="Devices").get_by_role("row").filter(has_text=mac)


def task(page: Page, action: str) -> Locator:
    """The newest line of this action in the list of tasks."""
    return page.get_by_role("grid", name="Tasks").get_by_role("row").filter(has_text=action).first


async def opened(page: Page) -> None:
    await page.goto("/devices")
    await expect(page.locator("main:not([aria-busy])")).to_be_visible()


async def chosen(page: Page, mac: str, *names: str) -> Locator:
    """The dialog that the menu of this device leads to."""
    await row(page, mac).click(button="right")
    for name in names:
        await page.get_by_role("menuitem", name=name).click()
    return page.get_by_role("dialog")


@asynccontextmanager
async def another(browser: Browser, served: Served, **options: bool) -> AsyncIterator[tuple[Page, Watch]]:
    """A browser of its own, on a phone."""
    size = {"width": 390, "height": 844} if options else {"width": 1440, "height": 900}
    context = await browser.new_context(base_url=served.origin, viewport=size, has_touch=bool(options))  # type: ignore[arg-type]  # a size
    page, watch = await watched(context, served.origin)
    yield page, watch
    await context.close()
    assert watch.wrong == []


async def test_a_remedy_leads_to_the_dialog_that_does_it(page: Page, served: Served) -> None:
    camera = served.fleet.devices[0]
    selection, changes = Selection(refs=(camera.serial,)), Changes(http_port=1)
    await inventory.change(served.application.services, actor="test", selection=selection, changes=changes)
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


async def test_a_device_in_factory_state_is_set_up(page: Page) -> None:
    await page.goto(f"/devices/{FRESH + 1}")
    await page.get_by_role("button", name="Set up…").click()
    dialog = page.get_by_role("dialog", name="Set up 127.0.0.1")
    await dialog.get_by_label("Password", exact=True).fill("long and quite new 7")
    await dialog.get_by_label("Password again").fill("another")
    await dialog.get_by_role("button", name="Set up").click()
    await expect(dialog.get_by_text("The two passwords differ.")).to_be_visible()
    await dialog.get_by_label("Password again").fill("long and quite new 7")
    await dialog.get_by_role("button", name="Set up").click()
    await expect(page.get_by_text("Set up: done.").first).to_be_visible()
    await expect(page.get_by_role("region", name="What to do").get_by_text("Setup needed")).to_have_count(0)
    await expect(page.locator(".details-line").get_by_text("OK", exact=True)).to_be_visible()


async def test_a_wrong_clock_is_set(page: Page, served: Served) -> None:
    await page.goto(f"/devices/{LATE + 1}")
    await page.get_by_role("region", name="What to do").get_by_role("button", name="Set the clock").click()
    await expect(page.get_by_text("Set the clock: done.").first).to_be_visible()
    await expect(page.get_by_text("Clock is wrong")).to_have_count(0)
    assert abs(served.fleet.devices[LATE].device.faults.clock_offset) < 60


async def test_a_certificate_is_installed_and_the_old_one_deleted(page: Page, served: Served, tmp_path: Path) -> None:
    camera = served.fleet.devices[OLD]
    plant, key = SiteAuthority("Plant"), rsa.generate_private_key(65537, 2048)
    leaf = plant.leaf(key.public_key(), camera.address)
    file = tmp_path / "camera.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + chain.to_pem([leaf, plant.issuing]))
    await opened(page)
    dialog = await chosen(page, "F0:00:02", "Security", "Certificates", "Install…")
    await dialog.get_by_label("Files", exact=True).set_input_files(file)
    await dialog.get_by_label("This device, 127.0.0.1").check()
    await dialog.get_by_role("button", name="Install").click()
    result = page.get_by_role("dialog", name="Task Result - Install certificate")
    await expect(result.get_by_text("Install certificate successful on all devices")).to_be_visible(timeout=60_000)
    assert camera.served == leaf
    await page.keyboard.press("Escape")
    before = camera.aliases
    dialog = await chosen(page, "F0:00:02", "Security", "Certificates", "Delete…")
    await dialog.get_by_role("radio").first.check()
    alias = await dialog.get_by_role("radio").first.get_attribute("value")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(task(page, "Delete certificate")).to_contain_text("Finished", timeout=60_000)
    assert [one for one in before if one not in camera.aliases] == [alias]


async def test_what_is_asked_while_the_connection_is_lost_is_done_once(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "ERR_" in text
    await opened(page)
    lines = page.get_by_role("grid", name="Tasks").get_by_role("row").filter(has_text="Refresh")
    before = await lines.count()
    await row(page, "F0:00:02").click()
    await page.context.set_offline(True)
    await page.get_by_role("button", name="Refresh").click()
    banner = page.locator("#connection")
    await expect(banner).to_have_text("Connection lost. Trying again…")
    await page.context.set_offline(False)
    await expect(banner).to_be_hidden()
    await expect(lines).to_have_count(before + 1)
    await expect(lines.first).to_contain_text("Finished", timeout=60_000)


async def test_a_tap_selects_one_more(browser: Browser, served: Served) -> None:
    async with another(browser, served, touch=True) as (page, _):
        await page.goto("/devices")
        await expect(page.locator(".grid-more").first).to_be_attached()
        for mac in ("F0:00:01", "F0:00:02"):
            await row(page, mac).get_by_text("OK", exact=True).tap()
        await expect(page.get_by_text("4 devices, 2 selected")).to_be_visible()
