"""Trust on computers: the files that are downloaded are the CA's, and the steps name these very files."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from fleetseal.operations import authorities
from fleetseal.pki import chain
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE
from tests.web.served import Served

DEVICES = ()


async def trusted(served: Served) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await authorities.trusted(served.application.services))["certificates"]
    return found


async def test_root_and_bundles_are_downloaded(page: Page, served: Served) -> None:
    await page.goto("/trust")
    root, issuing = (chain.parse_all(one["pem"].encode())[0] for one in await trusted(served))
    for button, expected in (
        ("Root", {root}),
        ("Bundle (PEM)", {root, issuing}),
        ("Bundle for Windows (.p7b)", {root, issuing}),
        (r"Download root", {root}),
    ):
        async with page.expect_download() as download:
            await page.get_by_role("button", name=button, exact=not button.startswith("Download")).click()
        saved = Path(await (await download.value).path())
        assert set(chain.parse_all(saved.read_bytes())) == expected


async def test_fingerprints_are_shown_to_compare(page: Page, served: Served) -> None:
    await page.goto("/trust")
    for one in await trusted(served):
        await expect(page.get_by_role("cell", name=bytes.fromhex(one["sha256"]).hex(":").upper())).to_be_visible()


@pytest.mark.parametrize(
    ("platform", "there", "gone"),
    [
        ("windows", "certutil -addstore -f Root {}", "certutil -delstore Root"),
        ("macos", "security add-trusted-cert", "security remove-trusted-cert -d {}"),
        ("debian", "sudo install -m 644 {}", "rm -f /usr/local/share/ca-certificates/{}"),
        ("redhat", "sudo update-ca-trust", "rm -f /etc/pki/ca-trust/source/anchors/{}"),
        ("suse", "sudo update-ca-certificates", "rm -f /etc/pki/trust/anchors/{}"),
    ],
)
async def test_the_steps_name_the_files_that_are_given(page: Page, platform: str, there: str, gone: str) -> None:
    await page.goto("/trust")
    await page.get_by_label("Computer").select_option(platform)
    steps = page.get_by_role("listitem")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download the").click()
    root = (await download.value).suggested_filename
    await expect(steps.filter(has_text=there.format(root))).not_to_have_count(0)
    await page.get_by_label("Remove the trust again").check()
    await expect(steps.filter(has_text=gone.format(root))).not_to_have_count(0)


async def test_it_can_be_used_by_everybody(page: Page) -> None:
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto("/trust")
        await expect(page.get_by_role("list").locator("li code").first).to_be_visible()
        await assert_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
