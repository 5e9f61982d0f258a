"""The sessions that are open: people see and end their own, administrators those of everybody."""

from typing import Any

from fleetseal.core.access import Caller, Role
from fleetseal.core.errors import NotFound
from fleetseal.core.text import timestamp
from fleetseal.operations.access import IDLE, MOST
from fleetseal.operations.listing import Row
from fleetseal.operations.recording import line
from fleetseal.operations.services import Services
from fleetseal.store import access as store
from fleetseal.store.database import Transaction


async def list_(services: Services, caller: Caller) -> list[Row]:
    """`{"id","user","address","created","last_seen","own","current"}` of each, the newest use first. `address`: from
    where somebody signed in, null where that is not on record; `own`: of whoever asks; `current`: the one that asks."""
    async with services.database.reading() as tx:
        return [_row(row, caller) for row in await _seen(services, tx, caller)]


async def end(services: Services, caller: Caller, number: int) -> list[Row]:
    """This session lets nobody in any more. Those that are left. Audited. Raises NotFound, for those of others too
    where they are not shown."""
    async with services.database.transaction() as tx:
        row = next((one for one in await _seen(services, tx, caller) if one.id == number), None)
        if row is None:
            raise NotFound(f"There is no session {number}. It may have ended.")
        await _end(services, tx, [row], caller)
    return await list_(services, caller)


async def end_others(services: Services, caller: Caller) -> list[Row]:
    """Of whoever asks, only the session that asks is left. Audited. All that are left."""
    async with services.database.transaction() as tx:
        others = [one for one in await _seen(services, tx, caller) if _is_own(one, caller) and one.id != caller.session]
        await _end(services, tx, others, caller)
    return await list_(services, caller)


async def is_own(services: Services, caller: Caller, number: int) -> bool:
    """The session is of whoever asks, or there is none."""
    async with services.database.reading() as tx:
        return all(one.id != number or _is_own(one, caller) for one in await _seen(services, tx, caller))


async def _seen(services: Services, tx: Transaction, caller: Caller) -> list[Any]:
    rows = await store.sessions(tx, now=services.clock.now(), idle=IDLE, most=MOST)
    return [one for one in rows if caller.role is Role.ADMINISTRATOR or _is_own(one, caller)]


async def _end(services: Services, tx: Transaction, rows: list[Any], caller: Caller) -> None:
    await store.end_sessions(tx, [one.id for one in rows])
    for one in rows:
        await line(services, tx, "session end", one.name, {"from": one.address}, actor=caller.actor)


def _is_own(row: Any, caller: Caller) -> bool:
    return caller.account is not None and row.account_id == caller.account


def _row(row: Any, caller: Caller) -> Row:
    moments = {"created": timestamp(row.created), "last_seen": timestamp(row.seen)}
    whose = {"own": _is_own(row, caller), "current": row.id == caller.session}
    return {"id": row.id, "user": row.name, "address": row.address} | moments | whose
