"""Named credentials, sealed, and on which day each was last tried on each device."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from fleetseal.core.errors import Conflict, NotFound
from fleetseal.core.model import DeviceId, Login
from fleetseal.core.secrets import Sealer
from fleetseal.store.database import Transaction
from fleetseal.store.schema import credential, credential_try


@dataclass(frozen=True)
class Credential:
    id: int
    name: str
    login: Login


async def add(tx: Transaction, sealer: Sealer, *, name: str, login: Login, now: datetime) -> None:
    """A new credential, the last in order. Raises Conflict when the name is taken."""
    if name in {row.name for row in await listed(tx)}:
        raise Conflict(f"There is a credential {name!r} already. Remove it first: fleetseal credential remove.")
    values: Mapping[str, Any] = {"name": name, "username": login.username, "password_sealed": b"", "added": now}
    number = (await tx.execute(insert(credential).values(values))).inserted_primary_key[0]  # type: ignore[index]  # one row has one
    sealed = sealer.seal(login.password.encode(), table="credential", row=number, column="password", version=1)
    await tx.execute(update(credential).where(credential.c.id == number).values(password_sealed=sealed))


async def listed(tx: Transaction) -> list[Any]:
    """`name`, `username` and `added` of each, in the order in which they are tried."""
    columns = (credential.c.name, credential.c.username, credential.c.added)
    return list(await tx.execute(select(*columns).order_by(credential.c.id)))


async def remove(tx: Transaction, name: str) -> None:
    """It is forgotten, and where it was tried. Devices that took it keep their login. Raises NotFound."""
    number = await tx.scalar(select(credential.c.id).where(credential.c.name == name))
    if number is None:
        raise NotFound(f"There is no credential {name!r}.")
    await tx.execute(delete(credential_try).where(credential_try.c.credential_id == number))
    await tx.execute(delete(credential).where(credential.c.id == number))


async def untried(tx: Transaction, sealer: Sealer, device_id: DeviceId, *, now: datetime) -> list[Credential]:
    """Those not yet tried on this device today (UTC), in order."""
    tried = select(credential_try.c.credential_id).where(
        credential_try.c.device_id == device_id, credential_try.c.day >= _day(now)
    )
    rows = await tx.execute(select(credential).where(credential.c.id.not_in(tried)).order_by(credential.c.id))
    return [
        Credential(
            row.id,
            row.name,
            Login(
                row.username,
                sealer.open(row.password_sealed, table="credential", row=row.id, column="password", version=1).decode(),
            ),
        )
        for row in rows
    ]


async def note_try(tx: Transaction, credential_id: int, device_id: DeviceId, *, now: datetime) -> bool:
    """Whether this try may be made: the first of the day is, and is noted; another is not, nor one of a credential
    that was removed meanwhile."""
    if await tx.scalar(select(credential.c.id).where(credential.c.id == credential_id)) is None:
        return False
    here = (credential_try.c.credential_id == credential_id) & (credential_try.c.device_id == device_id)
    before = await tx.scalar(select(credential_try.c.day).where(here))
    if before is not None and before >= _day(now):
        return False
    await tx.execute(delete(credential_try).where(here))
    values = {"credential_id": credential_id, "device_id": device_id, "day": _day(now)}
    await tx.execute(insert(credential_try).values(values))
    return True


async def forget_try(tx: Transaction, credential_id: int, device_id: DeviceId) -> None:
    """The try was no failed login: it may be made again today."""
    here = (credential_try.c.credential_id == credential_id) & (credential_try.c.device_id == device_id)
    await tx.execute(delete(credential_try).where(here))


def _day(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%d")
