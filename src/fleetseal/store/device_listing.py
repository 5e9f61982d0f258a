"""Devices as lists show them, made in advance: what to show, and what to sort and to search by.

Only `operations/listed.py` writes these tables. What they lack, or what is older than the change log says, is made anew
before anything is read from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    DDL,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    TextClause,
    bindparam,
    delete,
    event,
    exists,
    insert,
    or_,
    select,
    text,
)

from fleetseal.core.model import DeviceId
from fleetseal.store.change_log import change
from fleetseal.store.database import Transaction
from fleetseal.store.schema import Moment, device, metadata

VALUES: Final = (
    *("status", "https", "model", "firmware", "trust", "tags", "product_type", "server", "http_port", "https_port"),
)
"""Columns of few values: the key of each value holds it (`operations/sort_keys.py`)."""

TEXTS: Final = ("mac", "address", "hostname", "certificate", "last_seen")
"""Columns that differ from device to device: searched as texts."""

KEYS: Final = (*VALUES, *TEXTS, "expires")
"""Columns to sort by, besides the id."""

# Three tables, because a search reads all of one of them, and the narrower it is the faster.

device_listing = Table(
    "device_listing",
    metadata,
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    *(Column(name, LargeBinary, nullable=False, index=True) for name in KEYS),
    Column("served", String(64), index=True),  # SHA-256 of the certificate that the device serves
    Column("valid_from", Moment, index=True),  # null: it always was as it is, as far as time matters
    Column("valid_until", Moment, index=True),  # null: it stays as it is
)

device_text = Table(
    "device_text",
    metadata,
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    *(Column(name, Text, nullable=False) for name in TEXTS),  # casefolded
)

device_row = Table(
    "device_row",
    metadata,
    Column("device_id", ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    Column("shown", LargeBinary, nullable=False),  # JSON, UTF-8
)

listing_state = Table(
    "listing_state",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1; no row: nothing was made yet
    Column("basis", String(64), nullable=False),  # what all rows are made from, besides their devices
    Column("position", Integer, nullable=False),  # of the change log: what changed later is made anew
)

SEARCHED: Final = ("device_id", "mac", "address", "hostname", "certificate")
"""Columns of `device_text` that `device_search` finds; not `last_seen`, which is always another."""

SEARCH: Final = (
    "CREATE VIRTUAL TABLE device_search USING "
    "fts5(words, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1')"
)
"""Which texts contain three characters somewhere (SQLite FTS5): kept by triggers, read by `store/device_pages.py`."""


def _words(row: str) -> str:
    return " || char(10) || ".join(f"{row}.{name}" for name in SEARCHED)


_SEARCH: Final = "INSERT INTO device_search"
_FOUND: Final = f"{_SEARCH} (rowid, words) VALUES (new.device_id, {_words('new')});"
_LOST: Final = f"{_SEARCH} (device_search, rowid, words) VALUES ('delete', old.device_id, {_words('old')});"
_TELLS: Final = (
    "WHEN new.sha256 IS NOT NULL BEGIN DELETE FROM change WHERE kind = 'device' AND object IN "
    "(SELECT device_id FROM device_listing WHERE served = new.sha256); "
    "INSERT INTO change (kind, object, gone) "
    "SELECT 'device', device_id, 0 FROM device_listing WHERE served = new.sha256; END"
)
TRIGGERS: Final = {
    "change_issuance_insert": f"AFTER INSERT ON issuance {_TELLS}",
    "change_issuance_update": f"AFTER UPDATE OF sha256, origin, purpose, superseded, revoked ON issuance {_TELLS}",
    "device_search_insert": f"AFTER INSERT ON device_text BEGIN {_FOUND} END",
    "device_search_delete": f"AFTER DELETE ON device_text BEGIN {_LOST} END",
    "device_search_update": "AFTER UPDATE ON device_text "
    f"WHEN {_words('old')} IS NOT {_words('new')} BEGIN {_LOST} {_FOUND} END",
}
"""What is on record about a certificate is shown with the device that serves it; and what the search finds."""

for _text in (SEARCH, *(f"CREATE TRIGGER {_name} {_text}" for _name, _text in TRIGGERS.items())):
    _made = DDL(_text)  # type: ignore[no-untyped-call]  # the library's
    event.listen(metadata, "after_create", _made.execute_if(dialect="sqlite"))


@dataclass(frozen=True)
class Entry:
    """A device as listed."""

    id: DeviceId
    shown: bytes  # JSON
    keys: Mapping[str, bytes]  # of `KEYS`
    texts: Mapping[str, str]  # of `TEXTS`, casefolded
    served: str | None
    valid_from: datetime | None
    valid_until: datetime | None


# ---------------------------------------------------------------- keeping it true


async def state(tx: Transaction) -> tuple[str, int] | None:
    """The basis that rows are made from, and the position up to which they are; None: none was made."""
    row = (await tx.execute(select(listing_state.c.basis, listing_state.c.position))).one_or_none()
    return None if row is None else (row.basis, row.position)


async def set_state(tx: Transaction, basis: str, position: int) -> None:
    await tx.execute(delete(listing_state))
    await tx.execute(insert(listing_state).values(id=1, basis=basis, position=position))


async def changed(tx: Transaction, after: int, *, limit: int) -> list[tuple[int, DeviceId]]:
    """The devices that changed after this position, with their positions, in that order."""
    later = (change.c.position > after) & (change.c.kind == "device") & ~change.c.gone
    query = select(change.c.position, change.c.object).where(later).order_by(change.c.position).limit(limit)
    return [(row.position, DeviceId(row.object)) for row in await tx.execute(query)]


async def any_overtaken(tx: Transaction, now: datetime) -> bool:
    """Time alone has changed a row."""
    return bool(await tx.scalar(select(exists().where(_overtaken(now)))))


async def touch_overtaken(tx: Transaction, now: datetime) -> None:
    """The devices whose rows time alone has changed count as changed."""
    await _touch(tx, select(device_listing.c.device_id).where(_overtaken(now)))


async def touch_all(tx: Transaction) -> None:
    """Every device counts as changed."""
    await _touch(tx, select(device.c.id))


async def write(tx: Transaction, entries: Sequence[Entry]) -> None:
    """These devices are listed so. Those that are already are not written."""
    ids = [entry.id for entry in entries]
    query = select(device_listing, device_row.c.shown).where(
        device_listing.c.device_id == device_row.c.device_id, device_listing.c.device_id.in_(ids)
    )
    there = {row.device_id: dict(row._mapping) for row in await tx.execute(query)}
    others = [entry for entry in entries if there.get(entry.id) != {**_keys(entry), "shown": entry.shown}]
    if not others:
        return
    await tx.execute(_put(device_listing), [_keys(entry) for entry in others])
    await tx.execute(_put(device_text), [{"device_id": entry.id, **entry.texts} for entry in others])
    await tx.execute(_put(device_row), [{"device_id": entry.id, "shown": entry.shown} for entry in others])


@cache
def _put(table: Table) -> TextClause:
    """Rows of this table, there already or not. As text: the library would wrap each of many thousand bytes objects."""
    names = [column.name for column in table.c]
    places, changes = ", ".join(f":{name}" for name in names), ", ".join(f"{name} = excluded.{name}" for name in names)
    statement = (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places}) "  # noqa: S608 - names of the schema
        f"ON CONFLICT (device_id) DO UPDATE SET {changes}"
    )
    return text(statement).bindparams(*(bindparam(c.name, type_=c.type) for c in table.c if isinstance(c.type, Moment)))


def _overtaken(now: datetime) -> Any:
    return or_(device_listing.c.valid_until <= now, device_listing.c.valid_from > now)


async def _touch(tx: Transaction, ids: Any) -> None:
    await tx.execute(delete(change).where(change.c.kind == "device", change.c.object.in_(ids)))
    rows = ids.add_columns(text("'device'"), text("0"))
    await tx.execute(insert(change).from_select(["object", "kind", "gone"], rows))


def _keys(entry: Entry) -> dict[str, Any]:
    span = {"valid_from": entry.valid_from, "valid_until": entry.valid_until}
    return {"device_id": entry.id, "served": entry.served, **entry.keys, **span}
