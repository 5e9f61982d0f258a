"""Open alarms: the most urgent first, found by words, acknowledged, and harmless whatever their text."""

from playwright.async_api import Page, expect

from fleetseal.operations import alarms as operations
from fleetseal.store import alarms
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE
from tests.web.hostile import HOSTILE
from tests.web.served import Served

DEVICES = ()


async def opened(served: Served, about: str, message: str, *, severity: str = "warning") -> None:
    services = served.application.services
    async with services.database.transaction() as tx:
        await alarms.raise_alarm(
            tx, now=services.clock.now(), cause="ca-expiring", object=about, severity=severity, message=message
        )


async def test_alarms_are_found_and_acknowledged(page: Page, served: Served) -> None:
    await page.goto("/alarms")
    await expect(page.get_by_text("No alarm is open: nothing needs you now.")).to_be_visible()
    await assert_accessible(page)
    await opened(served, "Site A", "It ends soon.")
    await opened(served, "Site B", "It has ended.", severity="critical")
    await page.reload()
    rows = page.get_by_role("row")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(1)).to_contain_text("CriticalCA expiringSite BIt has ended.")
    await page.get_by_label("Filter").fill("SITE soon")
    await expect(rows).to_have_count(2)
    await expect(page.get_by_role("status").filter(has_text="1 of 2 open alarms")).to_be_visible()
    await page.get_by_role("button", name="Acknowledge: It ends soon.").click()
    await expect(page.locator("#toasts")).to_contain_text("Acknowledged.")
    await expect(rows.nth(1).get_by_role("button")).to_have_count(0)
    found = {one["object"]: one["acknowledged"] for one in await operations.list_(served.application.services)}
    assert found["Site A"] is not None
    assert found["Site B"] is None


async def test_texts_of_others_stay_texts(page: Page, served: Served) -> None:
    for number, text in enumerate(HOSTILE):
        await opened(served, f"{number} {text}"[:200], text)
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto("/alarms")
        await expect(page.get_by_role("row").filter(has_text=HOSTILE[0][:20]).first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await assert_accessible(page)
