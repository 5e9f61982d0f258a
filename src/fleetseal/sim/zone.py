"""Local time of the devices: a POSIX zone with the European rule for summer time, which the recorded ones use."""

import re
from datetime import datetime, timedelta

_ZONE = re.compile(r"(?:<[^>]+>|[A-Za-z]+)([-+]?\d+)")


def to_local(moment: datetime, zone: str, *, daylight: bool) -> datetime:
    """The wall clock's numbers (the tzinfo stays UTC, to be ignored)."""
    return moment + _offset(moment, zone, daylight=daylight)


def to_utc(local: datetime, zone: str, *, daylight: bool) -> datetime:
    """What `to_local` was made from; in the doubled hour of autumn, the later one."""
    guess = local - _offset(local, zone, daylight=False)
    return local - _offset(guess - timedelta(hours=1) if daylight else guess, zone, daylight=daylight)


def offset_text(moment: datetime, zone: str, *, daylight: bool) -> str:
    minutes = int(_offset(moment, zone, daylight=daylight).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _offset(moment: datetime, zone: str, *, daylight: bool) -> timedelta:
    match = _ZONE.match(zone)
    west = int(match.group(1)) if match else 0  # POSIX counts hours west of Greenwich
    summer = daylight and _last_sunday(moment, 3) <= moment < _last_sunday(moment, 10)
    return timedelta(hours=(1 if summer else 0) - west)


def _last_sunday(moment: datetime, month: int) -> datetime:
    """01:00 UTC on the last Sunday of that month of the year."""
    last = moment.replace(month=month, day=31, hour=1, minute=0, second=0, microsecond=0)
    return last - timedelta(days=(last.weekday() + 1) % 7)
