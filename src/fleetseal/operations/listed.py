"""The listing of devices kept true: `store/device_listing.py` has each row as it would be made now.

A row depends on its device, on the task at work on it, on what is on record about its certificate (the change log tells
of these), on settings and CAs (the basis), and on time (each row knows how long it holds). See docs/adr/0008.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from fleetseal import __version__
from fleetseal.core.model import Device, DeviceId
from fleetseal.operations import states
from fleetseal.operations.listing import Context, Row, text_of
from fleetseal.operations.services import Services
from fleetseal.operations.sort_keys import sort_key, value_key, value_of
from fleetseal.store import device_listing, device_pages, inventory, positions
from fleetseal.store.database import Transaction
from fleetseal.store.device_listing import TEXTS, VALUES, Entry

_AT_ONCE: Final = 250  # devices made anew in one transaction: others write between them
_BETWEEN: Final = ","  # tags: none holds a comma


@asynccontextmanager
async def fresh(services: Services) -> AsyncIterator[Transaction]:
    """A view of the database in which every listed row is as it would be made now."""
    async with services.database.reading() as tx:
        if await _is_true(services, tx):
            yield tx
            return
    while True:
        async with services.database.transaction() as tx:
            if await _mend(services, tx):
                yield tx
                return


async def freshen(services: Services) -> None:
    """Whatever made a row another is in the change log, and the row is made anew."""
    async with fresh(services):
        pass


async def rows_of(services: Services, ids: Collection[DeviceId]) -> list[bytes]:
    """The rows, as JSON, of those of these devices that are there, in this order."""
    async with fresh(services) as tx:
        found = await device_pages.shown(tx, ids)
    return [found[one] for one in ids if one in found]


def entry(context: Context, device: Device) -> Entry:
    """What is listed of a device."""
    row = context.row(device)
    since, until = states.lasting(device, now=context.now, settings=context.settings)
    texts = {column: text_of(row, column) for column in TEXTS}
    expires = "" if row["certificate"] is None else row["certificate"]["not_after"]
    keys = {column: sort_key(text, column) for column, text in texts.items()}
    return Entry(
        id=device.id,
        shown=json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"),
        keys=keys | {column: _value_key(row, column) for column in VALUES} | {"expires": sort_key(expires, "expires")},
        texts={column: text.casefold() for column, text in texts.items()},
        served=device.served_sha256,
        valid_from=since,
        valid_until=until,
    )


def values(column: str, key: bytes) -> list[str]:
    """What a device has in a column of few values: one, but of tags any number."""
    held = value_of(key)
    return (held.split(_BETWEEN) if held else []) if column == "tags" else [held]


def _value_key(row: Row, column: str) -> bytes:
    value = _BETWEEN.join(row["tags"]) if column == "tags" else None
    return value_key(text_of(row, column), column, value=value)


async def _is_true(services: Services, tx: Transaction) -> bool:
    context, made = await Context.read(services, tx, ()), await device_listing.state(tx)
    if made is None or made[0] != _basis(context) or await device_listing.any_overtaken(tx, context.now):
        return False
    return not await device_listing.changed(tx, made[1], limit=1)


async def _mend(services: Services, tx: Transaction) -> bool:
    """Some rows are made anew; whether all are as they would be made now."""
    context, made = await Context.read(services, tx, ()), await device_listing.state(tx)
    basis, done = _basis(context), 0 if made is None else made[1]
    if made is None or made[0] != basis:
        await device_listing.touch_all(tx)
    else:
        await device_listing.touch_overtaken(tx, context.now)
    changed = await device_listing.changed(tx, done, limit=_AT_ONCE)
    devices = await inventory.some(tx, [device_id for _, device_id in changed])
    context = await Context.read(services, tx, devices)
    await device_listing.write(tx, [entry(context, device) for device in devices])
    all_done = len(changed) < _AT_ONCE
    await device_listing.set_state(tx, basis, await positions.current(tx) if all_done else changed[-1][0])
    return all_done


def _basis(context: Context) -> str:
    """What all rows depend on, besides what is known about each."""
    settings = context.settings
    parts = (
        __version__,
        settings.certificate_warning_days,
        settings.security_ignore_certificate_validation,
        context.authority_configured,
        [hashlib.sha256(issuer).hexdigest() for issuer in context.issuers],
        context.retired,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
