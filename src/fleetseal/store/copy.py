"""All rows of the database as plain values, and back: for backups.

A copy has the revision of its schema. It is put into an empty database of that very revision, which is migrated
afterwards, so that a copy of any age can be used.
"""

import base64
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from fleetseal.core.errors import InvalidInput
from fleetseal.store.database import Database, Transaction

Batch = tuple[str, Sequence[str], list[list[Any]]]
"""A table, its columns, and rows of JSON values: bytes are `{"base64": "…"}`."""

_AT_ONCE: Final = 500  # rows
_SEQUENCES: Final = "sqlite_sequence"  # ids once used, so that none is used again: sealed cells are bound to them


async def dump(tx: Transaction) -> AsyncGenerator[Batch]:
    """Every row of every table, as it is at the beginning of `tx`; a table without rows once, without rows."""
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


async def revision(tx: Transaction) -> str:
    """Of the schema."""
    return str(await tx.scalar(text("SELECT version_num FROM alembic_version")))


async def open_empty(path: Path, revision: str) -> Database:
    """A new database of an older revision, or of this one. Raises StoreError when it was made by a newer version."""
    return await Database.open(path, revision=revision)


async def _tables(tx: Transaction) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return [name for name in await tx.scalars(text(query)) if name not in ("alembic_version", _SEQUENCES)]


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _bound(row: list[Any]) -> dict[str, Any]:
    return {f"c{number}": _value(value) for number, value in enumerate(row)}


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
