"""One run of one job: its procedure, and what happens when that fails.

A retryable failure undoes nothing and waits. On final failure the undos run last-first; what could not be put
back is an alarm that names it. What nobody foresaw fails the job with an incident id.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from fleetseal.core.errors import (
    AuthenticationFailed,
    FleetsealError,
    IdentityMismatch,
    StandDown,
    StoreError,
)
from fleetseal.core.model import JobId, JobStatus, TaskAction
from fleetseal.jobs import retry
from fleetseal.jobs.run import CONFIRMING, Cancelled, Run, Undo
from fleetseal.operations import ca_entries, contact, entries, https, installing, issuing, readiness, refreshing
from fleetseal.operations import settings as current_settings
from fleetseal.operations.services import Services
from fleetseal.operations.work import Ended, Work, execute_undo, is_harm
from fleetseal.store import alarms, inventory, tasks
from fleetseal.store.database import Transaction
from fleetseal.store.tasks import TaskRecord

_log = logging.getLogger(__name__)


class Unforeseen(FleetsealError):
    """A defect of ours; the incident id finds it in the log."""

    code = "internal-error"


async def run_job(services: Services, job_id: JobId) -> None:
    """The job has ended, or waits until its row's `run_after`. Raises StandDown and StoreError only."""
    run = await Run.begin(services.database, services.clock, job_id, failpoint=services.failpoint)
    try:
        await _proceed(services, run)
    except Ended:
        pass
    except (StandDown, StoreError):
        raise
    except Exception as error:
        if not isinstance(error, FleetsealError):
            error = await unforeseen(services, error)
        await _failed(services, run, error)


async def _proceed(services: Services, run: Run) -> None:
    async with services.database.reading() as tx:
        task = await tasks.get_task(tx, run.job.task_id)
    if task.action is TaskAction.REFRESH:
        await refreshing.refresh(services, run)
        return
    work = await _work(services, run, task)
    if run.job.unwinding is not None:
        await _unwind(work)
        return
    try:
        await _PROCEDURES[task.action](work)
    except AuthenticationFailed:
        await readiness.note_refusal(services, work.device)  # before the undos: they would send it again
        raise


_PROCEDURES: dict[TaskAction, Callable[[Work], Awaitable[None]]] = {
    TaskAction.ENABLE_HTTPS: https.enable,
    TaskAction.DISABLE_HTTPS: https.disable,
    TaskAction.INSTALL_CERTIFICATE: installing.install,
    TaskAction.DELETE_CERTIFICATE: entries.delete,
    TaskAction.RENEW_CERTIFICATE: https.enable,
    TaskAction.INSTALL_AUTHORITIES: ca_entries.install,
    TaskAction.REMOVE_AUTHORITIES: ca_entries.remove,
}


async def _work(services: Services, run: Run, task: TaskRecord) -> Work:
    """The hold on the device. Before the first step it must be fit for work; afterwards its login is enough: what was
    changed is carried through or put back."""
    if run.steps():
        async with services.database.reading() as tx:
            device = await inventory.get(tx, run.job.device_id)
            login = await readiness.usable_login(services, tx, device)
    else:
        device, login = await readiness.ready(
            services, run.job.device_id, certificates=task.action is not TaskAction.DISABLE_HTTPS
        )
    settings = await current_settings.in_force(services)
    return Work(services, settings, services.connect(settings), run, device, login, task.wish)


# ---------------------------------------------------------------- failure


async def unforeseen(services: Services, error: Exception) -> FleetsealError:
    """A defect as an error for people; the log has the traceback under the same incident id."""
    incident = services.rng.bytes(4).hex()
    _log.error("Incident %s", incident, exc_info=error)
    return Unforeseen(f"An unexpected error inside Fleetseal (incident {incident}, see the log).")


async def _failed(services: Services, run: Run, error: FleetsealError) -> None:
    if await _wait_and_retry(services, run, error):
        return
    if run.recorded(CONFIRMING) is not None:
        await run.end(
            JobStatus.FINISHED,
            f"Done, but the tidying up afterwards failed: {error.message}",
            error_code=error.code,
        )
        return
    async with services.database.reading() as tx:
        task = await tasks.get_task(tx, run.job.task_id)
    await run.begin_unwinding(error.message, error_code=error.code)
    try:
        work = await _work(services, run, task)
    except FleetsealError:
        await _end_untouched(services, run, error)
    else:
        await _unwind(work)
    if isinstance(error, IdentityMismatch):
        await _look_again(services, run)  # so that the inventory says what it is instead


