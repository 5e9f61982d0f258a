"""Tasks: what a person asked for, on one or many devices; and what became of it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fleetseal.core.errors import Conflict, InvalidInput
from fleetseal.core.model import (
    Device,
    DeviceId,
    JobId,
    JobStatus,
    Selection,
    Support,
    TaskAction,
    TaskId,
    TaskState,
)
from fleetseal.core.text import timestamp
from fleetseal.operations import listing, states
from fleetseal.operations.services import Services
from fleetseal.store import audit, bundles, inventory, tasks
from fleetseal.store.database import Transaction
from fleetseal.store.tasks import AtWork, JobRecord, StepRecord, Subject, TaskRecord

if TYPE_CHECKING:  # reading commands do not load the engine
    from fleetseal.jobs.engine import Engine

COLUMNS = ("id", "action", "state", "requested", "started", "finished", "total", "done", "failed")
"""Of `list_`."""
FAILURES = (JobStatus.FAILED, JobStatus.ROLLED_BACK)


async def request(
    services: Services,
    engine: "Engine",
    *,
    actor: str,
    action: TaskAction,
    selection: Selection,
    wish: dict[str, Any],
) -> TaskId:
    """The task is recorded with one job for each device, and begun.

    Busy and unsupported devices get their outcome at once and are not contacted. Raises NotFound when a device
    is unknown, Conflict when a name is ambiguous, InvalidInput when nothing is selected.
    """
    chosen = await listing.choose(services, selection)
    if not chosen:
        raise InvalidInput("No device is selected: there is nothing to do.")
    return await begin(
        services, engine, actor=actor, action=action, wish=wish, chosen=chosen, named=listing.named(selection)
    )


async def begin(
    services: Services,
    engine: "Engine",
    *,
    actor: str,
    action: TaskAction,
    wish: dict[str, Any],
    chosen: Sequence[Device],
    named: bool,
    also: Callable[[Transaction, JobRecord], Awaitable[None]] | None = None,
) -> TaskId:
    """As `request`, for these devices; `also` is told each job, in the transaction that records the task."""
    task_id = await _record(services, actor=actor, action=action, wish=wish, chosen=chosen, named=named, also=also)
    await engine.submit(task_id)
    return task_id


async def retry(services: Services, engine: "Engine", task_id: TaskId, *, actor: str) -> TaskId:
    """A new task of the same wish on the devices that failed or were cancelled in this one."""
    async with services.database.reading() as tx:
        task = await tasks.get_task(tx, task_id)
        again = [job for job in await tasks.jobs_of(tx, task_id) if job.status in (*FAILURES, JobStatus.CANCELLED)]
        known = {device.id: device for device in await inventory.every(tx)}
    if task.finished is None:
        raise InvalidInput(f"Task {task_id} has not ended. Continue it: fleetseal task resume.")
    if task.action is TaskAction.INSTALL_CERTIFICATE:
        raise Conflict(
            f"Task {task_id} cannot be retried: private keys are kept only until their task has ended. "
            "Give the files again: fleetseal certificate install."
        )
    chosen = [known[job.device_id] for job in again if job.device_id in known]
    if not chosen:
        raise InvalidInput(f"No device failed in task {task_id}: there is nothing to retry.")
    named = any(job.named for job in again)
    return await begin(services, engine, actor=actor, action=task.action, wish=task.wish, chosen=chosen, named=named)


async def cancel(services: Services, engine: "Engine | None", task_id: TaskId, *, actor: str) -> None:
    """Devices in work run their undos and end `Cancelled`; the others are not begun."""
    now = services.clock.now()
    async with services.database.transaction() as tx:
        await tasks.cancel_task(tx, task_id)
        await audit.record(tx, now=now, actor=actor, action="task cancel", object=f"task {task_id}", detail={})
        if engine is None:  # nobody works: devices that were begun are put back by `task resume`
            untouched = [job.id for job in await tasks.jobs_of(tx, task_id) if job.active and not job.begun]
            await tasks.end_unreleased(tx, untouched, description="Cancelled before it began.", now=now)
            if not any(job.active for job in await tasks.jobs_of(tx, task_id)):
                await tasks.finish_task(tx, task_id, now=now)
    if engine is not None:
        await engine.submit(task_id)


async def unfinished(services: Services) -> tuple[TaskId, ...]:
    """The tasks that still have work to do."""
    async with services.database.reading() as tx:
        return tuple(task.id for task in await tasks.unfinished_tasks(tx))


async def suspended(services: Services) -> list[dict[str, Any]]:
    """Unfinished tasks with their counts: suspended, when nobody works on this data."""
    async with services.database.reading() as tx:
        counts = await tasks.job_counts(tx)
        return [
            {
                "id": task.id,
                "action": task.action,
                "done": _ended(counts[task.id]),
                "total": sum(counts[task.id].values()),
            }
            for task in await tasks.unfinished_tasks(tx)
            if task.id in counts
        ]


async def show(services: Services, task_id: TaskId, *, working: bool) -> dict[str, Any]:
    """The task result of the contract. `working`: an engine runs on this data."""
    async with services.database.reading() as tx:
        task = await tasks.get_task(tx, task_id)
        jobs = await tasks.jobs_of(tx, task_id)
        steps = await tasks.steps_of_task(tx, task_id)
        files = await bundles.files(tx, task_id)
    return {
        "id": task.id,
        "action": task.action,
        "state": _state(task, {status: sum(job.status is status for job in jobs) for status in JobStatus}, working),
        "heading": _heading(task, jobs),
        "actor": task.actor,
        "requested": timestamp(task.requested),
        "started": task.started and timestamp(task.started),
        "finished": task.finished and timestamp(task.finished),
        "stopped": task.stopped,
        "devices": [_device(job, steps.get(job.id, ())) | _file(files, job) for job in jobs],
        **({"unmatched": _unmatched(task)} if task.action is TaskAction.INSTALL_CERTIFICATE else {}),
    }


async def progress(services: Services, task_id: TaskId, *, working: bool) -> dict[str, Any]:
    """How far it is: `{"id","action","state","total","done","failed","in_work","note"}`.

    `in_work` devices were begun and have no outcome yet; `note` says what those wait for.
    """
    async with services.database.reading() as tx:
        task, counts = await tasks.get_task(tx, task_id), (await tasks.job_counts(tx)).get(task_id, {})
        active = [job for job in await tasks.active_jobs(tx) if job.task_id == task_id]
    return {
        "id": task.id,
        "action": task.action,
        "state": _state(task, counts, working),
        "total": sum(counts.values()),
        "done": _ended(counts),
        "failed": sum(counts.get(status, 0) for status in FAILURES),
        "in_work": sum(job.begun for job in active),
        "note": _note(active),
    }


def _note(active: Sequence[JobRecord]) -> str:
    """What the devices that wait, wait for; empty when none does."""
    waiting = [job for job in active if job.begun and job.status is JobStatus.WAITING]
    if len(waiting) == 1:
        return waiting[0].description
    return f"{len(waiting)} devices wait for their next look" if waiting else ""


async def list_(services: Services, *, working: bool) -> list[dict[str, Any]]:
    """Every task, the newest first, without its devices."""
    async with services.database.reading() as tx:
        counts = await tasks.job_counts(tx)
        listed = await tasks.list_tasks(tx)
    return [_row(task, counts.get(task.id, {}), working) for task in listed]


async def rows_of(tx: Transaction, task_ids: Collection[TaskId], *, working: bool) -> list[dict[str, Any]]:
    """As `list_`, of those of these that are there."""
    if not task_ids:
        return []
    counts = await tasks.job_counts(tx, task_ids)
    return [_row(task, counts.get(task.id, {}), working) for task in await tasks.list_tasks(tx, task_ids)]


async def record(
    services: Services,
    tx: Transaction,
    *,
    actor: str,
    action: TaskAction,
    wish: dict[str, Any],
    devices: Sequence[tuple[Subject, bool]],
    asked: int,
) -> TaskId:
    """A task with one job for each (device, named explicitly), and its audit line; `asked`: for how many devices.

    Raises Conflict when a device has an active job.
    """
    now = services.clock.now()
    await tasks.instance(tx, candidate=services.rng.bytes(3).hex(), now=now)
    task_id = await tasks.add_task(tx, action=action, wish=wish, actor=actor, devices=devices, now=now)
    detail = {"wish": wish, "devices": asked}
    await audit.record(tx, now=now, actor=actor, action=f"task {action}", object=f"task {task_id}", detail=detail)
    return task_id


async def _record(
    services: Services,
    *,
    actor: str,
    action: TaskAction,
    wish: dict[str, Any],
    chosen: Sequence[Device],
    named: bool,
    also: Callable[[Transaction, JobRecord], Awaitable[None]] | None,
) -> TaskId:
    now = services.clock.now()
    async with services.database.transaction() as tx:
        busy = await inventory.active_tasks(tx)
        ended = {device.id: why for device in chosen if (why := _why_not(device, action, busy)) is not None}
        begun = [(device, named) for device in chosen if device.id not in ended]
        task_id = await record(services, tx, actor=actor, action=action, wish=wish, devices=begun, asked=len(chosen))
        for device in chosen:
            if device.id in ended:
                status = JobStatus.FAILED if named else JobStatus.SKIPPED
                await tasks.add_ended_job(
                    tx, task_id, device, named=named, status=status, description=ended[device.id], now=now
                )
        if also is not None:
            for job in await tasks.jobs_of(tx, task_id):
                await also(tx, job)
        if len(ended) == len(chosen):
            await tasks.finish_task(tx, task_id, now=now)
    return task_id


def _row(task: TaskRecord, counts: dict[JobStatus, int], working: bool) -> dict[str, Any]:
    return {
        "id": task.id,
        "action": task.action,
        "state": _state(task, counts, working),
        "actor": task.actor,
        "requested": timestamp(task.requested),
        "started": task.started and timestamp(task.started),
        "finished": task.finished and timestamp(task.finished),
        "total": sum(counts.values()),
        "done": _ended(counts),
        "failed": sum(counts.get(status, 0) for status in FAILURES),
    }


def _why_not(device: Device, action: TaskAction, busy: Mapping[DeviceId, AtWork]) -> str | None:
    if device.id in busy:
        return f"Busy in {busy[device.id]}."
    certificates = action is not TaskAction.DISABLE_HTTPS
    if action is TaskAction.REFRESH or states.fit(device, certificates=certificates):
        return None
    what = "Unsupported device" if device.support is Support.PRODUCT else "Unsupported firmware"
    return f"{what}: {device.support_reason} Nothing was written to it."


def _state(task: TaskRecord, counts: dict[JobStatus, int], working: bool) -> TaskState:
    if task.finished is not None:
        if task.cancelled:
            return TaskState.CANCELLED
        failed = _unmatched(task) or any(counts.get(status, 0) for status in FAILURES)
        return TaskState.FAILED if failed else TaskState.FINISHED
    if not working:
        return TaskState.SUSPENDED
    if task.started is None:
        return TaskState.QUEUED
    return TaskState.RUNNING if counts.get(JobStatus.RUNNING, 0) else TaskState.WAITING


def _heading(task: TaskRecord, jobs: tuple[JobRecord, ...]) -> str:
    failed = sum(job.status in FAILURES for job in jobs)
    if refused := _unmatched(task):
        unused = "1 file was not used" if len(refused) == 1 else f"{len(refused)} files were not used"
        return f"{task.action} failed on {failed} of {len(jobs)} devices, and {unused}" if jobs else unused
    if failed:
        return f"{task.action} failed on {failed} of {len(jobs)} devices"
    cancelled = sum(job.status is JobStatus.CANCELLED for job in jobs)
    if cancelled:
        return f"{task.action} cancelled on {cancelled} of {len(jobs)} devices"
    return f"{task.action} successful on all devices"


def _unmatched(task: TaskRecord) -> list[dict[str, str]]:
    """The files that a task could not use, with the reasons; only the installation of certificates has any."""
    return list(task.wish.get("unmatched", ()))


def _device(job: JobRecord, steps: tuple[StepRecord, ...]) -> dict[str, Any]:
    return {
        "mac": job.mac,
        "address": job.address,
        "status": job.status,
        "description": job.description,
        "error": job.error_code,
        "steps": [
            {"name": step.name, "state": step.state, "at": timestamp(step.at), "detail": step.detail} for step in steps
        ],
    }


def _file(files: Mapping[JobId, str], job: JobRecord) -> dict[str, str]:
    """What was installed, where the task installs something."""
    return {"file": files[job.id]} if job.id in files else {}


def _ended(counts: dict[JobStatus, int]) -> int:
    return sum(count for status, count in counts.items() if not status.active)
