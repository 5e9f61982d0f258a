"""HTTPS with a certificate that this site did not issue: it serves, is proved from outside, and is recorded."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial

from fleetseal.core.model import CertificateSource, ConnectionPolicy, JobStatus
from fleetseal.core.text import clean
from fleetseal.operations import issuing
from fleetseal.operations.plan import Bind
from fleetseal.operations.settling import chain_sent, serving, settle
from fleetseal.operations.switch import Target, carry_through
from fleetseal.operations.trust import anchored, in_lineage, trust_served
from fleetseal.operations.work import Ended, Work, adopted
from fleetseal.store import inventory
from fleetseal.store.database import Transaction


async def bind(work: Work, plan: Bind) -> None:
    """One run of "Enable HTTPS" without a CA: until the job has ended (raises Ended) or waits for its second look.
    Nothing is installed or removed."""
    if not await serve(work, plan, place=partial(target_of, work, plan), action="https enable"):
        return
    await work.run.end(
        JobStatus.FINISHED,
        f"HTTPS works with {clean(plan.alias)}, which was on the device.{closed(plan)} There is no CA here: "
        f"{'it was verified by a CA that is trusted here' if plan.name else 'its issuer was not verified'}, "
        "and nothing here renews it.",
    )
    raise Ended


async def serve(work: Work, plan: Bind, *, place: Callable[[], Awaitable[Target]], action: str) -> bool:
    """As `carry_through`, recorded under `action`."""
    return await carry_through(
        work,
        plan.switch,
        place=place,
        again=partial(target_of, work, plan),
        record=partial(_record, work, plan, action),
    )


async def target_of(work: Work, plan: Bind) -> Target:
    """What is proved: chain and name where a CA known here vouches for it; always exactly this certificate, its key,
    and a login."""
    if plan.name is None:
        return Target(plan.alias, plan.leaf, anchors=None, intermediates=(), name=work.device.address)
    async with work.services.database.reading() as tx:
        anchors, intermediates = await issuing.anchors(tx), await issuing.intermediates(tx)
    return Target(plan.alias, plan.leaf, anchors, (*intermediates, *plan.above), plan.name)


def closed(plan: Bind) -> str:
    return " Plain HTTP is closed." if plan.switch.policy is ConnectionPolicy.HTTPS else ""


async def _record(work: Work, plan: Bind, action: str, target: Target, tx: Transaction) -> bool:
    device = await inventory.get(tx, work.device.id)
    own = await anchored(tx, device)
    _, proved = adopted(work.run) or (target.leaf, False)
    trust = trust_served(device, own, target.leaf, name=plan.name, proved=proved, sent=chain_sent(work))
    ours = in_lineage(target.leaf, own) and own.adopted != hashlib.sha256(target.leaf).digest()
    if not ours:
        await issuing.supersede(tx, device.id, work.services.clock.now())
    await settle(
        work,
        tx,
        action=action,
        columns=serving(work, target, plan.switch.policy, CertificateSource.OURS if ours else CertificateSource.OTHER)
        | {"plain_accepted": False}
        | trust,
        detail={
            "alias": target.alias,
            "policy": plan.switch.policy,
            "accepted": hashlib.sha256(target.leaf).hexdigest(),
            "before": device.trust_level,
        },
    )
    return True
