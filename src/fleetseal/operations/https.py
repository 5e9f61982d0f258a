"""Enable, update and disable HTTPS on one device. The steps are those of docs/procedures/enable-https.md.

Nothing that works is closed before its replacement has been proved from outside; what fails is put back.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import Any

from fleetseal.core.errors import TlsTooOld, TrustFailure, VerificationFailed
from fleetseal.core.model import (
    Alias,
    CertificateSource,
    ConnectionPolicy,
    EnableWish,
    HttpsState,
    JobStatus,
    KeyOrigin,
    TrustLevel,
)
from fleetseal.devices.driver import Verification
from fleetseal.operations import enrolment, issuing, observe
from fleetseal.operations.enrolment import Enrolled
from fleetseal.operations.plan import Go, Refused, Skipped, Unchanged, https_from_json, with_policy
from fleetseal.operations.work import NOT_ANSWERING, Ended, Work, holds, restore_https, same_https, switch_https
from fleetseal.store import alarms, audit, inventory, tasks
from fleetseal.store.database import Transaction


async def enable(work: Work) -> None:
    """One run of "Enable HTTPS": until the job has ended (raises Ended) or waits for its second look."""
    plan = await _plan(work)
    if work.run.recorded("record") is None:
        if work.run.recorded("verify") is None:
            await _verify(work, "verify", await _install_and_bind(work, plan), plan)
        if work.run.recorded("verify-again") is None and await _soaks(work):
            return
        enrolled = await enrolment.current(work, plan)
        await _verify(work, "verify-again", enrolled, plan)
        await _apply_policy(work, plan, enrolled)
        await work.run.local("record", partial(_record, work, plan, enrolled), detail="The inventory is up to date.")
    enrolled = await enrolment.current(work, plan)
    await work.run.device(
        "cleanup",
        look=partial(_nothing_superseded, work, plan, enrolled),
        act=partial(_remove_superseded, work, plan, enrolled),
        detail="No unused certificate of ours is left on the device.",
    )
    await work.run.end(JobStatus.FINISHED, await _success(work, plan, enrolled))
    raise Ended


async def disable(work: Work) -> None:
    """One run of "Disable HTTPS": plain HTTP only, proved there; raises Ended. Certificates stay on the device."""
    before = await _plan_disable(work)
    if work.run.recorded("record") is None:
        await _switch_off(work, before)
    await work.run.end(JobStatus.FINISHED, "HTTPS is off. The device answers plain HTTP; its certificates stay on it.")
    raise Ended


async def _switch_off(work: Work, before: HttpsState) -> None:
    target = with_policy(before, ConnectionPolicy.HTTP)
    if work.run.step("policy") is None:
        if before.policy is ConnectionPolicy.HTTPS:
            await _open_http(work, before)
        await _prove_way_back(work)

    async def look() -> bool | None:
        async def read() -> bool | None:
            async with work.plain_connection() as connection:
                return same_https(await connection.driver.https(), target) or None

        return await work.until(read, seconds=_patience(work, "policy"))

    async def act() -> None:
        async with work.plain_connection() as connection:
            await connection.driver.set_https(target)

    await work.run.device(
        "policy", look=look, act=act, undo=restore_https(before), detail="The device accepts plain HTTP only."
    )
    await work.run.local("record", partial(_record_disabled, work, target), detail="The inventory is up to date.")


# ---------------------------------------------------------------- plan


async def _plan(work: Work) -> Go:
    """The recorded plan, or a new one; ends the job when there is nothing to do or nothing may be done."""
    if (recorded := work.run.recorded("plan")) is not None:
        return Go.from_json(recorded)
    wish = EnableWish(**work.wish)
    plan = await observe.plan_enable(
        work.services,
        work.settings,
        work.connector,
        work.device,
        work.login,
        wish=wish,
        named=work.run.job.named,
        job_id=work.run.job.id,
    )
    match plan:
        case Unchanged(reason):
            await work.run.end(JobStatus.UNCHANGED, reason)
        case Skipped(reason, code):
            await work.run.end(JobStatus.FAILED if work.run.job.named else JobStatus.SKIPPED, reason, error_code=code)
        case Refused(reason, code):
            await work.run.end(JobStatus.FAILED, reason, error_code=code)
        case Go():
            await work.run.local("plan", partial(_constant, plan.to_json()), detail=f"To do, because {plan.reason}.")
            return plan
    raise Ended


async def _plan_disable(work: Work) -> HttpsState:
    """The configuration before anything was changed; ends the job when HTTPS is off already."""
    if (recorded := work.run.recorded("plan")) is not None:
        return https_from_json(recorded)
    async with work.connection() as connection:
        state = await connection.driver.https()
    if not state.tls or state.policy is ConnectionPolicy.HTTP:
        await work.run.end(JobStatus.UNCHANGED, "HTTPS is off already.")
        raise Ended
    await work.run.local("plan", partial(_constant, asdict(state)), detail="HTTPS is to be switched off.")
    return state


async def _constant(value: Any, _: Transaction) -> Any:
    return value


# ---------------------------------------------------------------- change


async def _install_and_bind(work: Work, plan: Go) -> Enrolled:
    if plan.set_clock:
        await _set_clock(work)
    if plan.open_http and work.run.step("bind") is None:
        await _open_http(work, plan.previous)
    if work.settings.https_escape_route != "none":
        await _prove_way_back(work)
    enrolled = await (enrolment.enrol(work, plan) if plan.issue else enrolment.current(work, plan))
    await switch_https(
        work,
        "bind",
        _bound(plan, enrolled.alias),
        undo=restore_https(plan.previous, dead=plan.dead_before),
        detail=f"HTTPS serves the entry {enrolled.alias}.",
    )
    return enrolled


def _bound(plan: Go, alias: Alias) -> HttpsState:
    """Our entry serves HTTPS; plain HTTP is as open as it was, or as the way back needs it."""
    still_closed = plan.previous.policy is ConnectionPolicy.HTTPS and not plan.open_http
    policy = ConnectionPolicy.HTTPS if still_closed else ConnectionPolicy.HTTP_AND_HTTPS
    return replace(with_policy(plan.previous, policy), tls=True, alias=alias)


async def _set_clock(work: Work) -> None:
    """DEV-CLOCK: by the device's clock, too, the certificate is valid before the switch."""

    async def look() -> bool | None:
        async with work.connection() as connection:
            offset = (await connection.driver.clock() - work.services.clock.now()).total_seconds()
        return abs(offset) < timedelta(minutes=5).total_seconds() or None

    async def act() -> None:
        async with work.connection() as connection:
            await connection.driver.set_clock(work.services.clock.now())

    await work.run.device("clock", look=look, act=act, detail="The device's clock is right.")


