"""What is asked for on devices, what it would do, and what became of it: with real devices behind it."""

import csv
import re
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, Route, expect

from fleetseal.operations import tasks as listed
from tests.site import DeviceSpec
from tests.web.browser import Watch
from tests.web.served import Served

DEVICES = ("12.11", "11.6", DeviceSpec("12.11", faults={"store_full": True}))


def row(page: Page, mac: str) -> Locator:
    return page.get_by_role("grid", name="Devices").get_by_role("row").filter(has_text=mac)


def tasks(page: Page) -> Locator:
    return page.get_by_role("grid", name="Tasks").get_by_role("row")


async def opened(page: Page) -> None:
    await page.goto("/devices")
    await expect(page.locator("main:not([aria-busy])")).to_be_visible()


async def test_the_whole_way_by_keyboard(page: Page) -> None:
    await opened(page)
    await page.get_by_role("searchbox").focus()
    await page.keyboard.type("F0:00:01")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("grid", name="Devices")).to_be_focused()
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Shift+F10")
    for key in ("ArrowRight", "ArrowRight"):
        await page.keyboard.press(key)
    await expect(page.get_by_role("menuitem", name="Enable/Update")).to_be_focused()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Enable HTTPS on 127.0.0.1")
    await expect(dialog.get_by_text("1 device will be changed.")).to_be_visible()
    await expect(dialog.get_by_text("issue a certificate for 127.0.0.1")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("grid", name="Devices")).to_be_focused()
    await expect(tasks(page).nth(1)).to_contain_text("Finished", timeout=30_000)
    await expect(row(page, "F0:00:01")).to_contain_text("Enabled")
    await page.get_by_role("grid", name="Tasks").focus()
    await page.keyboard.press("Enter")
    result = page.get_by_role("dialog", name="Task Result - Enable HTTPS")
    await expect(result.get_by_text("Enable HTTPS successful on all devices")).to_be_visible()
    await expect(result.get_by_role("listitem").first).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("grid", name="Tasks")).to_be_focused()


