"""The nightly run: what is due is renewed, what devices serve is audited, what is old is forgotten.

A run is a row; what it has decided is in it. After a crash the same function goes on from the top
(JOB-RESUME-IS-RUN): only what was not planned yet is planned.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fleetseal.core.config import Settings
from fleetseal.core.errors import DeviceError, FleetsealError, InvalidInput, StoreError
from fleetseal.core.model import Device, JobStatus, TaskAction, TaskId
from fleetseal.core.runtime import Aside, side_by_side
from fleetseal.operations import (
    alarm_delivery,
    alarm_pass,
    anchors,
    night_plan,
    renewal,
    revocation,
    shared_keys,
    succession,
    tasks,
    web_certificate,
)
from fleetseal.operations.audit_fleet import audit_fleet
from fleetseal.operations.night_plan import Obstacle
from fleetseal.operations.renewal import Skip
from fleetseal.operations.run_job import unforeseen
from fleetseal.operations.services import Services
from fleetseal.store import alarms, inventory, messages, nights, positions, renewals
from fleetseal.store import tasks as task_store
from fleetseal.store.database import Transaction
from fleetseal.store.nights import NightId

if TYPE_CHECKING:  # reading commands do not load the engine
    from fleetseal.jobs.engine import Engine

KEPT = timedelta(days=90)
"""How long ended tasks, closed alarms and old runs are kept. Certificates and the audit trail are never forgotten."""

_ACTOR = "nightly run"
_LOOK_SECONDS = 1.0
_PRUNED_AT_ONCE = 100
_CLOCKS_READ = 40

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NightRun:
    """One run under way."""

    services: Services
    engine: "Engine"
    settings: Settings
    id: NightId
    begun: datetime
    deadline: datetime | None = None  # no device is begun after it; None: asked for by a command
    clock_is_right: bool = False  # a person says so
    problems: list[dict[str, str]] = field(default_factory=list)


async def carry_out(run: NightRun) -> None:
    """Every part was done, and the run's row holds its report; a part that failed is named there and stops no other.

    Raises StoreError when the outcome cannot be recorded: the run is not finished then, and goes on later.
    """
    for name, part in PARTS:
        try:
            await part(run)
        except StoreError:
            raise
        except Exception as error:
            foreseen = error if isinstance(error, FleetsealError) else await unforeseen(run.services, error)
            run.problems.append({"part": name, "reason": foreseen.message})
            _log.warning("The nightly run could not do its part %r: %s", name, foreseen.message)
    async with run.services.database.transaction() as tx:
        await nights.change(
            tx,
            run.id,
            finished=run.services.clock.now(),
            succeeded=not run.problems,
            report=await _report(run, tx),
        )
        if not run.problems:
            cause, name = alarm_pass.NIGHT_OVERDUE
            await alarms.close_alarm(tx, now=run.services.clock.now(), cause=cause, object=name)
    await alarm_pass.overdue(run.services)


# ---------------------------------------------------------------- parts


async def _audit(run: NightRun) -> None:
    await audit_fleet(run.services, run.settings)


async def _renew(run: NightRun) -> None:
    for task_id in await _earlier(run):
        await _ended(run, task_id)
    async with run.services.database.reading() as tx:
        record = await nights.get(tx, run.id)
    if record.planned is None:
        await _plan(run)
        async with run.services.database.reading() as tx:
            record = await nights.get(tx, run.id)
    if record.task_id is not None:
        await _ended(run, record.task_id)
    await _renewal_alarms(run)


async def _server(run: NightRun) -> None:
    """The certificate of the web application."""
    if run.settings.renewal_automatic and await _clock_in_doubt(run) is None:
        await web_certificate.renew(run.services, actor=_ACTOR)


async def _revocation(run: NightRun) -> None:
    """Nothing is signed while the clock is in doubt: once it is right again, the CA would have signed in the future."""
    if await _clock_in_doubt(run) is None:
        await revocation.renew_crls(run.services, actor=_ACTOR)


async def _keys(run: NightRun) -> None:
    await shared_keys.check_keys(run.services)


async def _prune(run: NightRun) -> None:
    before = run.services.clock.now() - KEPT
    while True:
        async with run.services.database.transaction() as tx:
            if await task_store.prune(tx, before=before, limit=_PRUNED_AT_ONCE) < _PRUNED_AT_ONCE:
                await alarms.prune(tx, before=before)
                await messages.prune(tx, before=before)
                await nights.prune(tx, before=before)
                await positions.prune(tx, now=run.services.clock.now())
                break
    await run.engine.prune()


async def _alarms(run: NightRun) -> None:
    await alarm_pass.devices(run.services)
    await alarm_pass.authority(run.services)
    await alarm_pass.computer(run.services)
    await anchors.drop(run.services, Aside())  # which is an alarm where it fails


async def _deliver(run: NightRun) -> None:
    await alarm_delivery.send_waiting(run.services)


async def _introduce(run: NightRun) -> None:
    """A new root is made known to devices, or a retired one forgotten by them."""
    async with run.services.database.transaction() as tx:
        task_id = await succession.by_night(run.services, tx, actor=_ACTOR)
    if task_id is not None:
        await _ended(run, task_id)


Part = Callable[[NightRun], Awaitable[None]]

PARTS: tuple[tuple[str, Part], ...] = (
    ("audit", _audit),
    ("trust", _introduce),
    ("renewal", _renew),
    ("server", _server),
    ("revocation", _revocation),
    ("keys", _keys),
    ("pruning", _prune),
    ("alarms", _alarms),
    ("delivery", _deliver),
)
"""What a night does, in this order."""


# ---------------------------------------------------------------- planning


async def _plan(run: NightRun) -> None:
    """One transaction: the devices of the night have a task, the others a reason."""
    services, now = run.services, run.services.clock.now()
    obstacle = await _obstacle(run)
    async with services.database.transaction() as tx:
        await decide(run.services, run.settings, tx, run.id, now=now, obstacle=obstacle)
    wanted = alarm_pass.Wanted()
    if obstacle is not None and obstacle.clock:
        run.problems.append({"part": "renewal", "reason": obstacle.reason})
        if not obstacle.behind:
            wanted[alarm_pass.CLOCK, alarm_pass.THIS_COMPUTER] = alarm_pass.Condition("critical", obstacle.reason)
    await alarm_pass.settle(services, (alarm_pass.CLOCK,), wanted, among={alarm_pass.THIS_COMPUTER})


async def decide(
    services: Services,
    settings: Settings,
    tx: Transaction,
    night_id: NightId,
    *,
    now: datetime,
    obstacle: Obstacle | None,
) -> TaskId | None:
    """The run's row says what is renewed, by which task, and what is not, and why. The task, if there is one."""
    candidates = await renewals.due(tx, now)
    tonight = await night_plan.decisions(services, settings, tx, candidates, now)
    skips = [
        Skip(one, obstacle.reason, waits=True) if obstacle is not None else renewal.decide(one, tonight)
        for one in candidates
    ]
    chosen = [one for one, skip in zip(candidates, skips, strict=True) if skip is None]
    task_id = None
    if chosen:
        task_id = await tasks.record(
            services,
            tx,
            actor=_ACTOR,
            action=TaskAction.RENEW_CERTIFICATE,
            wish={"unattended": True},
            devices=[(one, False) for one in chosen],
            asked=len(chosen),
        )
    await nights.change(
        tx,
        night_id,
        planned=now,
        task_id=task_id,
        waited=bool(candidates) and obstacle is not None and obstacle.locked,
        skipped=[_skipped(skip) for skip in skips if skip is not None],
    )
    return task_id


