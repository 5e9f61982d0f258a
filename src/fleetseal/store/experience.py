"""What worked for a model and firmware."""

from datetime import datetime

from sqlalchemy import insert, select, update

from fleetseal.core.model import Device
from fleetseal.store.database import Transaction
from fleetseal.store.schema import learned


async def keep(tx: Transaction, device: Device, *, key_origin: str, reason: str, now: datetime) -> None:
    """What worked for this model and firmware is remembered."""
    key = (learned.c.model == device.model) & (learned.c.firmware == device.firmware)
    values = {"key_origin": key_origin, "reason": reason, "at": now}
    if (await tx.execute(update(learned).where(key).values(**values))).rowcount == 0:
        await tx.execute(insert(learned).values(model=device.model, firmware=device.firmware, **values))


async def key_origin(tx: Transaction, device: Device) -> tuple[str, str] | None:
    """(key origin, reason) that worked last for this model and firmware."""
    query = select(learned.c.key_origin, learned.c.reason).where(
        learned.c.model == device.model, learned.c.firmware == device.firmware
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else (row.key_origin, row.reason)
