"""Text that came from a device or the network (INP-UNTRUSTED-TEXT)."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

_SHOWN = dict.fromkeys(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), "\N{REPLACEMENT CHARACTER}") | {"Zs": " "}

FORMULA: Final = re.compile("[\t\r\n]|\\s*[=+\\-@'\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet may calculate; and our own apostrophe, so that reading gives back what was."""


def escaped(cell: str) -> str:
    """The cell for a CSV file: with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def clean(text: str, *, limit: int = 200) -> str:
    """The text on one line without control, format or unassigned characters, its blanks plain, at most `limit` long."""
    shown = "".join(_SHOWN.get(unicodedata.category(c), c) for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def timestamp(moment: datetime) -> str:
    """An aware time as the contract's JSON shows it: `2026-11-23T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_stem(name: str) -> str:
    """The name as a part of file names: ASCII letters, digits and single hyphens only; `ca` when nothing is left."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "ca"
