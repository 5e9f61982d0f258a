"""Refresh: devices looked at again because a person asked. Those that were named are read in full; the others where a
glance shows that they differ from the record, where a full read is due, or where something stood against it."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fleetseal.core.errors import StoreError
from fleetseal.core.model import Device, DeviceId, JobId, JobStatus, TaskId
from fleetseal.jobs.run import Run
from fleetseal.operations import contact, glances, states
from fleetseal.operations.listing import Context
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.store import inventory, tasks

if TYPE_CHECKING:  # reading commands do not load the engine
    from fleetseal.jobs.engine import Engine

_CHUNK: Final = 200  # devices whose outcome is stored together, and after which a cancelled task is noticed

_log = logging.getLogger(__name__)


async def settle(services: Services, engine: "Engine", task_id: TaskId) -> None:
    """Every device of this refresh that was not named and has not changed has its outcome; the others are left to
    their jobs, which begin when this ends. So it is too after a crash, or where the store refuses."""
    with engine.holding(task_id):
        try:
            async with services.database.transaction() as tx:
                await tasks.begin_task(tx, task_id, now=services.clock.now())
                jobs = [job for job in await tasks.jobs_of(tx, task_id) if job.active and not job.named]
            for start in range(0, len(jobs), _CHUNK):
                job_ids = {job.device_id: job.id for job in jobs[start : start + _CHUNK]}
                unchanged = await _unchanged(services, list(job_ids))
                if not await _end(services, task_id, {job_ids[one]: said for one, said in unchanged.items()}):
                    return
        except StoreError as error:
            _log.warning("Each device of task %s is looked at by itself: %s", task_id, error.message)


async def refresh(services: Services, run: Run) -> None:
    """The job of one device: it has ended."""
    device_id = run.job.device_id
    unchanged = {} if run.job.named else await _unchanged(services, [device_id])
    if unchanged:
        await run.end(JobStatus.UNCHANGED, unchanged[device_id])
        return
    device = await contact.refresh_device(services, device_id)
    async with services.database.reading() as tx:
        context = await Context.read(services, tx, [device])
    if against := states.unread(device, context.settings):
        code = against[0].status.lower().replace(" ", "-")
        await run.end(JobStatus.FAILED, f"{against[0].status}: {against[0].reason}", error_code=code)
    else:
        await run.end(JobStatus.FINISHED, _said("Read.", device, context))


async def _unchanged(services: Services, device_ids: Collection[DeviceId]) -> dict[DeviceId, str]:
    """Those of these devices that are as they were when last read, with a sentence for people."""
    async with services.database.reading() as tx:
        settings = await current(services, tx)
        devices = [one for one in await inventory.some(tx, device_ids) if not states.unread(one, settings)]
        context = await Context.read(services, tx, devices)
    swept = await glances.sweep(services, services.connect(settings), devices, at_once=settings.jobs_concurrency)
    return {one.id: _said("It is as when last read.", one, context) for one in swept.unchanged}


async def _end(services: Services, task_id: TaskId, unchanged: Mapping[JobId, str]) -> bool:
    """These jobs have ended, unless they were begun; False when the task was cancelled, and they have not."""
    now = services.clock.now()
    async with services.database.transaction() as tx:
        if (await tasks.get_task(tx, task_id)).cancelled:
            return False
        for said in set(unchanged.values()):
            same = [job_id for job_id, sentence in unchanged.items() if sentence == said]
            await tasks.end_unchanged(tx, same, description=said, now=now)
    return True


def _said(done: str, device: Device, context: Context) -> str:
    first = replace(context, busy={}).statuses(device)[0]
    return done if first.status == "OK" else f"{done} {first.status}: {first.reason}"
