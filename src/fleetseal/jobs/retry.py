"""Whether to try again: a pure decision from the error and the time (JOB-RETRY-CLASS)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleetseal.core.errors import Disposition, FleetsealError

PATIENCE = timedelta(seconds=30)
"""How long a device that does not answer is tried again within one task; later tries belong to the night."""

_PAUSES = (2, 4, 8, 8, 8)


@dataclass(frozen=True)
class RetryAt:
    at: datetime


@dataclass(frozen=True)
class GiveUp:
    pass


def decide(
    error: FleetsealError, *, attempt: int, first_failure: datetime, now: datetime, jitter: float
) -> RetryAt | GiveUp:
    """`attempt` counts from 0; `jitter` is a number in [0, 1) that spreads devices over half a pause.

    Only transient failures repeat; no pause ends later than PATIENCE after the first failure.
    """
    if error.disposition is not Disposition.RETRY or attempt >= len(_PAUSES):  # the clock may have been set back
        return GiveUp()
    pause = _PAUSES[attempt]
    at = now + timedelta(seconds=pause * (1 + jitter / 2))
    return RetryAt(at) if at <= first_failure + PATIENCE else GiveUp()
