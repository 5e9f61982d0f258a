"""Whoever applies what changed since a position has what is there, whichever statement wrote it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, text

from fleetseal.store import alarms, change_log, inventory, positions, tasks
from fleetseal.store.database import Database, Transaction
from fleetseal.store.positions import Changed
from fleetseal.store.schema import device
from tests.support import NOW, open_database
from tests.world import World, add


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(tmp_path / "fleetseal.db")
    yield opened
    await opened.close()


async def current(database: Database) -> int:
    async with database.reading() as tx:
        return await positions.current(tx)


async def since(database: Database, after: int) -> Changed:
    async with database.reading() as tx:
        found = await positions.changed(tx, after)
    assert found is not None
    return found


# ---------------------------------------------------------------- nothing is forgotten

View = dict[str, dict[int, Any]]


async def view(tx: Transaction) -> View:
    """What pages show of devices, tasks and alarms."""
    busy = await inventory.active_tasks(tx)
    counts = await tasks.job_counts(tx)
    seen = [column for column in device.c if column.name not in ("password_sealed", "last_read")]
    rows = (await tx.execute(select(*seen))).all()
    return {
        "devices": {row.id: (*row, busy.get(row.id)) for row in rows},
        "tasks": {task.id: (task, counts.get(task.id)) for task in await tasks.list_tasks(tx)},
        "alarms": {
            one.id: (one.severity, one.message, one.since, one.acknowledged) for one in await alarms.open_alarms(tx)
        },
    }


@dataclass
class Client:
    """A page: it applies what it is told, and reads what it is not told from nowhere."""

    view: View
    position: int

    async def poll(self, tx: Transaction) -> None:
        found, now = await positions.changed(tx, self.position), await view(tx)
        assert found is not None
        for kind in ("devices", "tasks", "alarms"):
            for changed in getattr(found, kind):
                self.view[kind][changed] = now[kind][changed]
            for gone in getattr(found, f"{kind}_gone"):
                self.view[kind].pop(gone, None)
        assert self.view == now
        self.position = found.position


@pytest.mark.parametrize("seed", range(3))
async def test_a_page_that_applies_the_changes_has_what_is_there(database: Database, seed: int) -> None:
    world, client = World(seed), Client({"devices": {}, "tasks": {}, "alarms": {}}, 0)
    for _ in range(60):
        for _ in range(world.random.randrange(4)):
            async with database.transaction() as tx:
                await world.write(tx)
                await world.write(tx)
        async with database.reading() as tx:
            await client.poll(tx)
    assert client.position > 100


async def test_a_transaction_that_is_not_committed_changed_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, 1)
    before = await current(database)
    with suppress(RuntimeError):
        async with database.transaction() as tx:
            await add(tx, 2)
            raise RuntimeError
    assert await current(database) == before


async def test_what_no_page_shows_is_no_change(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, 1)
        await alarms.raise_alarm(tx, now=NOW, cause="c", object="o", severity="warning", message="m")
    before = await current(database)
    async with database.transaction() as tx:
        await inventory.look_in_full(tx)
        await alarms.raise_alarm(tx, now=NOW, cause="c", object="o", severity="warning", message="m", expires=NOW)
    assert await current(database) == before


def test_every_column_of_a_device_is_watched_but_those_that_no_page_shows() -> None:
    watched = change_log.TRIGGERS["change_device_update"]
    assert {column.name for column in device.c if f'"{column.name}"' not in watched} == {"password_sealed", "last_read"}


# ---------------------------------------------------------------- how long it is told


async def test_the_log_has_one_row_for_each_object_however_often_it_changes(database: Database) -> None:
    async with database.transaction() as tx:
        one = await add(tx, 1)
        for number in range(50):
            await inventory.change(tx, one, firmware=str(number))
    async with database.reading() as tx:
        assert await tx.scalar(text("select count(*) from change")) == 1
    assert (await since(database, 0)).devices == (one,)


async def test_only_what_changed_later_is_told(database: Database) -> None:
    async with database.transaction() as tx:
        first, second = await add(tx, 1), await add(tx, 2)
    before = await current(database)
    async with database.transaction() as tx:
        await inventory.change(tx, first, firmware="12.0")
    found = await since(database, before)
    assert (found.devices, found.devices_gone) == ((first,), ())
    assert found.position == await current(database) > before
    async with database.transaction() as tx:
        await inventory.remove(tx, second)
    assert (await since(database, found.position)).devices_gone == (second,)
    assert (await since(database, await current(database))).devices == ()


@pytest.mark.parametrize("after", [-1, 3, 2**53])
async def test_a_position_of_nowhere_cannot_be_told_from(database: Database, after: int) -> None:
    async with database.transaction() as tx:
        await add(tx, 1)
        await add(tx, 2)
    async with database.reading() as tx:
        assert await positions.changed(tx, after) is None


async def test_more_changes_than_asked_for_are_not_told(database: Database) -> None:
    async with database.transaction() as tx:
        for number in range(3):
            await add(tx, number)
    async with database.reading() as tx:
        assert await positions.changed(tx, 0, limit=2) is None
        assert await positions.changed(tx, 0, limit=3) is not None


async def test_what_is_gone_is_told_for_a_day_and_then_positions_before_are_too_old(database: Database) -> None:
    async with database.transaction() as tx:
        kept, removed = await add(tx, 1), await add(tx, 2)
    seen = await current(database)
    async with database.transaction() as tx:
        await inventory.remove(tx, removed)
    for hours in (0, 23):
        async with database.transaction() as tx:
            await positions.prune(tx, now=NOW + timedelta(hours=hours))
        assert (await since(database, seen)).devices_gone == (removed,)
    gone = await current(database)
    async with database.transaction() as tx:
        await positions.prune(tx, now=NOW + timedelta(hours=24))
    assert await current(database) == gone
    async with database.reading() as tx:
        assert await positions.changed(tx, seen) is None
        assert await positions.changed(tx, gone) == Changed(gone, (), (), (), (), (), ())
        assert list(await tx.scalars(text("select object from change"))) == [kept]


async def test_a_clock_that_is_set_back_does_not_keep_what_is_gone_for_ever(database: Database) -> None:
    async with database.transaction() as tx:
        await inventory.remove(tx, await add(tx, 1))
        await positions.prune(tx, now=NOW + timedelta(days=4000))
        await positions.prune(tx, now=NOW)
        await positions.prune(tx, now=NOW + timedelta(days=1))
        assert await tx.scalar(text("select count(*) from change")) == 0


async def test_after_a_restore_no_position_from_before_is_told_from(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, 1)
    before = await current(database)
    async with database.transaction() as tx:
        await positions.break_off(tx, now=NOW)
    after = await current(database)
    assert after >= NOW.timestamp() * 1000 > before
    async with database.reading() as tx:
        assert await positions.changed(tx, before) is None
        assert await positions.changed(tx, after - 1) is None
    async with database.transaction() as tx:
        added = await add(tx, 2)
    assert (await since(database, after)).devices == (added,)
    async with database.transaction() as tx:
        await positions.break_off(tx, now=NOW - timedelta(days=4000))
    assert await current(database) > after, "also with a clock that is wrong"


async def test_the_log_is_read_by_its_index_alone(database: Database) -> None:
    query = "explain query plan select * from change where position > 7 order by position limit 9"
    async with database.reading() as tx:
        plan = [row.detail for row in await tx.execute(text(query))]
    assert plan == ["SEARCH change USING INTEGER PRIMARY KEY (rowid>?)"]
