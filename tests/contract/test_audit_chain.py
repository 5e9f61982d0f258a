"""AUD-TAMPER-EVIDENT: an edit, insertion, deletion, exchange or cut at each of 1,000 records is found and located."""

import json
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fleetseal.core.errors import StoreError
from fleetseal.store import audit
from fleetseal.store.audit import START, Broken, Fault, Record, Verdict, judge
from fleetseal.store.database import Database
from tests.support import NOW, open_database

COUNT = 1000


def chained(count: int) -> Iterator[Record]:
    previous = START
    for number in range(1, count + 1):
        at = NOW + timedelta(seconds=number)
        bare = Record(number, at, "anna", "settings set", f"o{number}", {"n": number}, previous, "")
        previous = audit.digest(bare)
        yield replace(bare, hash=previous)


RECORDS = list(chained(COUNT))


def first_fault(entries: Sequence[Record], *, start: int) -> Broken | None:
    """Of a log whose records before the position `start` are as they were, and `entries` from there on."""
    number, previous = (RECORDS[start - 1].number, RECORDS[start - 1].hash) if start else (0, START)
    for entry in entries:
        if (broken := judge(number, previous, entry)) is not None:
            return broken
        number, previous = entry.number, entry.hash
    return None


def rehashed(entry: Record, **changes: object) -> Record:
    changed = replace(entry, **changes)  # type: ignore[arg-type]  # names of the record's own fields
    return replace(changed, hash=audit.digest(changed))


def near(position: int) -> list[Record]:
    """The records from one on; two are enough to see what follows a fault."""
    return RECORDS[position : position + 3]


def test_the_untouched_log_is_whole() -> None:
    assert first_fault(RECORDS, start=0) is None


@pytest.mark.parametrize("column", ["at", "actor", "action", "object", "detail", "previous", "hash"])
def test_an_edit_of_each_record_is_located(column: str) -> None:
    for position, entry in enumerate(RECORDS):
        other = {"at": NOW, "detail": {}}.get(column, "0")
        entries = [replace(entry, **{column: other}), *near(position + 1)]  # type: ignore[arg-type]  # as above
        assert first_fault(entries, start=position) == Broken(Fault.CHANGED, entry.number, entry.number)


def test_an_edit_of_each_record_with_its_hash_made_anew_shows_at_the_next() -> None:
    for position, entry in enumerate(RECORDS[:-1]):
        entries = [rehashed(entry, actor="eve"), *near(position + 1)]
        assert first_fault(entries, start=position) == Broken(Fault.UNLINKED, entry.number + 1, entry.number + 1)


def test_a_deletion_of_each_record_is_located() -> None:
    for position, entry in enumerate(RECORDS[:-1]):
        broken = Broken(Fault.MISSING, entry.number, entry.number)
        assert first_fault(near(position + 1), start=position) == broken


def test_a_deletion_that_renumbers_what_follows_is_located() -> None:
    for position in range(COUNT - 1):
        number = position + 1
        shifted = [replace(one, number=one.number - 1) for one in near(position + 1)]
        assert first_fault(shifted, start=position) == Broken(Fault.CHANGED, number, number)
        hashed = [rehashed(one) for one in shifted]
        assert first_fault(hashed, start=position) == Broken(Fault.UNLINKED, number, number)


def test_an_insertion_before_each_record_is_located() -> None:
    for position, entry in enumerate(RECORDS):
        before = RECORDS[position - 1].hash if position else START
        placed = rehashed(entry, actor="eve", previous=before)
        moved = [replace(one, number=one.number + 1) for one in near(position)]
        broken = Broken(Fault.CHANGED, entry.number + 1, entry.number + 1)
        assert first_fault([placed, *moved], start=position) == broken


def test_an_exchange_of_each_record_with_the_next_is_located() -> None:
    for position in range(COUNT - 1):
        one, other = RECORDS[position : position + 2]
        swapped = [replace(other, number=one.number), replace(one, number=other.number), *near(position + 2)]
        assert first_fault(swapped, start=position) == Broken(Fault.CHANGED, one.number, one.number)


# ---------------------------------------------------------------- in the database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(tmp_path / "fleetseal.db")
    yield opened
    await opened.close()


