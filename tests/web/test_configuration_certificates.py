"""The certificate authority is made, brought, saved, renewed, locked and unlocked in the browser."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from fleetseal.core.secrets import Secret
from fleetseal.operations import authorities, authority_backup
from fleetseal.pki import chain
from tests.site import make_services
from tests.web.accessible import assert_accessible
from tests.web.browser import WIDE, watched
from tests.web.served import Served, serving

WORDS = "correct horse battery staple"


@pytest_asyncio.fixture(loop_scope="session")
async def empty(tmp_path: Path) -> AsyncIterator[Served]:
    """A server without an authority and without devices."""
    async with serving(tmp_path / "data", authority=False) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, empty: Served) -> AsyncIterator[Page]:
    context = await browser.new_context(base_url=empty.origin, viewport={"width": WIDE[0], "height": WIDE[1]})
    opened, watch = await watched(context, empty.origin)
    await opened.goto("/configuration/certificates")
    yield opened
    await context.close()
    assert watch.wrong == []


async def passphrase(dialog: Locator, words: str = WORDS) -> None:
    await dialog.get_by_label("New passphrase", exact=True).fill(words)
    await dialog.get_by_label("New passphrase again").fill(words)


async def generate(page: Page, name: str, *, tiers: str = "Two: a root") -> None:
    await page.get_by_role("button", name="Generate…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill(name)
    await dialog.get_by_label(tiers).check()
    await dialog.get_by_label("Elliptic curve").check()
    await passphrase(dialog)
    await dialog.get_by_role("button", name="Generate").click()
    await expect(dialog).to_be_hidden(timeout=60_000)


async def test_an_authority_is_generated_saved_and_renewed(page: Page, empty: Served) -> None:
    services = empty.application.services
    await expect(page.get_by_text("There is no certificate authority yet.")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name="Generate…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Generate").click()
    await expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    await dialog.get_by_label("Name", exact=True).fill("Plant <b>7</b>")
    await dialog.get_by_label("Elliptic curve").check()
    await dialog.get_by_label("Only addresses in").fill("127.0.0.0/8, ::1/128")
    await passphrase(dialog)
    await dialog.get_by_label("New passphrase again").fill("another")
    await dialog.get_by_role("button", name="Generate").click()
    await expect(dialog.get_by_text("The two differ.")).to_be_visible()
    await assert_accessible(page)
    await dialog.get_by_label("New passphrase again").fill(WORDS)
    await dialog.get_by_role("button", name="Generate").click()
    await expect(page.get_by_role("heading", name="Root: Plant <b>7</b>")).to_be_visible(timeout=60_000)
    await expect(page.get_by_text("permitted: 127.0.0.0/8, permitted: ::1/128").first).to_be_visible()
    made = await authorities.show(services)
    assert (made["name"], made["tiers"], made["state"]) == ("Plant <b>7</b>", 2, "ready")
    await assert_accessible(page)

    await page.get_by_role("button", name="Save to file…").click()
    async with page.expect_download() as saving:
        await dialog.get_by_role("button", name="Save Plant-b-7-b-root.crt").click()
    der = (await (await saving.value).path()).read_bytes()
    assert chain.describe(der).sha256 == made["sha256"]
    await dialog.get_by_role("button", name="Close").last.click()

    await page.get_by_role("button", name="Renew…").click()
    await expect(dialog.get_by_label("The issuing CA")).to_be_checked()
    await dialog.get_by_role("button", name="Continue").click()
    await dialog.get_by_label("Passphrase of the root").fill(WORDS)
    await dialog.get_by_role("button", name="Renew").click()
    await expect(page.locator("#toasts")).to_contain_text("A new issuing CA signs.", timeout=60_000)
    states = [one["state"] for one in (await authorities.show(services))["issuing"]]
    assert sorted(states) == ["ready", "replaced"]


async def test_one_tier_is_locked_and_unlocked(page: Page, empty: Served) -> None:
    await generate(page, "Plant", tiers="One: the root")
    await expect(page.get_by_role("heading", name="Root: Plant")).to_be_visible()
    lock = page.get_by_role("button", name="Lock", exact=True)
    if await lock.count():
        await lock.click()
    await page.get_by_role("button", name="Unlock…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Passphrase").fill(WORDS)
    await dialog.get_by_role("button", name="Unlock").click()
    await expect(page.locator("#toasts")).to_contain_text("The key is open", timeout=30_000)
    assert await authorities.is_open(empty.application.services)
    await lock.click()
    await expect(page.locator(".authority").get_by_text("Locked", exact=True)).to_be_visible()
    assert not await authorities.is_open(empty.application.services)


async def test_a_new_root_is_introduced_and_takes_over(page: Page, empty: Served) -> None:
    await generate(page, "Plant")
    await page.get_by_role("button", name="Renew…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("The root", exact=True).check()
    await dialog.get_by_role("button", name="Continue").click()
    await passphrase(dialog, "new words of a new root")
    await dialog.get_by_role("button", name="Introduce").click()
    await expect(page.get_by_role("heading", name="A new root is being introduced")).to_be_visible(timeout=60_000)
    await assert_accessible(page)
    before = (await authorities.show(empty.application.services))["sha256"]
    await page.get_by_role("button", name="Go on…").click()
    await expect(dialog).to_contain_text("every computer must trust it already")
    await dialog.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("button", name="Retire the old root…")).to_be_visible(timeout=30_000)
    assert (await authorities.show(empty.application.services))["sha256"] != before
    await page.get_by_role("button", name="Retire the old root…").click()
    await dialog.get_by_role("button", name="Retire").click()
    await expect(page.get_by_role("button", name="Retire the old root…")).to_be_hidden()
    await expect(page.get_by_role("cell", name="Retired")).to_be_visible()


async def test_a_request_is_saved_and_can_be_saved_again(page: Page) -> None:
    await page.get_by_role("button", name="Request…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("Plant 7")
    await dialog.get_by_label("Elliptic curve").check()
    async with page.expect_download() as saving:
        await dialog.get_by_role("button", name="Make request").click()
    first = (await (await saving.value).path()).read_text()
    assert first.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    await expect(page.get_by_text("A request waits for its certificate.")).to_be_visible()
    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Save request of Plant 7").click()
    again = await saving.value
    assert again.suggested_filename == "Plant-7.csr"
    assert (await again.path()).read_text() == first
    await assert_accessible(page)


@pytest.mark.parametrize("way", ["import", "trust"])
async def test_an_authority_is_brought_from_files(page: Page, empty: Served, tmp_path: Path, way: str) -> None:
    other = await make_services(tmp_path / "elsewhere", None)
    await authorities.create(other, actor="test", name="Else", key_type="ec", passphrase=Secret(WORDS))
    backup = await authority_backup.backup(other, actor="test", passphrase=Secret(WORDS))
    exported = await authorities.export(other, format="der")
    await other.database.close()
    held = {"root.p12": backup["files"][0]["content"], "root.crt": exported["files"][0]["content"]}
    for name, content in held.items():
        (tmp_path / name).write_bytes(base64.b64decode(content))
    dialog = page.get_by_role("dialog")
    if way == "trust":
        await generate(page, "Plant")
        await page.get_by_role("button", name="Trust another authority…").click()
        await dialog.get_by_label("Certificate").set_input_files(tmp_path / "root.crt")
        await dialog.get_by_role("button", name="Trust").click()
        await expect(page.get_by_role("cell", name="Trusted only")).to_be_visible()
        return
    await page.get_by_role("button", name="Import…").click()
    await dialog.get_by_label("Files").set_input_files(tmp_path / "root.p12")
    await dialog.get_by_label("Passphrase", exact=True).fill(WORDS)
    await dialog.get_by_role("button", name="Import").click()
    await expect(page.get_by_role("heading", name="Issuing CA: Else")).to_be_visible(timeout=60_000)
    assert (await authorities.show(empty.application.services))["state"] == "ready"
