"""What the night's planning reads: certificates that are due, and what became of earlier renewals. Each query costs
what it finds, not what the fleet has."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import CompoundSelect, exists, func, literal, select

from fleetseal.core.model import (
    ConnectionPolicy,
    DeviceId,
    JobStatus,
    Serial,
    Support,
    TaskAction,
    mac_of,
)
from fleetseal.store.database import Transaction
from fleetseal.store.schema import device, issuance, job, task
from fleetseal.store.tasks import AtWork

_INSTALLED = (issuance.c.state == "installed", issuance.c.purpose == "https")
_FAILED = (JobStatus.FAILED, JobStatus.ROLLED_BACK)


class Candidate(NamedTuple):
    """A device whose certificate of ours is to be replaced, and what may stand against it."""

    id: DeviceId
    serial: Serial | None
    address: str
    model: str
    firmware: str
    support: str
    support_reason: str
    username: str | None
    password_version: int
    password_refused_version: int | None
    identity_problem: str | None
    tls: bool | None
    policy: str | None
    busy: AtWork | None

    @property
    def mac(self) -> str | None:
        return None if self.serial is None else mac_of(self.serial)

    @property
    def label(self) -> str:
        return self.mac or self.address

    @property
    def cohort(self) -> tuple[str, str]:
        return self.model, self.firmware

    @property
    def supported(self) -> bool:
        return self.support == Support.SUPPORTED

    @property
    def https_off(self) -> bool:
        """It was switched off; None: not read."""
        return self.tls is False or self.policy == ConnectionPolicy.HTTP

    @property
    def login_refused(self) -> bool:
        return self.password_refused_version == self.password_version


class Failure(NamedTuple):
    at: datetime
    error_code: str | None
    harmed: bool
    description: str


class Reason(NamedTuple):
    """Why a certificate is to be replaced: by its date, or as the audit marked it."""

    not_after: datetime
    reissue: str | None


async def reasons(tx: Transaction, now: datetime) -> dict[DeviceId, Reason]:
    """For the devices that `due` finds."""
    columns = (issuance.c.device_id, issuance.c.not_after, issuance.c.reissue)
    query = select(*columns).where(issuance.c.purpose == "https", issuance.c.id.in_(_due(now)))
    return {DeviceId(row.device_id): Reason(row.not_after, row.reissue) for row in await tx.execute(query)}


async def due(tx: Transaction, now: datetime) -> list[Candidate]:
    """The devices whose certificate is due or marked to be replaced, in the order they were added."""
    columns = [device.c[name] for name in Candidate._fields[:-1]]
    query = (
        select(*columns, job.c.task_id, task.c.actor)
        .join(issuance, issuance.c.device_id == device.c.id)
        .outerjoin(job, (job.c.device_id == device.c.id) & job.c.active)
        .outerjoin(task, task.c.id == job.c.task_id)
        .where(issuance.c.purpose == "https", issuance.c.id.in_(_due(now)))
        .order_by(device.c.id)
    )
    return [
        Candidate._make((*columns, None if task_id is None else AtWork(task_id, actor)))
        for *columns, task_id, actor in await tx.execute(query)
    ]


async def due_by_date(tx: Transaction, now: datetime) -> int:
    """How many certificates are due, those that are only marked aside."""
    query = select(func.count()).select_from(issuance).where(*_INSTALLED, issuance.c.renew_at <= now)
    return int(await tx.scalar(query) or 0)


async def fleet_size(tx: Transaction) -> int:
    """How many devices have a certificate of ours."""
    return int(await tx.scalar(select(func.count()).select_from(issuance).where(*_INSTALLED)) or 0)


async def fleet(tx: Transaction) -> list[DeviceId]:
    """The devices that have a certificate of ours, in the order they were added."""
    query = select(device.c.id).join(issuance, issuance.c.device_id == device.c.id).where(*_INSTALLED)
    return [DeviceId(row.id) for row in await tx.execute(query.order_by(device.c.id))]


async def issued_since(tx: Transaction, since: datetime) -> set[DeviceId]:
    """The devices for which a renewal had something signed, or meant to, since this time (REN-NO-LOOP)."""
    query = (
        select(issuance.c.device_id)
        .join(job, job.c.id == issuance.c.job_id)
        .join(task, task.c.id == job.c.task_id)
        .where(issuance.c.created >= since, task.c.action == TaskAction.RENEW_CERTIFICATE)
    )
    return {DeviceId(row.device_id) for row in await tx.execute(query)}


async def failures(tx: Transaction, now: datetime) -> dict[DeviceId, list[Failure]]:
    """For devices that `due` finds: the renewals that failed since the present certificate was installed, oldest
    first."""
    query = (
        select(job.c.device_id, job.c.finished, job.c.error_code, job.c.harmed, job.c.description)
        .select_from(issuance)
        .join(job, job.c.device_id == issuance.c.device_id)
        .join(task, task.c.id == job.c.task_id)
        .where(
            issuance.c.purpose == "https",
            issuance.c.id.in_(_due(now)),
            task.c.action == TaskAction.RENEW_CERTIFICATE,
            job.c.status.in_(_FAILED),
            job.c.finished > func.coalesce(issuance.c.installed, literal("")),
        )
        .order_by(job.c.id)
    )
    found: dict[DeviceId, list[Failure]] = {}
    for device_id, *rest in await tx.execute(query):
        found.setdefault(DeviceId(device_id), []).append(Failure(*rest))
    return found


def _due(now: datetime) -> CompoundSelect[tuple[int]]:
    """What is due, and what is marked, revoked ones too where a device that has no other serves them: each is found by
    an index of its own, where an OR would find none."""
    of_state, marked, other = select(issuance.c.id), issuance.c.reissue.is_not(None), issuance.alias()
    installed = of_state.where(issuance.c.state == "installed")
    served = exists().where(device.c.id == issuance.c.device_id, device.c.served_der == issuance.c.der)
    has_other = exists().where(
        other.c.device_id == issuance.c.device_id, other.c.purpose == "https", other.c.state == "installed"
    )
    return installed.where(issuance.c.renew_at <= now).union(
        installed.where(marked), of_state.where(issuance.c.state == "revoked", marked, served, ~has_other)
    )


class Ended(NamedTuple):
    """A device's part in a renewal task."""

    device_id: DeviceId
    mac: str | None
    address: str
    status: JobStatus
    description: str
    error_code: str | None


async def outcomes(tx: Transaction, since: datetime) -> list[Ended]:
    """What renewals have ended with since this time."""
    query = (
        select(job.c.device_id, job.c.mac, job.c.address, job.c.status, job.c.description, job.c.error_code)
        .join(task, task.c.id == job.c.task_id)
        .where(task.c.action == TaskAction.RENEW_CERTIFICATE, job.c.active.is_(False), job.c.finished >= since)
        .order_by(job.c.id)
    )
    rows = await tx.execute(query)
    return [Ended._make(row)._replace(status=JobStatus(row.status)) for row in rows]
