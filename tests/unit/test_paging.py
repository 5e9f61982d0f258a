"""Pages of lists that are made whole for each."""

from typing import Any

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.operations.paging import Wanted, page

COLUMNS = ("id", "state", "done")
ROWS: list[dict[str, Any]] = [
    {"id": number, "state": ("Running", "Finished", None)[number % 3], "done": (number * 7) % 10}
    for number in range(1, 12)
]


def walked(limit: int, *, newest_first: bool = False, **wanted: Any) -> list[int]:
    ids, after, totals = [], None, set()
    while True:
        found = page(ROWS, Wanted(limit, after, **wanted), noun="x", columns=COLUMNS, newest_first=newest_first)
        ids += [row["id"] for row in found["items"]]
        totals.add(found["total"])
        after = found["next"]
        if after is None:
            assert totals == {len(ids)}
            return ids


@pytest.mark.parametrize("limit", [1, 4, 11, 99])
def test_pages_are_the_list_in_pieces(limit: int) -> None:
    ids = [row["id"] for row in ROWS]
    assert walked(limit) == ids
    assert walked(limit, newest_first=True) == ids[::-1]
    assert walked(limit, filters=("state:fin",)) == [1, 4, 7, 10]
    assert walked(limit, filters=("RUN", "id:9")) == [9]
    assert walked(limit, filters=("nothing",)) == []
    by_done = [row["id"] for row in sorted(ROWS, key=lambda row: (row["done"], row["id"]))]
    assert walked(limit, sort="done") == walked(limit, sort="done", newest_first=True) == by_done
    assert walked(limit, sort="-done") == by_done[::-1]
    assert walked(limit, sort="state")[-3:] == [5, 8, 11], "empty ones last"


def test_what_is_no_page_is_refused() -> None:
    first = page(ROWS, Wanted(3), noun="x", columns=COLUMNS)
    wrong = [Wanted(0), Wanted(5001), Wanted(1, sort="colour"), Wanted(1, "x"), Wanted(1, filters=("'",))]
    for wanted in (*wrong, Wanted(3, first["next"], sort="done"), Wanted(3, first["next"], ("1",))):
        with pytest.raises(InvalidInput):
            page(ROWS, wanted, noun="x", columns=COLUMNS)
    with pytest.raises(InvalidInput):
        page(ROWS, Wanted(3, first["next"]), noun="y", columns=COLUMNS)
