"""Actions that were asked for under a key of the caller's, so that asking again does not do them again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from fleetseal.store.database import Transaction
from fleetseal.store.schema import Moment, metadata

repeat = Table(
    "repeat",
    metadata,
    Column("actor", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # of what was asked for, keyed: it may hold secrets
    Column("begun", Moment, nullable=False, index=True),
    Column("status", Integer),  # null: it has not ended, or nobody could note how
    Column("media_type", String(64)),
    Column("content", LargeBinary),  # null: the answer is not kept
)


@dataclass(frozen=True)
class Record:
    """An action as it was asked for, and how it ended."""

    digest: bytes
    status: int | None
    media_type: str | None
    content: bytes | None


async def find(tx: Transaction, actor: str, key: str) -> Record | None:
    query = select(repeat.c.digest, repeat.c.status, repeat.c.media_type, repeat.c.content)
    row = (await tx.execute(query.where(repeat.c.actor == actor, repeat.c.key == key))).one_or_none()
    return None if row is None else Record(row.digest, row.status, row.media_type, row.content)


async def begin(tx: Transaction, actor: str, key: str, digest: bytes, *, now: datetime) -> None:
    await tx.execute(insert(repeat).values(actor=actor, key=key, digest=digest, begun=now))


async def end(
    tx: Transaction, actor: str, key: str, *, status: int, media_type: str | None, content: bytes | None
) -> None:
    mine = (repeat.c.actor == actor) & (repeat.c.key == key)
    await tx.execute(update(repeat).where(mine).values(status=status, media_type=media_type, content=content))


async def count(tx: Transaction, actor: str) -> int:
    """How many keys of this actor are known."""
    query = select(func.count()).select_from(repeat).where(repeat.c.actor == actor)
    return int(await tx.scalar(query) or 0)


async def drop_contents(tx: Transaction, actor: str, *, of_one: int, of_all: int) -> None:
    """So many answers of this actor, and of all, are kept: the newest. That the others were given stays known."""
    there = repeat.c.content.is_not(None)
    await _drop_contents(tx, there & (repeat.c.actor == actor), kept=of_one)
    await _drop_contents(tx, there, kept=of_all)


async def _drop_contents(tx: Transaction, which: ColumnElement[bool], *, kept: int) -> None:
    newest = select(repeat.c.actor, repeat.c.key).where(which).order_by(repeat.c.begun.desc(), repeat.c.key)
    older = tuple_(repeat.c.actor, repeat.c.key).in_(newest.offset(kept))
    await tx.execute(update(repeat).where(older).values(content=None))


async def forget(tx: Transaction, actor: str, key: str) -> None:
    """As if it had not been asked for."""
    await tx.execute(delete(repeat).where(repeat.c.actor == actor, repeat.c.key == key))


async def prune(tx: Transaction, *, before: datetime, after: datetime) -> None:
    """What was begun before the one time, or after the other: then the clock was wrong."""
    await tx.execute(delete(repeat).where((repeat.c.begun < before) | (repeat.c.begun > after)))
