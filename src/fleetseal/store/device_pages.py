"""Pages of the devices as listed (`store/device_listing.py`): filtered, in an order, from a place on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
    where = _Where(conditions)
    of = device_listing.c[column].name
    query = f"SELECT {of} AS k, count(*) AS n {where.source()} {where.text} GROUP BY {of} ORDER BY {of}"
    return [(row.k, row.n) for row in await tx.execute(text(query), where.parameters)]


async def count(tx: Transaction, conditions: Sequence[Condition] = ()) -> int:
    """How many devices fulfil all conditions."""
    where = _Where(conditions)
    return int(await tx.scalar(text(f"SELECT count(*) {where.source()} {where.text}"), where.parameters) or 0)


async def expiring(tx: Transaction, bounds: Sequence[bytes]) -> list[int]:
    """How many served certificates end before each of these keys of `expires`. One look along the index for each."""
    query = text("SELECT count(*) FROM device_listing WHERE expires < :bound")
    return [int(await tx.scalar(query, {"bound": bound}) or 0) for bound in bounds]


async def page(
    tx: Transaction, conditions: Sequence[Condition], order: Order, *, after: Place | None, limit: int
) -> list[Place]:
    """The next devices after this place (None: from the beginning) that fulfil all conditions, at most `limit`."""
    path = await _path(tx, conditions)
    beside = after is not None and order.column != "id"  # those of the same key first: one look at an index for each
    found = await _part(tx, _Part(conditions, order, path, after, beside=beside), limit)
    if beside and len(found) < limit:
        found += await _part(tx, _Part(conditions, order, path, after), limit - len(found))
    return found


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
_FEW: Final = 8000  # rows that are sorted sooner than that many are found along an index in the order asked for
_SAMPLE: Final = 1000
_RARE: Final = 20  # of a sample


@dataclass(frozen=True)
class _Path:
    """By the index of a condition, by a search of all texts, or, with neither, along the index of the order."""

    condition: int | None = None
    search: bool = False


async def _path(tx: Transaction, conditions: Sequence[Condition]) -> _Path:
    """SQLite cannot know how many rows bound values fit; two small looks tell."""
    few: tuple[int, int] | None = None
    for number, condition in enumerate(conditions):
        if isinstance(condition[0], Among) and len(condition) == 1 and len(condition[0].keys) <= _INLINE:
            where = _Where([condition], drive=0)
            query = f"SELECT count(*) FROM (SELECT 1 {where.source()} {where.text} LIMIT {_FEW + 1})"  # noqa: S608 - numbers and names of the schema
            fit = int(await tx.scalar(text(query), where.parameters) or 0)
            if fit <= _FEW and (few is None or fit < few[0]):
                few = fit, number
    if few is not None:
        return _Path(condition=few[1])
    searched = [one for one in conditions if any(isinstance(test, Contains) for test in one)]
    if searched:
        where = _Where(searched)
        sample = f"(SELECT * FROM device_text LIMIT {_SAMPLE}) AS device_text"  # noqa: S608 - a number
        query = f"SELECT count(*) {where.source(texts=sample)} {where.text}"
        return _Path(search=int(await tx.scalar(text(query), where.parameters) or 0) < _RARE)
    return _Path()


@dataclass(frozen=True)
class _Part:
    """What comes after a place: with `beside`, what has the same key, else what has a later one."""

    conditions: Sequence[Condition]
    order: Order
    path: _Path
    after: Place | None
    beside: bool = False


async def _part(tx: Transaction, part: _Part, limit: int) -> list[Place]:
    where = _Where(part.conditions, drive=part.path.condition)
    order, plus = part.order, "" if part.path == _Path() else "+"
    device, down = f"{plus}device_listing.device_id", " DESC" if order.descending else ""
    later = "<" if order.descending else ">"
    by_id = order.column == "id"
    key = device if by_id else f"{plus}device_listing.{device_listing.c[order.column].name}"
    selected, span = where.text, {}
    if part.after is not None:
        span = {"key": part.after.id if by_id else part.after.key, "device": part.after.id}
        selected = where.also(f"{key} = :key AND {device} {later} :device" if part.beside else f"{key} {later} :key")
    query = (
        f"SELECT {_NO_KEY if by_id else key} AS key, device_listing.device_id AS id "
        f"{where.source(first=part.path.search)} {selected} ORDER BY {key}{down}, {device}{down} LIMIT {limit}"
    )
    return [Place(row.key, row.id) for row in await tx.execute(text(query), where.parameters | span)]


_INLINE: Final = 500  # values named one by one
_NO_KEY: Final = "x''"


class _Where:
    """Conditions as SQL. A column with `+` before it is not looked up by its index."""

    def __init__(self, conditions: Sequence[Condition], *, drive: int | None = None) -> None:
        self.parameters: dict[str, Any] = {}
        self.searches = False
        parts = [self._any(condition, by_index=number == drive) for number, condition in enumerate(conditions)]
        self.text = f"WHERE {' AND '.join(parts)}" if parts else ""

    def also(self, condition: str) -> str:
        return f"{self.text} AND {condition}" if self.text else f"WHERE {condition}"

    def source(self, *, texts: str = "device_text", first: bool = False) -> str:
        """CROSS JOIN: SQLite reads the tables in this order."""
        if not self.searches:
            return "FROM device_listing"
        if first or texts != "device_text":
            return f"FROM {texts} CROSS JOIN device_listing USING (device_id)"
        return f"FROM device_listing CROSS JOIN {texts} USING (device_id)"

    def _any(self, condition: Condition, *, by_index: bool) -> str:
        return f"({' OR '.join(self._one(test, by_index=by_index) for test in condition) or 'false'})"

    def _one(self, test: Among | Contains, *, by_index: bool) -> str:
        if isinstance(test, Contains):
            self.searches = True
            of = "CAST(device_listing.device_id AS TEXT)" if test.column == "id" else f"device_text.{test.column}"
            return f"instr({of}, {self._bound(test.text)})"
        of = f"device_listing.{device_listing.c[test.column].name}"
        if len(test.keys) > _INLINE:
            listed = "[" + ",".join(f'"{key.hex().upper()}"' for key in test.keys) + "]"
            return f"hex({of}) IN (SELECT value FROM json_each({self._bound(listed)}))"  # noqa: S608 - names of the schema
        return f"{'' if by_index else '+'}{of} IN ({', '.join(map(self._bound, test.keys))})"

    def _bound(self, value: Any) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"
