"""Devices and their logins, the audit trail, alarms and settings as stored."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from fleetseal.core.errors import Conflict, NotFound, StoreError
from fleetseal.core.model import Device, DeviceId, Login
from fleetseal.core.secrets import Sealer
from fleetseal.store import alarms, audit, inventory, settings
from fleetseal.store.audit import Verdict
from fleetseal.store.database import Database
from tests.support import NOW, FakeRng, open_database

SERIAL = "B8A44F631339"
SEALER = Sealer(bytes(32), FakeRng())


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_database(tmp_path / "fleetseal.db")
    yield opened
    await opened.close()


async def add(database: Database, address: str = "192.0.2.1", **columns: Any) -> Device:
    basis: dict[str, Any] = {"http_port": 80, "https_port": 443, "site": "default", "added": NOW}
    async with database.transaction() as tx:
        return await inventory.add(tx, **(basis | {"address": address} | columns))


# ---------------------------------------------------------------- devices


async def test_a_row_comes_back_as_it_was_written(database: Database) -> None:
    made = await add(database, serial=SERIAL, tags=["north", "gate"], clock_offset=-1.5, last_seen=NOW, policy="both")
    async with database.reading() as tx:
        assert await inventory.get(tx, made.id) == made
    assert (made.mac, made.tags, made.last_seen) == ("B8:A4:4F:63:13:39", ("north", "gate"), NOW)


SPELLINGS = [
    "B8A44F631339",
    "b8a44f631339",
    "B8:A4:4F:63:13:39",
    "b8-a4-4f-63-13-39",
    "b8a4.4f63.1339",
    " B8 A4 4F 63 13 39 ",
    "192.0.2.1",
    "192.0.2.1:443",
    "192.0.2.1:80",
    "Gate.Example.ORG.",
    "gate.example.org:443",
    "1",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_device_is_found_by_every_common_spelling(database: Database, spelling: str) -> None:
    made = await add(database, serial=SERIAL, host_name="gate.example.org")
    await add(database, "192.0.2.100", serial="B8A44F63133A", host_name="gate2.example.org")
    async with database.reading() as tx:
        assert (await inventory.find(tx, spelling)).id == made.id


@pytest.mark.parametrize("spelling", ["2001:DB8::1", "[2001:db8:0::1]", "[2001:db8::1]:443"])
async def test_an_ipv6_address_is_found_in_every_spelling(database: Database, spelling: str) -> None:
    made = await add(database, "2001:db8::1")
    async with database.reading() as tx:
        assert (await inventory.find(tx, spelling)).id == made.id


@pytest.mark.parametrize(
    "spelling", ["192.0.2.2", "B8A44F631338", "2", "gate", "", "192.0.2.1:444", "%", "' or 1=1 --"]
)
async def test_what_means_no_device_is_not_found(database: Database, spelling: str) -> None:
    await add(database, serial=SERIAL, host_name="gate.example.org")
    async with database.reading() as tx:
        with pytest.raises(NotFound):
            await inventory.find(tx, spelling)


async def test_an_ambiguous_reference_lists_the_matches(database: Database) -> None:
    await add(database, https_port=443, serial=SERIAL)
    await add(database, https_port=444)
    async with database.reading() as tx:
        with pytest.raises(Conflict) as caught:
            await inventory.find(tx, "192.0.2.1")
        assert (await inventory.find(tx, "192.0.2.1:444")).https_port == 444
    assert "B8:A4:4F:63:13:39 at 192.0.2.1:443" in caught.value.message
    assert "192.0.2.1:444" in caught.value.message


async def test_a_serial_belongs_to_one_device(database: Database) -> None:
    await add(database, serial=SERIAL)
    with pytest.raises(Conflict, match="in the inventory already"):
        await add(database, "192.0.2.2", serial=SERIAL)


async def test_an_id_is_never_used_again(database: Database) -> None:
    first = await add(database)
    async with database.transaction() as tx:
        await inventory.remove(tx, first.id)
    assert (await add(database)).id > first.id


async def test_what_is_not_there_cannot_be_changed_or_removed(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(NotFound):
            await inventory.change(tx, DeviceId(9), site="x")
        with pytest.raises(NotFound):
            await inventory.remove(tx, DeviceId(9))


# ---------------------------------------------------------------- logins


async def test_a_login_is_stored_sealed_under_a_growing_version(database: Database, tmp_path: Path) -> None:
    made = await add(database)
    async with database.transaction() as tx:
        assert await inventory.login(tx, SEALER, made.id) is None
        first = await inventory.set_login(tx, SEALER, made.id, Login("root", "canary-1"))
        second = await inventory.set_login(tx, SEALER, made.id, Login("root", "canary-2"))
        assert await inventory.login(tx, SEALER, made.id) == Login("root", "canary-2")
    assert (first.password_version, second.password_version) == (1, 2)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"root" in written
    assert b"canary" not in written


async def test_sealed_passwords_swapped_between_rows_or_versions_do_not_open(database: Database) -> None:
    one, other = await add(database), await add(database, "192.0.2.2")
    async with database.transaction() as tx:
        for device in (one, other):
            await inventory.set_login(tx, SEALER, device.id, Login("root", f"pass {device.id}"))
        cell = "select password_sealed from device where id = "
        await tx.execute(text(f"update device set password_sealed = ({cell} {one.id}) where id = {other.id}"))
        await tx.execute(text(f"update device set password_version = 7 where id = {one.id}"))
        for device in (one, other):
            with pytest.raises(StoreError, match="cannot be opened"):
                await inventory.login(tx, SEALER, device.id)


# ---------------------------------------------------------------- the audit trail


async def trail(database: Database, count: int) -> None:
    async with database.transaction() as tx:
        for number in range(count):
            await audit.record(
                tx,
                now=NOW + timedelta(seconds=number),
                actor="root",
                action="a",
                object=f"o{number}",
                detail={"n": number},
            )


async def test_records_are_numbered_chained_and_read_newest_first(database: Database) -> None:
    await trail(database, 5)
    async with database.reading() as tx:
        assert [one.number for one in await audit.records(tx, limit=2)] == [5, 4]
        assert await audit.verify(tx) == Verdict(5, 0, None)


TAMPERING = [
    ("update audit set actor = 'x' where id = 3", 3),
    ("update audit set at = '2026-11-23T12:00:09.000000Z' where id = 3", 3),
    ("""update audit set detail = '{"n": 9}' where id = 3""", 3),
    ("update audit set object = 'x', hash = 'x' where id = 5", 5),
    ("delete from audit where id = 3", 3),
    ("delete from audit where id = 1", 1),
    ("update audit set id = 99 where id = 5", 5),
    ("update audit set previous = 'x' where id = 4", 4),
]


@pytest.mark.parametrize(("statement", "first"), TAMPERING)
async def test_a_change_a_gap_and_a_reorder_are_found_and_located(
    database: Database, tmp_path: Path, statement: str, first: int
) -> None:
    await trail(database, 5)
    with sqlite3.connect(tmp_path / "fleetseal.db") as connection:
        connection.execute(statement)
    connection.close()
    async with database.reading() as tx:
        broken = (await audit.verify(tx)).broken
    assert broken is not None
    assert broken.number == first


async def test_what_cannot_be_recorded_does_not_happen(database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "fleetseal.db") as connection:
        connection.execute(
            "create trigger no before insert on audit begin select raise(abort, 'log is read-only'); end"
        )
    connection.close()

    async def act() -> None:
        async with database.transaction() as tx:
            await settings.put(tx, "a", "1", now=NOW)
            await audit.record(tx, now=NOW, actor="root", action="settings set", object="a")

    with pytest.raises(StoreError):
        await act()
    async with database.reading() as tx:
        assert await settings.stored(tx) == {}


# ---------------------------------------------------------------- alarms, settings


async def test_one_alarm_is_open_for_each_cause_and_object(database: Database) -> None:
    async with database.transaction() as tx:
        for minute, message in enumerate(("first", "second")):
            await alarms.raise_alarm(
                tx, now=NOW + timedelta(minutes=minute), cause="c", object="o", severity="warning", message=message
            )
        (alarm,) = await alarms.open_alarms(tx)
        assert (alarm.since, alarm.message, alarm.acknowledged) == (NOW, "second", None)
        await alarms.acknowledge(tx, alarm.id, now=NOW)
        assert [one.acknowledged for one in await alarms.open_alarms(tx)] == [NOW]
        await alarms.close_alarm(tx, now=NOW, cause="c", object="o")
        assert await alarms.open_alarms(tx) == []
        with pytest.raises(NotFound):
            await alarms.acknowledge(tx, alarm.id, now=NOW)
        await alarms.raise_alarm(tx, now=NOW, cause="c", object="o", severity="warning", message="again")
        assert [one.acknowledged for one in await alarms.open_alarms(tx)] == [None]


async def test_a_setting_keeps_its_last_value(database: Database) -> None:
    async with database.transaction() as tx:
        for value in ("1", "2"):
            await settings.put(tx, "key", value, now=NOW)
        assert await settings.stored(tx) == {"key": "2"}
