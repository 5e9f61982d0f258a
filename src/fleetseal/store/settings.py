"""Settings that were set by a person, as text. What they mean is in core/config.py."""

from datetime import datetime

from sqlalchemy import delete, insert, select

from fleetseal.store.database import Transaction
from fleetseal.store.schema import setting


async def stored(tx: Transaction) -> dict[str, str]:
    return {row.key: row.value for row in await tx.execute(select(setting))}


async def put(tx: Transaction, key: str, value: str, *, now: datetime) -> None:
    await tx.execute(delete(setting).where(setting.c.key == key))
    await tx.execute(insert(setting).values(key=key, value=value, changed=now))


async def remove(tx: Transaction, key: str) -> None:
    await tx.execute(delete(setting).where(setting.c.key == key))
