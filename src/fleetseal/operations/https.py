"""Enable, update and disable HTTPS on one device. The steps are those of docs/procedures/enable-https.md.

Nothing that works is closed before its replacement has been proved from outside; what fails is put back.
"""

from dataclasses import asdict
from functools import partial
from typing import Any

from fleetseal.core.model import (
    CertificateSource,
    ConnectionPolicy,
    EnableWish,
    HttpsState,
    JobStatus,
    KeyOrigin,
    TrustLevel,
)
from fleetseal.operations import ca_entries, delivery, enrolment, existing, issuing, observe
from fleetseal.operations.enrolment import Enrolled
from fleetseal.operations.naming import link_local
from fleetseal.operations.plan import Bind, Go, Refused, Skipped, Unchanged, https_from_json, with_policy
from fleetseal.operations.settling import chain_sent, clean_up, serving, settle
from fleetseal.operations.switch import Target, carry_through, constant, open_http, patience, prove_way_back
from fleetseal.operations.work import Ended, Work, restore_https, same_https
from fleetseal.store import authority_entries, experience
from fleetseal.store.database import Transaction


async def enable(work: Work) -> None:
    """One run of "Enable HTTPS": until the job has ended (raises Ended) or waits for its second look."""
    plan = await _plan(work)
    if isinstance(plan, Bind):
        await existing.bind(work, plan)
        return

    async def again() -> Target:
        return await _target(work, plan, await enrolment.current(work, plan))

    if not await carry_through(
        work, plan.switch, place=partial(_place, work, plan), again=again, record=partial(_record, work, plan)
    ):
        return
    enrolled = await enrolment.current(work, plan)
    await clean_up(work, enrolled.alias, delivery.temporary_alias(plan.alias))
    await ca_entries.tidy(work)
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
            await open_http(work, before)
        await prove_way_back(work)

    async def look() -> bool | None:
        async def read() -> bool | None:
            async with work.plain_connection() as connection:
                return same_https(await connection.driver.https(), target) or None

        return await work.until(read, seconds=patience(work, "policy"))

    async def act() -> None:
        async with work.plain_connection() as connection:
            await connection.driver.set_https(target)

    await work.run.device(
        "policy", look=look, act=act, undo=restore_https(before), detail="The device accepts plain HTTP only."
    )
    await work.run.local("record", partial(_record_disabled, work, target), detail="The inventory is up to date.")


# ---------------------------------------------------------------- plan


async def _plan(work: Work) -> Go | Bind:
    """The recorded plan, or a new one; ends the job when there is nothing to do or nothing may be done."""
    if (recorded := work.run.recorded("plan")) is not None:
        return Bind.from_json(recorded) if "leaf" in recorded else Go.from_json(recorded)
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
        case Go() | Bind():
            await work.run.local("plan", partial(constant, plan.to_json()), detail=f"To do, because {plan.reason}.")
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
    await work.run.local("plan", partial(constant, asdict(state)), detail="HTTPS is to be switched off.")
    return state


# ---------------------------------------------------------------- what is to be served


async def _place(work: Work, plan: Go) -> Target:
    """A leaf of ours is in the device's store, new or the one that was there."""
    put = enrolment.enrol if plan.issue else enrolment.current
    return await _target(work, plan, await put(work, plan))


async def _target(work: Work, plan: Go, enrolled: Enrolled) -> Target:
    async with work.services.database.reading() as tx:
        anchors, intermediates = await issuing.anchors(tx), await issuing.intermediates(tx)
    dialled = work.device.address
    name = dialled if dialled in plan.names.names else plan.names.common_name
    return Target(enrolled.alias, enrolled.chain.leaf, anchors=anchors, intermediates=intermediates, name=name)


# ---------------------------------------------------------------- record


async def _record(work: Work, plan: Go, target: Target, tx: Transaction) -> dict[str, Any]:
    """Trust, lineage, binding, alarms and audit in one transaction; from here on nothing is undone."""
    now = work.services.clock.now()
    enrolled = await enrolment.recorded(work, plan, tx)
    await issuing.mark_installed(tx, enrolled.issuance, now)
    if plan.issue:
        await authority_entries.note(tx, work.device.id, await delivery.authorities_seen(work, tx), now=now)
        reason = enrolment.fallback_reason(work) or ""
        await experience.keep(tx, work.device, key_origin=enrolled.origin, reason=reason, now=now)
    await settle(
        work,
        tx,
        action="https enable",
        columns=serving(work, target, plan.policy, CertificateSource.OURS)
        | {"trust_level": TrustLevel.ANCHORED, "trust_pin": None, "ever_anchored": True},
        detail={"alias": target.alias, "policy": plan.policy},
    )
    return {"chain_sent": chain_sent(work)}


async def _record_disabled(work: Work, state: HttpsState, tx: Transaction) -> bool:
    """A person lowered the trust: plain HTTP it is, until HTTPS is enabled again."""
    await settle(
        work,
        tx,
        action="https disable",
        columns={
            "trust_level": TrustLevel.PLAINTEXT,
            "trust_pin": None,
            "ever_anchored": False,
            "plain_accepted": True,
            "tls": state.tls,
            "policy": ConnectionPolicy.HTTP,
            "served_der": None,
            "served_source": None,
            "chain_sent": None,
        },
        detail={"trust": TrustLevel.PLAINTEXT},
    )
    return True


async def _success(work: Work, plan: Go, enrolled: Enrolled) -> str:
    async with work.services.database.reading() as tx:
        record = await issuing.get(tx, enrolled.issuance)
    parts = [f"HTTPS works with a certificate valid until {record.not_after:%Y-%m-%d}."]
    if plan.policy is ConnectionPolicy.HTTPS:
        parts.append("Plain HTTP is closed.")
    if link_local(work.device):
        name = plan.names.common_name
        parts.append(f"A link-local address is never in a certificate: clients must call the device {name}.")
    if enrolled.origin is KeyOrigin.MANAGER and (why := enrolment.fallback_reason(work)):
        parts.append(f"The key was made here, because the device could not: {why}")
    if not (work.run.recorded("record") or {}).get("chain_sent"):
        parts.append("It sends no chain: its clients need the bundle of `fleetseal ca export`.")
    return " ".join(parts)
