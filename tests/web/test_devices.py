"""The list of devices, and one device."""

import re

from playwright.async_api import Locator, Page, expect

from fleetseal.operations import inventory
from tests.web.browser import Watch
from tests.web.served import Served

DEVICES = ("12.11", "9.10", "5.51", "10.12")


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("grid", name="Devices").get_by_role("row").filter(has_text=text)


async def shown(page: Page) -> list[str]:
    """The models, from top to bottom."""
    cells = page.get_by_role("grid", name="Devices").get_by_role("gridcell")
    await expect(cells.first).to_be_visible()
    texts = await cells.all_inner_texts()
    return [text for text in texts if re.fullmatch(r"[MPQ]\d{4}.*", text)]


async def opened(page: Page, path: str = "/devices") -> None:
    await page.goto(path)
    await expect(page.locator("main:not([aria-busy])")).to_be_visible()


async def test_a_row_has_what_the_command_line_tells(page: Page, served: Served) -> None:
    await opened(page)
    device = served.fleet.devices[1]
    (told,) = [one for one in await inventory.list_(served.application.services) if one["mac"] == "AC:CC:8E:F0:00:02"]
    cells = row(page, told["mac"]).get_by_role("gridcell")
    await expect(row(page, told["mac"]).get_by_role("rowheader")).to_have_text(told["mac"])
    expected = [told[key] for key in ("status", "address", "model", "firmware", "server", "https")]
    assert (await cells.all_inner_texts())[:6] == expected
    link = cells.get_by_role("link", name=told["address"])
    assert await link.get_attribute("href") == f"http://{device.address}:{device.http_port}/"
    await expect(page.get_by_text("4 devices")).to_be_visible()


async def test_words_and_columns_filter_and_the_address_of_the_page_keeps_them(page: Page) -> None:
    await opened(page)
    field = page.get_by_role("searchbox", name="Filter")
    for text, models in {
        "m1065": ["M1065-LW"],
        "firmware:<9.80": ["M1065-LW", "P5512"],
        "https:enabled": [],
        "accc8ef00002": ["M1065-LW"],
        "m lw model:m10": ["M1065-LW"],
        'model:"M3206-LVE"': ["M3206-LVE"],
    }.items():
        await field.fill(text)
        if models:
            await expect(row(page, models[0])).to_be_visible()
            assert sorted(await shown(page)) == models
        else:
            await expect(page.get_by_text("No device matches the filter.")).to_be_visible()
    await field.fill("colour:red")
    await expect(page.get_by_text("There is no column “colour”. The columns are: id, mac")).to_be_visible()
    await field.fill("m1065")
    await expect(page).to_have_url(re.compile(r"\?filter=m1065$"))
    await row(page, "M1065").get_by_role("link", name="AC:CC:8E:F0:00:02").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("M1065-LW")
    await page.go_back()
    await expect(page.get_by_text("1 of 4 devices")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(page.get_by_text("4 devices", exact=True)).to_be_visible()
    assert page.url.endswith("/devices")


async def test_facets_count_and_combine(page: Page) -> None:
    await opened(page)
    await page.get_by_role("button", name="HTTPS", exact=True).click()
    await expect(page.get_by_role("menuitemcheckbox", name="Disabled · 3")).to_be_visible()
    await page.get_by_role("menuitemcheckbox", name="Unsupported firmware · 1").click()
    await page.keyboard.press("Escape")
    assert await shown(page) == ["P5512"]
    await page.get_by_role("button", name="HTTPS Unsupported firmware").click()
    await page.get_by_role("menuitemcheckbox", name="Disabled · 3").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Model").click()
    await page.get_by_role("menuitemcheckbox", name="M3206-LVE · 1").click()
    await page.keyboard.press("Escape")
    assert await shown(page) == ["M3206-LVE"]
    await page.reload()
    await expect(page.get_by_text("1 of 4 devices")).to_be_visible()


async def test_marking_and_all_that_match(page: Page) -> None:
    await opened(page)
    enable = page.get_by_role("button", name="Enable HTTPS…")
    assert await enable.get_attribute("aria-disabled") == "true"
    await row(page, "P3265").click()
    await row(page, "M3206").click(modifiers=["Shift"])
    await expect(page.get_by_text("4 devices, 4 selected")).to_be_visible()
    await row(page, "M3206").click(modifiers=["Control"])
    await expect(page.get_by_text("4 devices, 3 selected")).to_be_visible()
    await page.get_by_role("button", name="Select all 4").click()
    await expect(page.get_by_text("4 devices, 4 selected")).to_be_visible()
    assert await enable.get_attribute("aria-disabled") == "false"
    await page.get_by_role("searchbox").fill("M3206")
    await expect(page.get_by_text("1 of 4 devices, 1 selected")).to_be_visible()


async def test_columns_are_chosen_and_kept(page: Page) -> None:
    await opened(page)
    grid = page.get_by_role("grid", name="Devices")
    await expect(grid.get_by_role("columnheader", name="Tags")).to_have_count(0)
    await page.get_by_role("button", name="Columns").click()
    await page.get_by_role("menuitemcheckbox", name="Tags").click()
    await page.get_by_role("menuitemcheckbox", name="Server").click()
    await page.keyboard.press("Escape")
    await page.reload()
    await expect(grid.get_by_role("columnheader", name="Tags")).to_have_count(1)
    await expect(grid.get_by_role("columnheader", name="Server")).to_have_count(0)


async def test_tags_are_edited_on_several_and_seen_at_once(page: Page) -> None:
    await opened(page)
    await row(page, "P3265").click()
    await row(page, "M1065").click(modifiers=["Control"])
    await page.get_by_role("button", name="Actions").click()
    await page.get_by_role("menuitem", name="Edit…").click()
    dialog = page.get_by_role("dialog", name="Edit 2 devices")
    await expect(dialog.get_by_label("Address")).to_have_count(0)
    await dialog.get_by_label("Tags").fill("lobby, north")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)
    await page.get_by_role("searchbox").fill("tag:north")
    await expect(page.get_by_text("2 of 4 devices")).to_be_visible()