async def _open_http(work: Work, previous: HttpsState) -> None:
    """The way back of a device that allows HTTPS only: plain HTTP is open beside it until all is verified."""
    target = with_policy(previous, ConnectionPolicy.HTTP_AND_HTTPS)
    await switch_https(
        work,
        "open-http",
        target,
        undo=restore_https(previous),
        detail="Plain HTTP is open beside HTTPS, as the way back.",
    )


async def _prove_way_back(work: Work) -> None:
    """A login over plain HTTP worked and is recorded: from now on an undo may use it. Ends in TrustFailure
    or VerificationFailed when there is none."""
    if work.run.recorded("way-back") is not None:
        return

    async def log_in() -> bool:
        async with work.plain_connection():
            return True

    try:
        await work.patiently(log_in, seconds=_patience(work, "open-http"))
    except NOT_ANSWERING as error:
        raise VerificationFailed(f"No way back: {error.message}") from error
    except TrustFailure as error:
        raise TrustFailure(f"No way back: {error.message}") from error
    await work.run.local("way-back", partial(_constant, True), detail="A login over plain HTTP works.")


def _patience(work: Work, step: str) -> float:
    """Long while the web server may be restarting from that step; otherwise the retry ladder waits, not we."""
    return float(work.settings.https_verify_seconds) if work.run.step(step) is not None else 0.0


# ---------------------------------------------------------------- proof


async def _verify(work: Work, name: str, enrolled: Enrolled, plan: Go) -> None:
    """A new connection, made like a stranger's, proved chain, name, this very leaf and a login (DEV-VERIFY-FIRST)."""
    if work.run.recorded(name) is not None:
        return
    async with work.services.database.reading() as tx:
        anchors, intermediates = await issuing.anchors(tx), await issuing.intermediates(tx)
    dialled = work.device.address
    check = partial(
        work.connector.verify,
        work.device.endpoint,
        work.login,
        anchors=anchors,
        intermediates=intermediates,
        leaf_sha256=hashlib.sha256(enrolled.chain.leaf).digest(),
        name=dialled if dialled in plan.names.names else plan.names.common_name,
        serial=work.serial,
    )
    found = await _until_verified(work, check)
    await work.run.local(
        name,
        partial(_constant, {"chain_sent": found.chain_sent}),
        detail=f"{found.served.tls_version}: chain, name, this very certificate and a login were proved from outside.",
    )


async def _soaks(work: Work) -> bool:
    """Whether the run ends here, and the second look follows later; it follows now where the clock went back."""
    first, soak = work.run.step("verify"), work.settings.https_soak_seconds
    assert first is not None
    elapsed = (work.services.clock.now() - first.at).total_seconds()
    if not 0 <= elapsed < soak:
        return False
    await work.wait(soak - elapsed, f"HTTPS works; a second look follows after {soak} s.")
    return True


async def _until_verified(work: Work, check: Callable[[], Awaitable[Verification]]) -> Verification:
    """The verification, waiting for a web server that restarts or still serves the old certificate."""
    try:
        return await work.patiently(
            check, seconds=work.settings.https_verify_seconds, while_=(*NOT_ANSWERING, VerificationFailed)
        )
    except TlsTooOld:
        raise
    except NOT_ANSWERING as error:
        raise VerificationFailed(
            f"The device stopped answering HTTPS with the new certificate. {error.message}"
        ) from error


