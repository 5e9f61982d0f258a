"""What ended jobs could not put back on devices: undos that stand in their steps (DEV-NO-LEFTOVERS)."""

from typing import Any

from sqlalchemy import select, update

from fleetseal.core.model import DeviceId
from fleetseal.store.database import Transaction
from fleetseal.store.schema import job, job_step


async def on(tx: Transaction, device_id: DeviceId) -> list[dict[str, Any]]:
    """The recorded undos that ended jobs could not carry out on this device."""
    of_device = (job.c.device_id == device_id) & ~job.c.active & (job_step.c.state != "undone")
    rows = await tx.scalars(select(job_step.c.undo).join(job, job.c.id == job_step.c.job_id).where(of_device))
    return [undo for undo in rows if undo is not None]


async def forget(tx: Transaction, device_id: DeviceId, undo: dict[str, Any]) -> None:
    """This undo is none of those that `on` gives, any more."""
    ended = select(job.c.id).where(job.c.device_id == device_id, ~job.c.active).scalar_subquery()
    rows = await tx.execute(select(job_step.c.id, job_step.c.undo).where(job_step.c.job_id.in_(ended)))
    same = [row.id for row in rows if row.undo == undo]
    await tx.execute(update(job_step).where(job_step.c.id.in_(same)).values(undo=None))
