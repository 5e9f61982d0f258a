"""The database: durable, all or nothing, and what the storage refuses becomes one of our errors (STO-DURABLE,
STO-FULL-SAFE)."""

import asyncio
import itertools
import sqlite3
import types
from collections.abc import AsyncIterator, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from fleetseal.core.errors import Conflict, StoreError
from fleetseal.store import inventory, settings
from fleetseal.store.database import Database, Transaction
from tests.support import NOW, open_database


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(tmp_path / "fleetseal.db")
    yield opened
    await opened.close()


async def put(database: Database, key: str, value: str = "1") -> None:
    async with database.transaction() as tx:
        await settings.put(tx, key, value, now=NOW)


async def stored(database: Database) -> dict[str, str]:
    async with database.reading() as tx:
        return await settings.stored(tx)


async def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    for key in ("a", "b"):
        database = await Database.open(tmp_path / "x.db")
        await put(database, key)
        await database.close()
    database = await Database.open(tmp_path / "x.db")
    assert await stored(database) == {"a": "1", "b": "1"}
    await database.close()


async def test_nothing_of_a_transaction_that_raises_is_kept(database: Database) -> None:
    async def put_and_fail() -> None:
        async with database.transaction() as tx:
            await settings.put(tx, "a", "1", now=NOW)
            raise KeyError

    with pytest.raises(KeyError):
        await put_and_fail()
    assert await stored(database) == {}


async def test_every_connection_syncs_and_checks_foreign_keys(database: Database) -> None:
    async def pragmas(tx: Transaction) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [await tx.scalar(text(f"PRAGMA {name}")) for name in names]

    async with database.transaction() as writing, database.reading() as reading:
        assert [await pragmas(writing), await pragmas(reading)] == [["wal", 2, 1, 10_000]] * 2


async def test_writers_wait_for_each_other_and_lose_nothing(database: Database) -> None:
    await put(database, "count", "0")

    async def raise_it() -> None:
        async with database.transaction() as tx:
            value = int((await settings.stored(tx))["count"])
            await asyncio.sleep(0)  # noqa: TID251 - let the others in, if anything does
            await settings.put(tx, "count", str(value + 1), now=NOW)

    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(raise_it())
    assert await stored(database) == {"count": "30"}


async def test_two_processes_writing_lose_nothing(database: Database, tmp_path: Path) -> None:
    other = await Database.open(tmp_path / "fleetseal.db")  # own connections and own lock, as another process has

    async def raise_it(through: Database) -> None:
        async with through.transaction() as tx:
            value = int((await settings.stored(tx)).get("count", "0"))
            await settings.put(tx, "count", str(value + 1), now=NOW)

    async with asyncio.TaskGroup() as group:
        for turn in range(20):
            group.create_task(raise_it(database if turn % 2 else other))
    assert await stored(database) == {"count": "20"}
    await other.close()


@types.coroutine
def cancelled_at(point: int, work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Awaits `work`; the task that does so is cancelled where it waits for the `point`th time."""
    thrown: BaseException | None = None
    for turn in itertools.count(1):
        try:
            waits_for = work.throw(thrown) if thrown else work.send(None)
        except StopIteration:
            return
        task = asyncio.current_task()
        assert task is not None
        if turn == point:
            task.cancel()
        thrown = None
        try:
            yield waits_for
        except asyncio.CancelledError as error:
            thrown = error


async def test_what_is_cancelled_anywhere_leaves_no_lock(database: Database, tmp_path: Path) -> None:
    """Its traceback, and with it the cursors, may stay in memory: here they do."""
    other = sqlite3.connect(tmp_path / "fleetseal.db", timeout=0, isolation_level=None)
    await put(database, "a")

    async def work() -> None:
        async with database.transaction() as tx:
            await settings.stored(tx)
            await settings.put(tx, "a", "2", now=NOW)

    tracebacks: list[BaseException] = []
    for point in itertools.count(1):
        try:
            await asyncio.create_task(cancelled_at(point, work()))  # noqa: TID251 - it is cancelled
            break
        except asyncio.CancelledError as error:
            tracebacks.append(error)
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0  # nobody reads or writes
    assert len(tracebacks) > 5
    assert await stored(database) == {"a": "2"}
    other.close()


async def test_reading_goes_on_beside_a_transaction_and_sees_one_state(database: Database) -> None:
    async with database.reading() as reading:
        assert await settings.stored(reading) == {}
        await put(database, "a")
        assert await settings.stored(reading) == {}
    assert await stored(database) == {"a": "1"}


async def test_a_transaction_within_a_transaction_is_an_error_and_no_deadlock(database: Database) -> None:
    async with database.transaction():
        with pytest.raises(RuntimeError, match="within"):
            async with database.transaction():
                pass


async def test_a_unique_violation_is_a_conflict_for_people(database: Database) -> None:
    columns: dict[str, Any] = {"http_port": 80, "https_port": 443, "site": "default", "added": NOW}
    async with database.transaction() as tx:
        await inventory.add(tx, address="192.0.2.1", **columns)
    with pytest.raises(Conflict, match="has this address and HTTPS port"):
        async with database.transaction() as tx:
            await inventory.add(tx, address="192.0.2.1", **columns)


async def test_a_broken_rule_is_a_store_error_without_the_values(database: Database) -> None:
    with pytest.raises(StoreError, match="NOT NULL") as caught:
        async with database.transaction() as tx:
            await tx.execute(text("insert into setting (key, value) values ('k', 'canary-91')"))
    assert "canary" not in caught.value.message


async def test_a_full_disk_is_said_and_nothing_is_kept(database: Database) -> None:
    async def fill(pages: int) -> None:
        async with database.transaction() as tx:
            await tx.execute(text(f"PRAGMA max_page_count={pages}"))
            await settings.put(tx, "a", "x" * 5_000_000, now=NOW)

    with pytest.raises(StoreError, match="disk is full"):
        await fill(1)
    assert await stored(database) == {}
    await fill(100_000)
    assert list(await stored(database)) == ["a"]


async def test_a_locked_database_is_said_and_work_continues_by_itself(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db", busy_seconds=0.1)
    foreign = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await put(database, "a")
    foreign.execute("COMMIT")
    foreign.close()
    await put(database, "a")
    await database.close()


async def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await Database.open(tmp_path / "missing" / "x.db")


async def test_a_read_only_database_is_said(database: Database, tmp_path: Path) -> None:
    reader = await Database.open(f"sqlite+aiosqlite:///file:{tmp_path / 'fleetseal.db'}?mode=ro&uri=true")
    with pytest.raises(StoreError, match="read-only"):
        await put(reader, "a")
    await reader.close()


async def test_a_file_that_is_no_database_is_said_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"something else" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Database.open(tmp_path / "x.db")
    assert (tmp_path / "x.db").read_bytes() == b"something else" * 100


async def test_a_damaged_database_is_said(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "x.db")
    async with database.transaction() as tx:
        for number in range(200):
            await settings.put(tx, f"key{number}", "x" * 400, now=NOW)
    await database.close()
    content = bytearray((tmp_path / "x.db").read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        await Database.open(tmp_path / "x.db")
