"""Our CA certificates in the store of one device: the new ones before anything is signed under them, and the old ones
out of it. The steps of docs/procedures/root-replacement.md."""

from collections.abc import Iterable
from functools import partial

from fleetseal.core.model import Alias, JobStatus
from fleetseal.operations import issuing, succession
from fleetseal.operations.delivery import authority_alias, install_authorities
from fleetseal.operations.work import Ended, Work, holds
from fleetseal.store import audit, authorities, authority_entries
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction


async def install(work: Work) -> None:
    """One run of "Install CA certificates": those of the CA that is introduced are on the device; raises Ended."""
    async with work.services.database.reading() as tx:
        wanted = succession.introduced(await authorities.every(tx))
    if not wanted:
        await work.run.end(JobStatus.UNCHANGED, "No CA is being introduced. Nothing was written to it.")
        raise Ended
    if work.run.recorded("record") is None:
        await install_authorities(work, _certificates(wanted))
        written = any(step.undo is not None for step in work.run.steps())
        await work.run.local("record", partial(_record, work, wanted, written), detail="It is on record.")
    if work.run.recorded("record"):
        await work.run.end(JobStatus.FINISHED, "The certificates of the new CA are on the device.")
    else:
        await work.run.end(JobStatus.UNCHANGED, "The certificates of the new CA are on the device already.")
    raise Ended


async def remove(work: Work) -> None:
    """One run of "Remove CA certificates": those of retired CAs that we made are not on the device, unless something
    uses them; raises Ended."""
    async with work.services.database.reading() as tx:
        gone = [one for one in await authorities.every(tx) if one.state == "retired"]
    await work.run.device(
        "cleanup",
        look=partial(_none_left, work, gone),
        act=partial(_remove, work, gone),
        detail="No unused CA certificate of a retired CA is on the device.",
    )
    await work.run.local("record", partial(_record_removed, work, gone), detail="It is on record.")
    await work.run.end(JobStatus.FINISHED, "No CA certificate of the old root that we put there is left on it.")
    raise Ended


async def tidy(work: Work) -> None:
    """After a new leaf: the certificates of issuing CAs that signed its predecessors are not on the device."""
    async with work.services.database.reading() as tx:
        old = succession.superseded(await authorities.every(tx))
        here = await authority_entries.held(tx, work.device.id)
        leaf = await issuing.installed(tx, work.device.id)
        kept = {one.id for one in await authorities.upward(tx, leaf.authority_id)}
    gone = [one for one in old if one.id in here - kept]
    if not gone:
        return
    await work.run.device(
        "cleanup-authorities",
        look=partial(_none_left, work, gone),
        act=partial(_remove, work, gone),
        detail="No CA certificate that was replaced is left on the device.",
    )
    async with work.run.transaction() as tx:
        await authority_entries.forget(tx, work.device.id, [one.id for one in gone])


async def removable(work: Work, gone: Iterable[AuthorityRecord]) -> list[Alias]:
    """Entries under our alias, with the certificate that we put there, that nothing uses (DEV-OWN-ONLY)."""
    ours = {(authority_alias(der), der) for der in _certificates(gone)}
    async with work.connection() as connection:
        there = [one.alias for one in await connection.driver.authorities() if (one.alias, one.der) in ours]
        used = await connection.driver.uses() if there else {}
    return [alias for alias in there if alias not in used]


async def _none_left(work: Work, gone: Iterable[AuthorityRecord]) -> bool | None:
    return not await removable(work, gone) or None


async def _remove(work: Work, gone: Iterable[AuthorityRecord]) -> None:
    for alias in await removable(work, gone):
        async with work.connection() as connection:
            if await holds(connection, alias):
                await connection.driver.remove(alias)


async def _record(work: Work, wanted: list[AuthorityRecord], written: bool, tx: Transaction) -> bool:
    now = work.services.clock.now()
    await authority_entries.note(tx, work.device.id, [one.id for one in wanted], now=now)
    await _audit(work, tx, "authorities install", wanted)
    await work.run.confirm(tx)
    return written


async def _record_removed(work: Work, gone: list[AuthorityRecord], tx: Transaction) -> bool:
    await authority_entries.forget(tx, work.device.id, [one.id for one in gone])
    await _audit(work, tx, "authorities remove", gone)
    await work.run.confirm(tx)
    return True


async def _audit(work: Work, tx: Transaction, action: str, which: list[AuthorityRecord]) -> None:
    await audit.record(
        tx,
        now=work.services.clock.now(),
        actor=work.actor,
        action=action,
        object=work.device.label,
        detail={"task": work.run.job.task_id, "sha256": [one.sha256 for one in which]},
    )


def _certificates(records: Iterable[AuthorityRecord]) -> list[bytes]:
    return [one.der for one in records if one.der is not None]
