"""Devices are found, judged, added and set up in the browser."""

import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Page, Route, expect

from fleetseal.operations import inventory
from fleetseal.sim.fleet import DeviceSpec
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE, Watch
from tests.web.hostile import HOSTILE
from tests.web.served import Served, serving

DEVICES = (DeviceSpec("12.11"), DeviceSpec("9.10"), DeviceSpec("12.11", setup_done=False))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server whose devices are not in the inventory yet."""
    async with serving(tmp_path_factory.mktemp("web") / "data", *DEVICES, authority=False) as running:
        yield running


async def looked_at(page: Page, *places: str) -> None:
    """The page has looked at these addresses."""
    await page.goto("/add/address")
    await page.get_by_label("Addresses or host names").fill("\n".join(places))
    await page.get_by_role("button", name="Look").click()
    await ended(page, len(places))


async def ended(page: Page, found: int) -> None:
    """The search has ended, with so many rows."""
    summary = re.compile(rf"^{found} devices? found, ")
    await expect(page.get_by_role("main").get_by_text(summary)).to_be_visible(timeout=30_000)


async def test_devices_are_judged_then_added_and_the_fresh_one_is_set_up(page: Page, served: Served) -> None:
    await looked_at(page, *[f"127.0.0.1:{device.https_port}" for device in served.fleet.devices])
    grid = page.get_by_role("grid", name="Found on the network")
    await expect(grid.get_by_text("Factory certificate")).to_have_count(2)
    await expect(grid.get_by_text("First use")).to_have_count(1)
    await expect(grid.get_by_text("Factory state", exact=True)).to_be_visible()
    await assert_accessible(page)
    assert all(device.credential_bytes == 0 for device in served.fleet.devices)

    await page.get_by_role("button", name="Add 3 devices").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("2 devices prove who they are.")).to_be_visible()
    await expect(dialog.get_by_text("1 device does not: certificate validation is ignored")).to_be_visible()
    await assert_accessible(page)
    device = served.fleet.devices[0]
    await dialog.get_by_label("User name").fill(device.username)
    await dialog.get_by_label("Password").fill(device.password)
    await dialog.get_by_role("button", name="Add").click()
    await expect(page.get_by_text("All devices were added.")).to_be_visible(timeout=30_000)
    results = page.get_by_role("region", name="What became of each device")
    await expect(results.get_by_text("OK", exact=True)).to_have_count(2)
    await expect(results.get_by_text("Setup needed", exact=True)).to_have_count(1)

    await page.get_by_role("button", name="Set up 1 device").click()
    await dialog.get_by_label("Password", exact=True).fill("long and quite new 7")
    await dialog.get_by_label("Password again").fill("long and quite new 7")
    await dialog.get_by_role("button", name="Set up").click()
    await expect(page.get_by_text("All have an administrator now.")).to_be_visible(timeout=30_000)
    await expect(results.get_by_text("OK", exact=True)).to_have_count(3)
    await assert_accessible(page)
    await expect(page.get_by_role("link", name="Enable HTTPS on these")).to_have_attribute(
        "href", "/devices?select=1-3"
    )


async def test_a_range_is_searched_and_what_is_known_is_said(page: Page, served: Served) -> None:
    first, *_ = served.fleet.devices
    await page.goto("/add/range")
    await page.get_by_label("Ranges").fill("127.0.0.1, 127.0.0.2-127.0.0.3")
    await page.get_by_label("HTTPS port").fill(str(first.https_port))
    await page.get_by_label("HTTP port").fill(str(first.http_port))
    await page.get_by_role("button", name="Search").click()
    await ended(page, 1)
    row = page.get_by_role("grid", name="Found on the network").get_by_role("row").nth(1)
    await expect(row).to_contain_text("In the inventory")
    await row.dblclick()
    await expect(page.get_by_role("dialog")).to_contain_text("It is in the inventory already, at 127.0.0.1.")
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Add…").click()
    await expect(page.get_by_text("Select new devices first.")).to_be_visible()


async def test_what_cannot_be_searched_is_said_where_it_was_asked(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "422" in text
    await page.goto("/add/range")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Ranges is needed.")).to_be_visible()
    await page.get_by_label("Ranges").fill("10.0.0.0/8")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("16,777,214 addresses are too many")).to_be_visible()


@pytest.mark.parametrize("way", ["", "/range", "/address", "/file"])
async def test_every_way_can_be_read(page: Page, way: str) -> None:
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto(f"/add{way}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Add devices")
        await expect(page.get_by_role("navigation", name="Ways").get_by_role("link").nth(3)).to_be_visible()
        await assert_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_hostile_text_of_devices_stays_text(page: Page) -> None:
    """Every field that a device can fill, of a search that runs and is then stopped by the person."""
    rows = [
        dict.fromkeys(("address", "mac", "model", "firmware", "message", "hostname", "sha256"), text)
        | {"result": "found", "trust": text if number % 2 else "first use", "needs_setup": True, "also_at": [text]}
        | {"http_port": number, "https_port": None, "device": None, "seen_by": [text]}
        for number, text in enumerate(HOSTILE, 1)
    ]
    progress = {"stage": "Identify", "total": 40, "done": 23, "found": 23, "rate": 5, "seconds_left": 3}
    shown = {"begun": "2026-11-23T12:00:00Z", "count": len(rows), "devices": rows, "next": None, "others": 1}
    running = shown | {"state": "running", "progress": progress, "problem": None}
    stopped = shown | {"state": "stopped", "progress": None, "problem": HOSTILE[1]}

    async def answer(route: Route) -> None:
        await route.fulfill(json=stopped if route.request.url.endswith("/stop") else running)

    async def refuse(route: Route) -> None:
        asked = json.loads(route.request.post_data or "")["devices"]
        await route.fulfill(json=[{**rows[0], "address": one["address"], "result": "failed"} for one in asked])

    await page.route("**/api/v1/discovery/search*", answer)
    await page.route("**/api/v1/discovery/search/stop", answer)
    await page.route("**/api/v1/discovery/adoption", refuse)
    await page.goto("/add")
    await expect(page.get_by_text("Looking at what answered: 23 of 40, 23 found, 3 seconds left.")).to_be_visible()
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("main").get_by_text("The search was stopped.")).to_be_visible()
    await expect(page.get_by_role("main").get_by_text(HOSTILE[1], exact=True).first).to_be_visible()
    grid = page.get_by_role("grid", name="Found on the network")
    await expect(grid.get_by_text(HOSTILE[0], exact=True).first).to_be_visible()
    await grid.get_by_text(HOSTILE[0], exact=True).first.dblclick()
    await expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[0])
    await page.keyboard.press("Escape")
    await grid.focus()
    await page.keyboard.press("Control+a")
    await page.get_by_role("button", name=f"Add {len(rows)} devices").click()
    await page.get_by_label("None for now").check()
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_text(f"{len(rows)} devices could not be added.")).to_be_visible()
    await assert_accessible(page)


async def test_a_file_is_checked_line_by_line_before_it_is_stored(page: Page, served: Served) -> None:
    async def check(text: str) -> None:
        file = FilePayload(name="list.csv", mimeType="text/csv", buffer=text.encode())
        await page.get_by_label("File", exact=True).set_input_files(file)
        await page.get_by_role("button", name="Check the file").click()

    before = len(await inventory.list_(served.application.services, filters=(), sort=None))
    await page.goto("/add/file")
    await check("address,mac\n192.0.2.1,B8:A4:4F:00:00:11\n192.0.2.2,<img src=x onerror=alert(1)>\n")
    await expect(page.get_by_text("1 line cannot be used, so nothing of the file is imported.")).to_be_visible()
    await expect(page.get_by_text("'<img src=x onerror=alert(1)>' is no MAC address.")).to_be_visible()
    await expect(page.get_by_role("button", name="Import")).to_have_count(0)
    await check("address,mac\n127.0.0.9,B8:A4:4F:00:00:11\n")
    await expect(page.get_by_role("cell", name="New", exact=True)).to_be_visible()
    await assert_accessible(page)
    assert len(await inventory.list_(served.application.services, filters=(), sort=None)) == before
    await page.get_by_role("button", name="Import 1 device").click()
    await expect(page.get_by_text("1 device added.")).to_be_visible()
    (added,) = await inventory.list_(served.application.services, filters=("127.0.0.9",), sort=None)
    assert added["mac"] == "B8:A4:4F:00:00:11"
    async with page.expect_request("**/api/v1/tasks") as asked:
        await page.get_by_role("button", name="Look at them now").click()
    assert json.loads((await asked.value).post_data or "")["selection"] == {
        "devices": [str(added["id"])],
        "listed": True,
    }
    await expect(page.get_by_text("looks at them now: it is in the list below the devices.")).to_be_visible()
    await check("address,mac\n127.0.0.9,B8:A4:4F:00:00:11\n")
    await expect(page.get_by_text("There is nothing new in this file.")).to_be_visible()


async def test_an_interface_that_is_not_there_is_said(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "422" in text
    await page.goto("/add")
    await page.get_by_label("Interface (optional)").fill("no such one")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("There is no interface 'no such one' here.")).to_be_visible()
