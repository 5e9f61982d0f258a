"""Entries of one device's certificate store, as a person names them: the steps of docs/procedures/certificates.md."""

from contextlib import suppress
from functools import partial

from fleetseal.core.errors import Conflict, InvalidInput, NotFound
from fleetseal.core.model import Alias, JobStatus
from fleetseal.core.text import clean
from fleetseal.devices.driver import Connection
from fleetseal.operations.listing import is_factory
from fleetseal.operations.work import Ended, Work, holds
from fleetseal.store import audit, inventory
from fleetseal.store.database import Transaction


async def delete(work: Work) -> None:
    """One run of "Delete certificate": the entry and its key are gone; raises Ended.

    Raises NotFound when there is none, InvalidInput for the maker's, Conflict while something uses it: nothing was
    removed. A key cannot be put back, so there is no undo.
    """
    alias = Alias(work.wish["alias"])
    if work.run.recorded("plan") is None:
        async with work.connection() as connection:
            await _require_removable(connection, alias)
        await work.run.local("plan", partial(_planned, alias), detail=f"The entry {clean(alias)} is used by nothing.")
    await work.run.device(
        "remove",
        look=partial(_is_gone, work, alias),
        act=partial(_remove, work, alias),
        detail=f"The entry {clean(alias)} is removed.",
    )
    await work.run.local("record", partial(_record_removed, work, alias), detail="The inventory is up to date.")
    await work.run.end(JobStatus.FINISHED, f"The entry {clean(alias)} was removed, and with it its key, if it had one.")
    raise Ended


async def _planned(alias: Alias, _: Transaction) -> dict[str, str]:
    return {"alias": alias}


async def _require_removable(connection: Connection, alias: Alias) -> None:
    if is_factory(alias):
        raise InvalidInput(f"{clean(alias)} is part of the device's identity from the factory: it is never removed.")
    if not await holds(connection, alias):
        raise NotFound(f"The device has no entry {clean(alias)}. See: fleetseal certificate list DEVICE.")
    if services := (await connection.driver.uses()).get(alias):
        used = ", ".join(sorted(services))
        raise Conflict(f"The entry {clean(alias)} is in use by {used}. Nothing was removed: let it use another first.")


async def _is_gone(work: Work, alias: Alias) -> bool | None:
    async with work.connection() as connection:
        return not await holds(connection, alias) or None


async def _remove(work: Work, alias: Alias) -> None:
    """Looks at its uses once more: time may have passed since the plan."""
    async with work.connection() as connection:
        await _require_removable(connection, alias)
        with suppress(NotFound):  # the look afterwards decides what happened
            await connection.driver.remove(alias)


async def _record_removed(work: Work, alias: Alias, tx: Transaction) -> bool:
    now = work.services.clock.now()
    left = [entry for entry in work.device.entries if entry["alias"] != clean(alias)]
    await inventory.change(tx, work.device.id, entries=left, last_seen=now)
    await audit.record(
        tx,
        now=now,
        actor=work.actor,
        action="certificate delete",
        object=work.device.label,
        detail={"task": work.run.job.task_id, "alias": alias},
    )
    await work.run.confirm(tx)
    return True