async def _wait_and_retry(services: Services, run: Run, error: FleetsealError) -> bool:
    """Whether the job waits for another try: transient failures only, with short pauses, for 30 s at most."""
    now = services.clock.now()
    first = run.job.first_failure or now
    jitter = services.rng.bytes(1)[0] / 256
    decision = retry.decide(error, attempt=run.job.attempts, first_failure=first, now=now, jitter=jitter)
    if isinstance(decision, retry.GiveUp) or isinstance(error, Cancelled):
        return False
    async with run.transaction() as tx:
        await tasks.guarded_update(
            tx,
            run.job,
            status=JobStatus.WAITING,
            run_after=decision.at,
            attempts=run.job.attempts + 1,
            first_failure=first,
            description=f"{error.message} It is tried again.",
        )
    return True


async def _unwind(work: Work) -> None:
    """Everything that the job changed was put back, or an alarm names what was not."""
    run = work.run
    touched = any(step.undo is not None for step in run.steps())
    visible = any(
        (step := run.step(name)) is not None and step.undo for name in ("open-http", "bind", "temporary-bind", "policy")
    )
    left = await run.unwind(_undoing(work))
    reason = run.job.unwinding or ""
    cancelled = run.job.error_code == Cancelled.code
    status = JobStatus.CANCELLED if cancelled else JobStatus.ROLLED_BACK if visible else JobStatus.FAILED
    await run.end(
        status,
        _outcome(reason, touched=touched, visible=visible, left=left, cancelled=cancelled),
        error_code=run.job.error_code,
        harmed=_harmed(run),
        also=partial(_close_books, work, left),
    )
    if visible or left:
        await _look_again(work.services, run)


def _harmed(run: Run) -> bool:
    """After the undos: something that matters was not put back."""
    return any(step.undo is not None and step.state != "undone" and is_harm(step.undo) for step in run.steps())


def _undoing(work: Work) -> Callable[[Undo], Awaitable[str]]:
    """As `execute_undo`. What nobody foresaw fails one undo, not the run; a login that one undo saw refused is not sent
    by the next."""
    refused: AuthenticationFailed | None = None

    async def undo(what: Undo) -> str:
        nonlocal refused
        if refused is not None:
            raise refused
        try:
            return await execute_undo(work, what)
        except AuthenticationFailed as error:
            refused = error
            await readiness.note_refusal(work.services, work.device)
            raise
        except FleetsealError:
            raise
        except Exception as error:
            raise await unforeseen(work.services, error) from error

    return undo


def _outcome(reason: str, *, touched: bool, visible: bool, left: tuple[str, ...], cancelled: bool) -> str:
    if left:
        return f"{reason} Not everything could be put back: {' '.join(left)}"
    if visible:
        return f"Rolled back: {reason[:1].lower() + reason[1:]} The device is as it was before."
    if cancelled:
        return "Cancelled: the device is as it was before."
    return f"{reason} The device is as it was before." if touched else reason


async def _close_books(work: Work, left: tuple[str, ...], tx: Transaction) -> None:
    await issuing.abandon_job(tx, work.run.job.id, reason=work.run.job.unwinding or "", now=work.services.clock.now())
    if left:
        await alarms.raise_alarm(
            tx,
            now=work.services.clock.now(),
            cause="needs-hands",
            object=work.device.label,
            severity="critical",
            message=f"Needs hands: {' '.join(left)}",
        )


async def _end_untouched(services: Services, run: Run, error: FleetsealError) -> None:
    """The device cannot even be tried: nothing of this job can be on it unless undos are recorded."""
    left = tuple(step.name for step in run.steps() if step.undo is not None and step.state != "undone")
    description = error.message if not left else f"{error.message} Not put back: {', '.join(left)}."

    async def also(tx: Transaction) -> None:
        await issuing.abandon_job(tx, run.job.id, reason=error.message, now=services.clock.now())
        if left:
            await alarms.raise_alarm(
                tx,
                now=services.clock.now(),
                cause="needs-hands",
                object=run.job.mac or run.job.address,
                severity="critical",
                message=f"Needs hands: {description}",
            )

    await run.end(JobStatus.FAILED, description, error_code=error.code, harmed=_harmed(run), also=also)
    if left:
        await _look_again(services, run)


async def _look_again(services: Services, run: Run) -> None:
    """The row says what the device shows now: what was left there may be a certificate of ours, which proves it. The
    outcome is recorded and stands."""
    try:
        await contact.refresh_device(services, run.job.device_id)
    except FleetsealError:
        raise
    except Exception as error:
        await unforeseen(services, error)
