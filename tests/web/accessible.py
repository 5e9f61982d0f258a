"""What axe-core finds wrong with a page (WCAG 2.2 AA and its own good practice)."""

from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import Page

_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_VENDOR = Path(__file__).parent / "vendor"
_FIND = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(
  ({id, help, nodes}) => `${id}: ${help}: ${nodes.map(({html}) => html.slice(0, 200)).join(' | ')}`,
)"""


def axe() -> str:
    """The vendored script; raises when it is not the one whose checksum stands beside it."""
    script = (_VENDOR / "axe.min.js").read_bytes()
    if sha256(script).hexdigest() != (_VENDOR / "axe.min.js.sha256").read_text("ascii").split()[0]:
        raise AssertionError("tests/web/vendor/axe.min.js is not as it was vendored.")
    return script.decode()


async def assert_accessible(page: Page) -> None:
    """The page as it is shown now has no violation, whichever its theme."""
    for scheme in _SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour is between two
        await page.evaluate(f"window.axe || ({_wrapped(axe())})")
        found = await page.evaluate(_FIND)
        assert found == [], f"{scheme}: {found}"
    await page.emulate_media(color_scheme=None, reduced_motion=None)


def _wrapped(script: str) -> str:
    return f"(() => {{ {script} }})()"
