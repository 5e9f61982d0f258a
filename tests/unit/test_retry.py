"""JOB-RETRY-CLASS: whether a failure repeats by itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleetseal.core import errors
from fleetseal.core.errors import Disposition, FleetsealError
from fleetseal.jobs.retry import PATIENCE, GiveUp, RetryAt, decide

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def classes() -> list[type[FleetsealError]]:
    found = [FleetsealError]
    for one in found:
        found += one.__subclasses__()
    return [one for one in found if one.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [one for one in classes() if one is not errors.IssuanceRefused])
def test_only_transient_failures_repeat(kind: type[FleetsealError]) -> None:
    more: dict[str, Any] = {"seconds": 1} if kind is errors.TooManyAttempts else {}
    decision = decide(kind("x", **more), attempt=0, first_failure=NOW, now=NOW, jitter=0.5)
    assert isinstance(decision, RetryAt) == (kind.disposition is Disposition.RETRY)


def test_rejected_credentials_never_repeat() -> None:
    error = errors.AuthenticationFailed("no")
    assert decide(error, attempt=0, first_failure=NOW, now=NOW, jitter=0.0) == GiveUp()


def test_pauses_grow_and_end_within_the_patience() -> None:
    now, pauses = NOW, []
    for attempt in range(100):
        decision = decide(errors.Unreachable("x"), attempt=attempt, first_failure=NOW, now=now, jitter=0.9)
        if isinstance(decision, GiveUp):
            break
        pauses.append((decision.at - now).total_seconds())
        now = decision.at
    assert pauses == sorted(pauses)
    assert len(pauses) >= 3
    assert now <= NOW + PATIENCE
    assert isinstance(decide(errors.Unreachable("x"), attempt=9, first_failure=NOW, now=now, jitter=0.9), GiveUp)


def test_a_failure_long_after_the_first_gives_up() -> None:
    late = NOW + PATIENCE + timedelta(seconds=1)
    assert decide(errors.Unreachable("x"), attempt=0, first_failure=NOW, now=late, jitter=0.0) == GiveUp()


def test_a_clock_set_back_makes_no_endless_ladder() -> None:
    """JOB-ENDS: tries are counted, too."""
    back = NOW - timedelta(days=1)
    decisions = [
        decide(errors.Unreachable("x"), attempt=attempt, first_failure=NOW, now=back, jitter=0.0)
        for attempt in range(9)
    ]
    assert [isinstance(decision, RetryAt) for decision in decisions] == [True] * 5 + [False] * 4
