"""The migrations make exactly the tables of store/schema.py, and only when they are needed."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from fleetseal.core.errors import StoreError
from fleetseal.store import database
from fleetseal.store.database import SCHEMA_REVISION, Database
from fleetseal.store.tables import metadata


def definitions(path: Path) -> dict[str, str]:
    """The text of every table and index, by name, with white space made even."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("select name, sql from sqlite_master where sql is not null").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows if name not in ("alembic_version", "sqlite_sequence")}


def parts(definition: str) -> list[str]:
    """Columns and constraints, order aside: SQLite keeps the text it was given."""
    opening, closing = definition.index("("), definition.rindex(")")
    body = definition[opening + 1 : closing]
    return [definition[:opening], *sorted(part.strip() for part in body.split(",")), definition[closing:]]


async def test_migrating_an_empty_database_gives_the_tables_of_the_schema(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "migrated.db")).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    metadata.create_all(engine)
    engine.dispose()
    migrated, made = definitions(tmp_path / "migrated.db"), definitions(tmp_path / "made.db")
    assert {name: parts(sql) for name, sql in migrated.items()} == {name: parts(sql) for name, sql in made.items()}


async def test_what_the_first_release_stored_is_kept(tmp_path: Path) -> None:
    """Revision 0001 to the newest: the tables are those of a new database, and the rows are there."""
    await (await Database.open(tmp_path / "new.db")).close()
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0001")
        old.exec_driver_sql("insert into setting (key, value, changed) values ('https.soak-seconds', '7', '2026')")
    engine.dispose()
    assert "credential" not in definitions(tmp_path / "old.db")
    await (await Database.open(tmp_path / "old.db")).close()
    assert definitions(tmp_path / "old.db") == definitions(tmp_path / "new.db")
    with sqlite3.connect(tmp_path / "old.db") as connection:
        assert connection.execute("select key, value from setting").fetchall() == [("https.soak-seconds", "7")]
    connection.close()


async def test_of_devices_with_one_typed_host_name_the_first_keeps_it(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0003")
        columns = old.exec_driver_sql("select name, type from pragma_table_info('device') where \"notnull\"").all()
        for number, (name, typed) in enumerate([("gate", 1), ("gate", 0), ("gate", 1), ("door", 1), (None, 0)], 1):
            row: dict[str, object] = {
                column: "" if kind.startswith(("VARCHAR", "TEXT", "JSON")) else 0 for column, kind in columns
            }
            row |= {"id": number, "address": f"192.0.2.{number}", "host_name": name, "host_name_typed": typed}
            marks = ", ".join("?" for _ in row)
            old.exec_driver_sql(f"insert into device ({', '.join(row)}) values ({marks})", tuple(row.values()))
    engine.dispose()
    await (await Database.open(tmp_path / "old.db")).close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        rows = connection.execute("select host_name, host_name_typed from device order by id").fetchall()
    connection.close()
    assert rows == [("gate", 1), ("gate", 0), ("gate", 0), ("door", 1), (None, 0)]


async def test_superseded_certificates_get_the_time_of_their_successor(tmp_path: Path) -> None:
    """Revision 0007: CRLs say since when; the task of a certificate outlives its job."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    columns = (
        "id, authority_id, serial, device_id, job_id, purpose, origin, content, tbs_sha256, spki_sha256, state, der,"
        " subject, names, not_before, not_after, created, installed"
    )
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0002")
        old.exec_driver_sql(
            "insert into authority (id, name, role, tiers, signs_leaves, remembered, state, created)"
            " values (1, 'x', 'root', 1, 1, 0, 'active', '')"
        )
        old.exec_driver_sql("insert into task (id, action, wish, requested, cancelled) values (7, '', '{}', '', 0)")
        old.exec_driver_sql(
            "insert into job (id, task_id, device_id, address, cohort, named, status, active, released, run_number,"
            " attempts, harmed, description) values (3, 7, 5, '', '', 1, '', 0, 1, 1, 0, 0, '')"
        )
        for number, (device, state, installed) in enumerate(
            [(5, "superseded", "a"), (6, "superseded", "b"), (5, "superseded", "c"), (5, "installed", "d")], start=1
        ):
            old.exec_driver_sql(
                f"insert into issuance ({columns}) values ({number}, 1, '{number}', {device}, {number}, 'https', '',"
                f" '{{}}', '', '', '{state}', x'00', '', '[]', '', '', '', '{installed}')"
            )
    engine.dispose()
    await (await Database.open(tmp_path / "old.db")).close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        rows = connection.execute("select superseded, task_id from issuance order by id").fetchall()
    connection.close()
    assert rows == [("c", None), ("b", None), ("d", 7), (None, None)]


async def test_devices_are_known_to_hold_the_chain_of_their_certificate(tmp_path: Path) -> None:
    """Revision 0010: it was installed beside the leaf, the root included."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0009")
        for id_, parent in ((1, "null"), (2, 1), (3, 1)):
            old.exec_driver_sql(
                "insert into authority (id, name, role, parent_id, tiers, signs_leaves, remembered, state, created)"
                f" values ({id_}, 'x', 'root', {parent}, 1, 1, 0, 'active', '')"
            )
        columns = old.exec_driver_sql("select name, type from pragma_table_info('device') where \"notnull\"").all()
        row: dict[str, object] = {
            column: "" if kind.startswith(("VARCHAR", "TEXT", "JSON")) else 0 for column, kind in columns
        }
        row |= {"id": 5}
        marks = ", ".join("?" for _ in row)
        old.exec_driver_sql(f"insert into device ({', '.join(row)}) values ({marks})", tuple(row.values()))
        for number, (authority, device, state) in enumerate(
            [(3, 5, "superseded"), (2, 5, "installed"), (2, 6, "installed")], start=1
        ):
            old.exec_driver_sql(
                "insert into issuance (id, authority_id, serial, device_id, purpose, origin, content, tbs_sha256,"
                " spki_sha256, state, der, subject, names, not_before, not_after, created, installed) values"
                f" ({number}, {authority}, '{number}', {device}, 'https', '', '{{}}', '', '', '{state}', x'00', '',"
                " '[]', '', '', '', 'then')"
            )
    engine.dispose()
    await (await Database.open(tmp_path / "old.db")).close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        rows = connection.execute("select * from device_authority order by authority_id").fetchall()
    connection.close()
    assert rows == [(5, 1, "then"), (5, 2, "then")], "device 6 is forgotten, CA 3 signed a superseded certificate"


