"""Numbers of things, each by one query."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func, select

from fleetseal.store.database import Transaction
from fleetseal.store.schema import issuance, job


async def jobs_by_status(tx: Transaction) -> dict[str, int]:
    rows = await tx.execute(select(job.c.status, func.count().label("number")).group_by(job.c.status))
    return {row.status: row.number for row in rows}


async def installed_until(tx: Transaction, moments: Sequence[datetime]) -> list[int]:
    """How many certificates of ours on devices end at each of these moments or before, and how many there are."""
    ends = [func.coalesce(func.sum(case((issuance.c.not_after <= moment, 1), else_=0)), 0) for moment in moments]
    query = select(*ends, func.count()).where(issuance.c.state == "installed", issuance.c.purpose == "https")
    return [int(number) for number in (await tx.execute(query)).one()]
