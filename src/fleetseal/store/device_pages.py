"""Pages of the devices as listed (`store/device_listing.py`): filtered, in an order, from a place on."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any, Final

from sqlalchemy import select, text

from fleetseal.core.model import DeviceId
from fleetseal.store.database import Transaction
from fleetseal.store.device_listing import device_listing, device_row


@dataclass(frozen=True)
class Among:
    """The column, one of `VALUES`, has one of these keys."""

    column: str
    keys: tuple[bytes, ...]


@dataclass(frozen=True)
class Contains:
    """The column, one of `TEXTS` or `id`, contains this casefolded text."""

    column: str
    text: str


Condition = tuple[Among | Contains, ...]
"""One of these holds."""


@dataclass(frozen=True)
class Order:
    column: str  # of `KEYS`, or `id`
    descending: bool = False


@dataclass(frozen=True)
class Place:
    """A row of a list in an order: what comes after it is the next page."""

    key: bytes  # empty where the order is that of ids
    id: int


async def values(tx: Transaction, column: str) -> list[bytes]:
    """The keys of the values of this column, one of `VALUES`, in their order. One look at the index for each."""
    of = device_listing.c[column].name
    query = (
        f"WITH RECURSIVE v(k) AS (SELECT min({of}) FROM device_listing UNION ALL "  # noqa: S608 - a name of the schema
        f"SELECT (SELECT min({of}) FROM device_listing WHERE {of} > v.k) FROM v WHERE v.k IS NOT NULL) "
        "SELECT k FROM v WHERE k IS NOT NULL"
    )
    return list(await tx.scalars(text(query)))


async def counts(tx: Transaction, column: str, conditions: Sequence[Condition] = ()) -> list[tuple[bytes, int]]:
    """How many of the devices that fulfil all conditions have each value of this column, one of `VALUES`."""
    where = await _counting(tx, conditions)
    of = device_listing.c[column].name
    query = f"SELECT {of} AS k, count(*) AS n {where.source} {where.text} GROUP BY {of} ORDER BY {of}"
    return [(row.k, row.n) for row in await tx.execute(text(query), where.parameters)]


async def count(tx: Transaction, conditions: Sequence[Condition] = ()) -> int:
    """How many devices fulfil all conditions."""
    where = await _counting(tx, conditions)
    return int(await tx.scalar(text(f"SELECT count(*) {where.source} {where.text}"), where.parameters) or 0)


async def expiring(tx: Transaction, bounds: Sequence[bytes]) -> list[int]:
    """How many served certificates end before each of these keys of `expires`. One look along the index for each."""
    query = text("SELECT count(*) FROM device_listing WHERE expires < :bound")
    return [int(await tx.scalar(query, {"bound": bound}) or 0) for bound in bounds]


async def page(
    tx: Transaction, conditions: Sequence[Condition], order: Order, *, after: Place | None, limit: int
) -> list[tuple[Place, bytes]]:
    """The next devices after this place (None: from the beginning) that fulfil all conditions, at most `limit`, with
    their rows as JSON."""
    there = int(await tx.scalar(text("SELECT max(device_id) FROM device_listing")) or 0) if conditions else 0
    part = _Part(conditions, order, await _drive(tx, conditions, most=isqrt(2 * limit * there)), after)
    if after is None or order.column == "id" or part.drive is not None:
        return await _part(tx, part, limit)
    found = await _part(tx, replace(part, beside=True), limit)  # of the same key: one look at an index for each
    return found + await _part(tx, part, limit - len(found)) if len(found) < limit else found


async def shown(tx: Transaction, ids: Collection[DeviceId]) -> dict[DeviceId, bytes]:
    """The rows of those of these devices that are there, as JSON."""
    found: dict[DeviceId, bytes] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(device_row).where(device_row.c.device_id.in_(wanted[start : start + _AT_ONCE]))
        found |= {DeviceId(row.device_id): row.shown for row in await tx.execute(query)}
    return found


# ---------------------------------------------------------------- which way is short

_AT_ONCE: Final = 5000
_MANY: Final = 20_000  # devices that are looked at one by one sooner than a table of 100,000 is read
_INLINE: Final = 500  # values named one by one
_GRAM: Final = 3  # characters
_GRAMS: Final = 32  # of a text that is searched for: its last ones, in which names differ
_MOMENT: Final = "0000-00-00t00:00:00z"  # as `last_seen` is, casefolded, each digit a 0


async def _drive(tx: Transaction, conditions: Sequence[Condition], *, most: int) -> int | None:
    """The condition that indices alone find the fewest devices for, if that is not more than `most`.

    SQLite cannot know how many rows bound values fit: they are counted. Of N devices, the first L in some order are
    found along its index after about L * N / F of them, where F fit, and later where these come late in it. Where that
    is more than F, or half as many, those F are sorted instead.
    """
    few: tuple[int, int] | None = None
    for number, condition in enumerate(conditions):
        where = _Where([])
        candidates = where.candidates(condition)
        if candidates is not None:
            query = f"SELECT count(*) FROM (SELECT 1 FROM ({candidates}) LIMIT {most + 1})"  # noqa: S608 - numbers and names of the schema
            found = int(await tx.scalar(text(query), where.parameters) or 0)
            if found <= most and (few is None or found < few[0]):
                few = found, number
    return None if few is None else few[1]


async def _counting(tx: Transaction, conditions: Sequence[Condition]) -> "_Where":
    """As they are counted by the shortest way."""
    alone = len(conditions) == 1 and all(isinstance(test, Among) for test in conditions[0])
    return _Where(conditions, drive=0 if alone else await _drive(tx, conditions, most=_MANY))


@dataclass(frozen=True)
class _Part:
    """What comes after a place. Along an index: with `beside`, what has the same key, else what has a later one."""

    conditions: Sequence[Condition]
    order: Order
    drive: int | None  # number of a condition; None: along the index of the order
    after: Place | None
    beside: bool = False


async def _part(tx: Transaction, part: _Part, limit: int) -> list[tuple[Place, bytes]]:
    where, order, after = _Where(part.conditions, drive=part.drive), part.order, part.after
    plus, down = "" if part.drive is None else "+", " DESC" if order.descending else ""
    later = "<" if order.descending else ">"
    by_id = order.column == "id"
    device = f"{plus}device_listing.device_id"
    key = device if by_id else f"{plus}device_listing.{device_listing.c[order.column].name}"
    where.within(key, order.column)
    if after is not None:
        where.parameters |= {"key": after.id if by_id else after.key, "device": after.id}
        if part.beside:
            where.also(f"{key} = :key AND {device} {later} :device")
        else:
            where.also(f"{key} {later} :key" if plus == "" or by_id else f"({key}, {device}) {later} (:key, :device)")
    ids = (
        f"SELECT {_NO_KEY if by_id else key} AS key, device_listing.device_id AS id "
        f"{where.source} {where.text} ORDER BY {key}{down}, {device}{down} LIMIT {limit}"
    )
    query = f"SELECT key, id, shown FROM ({ids}) JOIN device_row ON device_id = id ORDER BY key{down}, id{down}"  # noqa: S608 - names of the schema
    return [(Place(row.key, row.id), row.shown) for row in await tx.execute(text(query), where.parameters)]


_NO_KEY: Final = "x''"


class _Where:
    """Conditions as SQL. A column with `+` before it is not looked up by its index."""

    def __init__(self, conditions: Sequence[Condition], *, drive: int | None = None) -> None:
        self.parameters: dict[str, Any] = {}
        self._names: dict[bytes | str, str] = {}
        self._conditions = conditions
        self._parts: list[str] = []
        self._searches = False
        for number, condition in enumerate(conditions):
            by_index = number == drive and all(isinstance(test, Among) for test in condition)
            if number == drive and not by_index:
                self.also(f"device_listing.device_id IN ({self.candidates(condition)})")
            self.also(" OR ".join(self._one(test, by_index=by_index) for test in condition) or "false")

    @property
    def text(self) -> str:
        return f"WHERE {' AND '.join(self._parts)}" if self._parts else ""

    @property
    def source(self) -> str:
        """CROSS JOIN: SQLite reads the tables in this order."""
        return "FROM device_listing" + (" CROSS JOIN device_text USING (device_id)" if self._searches else "")

    def also(self, condition: str) -> None:
        self._parts.append(f"({condition})")

    def within(self, key: str, column: str) -> None:
        """What the conditions say about this column is a part of its index."""
        for condition in self._conditions:
            keys = [key for test in condition if isinstance(test, Among) and test.column == column for key in test.keys]
            if len(condition) == 1 and keys:
                self.also(f"{key} BETWEEN {self._bound(min(keys))} AND {self._bound(max(keys))}")

    def candidates(self, condition: Condition) -> str | None:
        """Selects the ids of all devices that can fulfil it, by indices alone; None where these cannot tell."""
        sources = {"device_listing WHERE false": "device_id"}
        for test in condition:
            if isinstance(test, Among):
                if len(test.keys) > _INLINE:
                    return None
                sources[f"device_listing WHERE {self._one(test, by_index=True)}"] = "device_id"
            elif test.column != "last_seen":
                if len(test.text) < _GRAM or "\0" in test.text:
                    return None
                sources[f"device_search WHERE device_search MATCH {self._bound(_grams(test.text))}"] = "rowid"
            elif re.sub("[0-9]", "0", test.text) in _MOMENT:
                return None
        return " UNION ALL ".join(f"SELECT {column} FROM {source}" for source, column in sources.items())  # noqa: S608 - names of the schema

    def _one(self, test: Among | Contains, *, by_index: bool) -> str:
        if isinstance(test, Contains):
            self._searches = True
            of = "CAST(device_listing.device_id AS TEXT)" if test.column == "id" else f"device_text.{test.column}"
            return f"instr({of}, {self._bound(test.text)})"
        of = f"device_listing.{device_listing.c[test.column].name}"
        if len(test.keys) > _INLINE:
            listed = "[" + ",".join(f'"{key.hex().upper()}"' for key in test.keys) + "]"
            return f"hex({of}) IN (SELECT value FROM json_each({self._bound(listed)}))"  # noqa: S608 - names of the schema
        return f"{'' if by_index else '+'}{of} IN ({', '.join(map(self._bound, test.keys))})"

    def _bound(self, value: bytes | str) -> str:
        """What is said twice is bound once."""
        name = self._names.setdefault(value, f"p{len(self._names)}")
        self.parameters[name] = value
        return f":{name}"


def _grams(searched: str) -> str:
    """What to ask of `device_search`: whatever contains this text has all these runs of three characters."""
    grams = dict.fromkeys(searched[at : at + _GRAM] for at in range(len(searched) - _GRAM + 1))
    return " ".join('"' + gram.replace('"', '""') + '"' for gram in list(grams)[-_GRAMS:])