def fill(folder: Path, entries: Sequence[Record]) -> None:
    rows = [
        (one.number, moment(one), one.actor, one.action, one.object, json.dumps(one.detail), one.previous, one.hash)
        for one in entries
    ]
    on_disk(folder, lambda file: file.executemany("insert into audit values (?, ?, ?, ?, ?, ?, ?, ?)", rows))


def moment(entry: Record) -> str:
    return f"{entry.at:%Y-%m-%dT%H:%M:%S.%fZ}"


def on_disk(folder: Path, act: Callable[[sqlite3.Connection], object]) -> None:
    file = sqlite3.connect(folder / "fleetseal.db")
    with file:
        act(file)
    file.close()


async def verified(database: Database, **anchors: str) -> Verdict:
    async with database.reading() as tx:
        return await audit.verify(tx, {int(number.strip("_")): {anchor} for number, anchor in anchors.items()})


async def test_a_cut_at_each_record_is_located_by_an_anchor(database: Database, tmp_path: Path) -> None:
    """Nothing but an anchor shows it."""
    fill(tmp_path, RECORDS)
    assert await verified(database, _1000=RECORDS[-1].hash) == Verdict(COUNT, 1, None)
    for left in (999, 998, 501, 500, 499, 2, 1, 0):
        on_disk(tmp_path, lambda file, left=left: file.execute("delete from audit where id > ?", (left,)))  # type: ignore[misc]  # bound at once
        assert (await verified(database)).broken is None
        cut = await verified(database, _1000=RECORDS[-1].hash)
        assert cut == Verdict(left, 0, Broken(Fault.CUT_OFF, left + 1, COUNT))


async def test_a_log_written_anew_is_located_between_two_anchors(database: Database, tmp_path: Path) -> None:
    forged, previous = [], RECORDS[599].hash
    for entry in RECORDS[600:]:
        forged.append(rehashed(entry, actor="eve" if entry.number == 601 else entry.actor, previous=previous))
        previous = forged[-1].hash
    fill(tmp_path, [*RECORDS[:600], *forged])
    assert (await verified(database)).broken is None
    found = await verified(database, _500=RECORDS[499].hash, _700=RECORDS[699].hash, _1000=RECORDS[-1].hash)
    assert found == Verdict(500, 1, Broken(Fault.REWRITTEN, 501, 700))


DAMAGE = {
    "no time": "update audit set at = 'yesterday' where id = 7",
    "no JSON": "update audit set detail = '{' where id = 7",
    "JSON of another kind": "update audit set detail = '[]' where id = 7",
    "no UTF-8": "update audit set actor = cast(x'ff' as text) where id = 7",
    "no text": "update audit set actor = x'00' where id = 7",
    "endless nesting": f"update audit set detail = '{'[' * 90_000}' where id = 7",
}


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
async def test_a_record_that_cannot_be_decoded_is_located(database: Database, tmp_path: Path, statement: str) -> None:
    fill(tmp_path, RECORDS[:12])
    on_disk(tmp_path, lambda file: file.execute(statement))
    assert (await verified(database)).broken == Broken(Fault.UNREADABLE, 7, 7)
    async with database.reading() as tx:
        with pytest.raises(StoreError, match="Audit record 7 cannot be read"):
            await audit.records(tx)


@pytest.mark.parametrize("number", [0, -3])
async def test_a_record_before_the_first_is_located(database: Database, tmp_path: Path, number: int) -> None:
    fill(tmp_path, [rehashed(RECORDS[0], number=number), *RECORDS[:5]])
    assert (await verified(database)).broken == Broken(Fault.UNLINKED, number, number)


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """The greatest size of memory since the beginning of the block, in bytes."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_long_log_is_read_in_bounded_memory(database: Database, tmp_path: Path) -> None:
    """The same for four times as many."""
    peaks = []
    fill(tmp_path, list(chained(6_000)))
    for count in (6_000, 1_500):
        on_disk(tmp_path, lambda file, count=count: file.execute("delete from audit where id > ?", (count,)))  # type: ignore[misc]  # bound at once
        with traced() as peak:
            assert await verified(database) == Verdict(count, 0, None)
            async with database.reading() as tx:
                assert sum([1 async for _ in audit.newest(tx)]) == count
            peaks.append(peak())
    many, few = peaks
    assert many < 1.5 * few
