"""All rows of the database as plain values, and back: for backups.

A copy has the revision of its schema. It is put into an empty database of that very revision, which is migrated
afterwards, so that a copy of any age can be used.
"""

import base64
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text, update

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import JobStatus
from fleetseal.store import bundles
from fleetseal.store.accounts import guess, session, setup_code
from fleetseal.store.change_log import change, change_floor
from fleetseal.store.database import Database, Transaction
from fleetseal.store.device_listing import device_listing, device_row, device_text, listing_state
from fleetseal.store.schema import job, job_step
from fleetseal.store.tasks import JobRecord

Batch = tuple[str, Sequence[str], list[list[Any]]]
"""A table, its columns, and rows of JSON values: bytes are `{"base64": "…"}`."""

_AT_ONCE: Final = 500  # rows
_DERIVED: Final = frozenset(  # made of the others
    table.name for table in (change, change_floor, device_listing, device_text, device_row, listing_state)
)
_PASSING: Final = frozenset({session.name, guess.name, setup_code.name})  # a restored one lets nobody in again
_SEQUENCES: Final = "sqlite_sequence"  # ids once used, so that none is used again: sealed cells are bound to them


async def dump(tx: Transaction) -> AsyncGenerator[Batch]:
    """Every row of every table, as it is at the beginning of `tx`; a table without rows once, without rows. What is
    derived from others, or ends soon by itself, is left out."""
    for table in (*await _tables(tx), _SEQUENCES):
        result = await tx.stream(text(f'SELECT * FROM "{table}"'))  # noqa: S608 - a name of the schema
        columns, empty = tuple(result.keys()), True
        async for rows in result.partitions(_AT_ONCE):
            empty = False
            yield table, columns, [[_plain(value) for value in row] for row in rows]
        if empty:
            yield table, columns, []


class Loader:
    """Puts a copy into a new database."""

    def __init__(self, tx: Transaction, tables: frozenset[str]) -> None:
        self._tx = tx
        self._tables = tables

    @classmethod
    async def begin(cls, tx: Transaction) -> "Loader":
        """The tables are empty; references between rows are checked when `tx` is committed."""
        await tx.execute(text("PRAGMA defer_foreign_keys=ON"))
        tables = frozenset(await _tables(tx))
        for table in tables:
            await tx.execute(text(f'DELETE FROM "{table}"'))  # noqa: S608 - a name of the schema
        return cls(tx, tables)

    async def add(self, batch: Batch) -> None:
        """Raises InvalidInput for a table or column that this schema does not have, StoreError for a row that breaks
        its rules."""
        table, columns, rows = batch
        if table == _SEQUENCES:
            await self._tx.execute(text("DELETE FROM sqlite_sequence"))
        elif table not in self._tables or set(columns) != set(await self._columns(table)):
            raise InvalidInput("The backup does not fit the schema that it names. Nothing was changed.")
        if rows:
            names = ", ".join(f'"{column}"' for column in columns)
            places = ", ".join(f":c{number}" for number in range(len(columns)))
            insert = text(f'INSERT INTO "{table}" ({names}) VALUES ({places})')  # noqa: S608 - names checked above
            await self._tx.execute(insert, [_bound(row) for row in rows])

    async def _columns(self, table: str) -> list[str]:
        return [row.name for row in await self._tx.execute(text(f'PRAGMA table_info("{table}")'))]


async def end_open_job(tx: Transaction, record: JobRecord, *, made: datetime, now: datetime) -> None:
    """A job that was active when a backup was made ends: `Cancelled` if it had not begun, else `Failed`, with its undos
    forgotten, for they are of a state of the device that is long past."""
    begun = record.begun
    what = "It was at work" if begun else "It was waiting"
    description = (
        f"{what} when the backup of {made:%Y-%m-%d %H:%M} UTC was made, which was restored. What became of it is not "
        f"on record. Look at the device (fleetseal device refresh), then: fleetseal task retry {record.task_id}."
    )
    await tx.execute(
        update(job)
        .where(job.c.id == record.id)
        .values(
            active=False,
            released=True,
            unwinding=None,
            status=JobStatus.FAILED if begun else JobStatus.CANCELLED,
            description=description,
            finished=now,
        )
    )
    await tx.execute(update(job_step).where(job_step.c.job_id == record.id).values(undo=None))
    await bundles.wipe_keys(tx, [record.id])


async def revision(tx: Transaction) -> str:
    """Of the schema."""
    return str(await tx.scalar(text("SELECT version_num FROM alembic_version")))


async def open_empty(path: Path, revision: str) -> Database:
    """A new database of an older revision, or of this one. Raises StoreError when it was made by a newer version."""
    return await Database.open(path, revision=revision)


async def _tables(tx: Transaction) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    apart = {"alembic_version", _SEQUENCES, *_DERIVED, *_PASSING}
    return [
        name for name in await tx.scalars(text(query)) if name not in apart and not name.startswith("device_search")
    ]


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _bound(row: list[Any]) -> dict[str, Any]:
    return {f"c{number}": _value(value) for number, value in enumerate(row)}


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
