"""The grid of 100,000 devices in Chromium, against a minimal virtual list: one JSON line for each thing done.

`ms` is how long the page's main thread was busy with it until it was drawn (DevTools' TaskDuration: script, style,
layout and paint), the least of several rounds; `ratio` divides it by the same of the list of grid_page/plain.js, which
draws the same cells and does nothing else, in turn in this run. `frames_per_second` is the most while scrolling.
`heap_mb` is the JavaScript heap of a page that holds the rows as the list of devices keeps them, each with a
certificate, after a collection (DevTools' JSHeapUsedSize). The aims: a ratio of 2, 50 frames a second, 60 MB.
"""

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from playwright.async_api import CDPSession, Page
from tests.web.browser import CHROMIUM, MISSING, chromium
from tests.web.gridpage import grid_page

_ROUNDS = 4
_PAGE = Path(__file__).parent / "grid_page"


def main() -> None:
    if CHROMIUM is None:
        _tell(skipped=MISSING)
        return
    asyncio.run(_measure())


async def _measure() -> None:
    async with chromium() as browser:
        async with grid_page(browser, more=_PAGE) as (page, _):
            tools = await _tools(page)
            least: dict[str, dict[str, float]] = defaultdict(dict)
            frames = {"grid": 0.0, "plain": 0.0}
            for turn in range(_ROUNDS):
                for which in ("grid", "plain") if turn % 2 else ("plain", "grid"):
                    for what, spent in (await _round(page, tools, which)).items():
                        least[what][which] = min(spent, least[what].get(which, spent))
                    seen = float(await page.evaluate("(which) => scrolling(which)", which))
                    frames[which] = round(max(seen, frames[which]), 1)
        async with grid_page(browser, more=_PAGE) as (page, _):
            tools = await _tools(page)
            empty = await _metric(page, tools, "JSHeapUsedSize", collect=True)
            await page.evaluate("hold()")
            heap = await _metric(page, tools, "JSHeapUsedSize", collect=True)
    for what, both in least.items():
        ratio = round(both["grid"] / both["plain"], 2)
        _tell(what=what, ms=_ms(both["grid"]), plain_ms=_ms(both["plain"]), ratio=ratio, aim_ratio=2)
    _tell(what="scrolling", frames_per_second=frames["grid"], plain_frames_per_second=frames["plain"], aim=50)
    _tell(what="memory", heap_mb=round(heap / 1e6, 1), without_rows_mb=round(empty / 1e6, 1), aim_mb=60)


async def _round(page: Page, tools: CDPSession, which: str) -> dict[str, float]:
    """Seconds of the main thread for each act, in their order."""
    spent = {}
    for what in await page.evaluate("Object.keys(acts)"):
        await page.evaluate("(what) => prepare(what)", what)
        await tools.send("HeapProfiler.collectGarbage")
        before = await _metric(page, tools, "TaskDuration")
        await page.evaluate("([what, which]) => run(what, which)", [what, which])
        spent[what] = await _metric(page, tools, "TaskDuration") - before
    return spent


async def _tools(page: Page) -> CDPSession:
    await page.evaluate("() => import('/more/grid.js')")
    tools = await page.context.new_cdp_session(page)
    await tools.send("Performance.enable")
    return tools


async def _metric(page: Page, tools: CDPSession, name: str, *, collect: bool = False) -> float:
    if collect:
        await tools.send("HeapProfiler.collectGarbage")
    metrics: list[dict[str, Any]] = (await tools.send("Performance.getMetrics"))["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == name)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps({"benchmark": "grid", "devices": 100_000, **facts}) + "\n")


if __name__ == "__main__":
    main()
