"""What is told about alarms, as data, and as the lines of text that every channel shares. Pure."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from fleetseal.core.text import clean, timestamp

SHOWN: Final = 50
"""Alarms that one message lists; the others it counts."""

_HEADINGS: Final = {
    "opened": ("1 new alarm", "{} new alarms"),
    "closed": ("1 alarm has ended", "{} alarms have ended"),
    "reminder": ("Reminder of 1 alarm", "Reminder of {} alarms"),
    "test": ("Test message", "Test message"),
    "anchor": ("Audit anchor", "Audit anchor"),
}
_NO_ALARM: Final = ("test", "anchor")


@dataclass(frozen=True)
class Item:
    """One alarm. Text from devices is cleaned when this is made (INP-UNTRUSTED-TEXT)."""

    alarm: int
    object: str
    severity: str
    message: str
    since: str

    @classmethod
    def of(cls, alarm: int, *, about: str, severity: str, message: str, since: datetime) -> Self:
        return cls(alarm, clean(about), severity, clean(message, limit=1000), timestamp(since))


@dataclass(frozen=True)
class Notice:
    """One message: what happened to alarms of one cause. `id` is the same each time it is sent."""

    id: str
    event: str  # opened | closed | reminder | test | anchor
    cause: str
    created: datetime
    count: int
    items: tuple[Item, ...]  # at most SHOWN of them

    @property
    def heading(self) -> str:
        one, several = _HEADINGS[self.event]
        counted = one if self.count == 1 else several.format(self.count)
        return counted if self.event in _NO_ALARM else f"{counted}: {self.cause}"

    @property
    def severity(self) -> str:
        """The worst of its alarms; of a message that asks for nothing `information`."""
        if self.event in ("closed", *_NO_ALARM):
            return "information"
        return "critical" if any(item.severity == "critical" for item in self.items) else "warning"

    def lines(self) -> list[str]:
        """One line for each alarm that is listed, and one that counts the others."""
        shown = [f"{item.object}: {item.message}" for item in self.items]
        left = self.count - len(self.items)
        return [*shown, f"And {left} more. See them all: fleetseal alarm list"] if left > 0 else shown

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "event": self.event,
            "cause": self.cause,
            "severity": self.severity,
            "created": timestamp(self.created),
            "count": self.count,
            "alarms": [asdict(item) for item in self.items],
        }
