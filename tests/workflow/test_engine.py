"""The engine: every released job runs, one at a time on a device, and again after a crash."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fleetseal.core.errors import StoreError
from fleetseal.core.model import JobId, JobStatus, TaskAction, TaskId
from fleetseal.core.runtime import SystemClock
from fleetseal.jobs import engine
from fleetseal.jobs.engine import Engine
from fleetseal.jobs.run import Run
from fleetseal.store import inventory, tasks
from fleetseal.store.database import Database
from fleetseal.store.tasks import JobRecord
from tests.support import open_database

CLOCK = SystemClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "fleetseal.sqlite")
    yield database
    await database.close()


async def make_task(database: Database, count: int, *, models: int = 1) -> TaskId:
    async with database.transaction() as tx:
        known = len(await inventory.every(tx))
        devices = [
            await inventory.add(
                tx,
                serial=f"B8A44F{known + number:06X}",
                address="127.0.0.1",
                http_port=1000 + known + number,
                https_port=2000 + known + number,
                site="default",
                model=f"M{number % models}",
                added=CLOCK.now(),
            )
            for number in range(count)
        ]
        return await tasks.add_task(
            tx,
            action=TaskAction.ENABLE_HTTPS,
            wish={},
            actor="test",
            devices=[(device, True) for device in devices],
            now=CLOCK.now(),
        )


async def finished(database: Database, task_id: TaskId, seconds: float = 30) -> tuple[JobRecord, ...]:
    async with asyncio.timeout(seconds):
        while True:
            async with database.reading() as tx:
                if (await tasks.get_task(tx, task_id)).finished is not None:
                    return await tasks.jobs_of(tx, task_id)
            await CLOCK.sleep(0.05)


def ends(database: Database, log: list[JobId]) -> Callable[[JobId], Awaitable[None]]:
    async def run_job(job_id: JobId) -> None:
        run = await Run.begin(database, CLOCK, job_id)
        log.append(job_id)
        await run.end(JobStatus.FINISHED, "done")

    return run_job


async def test_every_job_of_a_task_runs_once_first_of_each_model_first(database: Database, tmp_path: Path) -> None:
    log: list[JobId] = []
    task_id = await make_task(database, 12, models=2)
    async with engine.running(
        database, CLOCK, ends(database, log), jobs_file=tmp_path / "jobs.sqlite", concurrency=10
    ) as running:
        await running.submit(task_id)
        jobs = await finished(database, task_id)
    assert sorted(log) == sorted(job.id for job in jobs)
    assert {job.cohort for job in jobs if job.id in log[:2]} == {"M0 ", "M1 "}
    assert all(job.status is JobStatus.FINISHED and not job.active for job in jobs)


async def test_a_job_that_waits_is_started_again_later(database: Database, tmp_path: Path) -> None:
    runs: list[float] = []

    async def run_job(job_id: JobId) -> None:
        run = await Run.begin(database, CLOCK, job_id)
        runs.append(CLOCK.monotonic())
        if len(runs) == 1:
            async with run.transaction() as tx:
                later = CLOCK.now() + timedelta(seconds=1)
                await tasks.guarded_update(tx, run.job, status=JobStatus.WAITING, run_after=later)
        else:
            await run.end(JobStatus.FINISHED, "done")

    task_id = await make_task(database, 1)
    async with engine.running(database, CLOCK, run_job, jobs_file=tmp_path / "jobs.sqlite", concurrency=10) as running:
        await running.submit(task_id)
        await finished(database, task_id)
    assert len(runs) == 2
    assert runs[1] - runs[0] >= 1.0


class SetBack(SystemClock):
    """Shows the right time until somebody sets it back by a day."""

    wrong = timedelta()

    def now(self) -> datetime:
        return super().now() - self.wrong


async def test_a_clock_set_back_keeps_no_job_waiting_for_that_long(database: Database, tmp_path: Path) -> None:
    clock = SetBack()

    async def run_job(job_id: JobId) -> None:
        run = await Run.begin(database, clock, job_id)
        async with run.transaction() as tx:
            later = clock.now() + timedelta(minutes=10)
            await tasks.guarded_update(tx, run.job, status=JobStatus.WAITING, run_after=later)

    task_id = await make_task(database, 1)
    async with engine.running(database, clock, run_job, jobs_file=tmp_path / "jobs.sqlite", concurrency=10) as running:

        async def waiting() -> JobRecord:
            async with asyncio.timeout(10):
                while True:
                    await CLOCK.sleep(0.5)  # the engine has put it back into the queue
                    async with database.reading() as tx:
                        (job,) = await tasks.jobs_of(tx, task_id)
                    if job.run_after is not None:
                        return job

        await running.submit(task_id)
        before = await waiting()
        await running.recover()
        assert await waiting() == before, "it waits as long as it wanted"
        clock.wrong = timedelta(days=1)
        await running.recover()
        after = await waiting()
        assert after.run_after is not None
        assert after.run_after <= clock.now() + timedelta(minutes=10)
        assert after.run_number == before.run_number + 1, "its old place in the queue is another run's"
        await running.recover()
        assert await waiting() == after, "and once is enough"


async def test_a_job_whose_store_refused_continues(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[JobId] = []
    attempts: list[JobId] = []

    async def run_job(job_id: JobId) -> None:
        attempts.append(job_id)
        if len(attempts) == 1:
            raise StoreError("The disk is full.")
        await ends(database, log)(job_id)

    task_id = await make_task(database, 1)
    async with engine.running(database, CLOCK, run_job, jobs_file=tmp_path / "jobs.sqlite", concurrency=10) as running:
        await running.submit(task_id)
        async with asyncio.timeout(10):
            while not attempts:
                await CLOCK.sleep(0.05)
        await CLOCK.sleep(0.3)
        await running.recover()  # what the engine does every minute
        await finished(database, task_id)
    assert len(log) == 1
    assert "The disk is full." in caplog.text


async def test_the_engines_own_file_is_disposable(database: Database, tmp_path: Path) -> None:
    task_id = await make_task(database, 3)
    async with database.transaction() as tx:  # as after a crash: released and begun, and the engine's file is lost
        jobs = await tasks.jobs_of(tx, task_id)
        await tasks.release(tx, [job.id for job in jobs])
        await tasks.begin_run(tx, jobs[0].id, now=CLOCK.now())
    log: list[JobId] = []
    async with engine.running(database, CLOCK, ends(database, log), jobs_file=tmp_path / "new.sqlite", concurrency=10):
        await finished(database, task_id)
    assert sorted(log) == [job.id for job in jobs]


async def test_draining_begins_no_new_device_and_finishes_those_in_work(database: Database, tmp_path: Path) -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()
    log: list[JobId] = []

    async def run_job(job_id: JobId) -> None:
        run = await Run.begin(database, CLOCK, job_id)
        begun.set()
        await go_on.wait()
        log.append(job_id)
        await run.end(JobStatus.FINISHED, "done")

    task_id = await make_task(database, 5)
    async with engine.running(database, CLOCK, run_job, jobs_file=tmp_path / "jobs.sqlite", concurrency=10) as running:
        await running.submit(task_id)
        await begun.wait()
        running.drain()
        go_on.set()
        await CLOCK.sleep(1)
    assert len(log) == 1
    async with database.reading() as tx:
        assert sum(job.active for job in await tasks.jobs_of(tx, task_id)) == 4

    async with engine.running(database, CLOCK, ends(database, log), jobs_file=tmp_path / "jobs.sqlite", concurrency=10):
        await finished(database, task_id)
    assert len(set(log)) == len(log) == 5


async def test_one_run_at_a_time_on_a_device(database: Database, tmp_path: Path) -> None:
    at_once: dict[int, int] = {}
    most = 0

    async def run_job(job_id: JobId) -> None:
        nonlocal most
        run = await Run.begin(database, CLOCK, job_id)
        at_once[run.job.device_id] = at_once.get(run.job.device_id, 0) + 1
        most = max(most, at_once[run.job.device_id])
        await CLOCK.sleep(0.05)
        at_once[run.job.device_id] -= 1
        if run.job.run_number < 4:
            async with run.transaction() as tx:
                await tasks.guarded_update(tx, run.job, status=JobStatus.WAITING, run_after=None)
        else:
            await run.end(JobStatus.FINISHED, "done")

    async def hurry(running: Engine) -> None:
        for _ in range(10):
            await running.recover()
            await CLOCK.sleep(0.05)

    task_id = await make_task(database, 4, models=4)
    async with engine.running(database, CLOCK, run_job, jobs_file=tmp_path / "jobs.sqlite", concurrency=10) as running:
        await running.submit(task_id)
        await hurry(running)
        await finished(database, task_id)
    assert most == 1


async def test_a_job_whose_place_in_the_queue_was_lost_has_not_begun(database: Database) -> None:
    """After a restart it is still left out by the end of the window, and by a cancel; one that ran never is."""
    task_id = await make_task(database, 3)
    async with database.transaction() as tx:
        queued, ran, waits = [job.id for job in await tasks.jobs_of(tx, task_id)]
        await tasks.release(tx, [queued, ran, waits])
        await tasks.raise_run_number(tx, queued)  # as the engine does when it finds no workflow of it
    await Run.begin(database, CLOCK, ran)
    run = await Run.begin(database, CLOCK, waits)
    async with run.transaction() as tx:
        await tasks.guarded_update(tx, run.job, status=JobStatus.WAITING, run_after=CLOCK.now())
    async with database.transaction() as tx:
        assert [job.begun for job in await tasks.jobs_of(tx, task_id)] == [False, True, True]
        await tasks.end_unreleased(tx, [ran, waits], description="Cancelled.", now=CLOCK.now())
        await tasks.skip_unbegun(tx, task_id, description="The window ended.", now=CLOCK.now())
        statuses = [job.status for job in await tasks.jobs_of(tx, task_id)]
    assert statuses == [JobStatus.SKIPPED, JobStatus.RUNNING, JobStatus.WAITING]
