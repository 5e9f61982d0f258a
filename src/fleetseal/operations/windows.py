"""When the night is: a pure function of the time, the window's two times of day, and the local zone.

A window is named by the local date on which it begins. Each name has one run, whatever restarts, daylight saving or
a change of the setting do (REN-ONCE-A-NIGHT).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    name: str  # local date of its beginning, e.g. 2026-11-23
    begins: datetime  # UTC
    ends: datetime

    @property
    def length(self) -> timedelta:
        return self.ends - self.begins


def latest(now: datetime, window: str, zone: tzinfo) -> Window:
    """The window that began last; `now` may lie in it or after it. `window`: the setting, e.g. `01:00-05:00`."""
    today = now.astimezone(zone).date()
    found = [made for days in (2, 1, 0, -1) if (made := _on(today - days * _DAY, window, zone)).begins <= now]
    return max(found, key=lambda one: (one.begins, one.name))


def following(now: datetime, window: str, zone: tzinfo) -> Window:
    """The window that begins next."""
    today = now.astimezone(zone).date()
    found = [made for days in (-1, 0, 1, 2) if (made := _on(today + days * _DAY, window, zone)).begins > now]
    return latest(min(one.begins for one in found), window, zone)


def night_of(moment: datetime, window: str, zone: tzinfo) -> date:
    """The night that a moment is counted to: from one window's beginning to the next one's."""
    return date.fromisoformat(latest(moment, window, zone).name)


def _on(day: date, window: str, zone: tzinfo) -> Window:
    """Times of day that do not exist on this date are moved by the gap; of those that come twice the first counts.
    A window that lies within the gap alone is as long as on other days."""
    first, last = (time.fromisoformat(text) for text in window.split("-"))
    begins = datetime.combine(day, first, tzinfo=zone).astimezone(UTC)
    ends = datetime.combine(day if first < last else day + _DAY, last, tzinfo=zone).astimezone(UTC)
    usual = datetime.combine(day, last) - datetime.combine(day, first)
    return Window(day.isoformat(), begins, ends if ends > begins else begins + usual % _DAY)
