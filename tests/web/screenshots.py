"""Pictures of every page, light and dark, wide and narrow: `python -m tests.web.screenshots DIRECTORY`.

They are looked at by people; nothing is compared.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page

from fleetseal.app import Application
from fleetseal.core.model import Selection, TaskAction
from fleetseal.operations import settings, tasks
from fleetseal.sim.fleet import DeviceSpec
from tests.web.browser import chromium, watched
from tests.web.served import Served, serving

SITE = ("12.11", "12.11", "12.11-self-signed", "11.6", "11.6", "10.12", "10.12", "9.10", "9.10", "7.30", "6.50", "t85")
PAGES = {
    "dashboard": "/",
    "devices": "/devices",
    "device": "/devices/1",
    "add": "/add",
    "alarms": "/alarms",
    "issued": "/certificates",
    "trust": "/trust",
    "certificates": "/configuration/certificates",
    "security": "/configuration/security",
    "discovery": "/configuration/discovery",
    "renewal": "/configuration/renewal",
    "alarm-delivery": "/configuration/alarms",
    "users": "/configuration/users",
    "audit": "/configuration/audit",
    "backup": "/configuration/backup",
}
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def main(directory: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        specs = [DeviceSpec(profile) for profile in SITE]
        async with serving(Path(folder) / "data", *specs) as served, chromium() as browser:
            await served.add()
            await _secure(served.application, "10", "12", "9")
            for scheme in SCHEMES:
                for name in SIZES:
                    await _pictures(browser, served, directory, name, scheme)


async def _secure(application: Application, *firmware: str) -> None:
    """HTTPS is enabled on the devices of these firmware generations."""
    services, engine = application.services, await application.engine()
    await settings.set_(services, actor="anna", key="https.soak-seconds", value="0")
    for beginning in firmware:
        task_id = await tasks.request(
            services,
            engine,
            actor="anna",
            action=TaskAction.ENABLE_HTTPS,
            selection=Selection((), filters=(f"firmware:{beginning}.",)),
            wish={"policy": "both"},
        )
        while (await tasks.show(services, task_id, working=True))["finished"] is None:
            await services.clock.sleep(0.2)


async def _pictures(
    browser: Browser, served: Served, directory: Path, size: str, scheme: Literal["light", "dark"]
) -> None:
    width, height = SIZES[size]
    context = await browser.new_context(
        base_url=served.origin, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page, watch = await watched(context, served.origin)
    for name, path in PAGES.items():
        await page.goto(path)
        await _still(page)
        await page.screenshot(path=directory / f"{name}-{size}-{scheme}.png", full_page=True)
    assert watch.wrong == []
    await context.close()


async def _still(page: Page) -> None:
    """What the page loads by itself is there."""
    await page.locator("main:not([aria-busy])").wait_for()
    await page.wait_for_timeout(300)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
