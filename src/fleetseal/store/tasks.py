"""Tasks, jobs and the journal of their steps.

Every write of a running job is conditional on its run number (JOB-ONE-WRITER): no row changed means
that another run has begun, and the caller stands down.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import NotFound, StandDown
from fleetseal.core.model import Device, DeviceId, JobId, JobStatus, TaskAction, TaskId
from fleetseal.store import bundles
from fleetseal.store.database import Transaction
from fleetseal.store.schema import installation, job, job_step, task

_WRITTEN_AT_ONCE = 1000

_NOT_BEGUN = (job.c.active, job.c.status == JobStatus.WAITING, job.c.run_after.is_(None))  # `JobRecord.begun`


@dataclass(frozen=True)
class TaskRecord:
    id: TaskId
    action: TaskAction
    wish: dict[str, Any]
    actor: str | None
    requested: datetime
    started: datetime | None
    finished: datetime | None
    cancelled: bool
    stopped: str | None


@dataclass(frozen=True)
class JobRecord:
    id: JobId
    task_id: TaskId
    device_id: DeviceId
    mac: str | None
    address: str
    cohort: str
    named: bool
    status: JobStatus
    active: bool
    released: bool
    run_number: int
    run_after: datetime | None
    attempts: int
    first_failure: datetime | None
    harmed: bool
    unwinding: str | None
    description: str
    error_code: str | None
    finished: datetime | None

    @property
    def begun(self) -> bool:
        """It ran, or runs. The run number does not tell: it rises as well when a lost workflow is replaced."""
        return self.status is not JobStatus.WAITING or self.run_after is not None


@dataclass(frozen=True)
class StepRecord:
    name: str
    kind: str
    state: str
    undo: dict[str, Any] | None
    result: Any
    detail: str
    at: datetime


@dataclass(frozen=True)
class AtWork:
    """A task that holds a device, and who asked for it, as a part of a sentence."""

    task_id: TaskId
    actor: str | None

    def __str__(self) -> str:
        return f"task {self.task_id}" if self.actor is None else f"task {self.task_id} of {self.actor}"


class Subject(Protocol):
    """What a job says of its device."""

    @property
    def id(self) -> DeviceId: ...
    @property
    def mac(self) -> str | None: ...
    @property
    def address(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def firmware(self) -> str: ...


async def add_task(
    tx: Transaction,
    *,
    action: TaskAction,
    wish: dict[str, Any],
    actor: str,
    devices: Iterable[tuple[Subject, bool]],
    now: datetime,
) -> TaskId:
    """A task with one waiting job for each (device, named explicitly).

    Raises Conflict when a device already has an active job: the index `uq_job_active_device` says so.
    """
    result = await tx.execute(insert(task).values(action=action, wish=wish, actor=actor, requested=now))
    task_id = TaskId(result.inserted_primary_key[0])  # type: ignore[index]  # an insert of one row has a key
    rows = (
        _job_columns(task_id, device, named=named, status=JobStatus.WAITING, active=True) for device, named in devices
    )
    while batch := list(islice(rows, _WRITTEN_AT_ONCE)):
        await tx.execute(insert(job), batch)
    return task_id


async def add_ended_job(
    tx: Transaction,
    task_id: TaskId,
    device: Device,
    *,
    named: bool,
    status: JobStatus,
    description: str,
    now: datetime,
) -> None:
    """A job that ended before it began: skipped, or refused because the device is busy."""
    await tx.execute(
        insert(job).values(
            **_job_columns(task_id, device, named=named, status=status, active=False),
            released=True,
            description=description,
            finished=now,
        )
    )


async def get_task(tx: Transaction, task_id: TaskId) -> TaskRecord:
    row = (await tx.execute(select(task).where(task.c.id == task_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no task {task_id}.")
    return _task(row)


async def list_tasks(tx: Transaction, only: Collection[TaskId] | None = None) -> tuple[TaskRecord, ...]:
    """All, or those of these that are there; the newest first."""
    query = select(task).order_by(task.c.id.desc())
    rows = await tx.execute(query if only is None else query.where(task.c.id.in_(only)))
    return tuple(_task(row) for row in rows)


async def unfinished_tasks(tx: Transaction) -> tuple[TaskRecord, ...]:
    rows = await tx.execute(select(task).where(task.c.finished.is_(None)).order_by(task.c.id))
    return tuple(_task(row) for row in rows)


async def job_counts(tx: Transaction, only: Collection[TaskId] | None = None) -> dict[TaskId, dict[JobStatus, int]]:
    """By task, all or these, and status."""
    query = select(job.c.task_id, job.c.status, func.count()).group_by(job.c.task_id, job.c.status)
    rows = await tx.execute(query if only is None else query.where(job.c.task_id.in_(only)))
    counts: dict[TaskId, dict[JobStatus, int]] = {}
    for task_id, status, count in rows:
        counts.setdefault(TaskId(task_id), {})[JobStatus(status)] = count
    return counts


async def get_job(tx: Transaction, job_id: JobId) -> JobRecord:
    row = (await tx.execute(select(job).where(job.c.id == job_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id}.")
    return _job(row)


async def task_of(tx: Transaction, job_id: JobId) -> TaskId | None:
    """The task of a job; None when there is no such job (any more)."""
    found = await tx.scalar(select(job.c.task_id).where(job.c.id == job_id))
    return None if found is None else TaskId(found)


async def jobs_of(tx: Transaction, task_id: TaskId) -> tuple[JobRecord, ...]:
    rows = await tx.execute(select(job).where(job.c.task_id == task_id).order_by(job.c.id))
    return tuple(_job(row) for row in rows)


async def active_jobs(tx: Transaction) -> tuple[JobRecord, ...]:
    rows = await tx.execute(select(job).where(job.c.active).order_by(job.c.id))
    return tuple(_job(row) for row in rows)


async def steps_of(tx: Transaction, job_id: JobId) -> tuple[StepRecord, ...]:
    """In the order in which they were begun."""
    rows = await tx.execute(select(job_step).where(job_step.c.job_id == job_id).order_by(job_step.c.id))
    return tuple(_step(row) for row in rows)


async def steps_of_task(tx: Transaction, task_id: TaskId) -> dict[JobId, tuple[StepRecord, ...]]:
    query = select(job_step).join(job, job.c.id == job_step.c.job_id).where(job.c.task_id == task_id)
    found: dict[JobId, list[StepRecord]] = {}
    for row in await tx.execute(query.order_by(job_step.c.id)):
        found.setdefault(JobId(row.job_id), []).append(_step(row))
    return {job_id: tuple(steps) for job_id, steps in found.items()}


async def release(tx: Transaction, job_ids: Sequence[JobId]) -> None:
    """These jobs' wave has begun."""
    await tx.execute(update(job).where(job.c.id.in_(job_ids)).values(released=True))


