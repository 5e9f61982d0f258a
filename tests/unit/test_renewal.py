"""What is due, what is tried again and when, and when the clock is believed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.errors import AuthenticationFailed, Busy, Rejected, Unreachable, VerificationFailed
from fleetseal.core.model import DeviceId, Serial, TaskId
from fleetseal.operations import renewal
from fleetseal.operations.renewal import Night
from fleetseal.operations.states import warning_begins
from fleetseal.pki import profile
from fleetseal.store.renewals import Candidate, Failure
from fleetseal.store.tasks import AtWork
from tests.support import NOW

SERIAL = "B8A44F631339"
DAYS = st.integers(1, 825)


@dataclass(frozen=True)
class Fresh:
    """The dates of a certificate signed now (profile 2.1)."""

    now: datetime
    days: int
    warning_days: int
    device: str = SERIAL

    @property
    def not_before(self) -> datetime:
        return self.now - profile.BACKDATING

    @property
    def not_after(self) -> datetime:
        return self.not_before + timedelta(days=self.days) - timedelta(seconds=1)

    @property
    def renew_at(self) -> datetime:
        life = self.not_after - self.now
        return profile.renew_at(self.not_after, warning_days=self.warning_days, life=life, device=self.device)

    @property
    def warns_at(self) -> datetime:
        return warning_begins(
            self.not_before, self.not_after, warning_days=self.warning_days, backdated=profile.BACKDATING
        )


def test_a_fresh_certificate_is_never_due_and_never_warns() -> None:
    """All lives from 1 to 825 days against all warning settings."""
    for days, warning in product(range(1, 826), range(1, 366)):
        fresh = Fresh(NOW, days, warning)
        renew_at, not_after = fresh.renew_at, fresh.not_after
        if not NOW < renew_at < fresh.warns_at < not_after or renew_at - NOW < (not_after - NOW) / 2:  # no renewal loop
            pytest.fail(f"{days} days, warning {warning}: {fresh}")


@given(
    st.integers(0, 26 * 365 * 86400).map(
        lambda seconds: datetime(2024, 2, 28, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
    DAYS,
    st.integers(1, 365),
    st.integers(0, 2**48 - 1).map(lambda number: f"{number:012X}"),
)
def test_due_is_before_the_warning_by_the_formula(now: datetime, days: int, warning_days: int, device: str) -> None:
    """REN-IN-TIME: warning = min(warning-days, life/4), lead = min(7 days, life/12), offset within [0, lead/2]."""
    fresh = Fresh(now, days, warning_days, device)
    life = fresh.not_after - now
    lead = min(timedelta(days=7), life / 12)
    assert lead / 2 <= fresh.warns_at - fresh.renew_at <= lead
    assert fresh.not_after - fresh.warns_at == min(timedelta(days=warning_days), life / 4)


def test_devices_are_spread_over_half_of_the_lead() -> None:
    at = [Fresh(NOW, 365, 30, f"{number:012X}").renew_at for number in range(500)]
    assert timedelta(days=3.3) < max(at) - min(at) < timedelta(days=3.5)


# ---------------------------------------------------------------- trying again

CANDIDATE = Candidate(
    id=DeviceId(1),
    serial=Serial(SERIAL),
    address="192.0.2.1",
    model="P3265-V",
    firmware="12.11.77",
    support="supported",
    support_reason="",
    username="root",
    password_version=1,
    password_refused_version=None,
    identity_problem=None,
    tls=True,
    policy="both",
    busy=None,
)


def nights_tried(error_code: str, nights: int, *, harmed: bool = False) -> list[int]:
    """The nights on which a device is tried that fails this way each time."""
    failures: list[Failure] = []
    tried = []
    for number in range(nights):
        at = NOW + timedelta(days=number)
        night = Night(at.date(), set(), {CANDIDATE.id: failures}, {one.at: one.at.date() for one in failures})
        if renewal.decide(CANDIDATE, night) is None:
            tried.append(number)
            failures.append(Failure(at, error_code, harmed, "It did not work."))
    return tried


@pytest.mark.parametrize("code", [Unreachable.code, Busy.code, "clock-is-wrong", AuthenticationFailed.code])
def test_what_wrote_nothing_is_tried_each_night(code: str) -> None:
    assert nights_tried(code, 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("code", [Rejected.code, VerificationFailed.code, "internal-error"])
def test_what_was_refused_is_tried_ever_more_rarely(code: str) -> None:
    assert nights_tried(code, 40) == [0, 1, 3, 7, 15, 23, 31, 39]


def test_what_was_left_worse_is_not_tried_without_a_person() -> None:
    assert nights_tried(Unreachable.code, 40, harmed=True) == [0]


def test_what_was_left_worse_stops_its_model_and_firmware_on_later_nights_too() -> None:
    """DEV-WAVES: a firmware defect must not take one device a night."""
    night = Night(NOW.date(), set(), {DeviceId(9): [Failure(NOW, "x", True, "")]}, {}, harmed={CANDIDATE.cohort})
    skip = renewal.decide(CANDIDATE, night)
    assert skip is not None
    assert skip.needs_person
    assert "left another device with P3265-V 12.11.77 worse than before" in skip.reason
    assert renewal.decide(CANDIDATE._replace(firmware="12.11.78"), night) is None


TONIGHT = Night(NOW.date(), set(), {}, {})


@pytest.mark.parametrize(
    ("change", "reason", "needs_person"),
    [
        ({"busy": AtWork(TaskId(7), "anna")}, "Busy in task 7 of anna.", False),
        ({"tls": False}, "HTTPS is off", False),
        ({"policy": "http"}, "HTTPS is off", False),
        ({"support": "firmware", "support_reason": "Too old."}, "Too old.", True),
        ({"identity_problem": "It is another."}, "It is another.", True),
        ({"username": None}, "No login is stored", True),
        ({"password_refused_version": 1}, "It refused the stored login", True),
    ],
)
def test_what_stands_against_it_is_said(change: dict[str, object], reason: str, needs_person: bool) -> None:
    skip = renewal.decide(CANDIDATE._replace(**change), TONIGHT)  # type: ignore[arg-type]  # columns by name
    assert skip is not None
    assert (skip.reason.startswith(reason), skip.needs_person) == (True, needs_person)


def test_nothing_is_signed_twice_in_a_night() -> None:
    assert renewal.decide(CANDIDATE, TONIGHT) is None
    skip = renewal.decide(CANDIDATE, Night(NOW.date(), {CANDIDATE.id}, {}, {}))
    assert skip is not None
    assert not skip.needs_person


# ---------------------------------------------------------------- the clock


def test_a_fifth_of_the_fleet_needs_the_clocks() -> None:
    assert renewal.needs_clocks(1, 5)
    assert not renewal.needs_clocks(1, 6)
    assert not renewal.needs_clocks(0, 5), "not due by date: no clock made it so"
    assert not renewal.needs_clocks(0, 0)


JUMPS = [timedelta(days=days) for days in (-3653, -366, -30, -1, 1, 2, 30, 59, 366, 1461, 3653)]


@pytest.mark.parametrize("jump", [*JUMPS, datetime(2050, 1, 1, tzinfo=UTC) - NOW])
def test_a_clock_that_jumped_is_not_confirmed(jump: timedelta) -> None:
    """The devices' clocks stay behind; some of them are wrong by themselves."""
    offsets = [-jump] * 7 + [timedelta(days=-20000), timedelta(seconds=3), timedelta(hours=2)]
    assert not renewal.clocks_agree(offsets)


def test_clocks_in_local_time_and_a_few_wrong_ones_confirm() -> None:
    assert renewal.clocks_agree([timedelta(hours=2)] * 5 + [timedelta(days=-20000)] * 4)
    assert not renewal.clocks_agree([])