async def _apply_policy(work: Work, plan: Go, enrolled: Enrolled) -> None:
    """HTTPS only, if that was wished, and only now; verified again."""
    open_state = _bound(plan, enrolled.alias)
    if plan.policy is open_state.policy:
        return
    await switch_https(
        work,
        "policy",
        with_policy(open_state, plan.policy),
        undo=restore_https(open_state),
        detail="The device accepts HTTPS only."
        if plan.policy is ConnectionPolicy.HTTPS
        else "The device accepts HTTP and HTTPS.",
    )
    await _verify(work, "verify-policy", enrolled, plan)


# ---------------------------------------------------------------- record


async def _record(work: Work, plan: Go, enrolled: Enrolled, tx: Transaction) -> dict[str, Any]:
    """Trust, lineage, binding, alarms and audit in one transaction; from here on nothing is undone."""
    now = work.services.clock.now()
    await issuing.mark_installed(tx, enrolled.issuance, now)
    chain_sent = bool((work.run.recorded("verify-again") or {}).get("chain_sent"))
    await inventory.change(
        tx,
        work.device.id,
        trust_level=TrustLevel.ANCHORED,
        trust_pin=None,
        ever_anchored=True,
        identity_problem=None,
        trust_problem=None,
        reachable=True,
        unreachable_reason="",
        tls=True,
        policy=plan.policy,
        bound_alias=enrolled.alias,
        served_der=enrolled.chain.leaf,
        served_source=CertificateSource.OURS,
        chain_sent=chain_sent,
        last_seen=now,
    )
    if plan.issue:
        reason = enrolment.fallback_reason(work) or ""
        await tasks.learn(tx, work.device, key_origin=enrolled.origin, reason=reason, now=now)
    await alarms.close_alarm(tx, now=now, cause="needs-hands", object=work.device.label)
    await audit.record(
        tx,
        now=now,
        actor=work.actor,
        action="https enable",
        object=work.device.label,
        detail={"task": work.run.job.task_id, "alias": enrolled.alias, "policy": plan.policy},
    )
    await work.run.confirm(tx)
    return {"chain_sent": chain_sent}


async def _record_disabled(work: Work, state: HttpsState, tx: Transaction) -> bool:
    """A person lowered the trust: plain HTTP it is, until HTTPS is enabled again."""
    now = work.services.clock.now()
    await inventory.change(
        tx,
        work.device.id,
        trust_level=TrustLevel.PLAINTEXT,
        trust_pin=None,
        ever_anchored=False,
        plain_accepted=True,
        tls=state.tls,
        policy=ConnectionPolicy.HTTP,
        served_der=None,
        served_source=None,
        chain_sent=None,
        last_seen=now,
    )
    await alarms.close_alarm(tx, now=now, cause="needs-hands", object=work.device.label)
    await audit.record(
        tx,
        now=now,
        actor=work.actor,
        action="https disable",
        object=work.device.label,
        detail={"task": work.run.job.task_id, "trust": TrustLevel.PLAINTEXT},
    )
    await work.run.confirm(tx)
    return True


async def _superseded(work: Work, plan: Go, enrolled: Enrolled) -> list[Alias]:
    """Entries on the device that we made and that nothing uses (DEV-OWN-ONLY): recorded alias and content."""
    async with work.services.database.reading() as tx:
        ours = {(record.alias, record.der) for record in await issuing.lineage(tx, work.device.id)}
    async with work.connection() as connection:
        entries = await connection.driver.certificates()
    temporary = enrolment.temporary_alias(plan) if work.run.step("temporary-certificate") else None
    return [
        entry.alias
        for entry in entries
        if entry.alias != enrolled.alias
        and not entry.in_use
        and ((entry.alias, entry.der) in ours or entry.alias == temporary)
    ]


async def _nothing_superseded(work: Work, plan: Go, enrolled: Enrolled) -> bool | None:
    return not await _superseded(work, plan, enrolled) or None


async def _remove_superseded(work: Work, plan: Go, enrolled: Enrolled) -> None:
    for alias in await _superseded(work, plan, enrolled):
        async with work.connection() as connection:
            if await holds(connection, alias):
                await connection.driver.remove(alias)


async def _success(work: Work, plan: Go, enrolled: Enrolled) -> str:
    async with work.services.database.reading() as tx:
        record = await issuing.get(tx, enrolled.issuance)
    parts = [f"HTTPS works with a certificate valid until {record.not_after:%Y-%m-%d}."]
    if plan.policy is ConnectionPolicy.HTTPS:
        parts.append("Plain HTTP is closed.")
    if enrolled.origin is KeyOrigin.MANAGER and (why := enrolment.fallback_reason(work)):
        parts.append(f"The key was made here, because the device could not: {why}")
    if not (work.run.recorded("record") or {}).get("chain_sent"):
        parts.append("It sends no chain: its clients need the bundle of `fleetseal ca export`.")
    return " ".join(parts)
