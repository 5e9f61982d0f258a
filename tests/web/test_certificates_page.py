"""What was issued: found, looked at, revoked by its serial number; and the CRL tells of it."""

from pathlib import Path

from cryptography import x509
from playwright.async_api import Download, Page, expect

from fleetseal.core.model import Selection, TaskAction
from fleetseal.operations import issued, tasks
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE, Watch
from tests.web.served import Served


async def test_a_certificate_is_found_and_revoked(page: Page, served: Served, watch: Watch) -> None:
    services = served.application.services
    await page.goto("/certificates")
    await expect(page.get_by_text("Nothing was issued yet: enable HTTPS on a device.")).to_be_visible()
    engine = await served.application.engine()
    everything, wish = Selection((), everything=True), {"policy": "both"}
    task_id = await tasks.request(
        services, engine, actor="test", action=TaskAction.ENABLE_HTTPS, selection=everything, wish=wish
    )
    while (await tasks.show(services, task_id, working=True))["finished"] is None:
        await page.wait_for_timeout(100)
    (record,) = await issued.list_(services)
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto("/certificates?filter=installed")
        await expect(page.get_by_role("row").filter(has_text=record["mac"])).to_be_visible()
        await assert_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_label("Filter").fill("no such word")
    await expect(page.get_by_text("No certificate has these words.")).to_be_visible()
    await page.get_by_label("Filter").fill(record["serial"][-6:])
    await page.get_by_role("row").filter(has_text=record["mac"]).get_by_text("Installed").dblclick()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(record["serial"])
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Revoke…").click()
    await dialog.get_by_label("Reason").select_option("keyCompromise")
    await dialog.get_by_label("Type the last four digits").fill("zzzz")
    await dialog.get_by_role("button", name="Revoke", exact=True).click()
    await expect(dialog.get_by_text("These are not its last four digits.")).to_be_visible()
    await dialog.get_by_label("Type the last four digits").fill(record["serial"][-4:])
    await dialog.get_by_role("button", name="Revoke", exact=True).click()
    await expect(dialog).to_have_count(0)
    (after,) = await issued.list_(services)
    assert (after["state"], after["reason"]) == ("revoked", "keyCompromise")
    await page.goto("/certificates?filter=revoked")
    await expect(page.get_by_role("row").filter(has_text=record["mac"])).to_contain_text("Revoked")
    downloads: list[Download] = []
    page.on("download", lambda one: downloads.append(one))
    await page.get_by_role("button", name="Download the CRLs").click()
    while len(downloads) < 4:  # of the root and of the issuing CA, DER and PEM
        await page.wait_for_timeout(50)
    told = [
        revoked.serial_number
        for one in downloads
        if one.suggested_filename.endswith(".crl")
        for revoked in x509.load_der_x509_crl(Path(await one.path()).read_bytes())
    ]
    assert told == [int(record["serial"].replace(":", ""), 16)]
