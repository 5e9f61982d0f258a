"""The configuration pages: each can be read by everybody, and settings are saved one by one."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from fleetseal.core import config
from fleetseal.core.model import Login
from fleetseal.operations import alarm_channels, credentials, settings
from fleetseal.store import audit
from fleetseal.web import pages
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE, Watch
from tests.web.served import Served

DEVICES = ("12.11", "9.10")

STATIC = Path(pages.__file__).parent / "static"

PAGES = {
    "certificates": "Certificates",
    "security": "Security",
    "discovery": "Discovery",
    "renewal": "Renewal",
    "alarms": "Alarm delivery",
    "audit": "Audit log",
    "backup": "Backup",
}
HOSTILE = "<img src=//evil.example/x onerror=alert(1)>'"


async def shown(page: Page, name: str) -> None:
    await page.goto(f"/configuration/{name}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[name])


async def test_every_setting_is_on_a_page() -> None:
    scripts = "".join(path.read_text() for path in (STATIC / "pages" / "configuration").glob("*.js"))
    channels = {f"alarm.{name}" for name in alarm_channels.CHANNELS}
    assert [key for key in config.DEFINITIONS if f"'{key}'" not in scripts and key not in channels] == []


@pytest.mark.parametrize("name", PAGES)
async def test_everybody_can_read_it(page: Page, name: str) -> None:
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await shown(page, name)
        await assert_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_setting_is_saved_by_itself_and_taken_back(page: Page, served: Served) -> None:
    await shown(page, "certificates")
    days = page.get_by_label("Validity, days", exact=True)
    save = page.get_by_role("button", name="Save Validity, days")
    await expect(save).to_be_hidden()
    await days.fill("99")
    await save.click()
    await expect(page.locator("#toasts")).to_contain_text("Validity, days is saved.")
    assert (await settings.get(served.application.services, "certificate.validity-days"))["value"] == 99
    await expect(page.get_by_label("Validity, days", exact=True)).to_be_focused()
    await page.get_by_role("button", name="Use default: Validity, days").click()
    await expect(page.get_by_label("Validity, days", exact=True)).to_have_value("365")
    assert (await settings.get(served.application.services, "certificate.validity-days"))["source"] == "default"


async def test_a_value_that_is_not_allowed_is_refused_in_its_field(page: Page, served: Served, watch: Watch) -> None:
    watch.expected = lambda text: "422" in text
    await shown(page, "certificates")
    await page.get_by_label("Public address of CRLs", exact=True).fill("https://pki.example")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="cannot be")).to_contain_text("an http:// address")
    await expect(page.get_by_label("Public address of CRLs", exact=True)).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Public address of CRLs", exact=True).fill("")
    await expect(page.get_by_role("button", name="Save Public address of CRLs")).to_be_hidden()
    assert (await settings.get(served.application.services, "certificate.public-url"))["value"] == ""


async def test_a_switch_a_choice_a_window_and_a_list(page: Page, served: Served) -> None:
    await shown(page, "renewal")
    await page.get_by_label("Renew by itself", exact=True).click()
    await page.get_by_role("button", name="Save Renew by itself").click()
    await expect(page.get_by_text("renewal.automatic is off.")).to_be_visible()
    await page.get_by_label("Window, local time of the server, until").fill("04:30")
    await page.get_by_role("button", name="Save Window").click()
    await expect(page.locator("#toasts")).to_contain_text("Window, local time of the server is saved.")
    await shown(page, "security")
    await page.get_by_label("What devices shall accept", exact=True).select_option("both")
    await page.get_by_role("button", name="Save What devices shall accept").click()
    await expect(page.locator("#toasts")).to_contain_text("is saved")
    await shown(page, "discovery")
    await page.get_by_label("Own domains", exact=True).fill("A.example, b.example")
    await page.get_by_role("button", name="Save Own domains").click()
    await expect(page.get_by_label("Own domains", exact=True)).to_have_value("a.example, b.example")
    now = await settings.in_force(served.application.services)
    assert (now.renewal_automatic, now.renewal_window, now.https_policy) == (False, "01:00-04:30", "both")
    assert now.certificate_domains == ("a.example", "b.example")
    await settings.reset(served.application.services, actor="test", key="renewal.automatic")


async def test_devices_that_are_not_verified_are_counted(page: Page) -> None:
    await shown(page, "security")
    await expect(page.get_by_text("1 of 2 devices is not verified")).to_be_visible()
    await expect(page.get_by_role("link", name="Known from first use")).to_have_attribute(
        "href", "/devices?filter=trust:first"
    )


async def test_credentials_are_added_and_removed_and_never_shown(page: Page, served: Served) -> None:
    await shown(page, "discovery")
    await page.get_by_role("button", name="Add…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog.get_by_text("Name is needed.", exact=True)).to_be_visible()
    await dialog.get_by_label("Name", exact=True).fill(HOSTILE)
    await dialog.get_by_label("User name").fill("root")
    await dialog.get_by_label("Password").fill("c4n4ry of a lobby")
    await dialog.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("cell", name=HOSTILE, exact=True)).to_be_visible()
    assert "c4n4ry" not in await page.content()
    (stored,) = await credentials.list_(served.application.services)
    assert (stored["name"], stored["username"]) == (HOSTILE, "root")
    await page.get_by_role("button", name="Remove the credential").click()
    await expect(page.get_by_role("dialog")).to_contain_text("is tried no more")
    await assert_accessible(page)
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("There is no credential.")).to_be_visible()
    assert await credentials.list_(served.application.services) == []


async def test_a_name_that_is_taken_is_said_in_the_dialog(page: Page, served: Served, watch: Watch) -> None:
    watch.expected = lambda text: "409" in text
    await credentials.add(served.application.services, actor="test", name="Lobby", login=Login("root", "pass"))
    await shown(page, "discovery")
    await page.get_by_role("button", name="Add…").click()
    dialog = page.get_by_role("dialog")
    for label, text in (("Name", "Lobby"), ("User name on the devices", "root"), ("Password", "pass")):
        await dialog.get_by_label(label, exact=True).fill(text)
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("Lobby")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Add…")).to_be_focused()
    await credentials.remove(served.application.services, actor="test", name="Lobby")


async def test_the_night_is_planned_run_and_reported(page: Page) -> None:
    await shown(page, "renewal")
    await expect(page.get_by_text("There was no night yet.")).to_be_visible()
    await expect(page.get_by_text("No certificate is due.")).to_be_visible()
    await page.get_by_role("button", name="Run now").click()
    await expect(page.get_by_text("The nightly run has ended.")).to_be_visible(timeout=60_000)
    await expect(page.get_by_text("Succeeded")).to_be_visible()
    await expect(page.get_by_text("There was no night yet.")).to_be_hidden()
    await assert_accessible(page)


async def test_the_log_is_searched_verified_and_saved(page: Page, served: Served, watch: Watch) -> None:
    watch.expected = lambda text: "422" in text
    services = served.application.services
    async with services.database.transaction() as tx:
        told, detail = f"{HOSTILE} log", {HOSTILE: [HOSTILE, "\u202egnp.exe"]}
        await audit.record(tx, now=services.clock.now(), actor=told, action=told, object=told, detail=detail)
    await shown(page, "audit")
    await expect(page.get_by_role("cell", name=told, exact=True)).to_have_count(3)
    await page.get_by_label("Words").fill("action:credential")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("cell", name="settings set")).to_have_count(0)
    await expect(page.get_by_role("cell", name="credential add").first).to_be_visible()
    await page.get_by_label("From", exact=True).fill("yesterday")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("'yesterday' is no time.")).to_be_visible()
    await page.get_by_label("From", exact=True).fill("")
    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Export…").click()
    lines = (await (await saving.value).path()).read_text().splitlines()
    assert lines
    assert all('"action":"credential' in line and '"hash"' in line for line in lines)
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_text("whole, in order and without a gap")).to_be_visible()


async def test_older_records_come_when_they_are_asked_for(page: Page, served: Served) -> None:
    for number in range(120):
        await settings.set_(served.application.services, actor="test", key="https.soak-seconds", value=str(number))
    await shown(page, "audit")
    rows = page.locator(".records tbody tr")
    await expect(rows).to_have_count(100)
    await page.get_by_role("button", name="Show older").click()
    await expect(rows).not_to_have_count(100)
    numbers = [int(text) for text in await page.locator(".records tbody td:first-child").all_inner_texts()]
    assert numbers == sorted(set(numbers), reverse=True)


async def test_a_backup_is_saved_and_sealed(page: Page) -> None:
    await shown(page, "backup")
    form = page.get_by_role("form", name="Backup of the whole system")
    await form.get_by_label("New passphrase", exact=True).fill("a backup's own words")
    await form.get_by_label("New passphrase again").fill("another")
    await form.get_by_role("button", name="Download backup").click()
    await expect(form.get_by_text("The two differ.")).to_be_visible()
    await form.get_by_label("New passphrase again").fill("a backup's own words")
    async with page.expect_download(timeout=60_000) as saving:
        await form.get_by_role("button", name="Download backup").click()
    download = await saving.value
    assert download.suggested_filename.startswith("fleetseal-2")
    assert (await download.path()).read_bytes().startswith(b"fleetseal backup 1\n")
    await expect(form.get_by_text("The backup is saved as")).to_be_visible()
    await expect(form.get_by_label("New passphrase", exact=True)).to_have_value("")


async def test_the_authority_is_saved_with_its_key(page: Page, watch: Watch) -> None:
    watch.expected = lambda text: "423" in text
    await shown(page, "backup")
    form = page.get_by_role("form", name="Backup of the authority")
    await form.get_by_label("New passphrase", exact=True).fill("words of a file")
    await form.get_by_label("New passphrase again").fill("words of a file")
    await form.get_by_role("button", name="Make files").click()
    await expect(form.get_by_text("passphrase")).not_to_have_count(0)
    await expect(form.get_by_role("status")).to_contain_text("passphrase", timeout=30_000)
    await form.get_by_label("Passphrase of the authority").fill("correct horse battery staple")
    await form.get_by_role("button", name="Make files").click()
    async with page.expect_download(timeout=60_000) as saving:
        await page.get_by_role("button", name="Save Test-issuing.p12").click()
    assert (await asyncio.to_thread((await (await saving.value).path()).read_bytes))[0] == 0x30
