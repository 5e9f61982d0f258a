"""Whatever a device says, pages of devices show it as text; and everybody can use them."""

import json
from typing import Any

from playwright.async_api import Page, Route, expect

from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW
from tests.web.hostile import HOSTILE
from tests.web.served import Served

DEVICES = ("12.11", "9.10")

OURS = {
    *("status", "https", "trust", "state", "plan", "action", "at", "source", "kind", "policy", "tls", "support"),
    *(
        "not_before",
        "not_after",
        "last_seen",
        "added",
        "requested",
        "started",
        "finished",
        "sha256",
        "mac",
        "issued",
        "message",
    ),
}
"""Members that only ever hold our own words, instants and digests, or decide what else is shown."""


def poisoned(value: Any, texts: Any) -> Any:
    """The same answer, with one of the texts in place of each text that a device or a person gave."""
    if isinstance(value, dict):
        return {name: one if name in OURS else poisoned(one, texts) for name, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one, texts) for one in value]
    return next(texts) if isinstance(value, str) else value


async def poison(page: Page, path: str) -> None:
    def endless() -> Any:
        while True:
            yield from HOSTILE

    texts = endless()

    async def answer(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, body=json.dumps(poisoned(await response.json(), texts)))

    await page.route(path, answer)


async def test_the_list_shows_hostile_text_as_text(page: Page) -> None:
    async def answer(route: Route) -> None:
        response = await route.fetch()
        told = await response.json()
        one = (told["items"] if isinstance(told, dict) else told)[0]
        rows = [
            poisoned(one, iter([text] * 99)) | {"id": place, "mac": f"00:00:00:00:00:{place:02X}", "tags": [text]}
            for place, text in enumerate(HOSTILE)
        ]
        body = {"items": rows, "next": None, "total": len(rows)} if isinstance(told, dict) else rows
        await route.fulfill(response=response, body=json.dumps(body))

    await page.route("**/api/v1/events*", lambda route: route.fulfill(status=204))
    await page.route("**/api/v1/devices?*", answer)
    await page.goto("/devices")
    await expect(page.get_by_text(f"{len(HOSTILE)} devices")).to_be_visible()
    for name in ("Issuer", "Host name", "Product type", "Tags"):
        await page.get_by_role("button", name="Columns").click()
        await page.get_by_role("menuitemcheckbox", name=name, exact=True).click()
        await page.keyboard.press("Escape")
    for text in HOSTILE[:3]:
        await expect(page.get_by_role("gridcell", name=text, exact=True).first).to_be_attached()
    for name in ("Model", "Tags", "Firmware"):
        await page.get_by_role("button", name=name, exact=True).click()
        await expect(page.get_by_role("menuitemcheckbox").first).to_be_visible()
        await page.keyboard.press("Escape")
    await page.get_by_role("searchbox").fill('model:"<script>alert(1)</script>"')
    await expect(page.get_by_text(f"1 of {len(HOSTILE)} devices")).to_be_visible()


async def test_one_device_shows_hostile_text_as_text(page: Page) -> None:
    await page.route("**/api/v1/events*", lambda route: route.fulfill(status=204))
    for path in ("**/api/v1/devices/*", "**/api/v1/authorities", "**/api/v1/certificates*", "**/api/v1/audit*"):
        await poison(page, path)
    for _ in range(4):  # each time other texts in each place
        await page.goto("/devices/1")
        await expect(page.get_by_role("region", name="History")).to_be_visible()
        await page.get_by_role("button", name="Read all entries from the device").click()
        await expect(page.get_by_text("Maker’s device ID").first).to_be_visible()


async def test_dialogs_show_hostile_text_as_text(page: Page) -> None:
    for path in ("**/api/v1/tasks/plan", "**/api/v1/devices/shown", "**/api/v1/tasks/1", "**/api/v1/certificates?*"):
        await poison(page, path)
    await page.goto("/devices")
    row = page.get_by_role("grid", name="Devices").get_by_role("row").nth(1)
    for path, shown in {
        "Security/HTTPS/Enable/Update": "will be changed",
        "Security/Trust…": "Compare the fingerprint",
        "Security/Certificates/View installed": "public roots",
        "Security/Certificates/Delete…": "Nothing on this device may be deleted",
    }.items():
        await row.click(button="right")
        for name in path.replace("Enable/Update", "Enable\x00Update").split("/"):
            await page.get_by_role("menuitem", name=name.replace("\x00", "/")).click()
        await expect(page.get_by_role("dialog").get_by_text(shown).first).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    await row.click()
    await page.get_by_role("button", name="Refresh").click()
    await page.get_by_role("grid", name="Tasks").get_by_role("row").nth(1).dblclick()
    await expect(page.get_by_role("dialog").get_by_role("region", name="Steps")).to_contain_text("alert(1)")


async def test_everybody_can_use_the_pages(page: Page, served: Served) -> None:
    await page.goto("/devices")
    await expect(page.get_by_text("2 devices")).to_be_visible()
    await page.get_by_role("grid", name="Devices").get_by_role("row").nth(1).click()
    await assert_accessible(page)
    await page.get_by_role("button", name="Actions").click()
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Enable HTTPS…").click()
    await expect(page.get_by_text("will be changed")).to_be_visible()
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    await page.goto("/devices/1")
    await expect(page.get_by_role("region", name="History")).to_be_visible()
    await assert_accessible(page)


async def test_pages_are_read_on_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    for path, text in (("/devices", "2 devices"), ("/devices/1", "Facts")):
        await page.goto(path)
        await expect(page.get_by_text(text, exact=True)).to_be_visible()
        assert await page.evaluate("document.querySelector('main').scrollWidth <= innerWidth"), path
    await assert_accessible(page)
