"""Certificates with keys that a person brought for devices: rows of table `job_bundle`, one for each job.

The key is sealed (SEC-SEALED) and stays until its job has ended, in whatever way; the rest stays with the job.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from fleetseal.core.errors import Conflict, NotFound
from fleetseal.core.model import JobId, TaskId
from fleetseal.core.secrets import Sealer
from fleetseal.store.database import Transaction
from fleetseal.store.schema import job, job_bundle


@dataclass(frozen=True)
class BundleRecord:
    file: str
    leaf: bytes
    above: tuple[bytes, ...]  # CA certificates of its chain, lowest first


async def add(tx: Transaction, sealer: Sealer, job_id: JobId, record: BundleRecord, key: bytes | None) -> None:
    """What a job is to install. `key` (PKCS#8 DER) None: the job has ended before it began, its key is not kept."""
    sealed = None if key is None else sealer.seal(key, table="job_bundle", row=job_id, column="key", version=1)
    values = {"file": record.file, "leaf": record.leaf, "above": [der.hex() for der in record.above]}
    await tx.execute(insert(job_bundle).values(job_id=job_id, key_sealed=sealed, **values))


async def get(tx: Transaction, job_id: JobId) -> BundleRecord:
    """Raises NotFound when the job installs nothing."""
    row = (await tx.execute(select(job_bundle).where(job_bundle.c.job_id == job_id))).one_or_none()
    if row is None:
        raise NotFound(f"Job {job_id} has no certificate to install.")
    return BundleRecord(row.file, row.leaf, tuple(map(bytes.fromhex, row.above)))


async def key(tx: Transaction, sealer: Sealer, job_id: JobId) -> bytes:
    """The private key (PKCS#8 DER). Raises Conflict when it was wiped, StoreError when it cannot be opened."""
    sealed = await tx.scalar(select(job_bundle.c.key_sealed).where(job_bundle.c.job_id == job_id))
    if sealed is None:
        raise Conflict("The private key is no longer kept here. Give the files again: fleetseal certificate install.")
    return sealer.open(sealed, table="job_bundle", row=job_id, column="key", version=1)


async def wipe_keys(tx: Transaction, job_ids: Iterable[JobId]) -> None:
    """The keys of these jobs are gone."""
    await tx.execute(update(job_bundle).where(job_bundle.c.job_id.in_(tuple(job_ids))).values(key_sealed=None))


async def files(tx: Transaction, task_id: TaskId) -> dict[JobId, str]:
    """The file of each job of a task that installs certificates."""
    columns = (job_bundle.c.job_id, job_bundle.c.file)
    rows = await tx.execute(select(*columns).join(job, job.c.id == job_bundle.c.job_id).where(job.c.task_id == task_id))
    return {JobId(row.job_id): row.file for row in rows}