async def end_unreleased(tx: Transaction, job_ids: Sequence[JobId], *, description: str, now: datetime) -> None:
    """These jobs never begin; no device was touched."""
    await tx.execute(
        update(job)
        .where(job.c.id.in_(job_ids), *_NOT_BEGUN)
        .values(active=False, status=JobStatus.CANCELLED, description=description, finished=now)
    )
    ended = await tx.execute(select(job.c.id).where(job.c.id.in_(job_ids), ~job.c.active))
    await bundles.wipe_keys(tx, ended.scalars())


async def end_unchanged(tx: Transaction, job_ids: Sequence[JobId], *, description: str, now: datetime) -> None:
    """Those of these jobs that were not begun end `Unchanged`; their device is as it was."""
    await tx.execute(
        update(job)
        .where(job.c.id.in_(job_ids), job.c.active, job.c.released.is_(False))
        .values(active=False, released=True, status=JobStatus.UNCHANGED, description=description, finished=now)
    )


async def newest_job(tx: Transaction, device_id: DeviceId) -> JobId | None:
    """The last that was made for this device: another one means that a task began."""
    found = await tx.scalar(select(func.max(job.c.id)).where(job.c.device_id == device_id))
    return None if found is None else JobId(found)


async def begin_task(tx: Transaction, task_id: TaskId, *, now: datetime) -> None:
    """Work on it has begun, now or before."""
    await tx.execute(update(task).where(task.c.id == task_id, task.c.started.is_(None)).values(started=now))


async def skip_unbegun(tx: Transaction, task_id: TaskId, *, description: str, now: datetime) -> None:
    """The jobs of this task that were not begun never are; no device was touched."""
    await tx.execute(
        update(job)
        .where(job.c.task_id == task_id, *_NOT_BEGUN)
        .values(active=False, status=JobStatus.SKIPPED, description=description, finished=now)
    )


async def prune(tx: Transaction, *, before: datetime, limit: int) -> int:
    """At most `limit` tasks that ended before this time are forgotten, with their jobs and steps; how many. Those that
    left something on a device stay: `leftovers` needs them."""
    harmed = select(job.c.id).where(job.c.task_id == task.c.id, job.c.harmed).exists()
    old = select(task.c.id).where(task.c.finished < before, ~harmed).order_by(task.c.id).limit(limit)
    return (await tx.execute(delete(task).where(task.c.id.in_(old.scalar_subquery())))).rowcount


async def begin_run(tx: Transaction, job_id: JobId, *, now: datetime) -> JobRecord:
    """The job with its run number raised: earlier runs of it write nothing more."""
    await tx.execute(
        update(job)
        .where(job.c.id == job_id, job.c.active)
        .values(run_number=job.c.run_number + 1, status=JobStatus.RUNNING, run_after=None)
    )
    record = await get_job(tx, job_id)
    await begin_task(tx, record.task_id, now=now)
    return record


