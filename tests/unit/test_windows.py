"""When the night is: each local date has one window, whatever daylight saving, restarts and waking hours do."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.config import parse
from fleetseal.core.runtime import LocalZone
from fleetseal.operations import windows

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ZONES = tuple(map(ZoneInfo, ("Europe/Stockholm", "America/St_Johns", "Australia/Lord_Howe", "UTC", "Pacific/Apia")))

times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
settings = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: text(*pair))
moments = st.integers(0, 42 * 365 * 1440).map(
    lambda minutes: datetime(2009, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


def text(first: time, last: time) -> str:
    window = f"{first:%H:%M}-{last:%H:%M}"
    assert parse("renewal.window", window) == window
    return window


@given(moments, settings, st.sampled_from(ZONES))
def test_a_moment_lies_between_two_windows_that_follow_each_other(now: datetime, window: str, zone: ZoneInfo) -> None:
    latest, following = windows.latest(now, window, zone), windows.following(now, window, zone)
    assert latest.begins <= now < following.begins
    assert latest.name < following.name
    assert windows.latest(following.begins, window, zone) == following, "none lies between them"
    assert timedelta() < latest.length <= timedelta(hours=25)


@given(
    moments,
    settings,
    st.sampled_from(ZONES),
    st.lists(st.timedeltas(timedelta(minutes=1), timedelta(hours=30)), max_size=60),
)
def test_each_window_has_one_run_and_a_missed_one_is_caught_up_once(
    start: datetime, window: str, zone: ZoneInfo, pauses: list[timedelta]
) -> None:
    """A server that looks now and then: what it runs at each look is the window that began last, if it had no run."""
    ran: list[str] = []
    now = start
    for pause in [timedelta(), *pauses]:
        now += pause
        latest = windows.latest(now, window, zone)
        if latest.name not in ran:
            ran.append(latest.name)
        assert ran[-1] == latest.name, "the newest window never waits"
    assert ran == sorted(set(ran))


@pytest.mark.parametrize(
    ("now", "begins", "hours"),
    [
        (datetime(2026, 3, 29, 6, tzinfo=UTC), datetime(2026, 3, 29, 0, tzinfo=UTC), 3),  # 02:00 does not exist
        (datetime(2026, 10, 25, 6, tzinfo=UTC), datetime(2026, 10, 24, 23, tzinfo=UTC), 5),  # 02:00 comes twice
        (datetime(2026, 6, 1, 6, tzinfo=UTC), datetime(2026, 5, 31, 23, tzinfo=UTC), 4),
    ],
)
def test_the_night_of_the_change_is_one_night(now: datetime, begins: datetime, hours: int) -> None:
    found = windows.latest(now, "01:00-05:00", STOCKHOLM)
    assert (found.begins, found.length) == (begins, timedelta(hours=hours))
    assert found.name == now.date().isoformat()


def test_a_window_inside_the_gap_is_as_long_as_on_other_days() -> None:
    found = windows.latest(datetime(2026, 3, 29, 6, tzinfo=UTC), "02:10-02:50", STOCKHOLM)
    assert found == windows.Window(
        "2026-03-29", datetime(2026, 3, 29, 1, 10, tzinfo=UTC), datetime(2026, 3, 29, 1, 50, tzinfo=UTC)
    )


def test_a_window_across_midnight_belongs_to_the_date_on_which_it_begins() -> None:
    found = windows.latest(datetime(2026, 11, 24, 0, 30, tzinfo=STOCKHOLM), "23:00-03:00", STOCKHOLM)
    assert (found.name, found.length) == ("2026-11-23", timedelta(hours=4))
    assert windows.night_of(datetime(2026, 11, 24, 22, 59, tzinfo=STOCKHOLM), "23:00-03:00", STOCKHOLM).day == 23


def test_a_date_that_a_place_skipped_has_no_window_of_its_own() -> None:
    """Samoa went from 29 to 31 December 2011."""
    found = windows.latest(datetime(2011, 12, 31, 12, tzinfo=ZONES[-1]), "01:00-05:00", ZONES[-1])
    assert found.name == "2011-12-31"


@given(moments)
def test_the_zone_of_this_computer_is_what_the_system_says(now: datetime) -> None:
    zone = LocalZone()
    assert now.astimezone(zone).replace(tzinfo=None) == now.astimezone().replace(tzinfo=None)
    assert now.astimezone(zone).astimezone(UTC) == now