async def test_what_is_wrong_in_a_dialog_is_said_in_it(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "409" in text or "422" in text
    await opened(page)
    await row(page, "P3265").click(button="right")
    await page.get_by_role("menuitem", name="Edit…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Host name").fill("not a name")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("not a name")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("grid", name="Devices")).to_be_focused()


async def test_a_device_says_what_it_is_and_what_to_do(page: Page) -> None:
    await opened(page)
    await row(page, "P5512").dblclick()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("P5512")
    todo = page.get_by_role("region", name="What to do")
    await expect(todo).to_contain_text("Unsupported firmware")
    await expect(page.get_by_role("region", name="Facts")).to_contain_text("5.51.7")
    await page.get_by_role("link", name="Devices").last.click()
    await row(page, "P3265").dblclick()
    await expect(todo).to_contain_text("HTTPS is disabled")
    await page.get_by_role("button", name="Read all entries from the device").click()
    await expect(page.get_by_text("Maker’s device ID").first).to_be_visible()


async def test_a_device_that_is_not_there_is_said_so(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "404" in text
    await page.goto("/devices/4711")
    await expect(page.get_by_role("alert")).to_contain_text("There is no device '4711'")


async def test_removing_forgets_a_device_here_only(page: Page, served: Served) -> None:
    await opened(page)
    await row(page, "P5512").click()
    await page.get_by_role("button", name="Actions").click()
    await page.get_by_role("menuitem", name="Remove").click()
    dialog = page.get_by_role("dialog", name="Remove 127.0.0.1")
    await expect(dialog.get_by_role("button", name="Remove 1 device")).to_be_visible()
    await expect(dialog.get_by_label("Revoke their certificates too")).to_be_focused()
    await dialog.get_by_role("button", name="Remove 1 device").click()
    await expect(page.get_by_text("1 device removed.").first).to_be_visible()
    assert "P5512" not in [one["model"] for one in await inventory.list_(served.application.services)]
    await page.reload()
    await expect(page.get_by_text("3 devices", exact=True)).to_be_visible()
    await served.add(served.fleet.devices[2])
