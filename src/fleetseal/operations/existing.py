"""Enable HTTPS without a CA: the one usable entry that is on the device already serves it."""

import hashlib
from functools import partial

from fleetseal.core.model import CertificateSource, ConnectionPolicy, JobStatus, TrustLevel
from fleetseal.core.text import clean
from fleetseal.operations.plan import Bind
from fleetseal.operations.switch import Target, carry_through
from fleetseal.operations.trust import anchored, trust_columns
from fleetseal.operations.work import Ended, Work
from fleetseal.store import alarms, audit, inventory
from fleetseal.store.database import Transaction


async def bind(work: Work, plan: Bind) -> None:
    """One run: until the job has ended (raises Ended) or waits for its second look. Nothing is installed or removed.

    No CA is known here that vouches for the entry: what is proved is that exactly this certificate is served, its key,
    and a login.
    """

    async def target() -> Target:
        return Target(plan.alias, plan.leaf, anchors=None, intermediates=(), name=work.device.address)

    if not await carry_through(work, plan.switch, place=target, again=target, record=partial(_record, work, plan)):
        return
    closed = " Plain HTTP is closed." if plan.switch.policy is ConnectionPolicy.HTTPS else ""
    await work.run.end(
        JobStatus.FINISHED,
        f"HTTPS works with {clean(plan.alias)}, which was on the device.{closed} "
        "There is no CA here: its issuer was not verified, and nothing here renews it.",
    )
    raise Ended


async def _record(work: Work, plan: Bind, target: Target, tx: Transaction) -> bool:
    """The device is trusted by this certificate from now on: a person's choice only if its identity was proved when
    the entry was read, else as on first contact."""
    now = work.services.clock.now()
    own, pin = await anchored(tx, work.device), hashlib.sha256(target.leaf).digest()
    level = TrustLevel.PINNED if plan.proved else TrustLevel.FIRST_USE
    ours = pin in own.leaves
    pinned = {"trust_level": level, "trust_pin": pin, "ever_anchored": False, "trust_problem": None}
    await inventory.change(
        tx,
        work.device.id,
        **(trust_columns(own, None) if ours else pinned),
        identity_problem=None,
        last_change=None,
        plain_accepted=False,
        reachable=True,
        unreachable_reason="",
        tls=True,
        policy=plan.switch.policy,
        bound_alias=target.alias,
        served_der=target.leaf,
        served_source=CertificateSource.OURS if ours else CertificateSource.OTHER,
        chain_sent=bool((work.run.recorded("verify-again") or {}).get("chain_sent")),
        last_seen=now,
    )
    await alarms.close_alarm(tx, now=now, cause="needs-hands", object=work.device.label)
    await audit.record(
        tx,
        now=now,
        actor=work.actor,
        action="https enable",
        object=work.device.label,
        detail={
            "task": work.run.job.task_id,
            "alias": target.alias,
            "policy": plan.switch.policy,
            "accepted": pin.hex(),
            "before": work.device.trust_level,
        },
    )
    await work.run.confirm(tx)
    return True