async def run_earlier(tx: Transaction, job_id: JobId, at: datetime) -> None:
    """A job that waits does so until this time."""
    await tx.execute(update(job).where(job.c.id == job_id, job.c.run_after.is_not(None)).values(run_after=at))


async def raise_run_number(tx: Transaction, job_id: JobId) -> int:
    """The next free run number, for a job without a live workflow."""
    await tx.execute(update(job).where(job.c.id == job_id).values(run_number=job.c.run_number + 1))
    return (await get_job(tx, job_id)).run_number


async def guarded_update(tx: Transaction, record: JobRecord, **values: Any) -> None:
    """Change the job's row if this run is still the current one; StandDown otherwise. A job that ends by it keeps no
    private key."""
    changed = await tx.execute(
        update(job).where(job.c.id == record.id, job.c.run_number == record.run_number, job.c.active).values(**values)
    )
    if changed.rowcount != 1:
        raise StandDown(f"Another run of job {record.id} has begun; this one writes nothing more.")
    if values.get("active") is False:
        await bundles.wipe_keys(tx, [record.id])


async def guard(tx: Transaction, record: JobRecord) -> None:
    """StandDown unless this run is still the current one. Takes the row's lock."""
    await guarded_update(tx, record, run_number=record.run_number)


async def write_step(
    tx: Transaction,
    record: JobRecord,
    name: str,
    *,
    kind: str,
    state: str,
    now: datetime,
    undo: dict[str, Any] | None = None,
    result: Any = None,
    detail: str = "",
) -> None:
    """The step's row is as given. An undo that was recorded before stays: the first one knew the device untouched."""
    await guard(tx, record)
    where = (job_step.c.job_id == record.id) & (job_step.c.name == name)
    before = (await tx.execute(select(job_step).where(where))).one_or_none()
    values: dict[str, Any] = {"kind": kind, "state": state, "result": result, "detail": detail, "at": now}
    if before is None:
        await tx.execute(insert(job_step).values(job_id=record.id, name=name, undo=undo, **values))
        return
    if before.undo is None or before.state == "undone":
        values["undo"] = undo
    await tx.execute(update(job_step).where(where).values(**values))


async def mark_step(tx: Transaction, record: JobRecord, name: str, *, state: str, detail: str, now: datetime) -> None:
    """State and detail change; undo and result stay."""
    await guard(tx, record)
    await tx.execute(
        update(job_step)
        .where(job_step.c.job_id == record.id, job_step.c.name == name)
        .values(state=state, detail=detail, at=now)
    )


async def drop_undos(tx: Transaction, record: JobRecord) -> None:
    """No undo after this point."""
    await guard(tx, record)
    await tx.execute(update(job_step).where(job_step.c.job_id == record.id).values(undo=None))


async def cancel_task(tx: Transaction, task_id: TaskId) -> None:
    """The mark that jobs read between their steps."""
    await get_task(tx, task_id)
    await tx.execute(update(task).where(task.c.id == task_id, task.c.finished.is_(None)).values(cancelled=True))


async def finish_task(tx: Transaction, task_id: TaskId, *, now: datetime) -> None:
    await tx.execute(update(task).where(task.c.id == task_id, task.c.finished.is_(None)).values(finished=now))


async def stop_task(tx: Transaction, task_id: TaskId, *, reason: str) -> None:
    await tx.execute(update(task).where(task.c.id == task_id, task.c.stopped.is_(None)).values(stopped=reason))


async def find_instance(tx: Transaction) -> str | None:
    """This installation's name, part of every alias; None before the first task."""
    return (await tx.execute(select(installation.c.instance))).scalar_one_or_none()


async def instance(tx: Transaction, *, candidate: str, now: datetime) -> str:
    """As `find_instance`; `candidate` becomes it the first time."""
    if (known := await find_instance(tx)) is not None:
        return known
    await tx.execute(insert(installation).values(id=1, instance=candidate, created=now))
    return candidate


def _job_columns(task_id: TaskId, device: Subject, *, named: bool, status: JobStatus, active: bool) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "device_id": device.id,
        "mac": device.mac,
        "address": device.address,
        "cohort": f"{device.model} {device.firmware}",
        "named": named,
        "status": status.value,  # a plain string is bound faster than a subclass
        "active": active,
    }


def _task(row: Row[Any]) -> TaskRecord:
    return TaskRecord(**{**row._mapping, "action": TaskAction(row.action)})


def _job(row: Row[Any]) -> JobRecord:
    return JobRecord(**{**row._mapping, "status": JobStatus(row.status)})


def _step(row: Row[Any]) -> StepRecord:
    return StepRecord(row.name, row.kind, row.state, row.undo, row.result, row.detail, row.at)
