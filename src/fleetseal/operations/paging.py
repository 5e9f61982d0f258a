"""Pages of lists that are made whole for each: tasks and alarms, of which there are not so many."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fleetseal.core.errors import InvalidInput
from fleetseal.operations import places
from fleetseal.operations.listing import words
from fleetseal.operations.sort_keys import sort_key
from fleetseal.store.device_pages import Place

Row = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which page of which list: words as in `device list`, a column, `-` before it for the other way round."""

    limit: int
    after: str | None = None
    filters: tuple[str, ...] = ()
    sort: str | None = None


def page(rows: Iterable[Row], wanted: Wanted, *, noun: str, columns: Sequence[str], newest_first: bool = False) -> Row:
    """`{"items","next","total"}` of rows with an `id`, which only grows: in its order, unless another is wanted.

    `next` is where the next page begins, null after the last; `total` how many rows there were for the first. Raises
    InvalidInput for a limit, filter, column or place that is none.
    """
    places.check(wanted.limit)
    column, down = None if wanted.sort is None else wanted.sort.removeprefix("-"), newest_first
    if column is not None:
        down = column != wanted.sort
        if column not in columns:
            raise InvalidInput(f"There is no column {column!r} to sort by. The columns are: {', '.join(columns)}.")
    tests = [_test(word, columns) for text in wanted.filters for word in words(text)]
    keyed = [(Place(_key(row, column), row["id"]), row) for row in rows if all(test(row) for test in tests)]
    keyed.sort(key=lambda one: _order(one[0]), reverse=down)
    name = places.name_of_list(noun, wanted.sort, *wanted.filters)
    total = len(keyed)
    if wanted.after is not None:
        place, total = places.read(wanted.after, name)
        keyed = [one for one in keyed if (_order(one[0]) < _order(place) if down else _order(one[0]) > _order(place))]
    chosen, more = keyed[: wanted.limit], len(keyed) > wanted.limit
    following = places.write(chosen[-1][0], total, name) if more else None
    return {"items": [row for _, row in chosen], "next": following, "total": total}


def _order(place: Place) -> tuple[bytes, int]:
    return place.key, place.id


def _key(row: Row, column: str | None) -> bytes:
    return b"" if column is None else sort_key(_text(row, column), column)


def _test(word: str, columns: Sequence[str]) -> Callable[[Row], bool]:
    column, colon, value = word.partition(":")
    if colon and column.lower() in columns:
        return lambda row: value.casefold() in _text(row, column.lower()).casefold()
    return lambda row: any(word.casefold() in _text(row, one).casefold() for one in columns)


def _text(row: Row, column: str) -> str:
    return "" if row[column] is None else str(row[column])
