"""The first page: the numbers of a site."""

from playwright.async_api import Page, expect

from fleetseal.core.model import Selection, TaskAction
from fleetseal.operations import overview, settings, tasks
from fleetseal.store import alarms
from tests.web.accessible import assert_accessible
from tests.web.browser import NARROW, WIDE
from tests.web.hostile import HOSTILE
from tests.web.served import Served

DEVICES = ("12.11", "9.10")


async def test_the_numbers_are_the_sites(page: Page, served: Served) -> None:
    async with served.application.services.database.transaction() as tx:
        for number, text in enumerate(HOSTILE):
            await alarms.raise_alarm(
                tx,
                now=served.application.services.clock.now(),
                cause="renewal-failed",
                object=str(number),
                severity="warning",
                message=text,
            )
    await page.goto("/")
    await expect(page.get_by_role("link", name="Devices 2 0 with HTTPS")).to_have_attribute("href", "/devices")
    await expect(page.get_by_role("link", name="Open alarms")).to_contain_text(str(len(HOSTILE)))
    await expect(page.locator("[aria-current=step]")).to_contain_text("Enable HTTPS")


async def test_a_year_of_ends_is_drawn_and_told(page: Page, served: Served) -> None:
    services = served.application.services
    engine = await served.application.engine()
    selection = Selection(refs=(served.fleet.devices[0].serial,), everything=False)
    task_id = await tasks.request(
        services, engine, actor="test", action=TaskAction.ENABLE_HTTPS, selection=selection, wish={"policy": "both"}
    )
    await page.goto("/")
    table = page.get_by_role("table", name="Certificates that expire, by month")
    while (await tasks.show(services, task_id, working=True))["finished"] is None:
        await page.wait_for_timeout(100)
    await settings.set_(services, actor="test", key="renewal.automatic", value="false")
    await page.reload()
    await expect(page.get_by_text("Renewal by itself is switched off.")).to_be_visible()
    await expect(page.get_by_role("link", name="Devices 2 1 with HTTPS")).to_be_visible()
    step = page.locator("[aria-current=step]")
    await expect(step).to_contain_text("Trust the authority on computers")
    await step.get_by_role("button", name="Mark as done").click()
    await expect(step).to_have_count(0)
    await page.reload()
    await expect(page.get_by_role("link", name="Devices 2 1 with HTTPS")).to_be_visible()
    await expect(step).to_have_count(0)
    counted = (await overview.overview(services, serving=True, working=True))["expiring"]["months"]
    assert sum(one["count"] for one in counted) >= 1
    await expect(table.get_by_role("cell")).to_have_text([str(one["count"]) for one in counted])


async def test_it_can_be_used_by_everybody(page: Page) -> None:
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto("/")
        await expect(page.get_by_role("heading", name="Last night")).to_be_visible()
        await assert_accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