async def test_what_is_as_wished_is_offered_to_be_renewed(page: Page) -> None:
    await opened(page)
    await row(page, "F0:00:01").click()
    await page.get_by_role("button", name="Enable HTTPS…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("1 device as wished already.")).to_be_visible()
    await dialog.get_by_role("button", name="Renew the certificates").click()
    await expect(dialog.get_by_text("1 device will be changed.")).to_be_visible()
    await expect(dialog.get_by_label("Issue new certificates")).to_be_checked()
    await dialog.get_by_label("HTTPS only").check()
    await expect(dialog.get_by_text("the video management system, and everything else")).to_be_visible()
    await expect(dialog.get_by_text("accept HTTPS only")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def test_a_failure_is_explained_exported_and_tried_again(page: Page, served: Served) -> None:
    await opened(page)
    grid = page.get_by_role("grid", name="Devices")
    await row(page, "F0:00:02").click()
    await row(page, "F0:00:03").click(modifiers=["Control"])
    await page.get_by_role("button", name="Enable HTTPS…").click()
    dialog = page.get_by_role("dialog", name="Enable HTTPS on 2 devices")
    await expect(dialog.get_by_text("2 devices will be changed.")).to_be_visible()
    await dialog.get_by_role("button", name="Enable HTTPS").click()
    await expect(page.get_by_text("Task 2 is begun: Enable HTTPS on 2 devices.").first).to_be_visible()
    line = tasks(page).filter(has_text=re.compile("^2"))
    await expect(line).to_contain_text("Failed", timeout=30_000)
    await expect(grid.get_by_role("row").filter(has_text="F0:00:02")).to_contain_text("Enabled")
    await line.dblclick()
    result = page.get_by_role("dialog", name="Task Result - Enable HTTPS")
    await expect(result.get_by_text("Enable HTTPS failed on 1 of 2 devices")).to_be_visible()
    await expect(result.get_by_role("region", name="Steps")).to_contain_text("F0:00:03")
    async with page.expect_download() as download:
        await result.get_by_role("button", name="Export CSV").click()
    rows = list(csv.DictReader(Path(await (await download.value).path()).read_text().splitlines()))
    assert [(one["MAC Address"][-8:], one["Status"]) for one in rows] == [
        ("F0:00:02", "Finished"),
        ("F0:00:03", "Failed"),
    ]
    await served.fleet.devices[2].trouble(store_full=False)
    await result.get_by_role("button", name="Retry failed").click()
    await expect(page.get_by_text("Task 3 is begun: Enable HTTPS on 1 device.").first).to_be_attached()
    await page.keyboard.press("Escape")
    await expect(tasks(page).filter(has_text=re.compile("^3"))).to_contain_text("Finished", timeout=30_000)


async def test_a_secured_device_shows_its_chain_and_its_history(page: Page) -> None:
    await opened(page)
    await row(page, "F0:00:01").dblclick()
    chain = page.get_by_role("list", name="Chain").get_by_role("listitem")
    await expect(chain).to_have_count(3)
    await expect(chain.first).to_contain_text("Root")
    await expect(chain.last).to_contain_text("CN=127.0.0.1")
    await expect(page.get_by_text("Nothing to do: this device is as it should be.")).to_be_visible()
    history = page.get_by_role("region", name="History")
    await expect(history).to_contain_text("installed")
    await history.get_by_role("button", name="Task 1").click()
    await expect(page.get_by_role("dialog", name="Task Result - Enable HTTPS")).to_be_visible()


async def test_certificates_on_devices_are_shown(page: Page) -> None:
    await opened(page)
    await row(page, "F0:00:01").click(button="right")
    await page.get_by_role("menuitem", name="Security").click()
    await page.get_by_role("menuitem", name="Certificates").click()
    await page.get_by_role("menuitem", name="View installed").click()
    dialog = page.get_by_role("dialog", name="Certificates on 127.0.0.1")
    await expect(dialog.get_by_text("Of our authority").first).to_be_visible()
    await expect(dialog.get_by_text("HTTPS", exact=True).first).to_be_visible()
    await page.keyboard.press("Escape")


async def test_https_is_disabled_after_a_question(page: Page) -> None:
    await opened(page)
    await row(page, "F0:00:01").click(button="right")
    for name in ("Security", "HTTPS", "Disable"):
        await page.get_by_role("menuitem", name=name).click()
    dialog = page.get_by_role("dialog", name="Disable HTTPS on 127.0.0.1")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await dialog.get_by_role("button", name="Disable HTTPS").click()
    await expect(row(page, "F0:00:01")).to_contain_text("Disabled", timeout=30_000)


async def test_what_a_device_shows_is_accepted_by_a_person(page: Page) -> None:
    await opened(page)
    await row(page, "F0:00:02").click(button="right")
    for name in ("Security", "Trust…"):
        await page.get_by_role("menuitem", name=name).click()
    dialog = page.get_by_role("dialog", name="Trust 127.0.0.1")
    await expect(dialog.get_by_text("SHA-256")).to_be_visible()
    await dialog.get_by_role("button", name="Accept what is ticked").click()
    await expect(page.get_by_text("1 device accepted.").first).to_be_visible()


async def test_an_action_whose_answer_is_lost_is_done_once(page: Page, served: Served, watch: Watch) -> None:
    watch.expected = lambda text: "ERR_" in text
    await opened(page)
    before = len(await tasks_of(served))
    lost: list[str] = []

    async def lose(route: Route) -> None:
        if not lost and route.request.method == "POST":
            lost.append(route.request.headers["idempotency-key"])
            await route.fetch()  # it reaches the server; its answer does not come back
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await page.route("**/api/v1/tasks", lose)
    await row(page, "F0:00:01").click()
    await page.get_by_role("button", name="Refresh").click()
    await expect(page.get_by_text(re.compile("^Task .* is begun: Refresh on 1 device")).first).to_be_attached()
    assert len(lost) == 1
    assert len(await tasks_of(served)) == before + 1


async def test_certificates_from_files_are_installed(page: Page, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "camera.pem"
    file.write_text("-----BEGIN NOTHING-----\n-----END NOTHING-----\n")
    await opened(page)
    await row(page, "F0:00:02").click(button="right")
    for name in ("Security", "Certificates", "Install…"):
        await page.get_by_role("menuitem", name=name).click()
    dialog = page.get_by_role("dialog", name="Install certificates")
    await dialog.get_by_role("button", name="Install").click()
    await expect(dialog.get_by_text("Choose a file.")).to_be_visible()
    await dialog.get_by_label("Files", exact=True).set_input_files(file)
    await dialog.get_by_role("button", name="Install").click()
    result = page.get_by_role("dialog", name="Task Result - Install certificate")
    await expect(result.get_by_text("camera.pem")).to_be_visible()


async def tasks_of(served: Served) -> list[dict[str, Any]]:
    return await listed.list_(served.application.services, working=True)