async def test_tasks_get_who_asked_for_them_from_the_audit_log(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0012")
        at = "2026-11-23T12:00:00.000000Z"
        for number in (1, 2, 11):
            row = (number, "Refresh", "{}", at, 0)
            old.exec_driver_sql("insert into task (id, action, wish, requested, cancelled) values (?, ?, ?, ?, ?)", row)
        said = [
            ("anna", "task Refresh", "task 1"),
            ("ben", "task cancel", "task 1"),
            ("carl", "task Refresh", "task 11"),
        ]
        for number, record in enumerate(said):
            values = (at, *record, "{}", "", str(number))
            old.exec_driver_sql(
                "insert into audit (at, actor, action, object, detail, previous, hash) values (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
    engine.dispose()
    await (await Database.open(tmp_path / "old.db")).close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        rows = connection.execute("select id, actor from task order by id").fetchall()
    connection.close()
    assert rows == [(1, "anna"), (2, None), (11, "carl")]


async def test_devices_that_were_listed_before_are_found(tmp_path: Path) -> None:
    """Revision 0016."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0015")
        columns = "(device_id, mac, address, hostname, certificate, last_seen)"
        old.exec_driver_sql(f"insert into device_text {columns} values (7, '', '192.0.2.7', 'gate', '', '')")
    engine.dispose()
    await (await Database.open(tmp_path / "old.db")).close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        found = 'select rowid from device_search where device_search match \'"gat" "ate"\''
        assert connection.execute(found).fetchall() == [(7,)]
    connection.close()


async def test_the_migration_tool_finds_no_difference_either(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "a.db")).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        opts = {"include_name": lambda name, *_: not (name or "").startswith("device_search")}  # made by DDL: FTS5
        assert compare_metadata(MigrationContext.configure(connection, opts=opts), metadata) == []
    engine.dispose()


def test_the_newest_revision_is_the_one_that_opens_without_migrating() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


async def test_opening_again_does_not_load_the_migration_tool(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "a.db")).close()
    program = (
        "import asyncio, sys; from pathlib import Path; from fleetseal.store.database import Database\n"
        "async def main(): await (await Database.open(Path(sys.argv[1]))).close()\n"
        "asyncio.run(main()); sys.exit('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.db")], check=False, timeout=60)
    assert done.returncode == 0


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "a.db")).close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        await Database.open(tmp_path / "a.db")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [("9999",)]
    connection.close()


async def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("create table job (mine text)")  # in the way of ours
    connection.close()
    with pytest.raises(StoreError):
        await Database.open(tmp_path / "a.db")
    assert list(definitions(tmp_path / "a.db")) == ["job"]
