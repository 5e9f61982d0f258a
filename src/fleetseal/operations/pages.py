"""Devices page by page: filtered, in an order, and counted by their values; by the listing alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fleetseal.core.errors import InvalidInput
from fleetseal.operations import listed, places
from fleetseal.operations.listing import Word, parse_filters
from fleetseal.operations.services import Services
from fleetseal.store import device_pages, positions
from fleetseal.store.database import Transaction
from fleetseal.store.device_listing import KEYS, TEXTS, VALUES
from fleetseal.store.device_pages import Among, Condition, Contains, Order

FACETS: Final = ("status", "https", "model", "firmware", "trust", "tags")
SORTS: Final = ("id", *KEYS)


@dataclass(frozen=True)
class Page:
    items: list[bytes]  # rows, as JSON
    next: str | None  # where the next page begins; None: this is the last
    total: int  # devices that fit, when the first page was made
    position: int  # of the change log: `/events` tells what changed since


async def page(
    services: Services, *, filters: Sequence[str] = (), sort: str | None = None, limit: int, after: str | None = None
) -> Page:
    """At most `limit` rows of those that fit every word of the filters, from `after` on.

    `sort` is one of `SORTS`, with `-` before it the other way round; without it, the order in which devices were added.
    Raises InvalidInput for what is none of these, and for a place in another list.
    """
    places.check(limit)
    order, wanted = _order(sort), parse_filters(filters)
    name = places.name_of_list("devices", sort, *filters)
    place, total = (None, None) if after is None else places.read(after, name)
    async with listed.fresh(services) as tx:
        conditions = [await condition(tx, word) for word in wanted]
        if total is None:
            total = await device_pages.count(tx, conditions)
        found = await device_pages.page(tx, conditions, order, after=place, limit=limit + 1)
        here = await positions.current(tx)
    following = places.write(found[limit - 1][0], total, name) if len(found) > limit else None
    return Page([shown for _, shown in found[:limit]], following, total, here)


async def position(services: Services) -> int:
    """Of the change log, now."""
    async with services.database.reading() as tx:
        return await positions.current(tx)


async def facets(services: Services, *, filters: Sequence[str] = ()) -> dict[str, Any]:
    """`{"total", "facets": {column: [{"value", "count"}]}}` of the devices that fit: of each column of `FACETS` the
    values that there are, in their order. A device counts for each of its tags."""
    wanted = parse_filters(filters)
    async with listed.fresh(services) as tx:
        conditions = [await condition(tx, word) for word in wanted]
        found = {column: await device_pages.counts(tx, column, conditions) for column in FACETS}
    total = sum(count for _, count in found["status"])
    return {"total": total, "facets": {column: _counted(column, counts) for column, counts in found.items()}}


def _counted(column: str, counts: list[tuple[bytes, int]]) -> list[dict[str, Any]]:
    by_value: dict[str, int] = {}
    for key, count in counts:
        for value in listed.values(column, key):
            by_value[value] = by_value.get(value, 0) + count
    return [{"value": value, "count": count} for value, count in by_value.items()]


async def condition(tx: Transaction, word: Word) -> Condition:
    """What a word of a filter asks of the listing, which must be true in this transaction."""
    columns = (*VALUES, *TEXTS, "id") if word.column is None else (word.column,)
    tests: list[Among | Contains] = []
    for column in columns:
        if column in VALUES:
            keys = tuple(
                key for key in await device_pages.values(tx, column) if word.test(" ".join(listed.values(column, key)))
            )
            if keys or word.column is not None:
                tests.append(Among(column, keys))
        else:
            tests.append(Contains(column, word.wanted))
    if word.mac is not None:
        tests.append(Contains("mac", word.mac))
    return tuple(tests)


def _order(sort: str | None) -> Order:
    if sort is None:
        return Order("id")
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise InvalidInput(f"There is no column {column!r} to sort by. The columns are: {', '.join(SORTS)}.")
    return Order(column, descending=sort.startswith("-"))
