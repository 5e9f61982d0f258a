"""Which jobs of a task may begin now (DEV-WAVES): a pure function of the jobs as they are.

One device of each model and firmware goes first; its cohort then grows fourfold with what has ended.
A harmed device stops its cohort. `STOP_AFTER` harmed devices, or 5 % of those begun if that is fewer, stop
the task. Failures that left a device as it was stop nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fleetseal.core.model import JobId

GROWTH = 4
STOP_AFTER = 3
STOP_SHARE = 0.05


class Member(Protocol):
    """What a decision needs to know of a job."""

    @property
    def id(self) -> JobId: ...
    @property
    def cohort(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def released(self) -> bool: ...
    @property
    def harmed(self) -> bool: ...


@dataclass(frozen=True)
class Decision:
    release: tuple[JobId, ...]
    stop: tuple[tuple[JobId, str], ...]  # jobs that never begin, and why
    task_stopped: str | None = None


def decide(jobs: Sequence[Member]) -> Decision:
    """What to release and what to stop, given every job of one task."""
    waiting = [job for job in jobs if job.active and not job.released]
    begun = [job for job in jobs if job.released]
    harmed = sum(job.harmed for job in jobs)
    limit = min(STOP_AFTER, max(1, math.ceil(STOP_SHARE * len(begun))))
    if harmed >= limit and waiting:
        reason = f"Stopped: {_devices(harmed)} of {len(begun)} left worse than before. This device was not touched."
        return Decision((), tuple((job.id, reason) for job in waiting), reason)
    release: list[JobId] = []
    stop: list[tuple[JobId, str]] = []
    for cohort in dict.fromkeys(job.cohort for job in waiting):
        members = [job.id for job in waiting if job.cohort == cohort]
        if any(job.harmed for job in begun if job.cohort == cohort):
            reason = f"Stopped: a device with {cohort} was left worse than before. This device was not touched."
            stop += [(member, reason) for member in members]
            continue
        ended = sum(not job.active for job in begun if job.cohort == cohort)
        open_places = max(1, GROWTH * ended) - sum(job.cohort == cohort and job.active for job in begun)
        release += members[: max(0, open_places)]
    return Decision(tuple(release), tuple(stop))


def _devices(count: int) -> str:
    return f"{count} device was" if count == 1 else f"{count} devices were"
