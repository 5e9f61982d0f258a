"""Text that came from a device or the network (INP-UNTRUSTED-TEXT)."""

import unicodedata
from datetime import UTC, datetime

_REPLACED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(text: str, *, limit: int = 200) -> str:
    """The text on one line without control, format or unassigned characters, at most `limit` long."""
    shown = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _REPLACED else c for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def timestamp(moment: datetime) -> str:
    """An aware time as the contract's JSON shows it: `2026-11-23T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
