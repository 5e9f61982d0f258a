"""The filter of the page lets through what that of the command line lets through."""

import json
from typing import Any

from playwright.async_api import Page

from fleetseal.core.errors import InvalidInput
from fleetseal.operations import inventory, listing
from tests.web.hostile import HOSTILE
from tests.web.served import Served

DEVICES = ("12.11", "9.10", "6.50")

WORDS = (
    *(
        "ok",
        "P3265",
        "m1065-lw",
        "disabled",
        "127.0.0.1",
        "127.0",
        "axis-",
        "axis device",
        "b8a44ff00001",
        "AC-CC-8E-F0-00-02",
    ),
    *("b8:a4", "00:40:8c:f0:00:03", "fe80::1", "[::1]", "none", "true", "2027-11", "default", "a.c", "(", "\\d", "*"),
    *(
        "firmware:9",
        "firmware:<9.80",
        "firmware:>=9.10.1",
        "firmware:<=9.10.1",
        "firmware:>9.10.1.0",
        "firmware:<",
        "firmware:>x",
    ),
    *(
        "model:lw",
        "MODEL:P",
        "host:axis",
        "name:axis",
        "tag:north",
        "site:default",
        "server:def",
        "certificate:factory",
    ),
    *(
        "https:enabled",
        "status:ok",
        "id:1",
        "https_port:",
        "tags:",
        "colour:red",
        "x:",
        ":x",
        "'model:P3265-V'",
        'model:"P3265"',
    ),
    *("last_seen:2026", "trust:first", '"first use"', "'P3265-V'", "product_type:dome", "http_port:0"),
)


async def verdicts(page: Page, rows: list[dict[str, Any]], texts: list[str]) -> Any:
    return await page.evaluate(
        """async ([devices, texts]) => {
          const { compile, FilterProblem } = await import('/static/pages/devices/filter.js');
          const { keeping } = await import('/static/pages/devices/rows.js');
          const rows = devices.map(keeping());
          return texts.map((text) => {
            try {
              const test = compile(text);
              return rows.map((row) => (test === null ? true : test(row)));
            } catch (error) {
              if (error instanceof FilterProblem) return null;
              throw error;
            }
          });
        }""",
        [json.loads(json.dumps(rows)), texts],
    )


def expected(rows: list[dict[str, Any]], text: str) -> list[bool] | None:
    try:
        matches = listing.compile_filters([text])
    except InvalidInput:
        return None
    return [matches(row) for row in rows]


async def test_the_same_devices_pass(page: Page, served: Served) -> None:
    rows = await inventory.list_(served.application.services)
    rows += [rows[0] | {"model": text, "tags": ["north", text], "mac": None, "certificate": None} for text in HOSTILE]
    rows += [rows[1] | {"firmware": text} for text in ("", "9.10", "10.0.0.1", "9.x.3", "beta")]
    texts = [*WORDS, *(f"{one} {other}" for one in WORDS for other in WORDS[:12])]
    texts = [text for text in texts if text.count('"') % 2 == 0 and text.count("'") % 2 == 0]
    await page.goto("/devices")
    found = await verdicts(page, rows, texts)
    for text, verdict in zip(texts, found, strict=True):
        assert verdict == expected(rows, text), text


async def test_what_narrows_lets_through_no_more(page: Page, served: Served) -> None:
    """The page looks again only at what is shown when a filter narrows: it must be right about that."""
    rows = await inventory.list_(served.application.services)
    texts = sorted({word[:end] for word in WORDS for end in range(1, len(word) + 1)})
    await page.goto("/devices")
    pairs = await page.evaluate(
        """async (texts) => {
          const { narrows } = await import('/static/pages/devices/filter.js');
          return texts.flatMap((one) =>
            texts.filter((other) => one !== other && narrows(one, other)).map((other) => [one, other]));
        }""",
        texts,
    )
    assert pairs
    passing = dict(zip(texts, await verdicts(page, rows, texts), strict=True))
    for before, after in pairs:
        if passing[before] is not None and passing[after] is not None:
            assert all(one or not other for one, other in zip(passing[before], passing[after], strict=True)), (
                before,
                after,
            )
