"""One database: open, transactions, pragmas, migrations, and errors turned into ours.

SQLite by default; the statements are SQLAlchemy Core, so that another URL works as well. Never hold a
transaction across a device call.
"""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

from sqlalchemy import Connection, event, inspect, select
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fleetseal.core.errors import Conflict, StoreError

Transaction: TypeAlias = AsyncConnection

SCHEMA_REVISION = "0018"
"""The newest migration. A database that says so is opened without loading the migration tool."""


class Database:
    """An open database whose tables are those of `store/schema.py`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._write_lock = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None
        self._written = asyncio.Event()

    @classmethod
    async def open(cls, where: Path | str, *, busy_seconds: float = 10.0, revision: str = SCHEMA_REVISION) -> Self:
        """The database at a path, or at an SQLAlchemy URL, migrated to `revision`: the newest, save where the copy of
        an older one is put back. A write waits `busy_seconds` for another process that holds the lock.

        Raises StoreError when it cannot be opened, is damaged, or was made by a newer version.
        """
        url = _url(where)
        sqlite = url.get_backend_name() == "sqlite"
        engine = create_async_engine(url, connect_args={"factory": _Connection} if sqlite else {})
        event.listen(engine.sync_engine, "handle_error", _translate)
        if sqlite:
            event.listen(engine.sync_engine, "connect", partial(_set_pragmas, busy_seconds))
            event.listen(engine.sync_engine, "begin", _begin)
        database = cls(engine)
        try:
            await database._migrate(revision)
        except BaseException:
            await engine.dispose()
            raise
        return database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """All writes in it are committed together, durably, when the block ends; none when it raises.

        Raises StoreError when the storage refuses, Conflict when something must be unique and is not.
        """
        task = asyncio.current_task()
        if self._writer is task:
            raise RuntimeError("a transaction within a transaction would wait for itself")
        async with self._write_lock:  # SQLite has one writer: waiting here is fair and costs no thread
            self._writer = task
            try:
                async with self._engine.connect() as connection:
                    await connection.execution_options(fleetseal_writes=True)
                    async with connection.begin():
                        yield connection
                self._written.set()
                self._written = asyncio.Event()
            finally:
                self._writer = None

    def written(self) -> asyncio.Event:
        """Set once the next transaction of this process is committed."""
        return self._written

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """One consistent view; nothing is written. May run beside a transaction."""
        async with self._engine.connect() as connection, connection.begin() as transaction:
            try:
                yield connection
            finally:
                await transaction.rollback()

    async def close(self) -> None:
        await self._engine.dispose()

    async def _migrate(self, revision: str) -> None:
        async with self.reading() as tx:
            if await tx.run_sync(_revision) == revision:
                return
        async with self.transaction() as tx:
            await tx.run_sync(_upgrade, revision)


class _Connection(sqlite3.Connection):
    """Closed, it holds no lock. SQLite keeps the transaction of a closed connection as long as one of its cursors is in
    memory (sqlite3_close_v2), and what was cancelled leaves one in its traceback.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):  # closed before, or a disk that fails: SQLite itself rolls back at the latest
            self.rollback()
        super().close()


def on_rollback(tx: Transaction, undo: Callable[[], None]) -> None:
    """`undo` is called if this transaction is not committed: for effects that are not in the database."""

    def undone(_: Connection) -> None:
        undo()

    event.listen(tx.sync_connection, "rollback", undone)


def _url(where: Path | str) -> URL:
    if isinstance(where, Path):
        _require_openable(where)
        return URL.create("sqlite+aiosqlite", database=str(where))
    return make_url(where)


def _require_openable(path: Path) -> None:
    """The file can be opened; created if missing. aiosqlite leaves a thread behind where it fails at this."""
    try:
        sqlite3.connect(path).close()
    except sqlite3.Error as error:
        raise _refusal(error) from error


def _set_pragmas(busy_seconds: float, connection: Any, record: object) -> None:
    """STO-DURABLE. Transactions are begun by `_begin`, not by the sqlite3 module.

    The file is read through the memory that the system caches it in, shared by all connections: pages of long lists
    then take a third of the time.
    """
    pragmas = [
        f"mmap_size={2**28}",
        f"busy_timeout={busy_seconds * 1000:.0f}",
        "journal_mode=WAL",
        "foreign_keys=ON",
        "synchronous=FULL",
    ]
    if sys.platform == "darwin":
        pragmas.append("fullfsync=ON")
    connection.isolation_level = None
    try:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except BaseException:
        connection.close()  # nobody else knows of it yet
        raise


def _begin(connection: Connection) -> None:
    """IMMEDIATE: a transaction that will write takes the lock first, so it never fails half-way for want of it."""
    writes = connection.get_execution_options().get("fleetseal_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    from sqlalchemy import column, table

    return connection.scalar(select(column("version_num")).select_from(table("alembic_version")))


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise StoreError("The database was made by a newer version of Fleetseal. Use that version.") from error


# ---------------------------------------------------------------- errors

_UNIQUE = {
    "account.name": "There is a user of this name already.",
    "api_token.name": "There is a token of this name already.",
    "credential.name": "There is a credential of this name already.",
    "device.serial": "This device is in the inventory already.",
    "device.address": "Another device of the inventory has this address and HTTPS port.",
    "device.host_name": "Another device of the inventory has this host name.",
    "job.device_id": "Another task is at work on this device.",
    "night.window": "This window had its nightly run.",
    "issuance.authority_id": "This serial number was used before.",
    "device_key.spki_sha256": "This key was seen on another device.",
    "crl.authority_id": "Another CRL of this CA is being made.",
    "authority.sha256": "This CA certificate is here already.",
}

_REFUSED = {
    sqlite3.SQLITE_FULL: "The disk is full. Make room; work continues by itself.",
    sqlite3.SQLITE_BUSY: "Another program keeps the database locked. Close it; work continues by itself.",
    sqlite3.SQLITE_LOCKED: "Another program keeps the database locked. Close it; work continues by itself.",
    sqlite3.SQLITE_READONLY: "The database or its directory is read-only. Give this user the right to write.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened. Check that its directory exists and can be written.",
    sqlite3.SQLITE_PERM: "This user may not open the database file.",
    sqlite3.SQLITE_IOERR: "The disk reports an error. Check it; the last change was not stored.",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged. Restore a backup.",
    sqlite3.SQLITE_NOTADB: "The file is not a database. Restore a backup, or choose another data directory.",
}


def _translate(context: ExceptionContext) -> Exception | None:
    """What the storage said, as one of our errors; SQLAlchemy keeps the cause. Statements and values stay out of it."""
    original = context.original_exception
    if isinstance(context.sqlalchemy_exception, IntegrityError):
        unique = "UNIQUE constraint failed: "
        text = str(original)
        if text.startswith(unique):
            first = text.removeprefix(unique).split(",")[0].strip()
            return Conflict(_UNIQUE.get(first, f"There is already such an entry ({first})."))
        return StoreError(f"The database refused a change that breaks its rules: {text}.")
    if isinstance(original, sqlite3.Error):
        return _refusal(original)
    if isinstance(context.sqlalchemy_exception, SQLAlchemyError):
        return StoreError(f"The database refused: {type(original).__name__}.")
    return None


def _refusal(error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)  # extended codes hold the plain one in their low byte
    reason = _REFUSED.get(code & 0xFF) if isinstance(code, int) else None
    return StoreError(reason or f"The database refused: {error}.")
