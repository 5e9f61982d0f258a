"""Which devices hold which of our CA certificates, as last read back from them; and who depends on which CA."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, or_, select

from fleetseal.core.model import AuthorityId, ConnectionPolicy, DeviceId, JobStatus, TaskAction
from fleetseal.store.database import Transaction
from fleetseal.store.schema import device, device_authority, issuance, job, task

_FLEET = (issuance.c.state == "installed", issuance.c.purpose == "https")


async def note(tx: Transaction, device_id: DeviceId, held: Collection[AuthorityId], *, now: datetime) -> None:
    """These were read back from the device now."""
    await forget(tx, device_id, held)
    for authority_id in held:
        await tx.execute(insert(device_authority).values(device_id=device_id, authority_id=authority_id, read_back=now))


async def forget(tx: Transaction, device_id: DeviceId, gone: Collection[AuthorityId]) -> None:
    """These are not on the device, or not ours to remove."""
    await tx.execute(
        delete(device_authority).where(
            device_authority.c.device_id == device_id, device_authority.c.authority_id.in_(gone)
        )
    )


async def held(tx: Transaction, device_id: DeviceId) -> frozenset[AuthorityId]:
    """What was read back from the device."""
    rows = await tx.scalars(select(device_authority.c.authority_id).where(device_authority.c.device_id == device_id))
    return frozenset(map(AuthorityId, rows))


async def lacking(tx: Transaction, wanted: Collection[AuthorityId]) -> list[DeviceId]:
    """The devices with a certificate of ours that do not hold all of these, in the order they were added."""
    count = (
        select(func.count())
        .select_from(device_authority)
        .where(device_authority.c.device_id == device.c.id, device_authority.c.authority_id.in_(wanted))
        .scalar_subquery()
    )
    return await _ids(tx, select(device.c.id).where(device.c.id.in_(_with_certificate()), count < len(set(wanted))))


async def holding(tx: Transaction, unwanted: Collection[AuthorityId]) -> list[DeviceId]:
    """The devices that hold any of these, in the order they were added."""
    held = select(device_authority.c.device_id).where(device_authority.c.authority_id.in_(unwanted))
    return await _ids(tx, select(device.c.id).where(device.c.id.in_(held)))


async def serving(tx: Transaction, authorities: Collection[AuthorityId]) -> list[DeviceId]:
    """The devices that serve a certificate signed by any of these, by record or as last seen, in the order they were
    added. Where HTTPS is off, none is served."""
    off = or_(device.c.tls.is_(False), device.c.policy == ConnectionPolicy.HTTP)
    signed = select(issuance.c.id).where(
        issuance.c.device_id == device.c.id,
        issuance.c.authority_id.in_(authorities),
        issuance.c.purpose == "https",
        or_(issuance.c.state == "installed", issuance.c.der == device.c.served_der),
    )
    return await _ids(tx, select(device.c.id).where(signed.exists(), func.coalesce(off, False).is_(False)))


async def refused(tx: Transaction, action: TaskAction) -> dict[DeviceId, str | None]:
    """The devices whose newest job of this kind failed, with the code of the error."""
    newest = (
        select(func.max(job.c.id))
        .join(task, task.c.id == job.c.task_id)
        .where(task.c.action == action, job.c.active.is_(False))
        .group_by(job.c.device_id)
    )
    failed = job.c.status.in_((JobStatus.FAILED, JobStatus.ROLLED_BACK))
    rows = await tx.execute(select(job.c.device_id, job.c.error_code).where(job.c.id.in_(newest), failed))
    return {DeviceId(row.device_id): row.error_code for row in rows}


def _with_certificate() -> Select[tuple[int | None]]:
    return select(issuance.c.device_id).where(*_FLEET)


async def _ids(tx: Transaction, query: Select[Any]) -> list[DeviceId]:
    return [DeviceId(row.id) for row in await tx.execute(query.order_by(device.c.id))]
