"""The engine: the only importer of dbos.

DBOS owns running: which job runs when, one per device, limits, delays, recovery after a dead process. To it a
job is one workflow of one step. What happened is the journal's (jobs/run.py), and job rows are the truth: the
engine's own file is disposable. A row that is active, released and without a live workflow is enqueued under a
new workflow id, `job:<id>:<run number>`, at once after a run, and by `recover` at start and every minute.

Only processes that are to work may open an engine: its launch resumes work by itself.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

from dbos import DBOS, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID

from fleetseal.core.errors import FleetsealError, StandDown
from fleetseal.core.model import JobId, TaskId
from fleetseal.core.runtime import Clock
from fleetseal.jobs import waves
from fleetseal.store import tasks
from fleetseal.store.database import Database
from fleetseal.store.tasks import JobRecord

RunJob = Callable[[JobId], Awaitable[None]]
"""Runs the job until it has ended or must wait; writes the row's `run_after` itself."""

Enqueue = Callable[[JobRecord], Awaitable[None]]

_QUEUE = "device"
_APPLICATION_VERSION = "1"  # ours, not a hash of the code: an upgrade must not strand queued jobs
_EXECUTOR = "local"
_RECOVER_SECONDS = 60.0
_POLL_SECONDS = 0.4  # for enqueued jobs: most of what an idle server costs
_LONGEST_WAIT = timedelta(minutes=10)  # of a job: the longest https.soak-seconds; more means the clock was set back
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_PRUNED_AT_ONCE = 500
_GATHER_SECONDS = 0.05  # ends of jobs that come together are handled together

_log = logging.getLogger(__name__)


class Engine:
    """Runs the jobs of every unfinished task. Made by `running`."""

    def __init__(self, database: Database, clock: Clock, run_job: RunJob, enqueue: Enqueue) -> None:
        self._database = database
        self._clock = clock
        self._run_job = run_job
        self._enqueue = enqueue
        self._live: set[JobId] = set()  # have a workflow that is queued, delayed or running
        self._running: set[JobId] = set()
        self._known = False  # the engine's own file was read once
        self._draining = False
        self._held: set[TaskId] = set()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()  # enqueueing and taking stock exclude each other

    async def submit(self, task_id: TaskId) -> None:
        """The task's first wave is released; it goes on by itself."""
        self._wake.set()

    @contextmanager
    def holding(self, task_id: TaskId) -> Iterator[None]:
        """No wave of this task is released inside the block: what can be settled without its jobs is settled first."""
        self._held.add(task_id)
        try:
            yield
        finally:
            self._held.discard(task_id)
            self._wake.set()

    def drain(self) -> None:
        """No new device is begun from now on; devices in work finish or roll back."""
        self._draining = True

    async def recover(self) -> None:
        """Every active, released job has a live workflow: after a crash, when the engine's file is lost, and when the
        clock was set back while a job waited for a time of day that has become far."""
        async with self._turn:
            listed = await DBOS.list_workflows_async(status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False)
            live = {JobId(int(status.workflow_id.split(":")[1])) for status in listed} | self._running
            self._live = self._live & live if self._known else self._live | live
            self._known = True
            async with self._database.transaction() as tx:
                latest = self._clock.now() + _LONGEST_WAIT
                for job in await tasks.active_jobs(tx):
                    if job.run_after is not None and job.run_after > latest:
                        self._live.discard(job.id)
                        await tasks.run_earlier(tx, job.id, latest)
                    if job.released and job.id not in self._live:
                        await tasks.raise_run_number(tx, job.id)  # its last workflow id never runs again
        self._wake.set()

    async def prune(self) -> None:
        """Ended runs are gone from the engine's own file; what happened in them is the journal's."""
        while True:
            ended = await DBOS.list_workflows_async(
                status=_ENDED, limit=_PRUNED_AT_ONCE, load_input=False, load_output=False
            )
            if not ended:
                return
            await DBOS.delete_workflows_async([status.workflow_id for status in ended])

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(_GATHER_SECONDS)
            self._wake.clear()
            try:
                await self._advance()
            except (
                Exception
            ):  # whatever the stores raise (theirs, or dbos's): the rows are true, and recovery comes back
                _log.exception("The engine could not advance; it tries again within a minute.")

    async def _recover_every_minute(self) -> None:
        while True:
            try:
                await self.recover()
            except Exception:  # as above: a full disk must not end the server
                _log.exception("The engine could not look for interrupted jobs; it tries again within a minute.")
            await self._clock.sleep(_RECOVER_SECONDS)

    async def _advance(self) -> None:
        """Waves are released, waiting jobs enqueued, ended tasks finished."""
        async with self._database.reading() as tx:
            unfinished = await tasks.unfinished_tasks(tx)
        for task in unfinished:
            if task.id in self._held:
                continue
            await self._advance_task(task.id, cancelled=task.cancelled)
        async with self._turn:
            async with self._database.reading() as tx:
                jobs = await tasks.active_jobs(tx)
            for job in jobs:
                if job.released and job.id not in self._live and not (self._draining and not job.begun):
                    await self._enqueue(job)
                    self._live.add(job.id)

    async def _advance_task(self, task_id: TaskId, *, cancelled: bool) -> None:
        async with self._database.transaction() as tx:
            jobs = await tasks.jobs_of(tx, task_id)
            now = self._clock.now()
            if cancelled:
                waiting = [job.id for job in jobs if job.active and not job.begun and job.id not in self._running]
                await tasks.end_unreleased(tx, waiting, description="Cancelled before it began.", now=now)
                jobs = await tasks.jobs_of(tx, task_id)
            decision = waves.decide(jobs)
            if decision.release and not self._draining:
                await tasks.release(tx, decision.release)
            for job_id, reason in decision.stop:
                await tasks.end_unreleased(tx, [job_id], description=reason, now=now)
            if decision.task_stopped:
                await tasks.stop_task(tx, task_id, reason=decision.task_stopped)
            if not any(job.active for job in await tasks.jobs_of(tx, task_id)):
                await tasks.finish_task(tx, task_id, now=now)

    async def _run(self, job_id: JobId) -> None:
        """One run. Nothing a job does may fail the workflow: its outcome is in its row."""
        self._live.add(job_id)
        if self._draining:
            async with self._database.reading() as tx:
                begun = (await tasks.get_job(tx, job_id)).begun
            if not begun:
                self._live.discard(job_id)
                return
        self._running.add(job_id)
        try:
            await self._run_job(job_id)
            self._live.discard(job_id)
        except StandDown as error:
            _log.info("%s", error.message)
        except FleetsealError:
            # The store refused: the row is still active, so `recover` brings the job back.
            _log.exception("Job %s was interrupted; it continues within a minute.", job_id)
        finally:
            self._running.discard(job_id)
            self._wake.set()

    async def _close(self) -> None:
        while self._running:
            await self._clock.sleep(0.05)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)


