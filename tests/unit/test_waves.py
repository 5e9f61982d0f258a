"""DEV-WAVES: which jobs of a task may begin, as a pure decision."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.model import JobId
from fleetseal.jobs import waves


@dataclass(frozen=True)
class Member:
    id: JobId
    cohort: str
    active: bool = True
    released: bool = False
    harmed: bool = False


def fleet(**cohorts: int) -> list[Member]:
    names = [cohort for cohort, count in cohorts.items() for _ in range(count)]
    return [Member(JobId(number), cohort) for number, cohort in enumerate(names)]


def begin(jobs: list[Member]) -> tuple[list[Member], tuple[JobId, ...]]:
    decision = waves.decide(jobs)
    stopped = {job_id for job_id, _ in decision.stop}
    changed = [
        replace(job, released=job.released or job.id in decision.release, active=job.active and job.id not in stopped)
        for job in jobs
    ]
    return changed, decision.release


def end(jobs: list[Member], *ids: JobId, harmed: bool = False) -> list[Member]:
    return [replace(job, active=False, harmed=harmed) if job.id in ids else job for job in jobs]


def test_one_device_of_each_model_and_firmware_goes_first() -> None:
    _, released = begin(fleet(a=10, b=3))
    assert released == (0, 10)


def test_nothing_more_begins_until_the_first_has_ended() -> None:
    jobs, _ = begin(fleet(a=10))
    assert begin(jobs)[1] == ()


def test_a_cohort_grows_with_what_has_ended() -> None:
    jobs, first = begin(fleet(a=100))
    jobs, second = begin(end(jobs, *first))
    jobs, third = begin(end(jobs, *second))
    assert (len(first), len(second), len(third)) == (1, 4, 20)


def test_a_harmed_first_device_stops_its_model_and_firmware() -> None:
    jobs, _ = begin(fleet(**{f"m{number}": 2 for number in range(40)}))
    decision = waves.decide(end(jobs, JobId(0), harmed=True))
    assert [job_id for job_id, _ in decision.stop] == [1]
    assert decision.task_stopped is None


def test_bad_firmware_among_a_thousand_harms_one_device() -> None:
    jobs = fleet(good=500, bad=500)
    harmed = 0
    while True:
        jobs, released = begin(jobs)
        if not released:
            break
        for job_id in released:
            bad = jobs[job_id].cohort == "bad"
            harmed += bad
            jobs = end(jobs, job_id, harmed=bad)
    assert harmed == 1


def test_three_harmed_devices_stop_the_task() -> None:
    jobs, released = begin(fleet(**{f"m{number}": 2 for number in range(100)}))
    two = end(jobs, *released[:2], harmed=True)
    assert waves.decide(two).task_stopped is None
    three = waves.decide(end(jobs, *released[:3], harmed=True))
    assert three.task_stopped is not None
    assert len(three.stop) == 100
    assert three.release == ()


def test_harmless_failures_stop_nothing() -> None:
    jobs, first = begin(fleet(a=10))
    _, second = begin(end(jobs, *first))
    assert len(second) == 4


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_every_job_begins_when_none_is_harmed(cohorts: list[str], order: object) -> None:
    jobs = [Member(JobId(number), cohort) for number, cohort in enumerate(cohorts)]
    for _ in range(len(jobs) + 1):
        jobs, released = begin(jobs)
        jobs = end(jobs, *released)
    assert not any(job.active for job in jobs)