async def _obstacle(run: NightRun) -> Obstacle | None:
    now = run.services.clock.now()
    async with run.services.database.reading() as tx:
        known = await night_plan.on_record(run.services, run.settings, tx, now=now)
    return known if known is not None else await _clock_in_doubt(run)


async def _clock_in_doubt(run: NightRun) -> Obstacle | None:
    """Why nothing may be signed by the clock of this computer (REN-CLOCK-SANE), for people."""
    now = run.services.clock.now()
    async with run.services.database.reading() as tx:
        due, fleet = await renewals.due_by_date(tx, now), await renewals.fleet_size(tx)
        behind = await night_plan.clock_behind(tx, now=now)
    if behind is not None:
        return behind
    if run.clock_is_right or not renewal.needs_clocks(due, fleet) or renewal.clocks_agree(await _clocks(run)):
        return None
    reason = (
        f"By the clock of this computer ({now:%Y-%m-%d %H:%M} UTC) {due} of {fleet} certificates are due "
        "at once, and the clocks of the devices do not confirm it. Nothing is renewed until a person does: set the "
        'clock right, or run "fleetseal nightly --clock-is-right".'
    )
    return Obstacle(reason, clock=True)


async def _clocks(run: NightRun) -> list[timedelta]:
    """The clocks of some devices all over the fleet minus ours, as they tell without a login."""
    async with run.services.database.reading() as tx:
        fleet = await renewals.fleet(tx)
        some = [await inventory.get(tx, one) for one in fleet[:: max(1, len(fleet) // _CLOCKS_READ)]]
    connector = run.services.connect(run.settings)

    async def read(device: Device) -> timedelta | None:
        try:
            told = (await connector.look(device.endpoint)).date
        except (DeviceError, InvalidInput):
            return None
        return None if told is None else told - run.services.clock.now()

    found = await side_by_side([read(one) for one in some], at_once=run.settings.jobs_concurrency)
    return [offset for offset in found if offset is not None]


def _skipped(skip: Skip) -> dict[str, Any]:
    return {
        "mac": skip.candidate.mac,
        "address": skip.candidate.address,
        "reason": skip.reason,
        "needs_person": skip.needs_person,
        "waits": skip.waits,
    }


# ---------------------------------------------------------------- waiting, and the outcome


async def _earlier(run: NightRun) -> list[TaskId]:
    """Renewals of a run that was interrupted."""
    async with run.services.database.reading() as tx:
        unfinished = await task_store.unfinished_tasks(tx)
    return [task.id for task in unfinished if task.action is TaskAction.RENEW_CERTIFICATE]


async def _ended(run: NightRun, task_id: TaskId) -> None:
    """The task has ended; at the deadline devices that were not begun are left for the next night."""
    services, deadline = run.services, run.deadline
    await run.engine.submit(task_id)
    while True:
        async with services.database.reading() as tx:
            if (await task_store.get_task(tx, task_id)).finished is not None:
                return
        now = services.clock.now()
        if deadline is not None and now >= deadline:
            deadline = None
            async with services.database.transaction() as tx:
                await task_store.skip_unbegun(tx, task_id, description=_OUT_OF_TIME, now=now)
            await run.engine.submit(task_id)
        await services.clock.sleep(_LOOK_SECONDS)


_OUT_OF_TIME = "The window ended before its turn: it is renewed the next night."


_NOT_OURS_TO_RENEW = ("foreign-certificate", "https-off")


def _is_stuck(one: renewals.Ended) -> bool:
    """It will expire unless somebody acts, or a later try succeeds."""
    skipped = one.status is JobStatus.SKIPPED and one.error_code not in (None, *_NOT_OURS_TO_RENEW)
    return skipped or one.status in tasks.FAILURES


async def _renewal_alarms(run: NightRun) -> None:
    """One alarm for each device whose renewal failed or needs a person; those that only wait keep theirs."""
    async with run.services.database.reading() as tx:
        record = await nights.get(tx, run.id)
        ended = {one.device_id: one for one in await renewals.outcomes(tx, run.begun)}.values()
    reasons = {one.mac or one.address: one.description for one in ended if _is_stuck(one)}
    reasons |= {one["mac"] or one["address"]: one["reason"] for one in record.skipped if one["needs_person"]}
    waiting = {one["mac"] or one["address"] for one in record.skipped if one["waits"]}
    waiting |= {one.mac or one.address for one in ended if one.description == _OUT_OF_TIME}
    wanted = {
        (alarm_pass.RENEWAL_FAILED, label): alarm_pass.Condition(
            "warning", f"Its certificate could not be renewed: {reason}"
        )
        for label, reason in reasons.items()
    }
    await alarm_pass.settle(run.services, (alarm_pass.RENEWAL_FAILED,), wanted, besides=waiting - reasons.keys())


async def _report(run: NightRun, tx: Transaction) -> dict[str, Any]:
    """As the contract's `nightly --json`, without the number of alarms."""
    record = await nights.get(tx, run.id)
    ended = {one.device_id: one for one in await renewals.outcomes(tx, run.begun)}.values()

    def shown(one: renewals.Ended) -> dict[str, Any]:
        return {"mac": one.mac, "address": one.address, "description": one.description}

    skipped = list(record.skipped)
    skipped += [
        {"mac": one.mac, "address": one.address, "reason": one.description, "needs_person": _is_stuck(one)}
        for one in ended
        if one.status not in (*tasks.FAILURES, JobStatus.FINISHED)
    ]
    return {
        "renewed": [shown(one) for one in ended if one.status is JobStatus.FINISHED],
        "failed": [shown(one) for one in ended if one.status in tasks.FAILURES],
        "skipped": skipped,
        "problems": run.problems,
        "waited": record.waited,
    }