@asynccontextmanager
async def running(
    database: Database, clock: Clock, run_job: RunJob, *, jobs_file: Path, concurrency: int
) -> AsyncIterator[Engine]:
    """An engine that works until the block ends, then waits for the runs in progress.

    `concurrency` is the number of devices worked on at once (`jobs.concurrency`).
    """
    _use_wal(jobs_file)
    DBOS(
        config={
            "name": "fleetseal",
            "system_database_url": f"sqlite:///{jobs_file}",
            "application_version": _APPLICATION_VERSION,
            "executor_id": _EXECUTOR,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
        }
    )

    @DBOS.step(name="run_job")
    async def step(job_id: int) -> None:
        await engine._run(JobId(job_id))

    @DBOS.workflow(name="job", max_recovery_attempts=None)
    async def workflow(job_id: int) -> None:
        await step(job_id)

    async def enqueue(job: JobRecord) -> None:
        now = clock.now()
        delay = None if job.run_after is None else max(0.0, (job.run_after - now).total_seconds())
        with (
            SetWorkflowID(f"job:{job.id}:{job.run_number + 1}"),
            SetEnqueueOptions(queue_partition_key=str(job.device_id), delay_seconds=delay or None),
        ):
            await DBOS.enqueue_workflow_async(_QUEUE, workflow, job.id)

    engine = Engine(database, clock, run_job, enqueue)
    DBOS.launch()
    await DBOS.register_queue_async(
        _QUEUE, worker_concurrency=concurrency, partition_concurrency=1, polling_interval_sec=_POLL_SECONDS
    )
    try:
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(engine._work()), group.create_task(engine._recover_every_minute())]
            try:
                yield engine
            finally:
                for loop in loops:
                    loop.cancel()
    finally:
        await engine._close()


def _use_wal(path: Path) -> None:
    """Write-ahead logging for the engine's own file, set before it is opened: half the speed without it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
