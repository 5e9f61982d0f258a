"""What every procedure does once the device serves as wished: the records say so, and what is superseded goes."""

from contextlib import suppress
from functools import partial
from typing import Any

from fleetseal.core.errors import NotFound
from fleetseal.core.model import Alias, CertificateSource, ConnectionPolicy
from fleetseal.operations import issuing
from fleetseal.operations.alarm_pass import SETTLED
from fleetseal.operations.switch import Target
from fleetseal.operations.work import Work, holds
from fleetseal.store import alarms, audit, inventory, leftovers
from fleetseal.store.database import Transaction


async def settle(work: Work, tx: Transaction, *, action: str, columns: dict[str, Any], detail: dict[str, Any]) -> None:
    """Inventory, alarms and audit trail say how the device is from now on; once `tx` commits nothing is undone."""
    now = work.services.clock.now()
    await inventory.change(tx, work.device.id, **columns, last_seen=now)
    await alarms.close_all(tx, now=now, object=work.device.label, causes=SETTLED)
    await audit.record(
        tx,
        now=now,
        actor=work.actor,
        action=action,
        object=work.device.label,
        detail={"task": work.run.job.task_id, **detail},
    )
    await work.run.confirm(tx)


def serving(work: Work, target: Target, policy: ConnectionPolicy, source: CertificateSource) -> dict[str, Any]:
    """The columns of a device that serves `target`, proved by both looks; how far it is trusted is not among them."""
    return {
        "identity_problem": None,
        "last_change": None,
        "trust_problem": None,
        "reachable": True,
        "unreachable_reason": "",
        "tls": True,
        "policy": policy,
        "bound_alias": target.alias,
        "served_der": target.leaf,
        "served_source": source,
        "chain_sent": chain_sent(work),
    }


def chain_sent(work: Work) -> bool:
    """Whether the second look found that the device sends what a stranger needs to verify it."""
    return bool((work.run.recorded("verify-again") or {}).get("chain_sent"))


async def clean_up(work: Work, keep: Alias, temporary: Alias) -> None:
    """No unused entry of ours is on the device beside `keep`: superseded ones, and `temporary` if this job made it."""
    await work.run.device(
        "cleanup",
        look=partial(_nothing_superseded, work, keep, temporary),
        act=partial(_remove_superseded, work, keep, temporary),
        detail="No unused certificate of ours is left on the device.",
    )


async def _superseded(work: Work, keep: Alias, temporary: Alias) -> list[Alias]:
    """Entries on the device that we made and that nothing uses (DEV-OWN-ONLY): recorded alias and content, or an alias
    that an earlier job made and could not remove (DEV-NO-LEFTOVERS)."""
    async with work.services.database.reading() as tx:
        ours = {(record.alias, record.der) for record in await issuing.lineage(tx, work.device.id)}
        left = {undo["alias"] for undo in await leftovers.on(tx, work.device.id) if undo["verb"] == "remove-alias"}
    async with work.connection() as connection:
        entries = await connection.driver.certificates()
        if left & {entry.alias for entry in entries}:
            left -= (await connection.driver.uses()).keys()
    if work.run.step("temporary-certificate"):
        left.add(temporary)
    return [
        entry.alias
        for entry in entries
        if entry.alias != keep and not entry.in_use and ((entry.alias, entry.der) in ours or entry.alias in left)
    ]


async def _nothing_superseded(work: Work, keep: Alias, temporary: Alias) -> bool | None:
    return not await _superseded(work, keep, temporary) or None


async def _remove_superseded(work: Work, keep: Alias, temporary: Alias) -> None:
    for alias in await _superseded(work, keep, temporary):
        async with work.connection() as connection:
            if await holds(connection, alias):
                with suppress(NotFound):  # gone meanwhile, as is wanted
                    await connection.driver.remove(alias)
