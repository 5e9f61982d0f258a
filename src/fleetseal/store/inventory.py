"""The devices we know, and their logins."""

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, or_, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import Conflict, NotFound
from fleetseal.core.model import (
    CertificateSource,
    ConnectionPolicy,
    Device,
    DeviceId,
    Generation,
    Login,
    Serial,
    Support,
    TaskId,
    TrustLevel,
    serial_of,
)
from fleetseal.core.secrets import Sealer
from fleetseal.store.database import Transaction
from fleetseal.store.schema import device, job, task
from fleetseal.store.tasks import AtWork

_SHOWN_MATCHES: Final = 10


async def add(tx: Transaction, **columns: Any) -> Device:
    """A new row. Raises Conflict when serial, or address and HTTPS port, belong to another device."""
    result = await tx.execute(insert(device).values(tags=[]).values(columns))
    return await get(tx, DeviceId(result.inserted_primary_key[0]))  # type: ignore[index]  # there is one after one row


async def add_all(
    tx: Transaction, sealer: Sealer, devices: Sequence[tuple[Mapping[str, Any], Login | None]]
) -> list[DeviceId]:
    """New rows, which all set the same columns, each with its login if it has one. Raises Conflict as `add` does."""
    await tx.execute(insert(device), [dict(columns) for columns, _ in devices])
    found = await tx.execute(select(device.c.id, device.c.address, device.c.https_port))
    ids = {(row.address, row.https_port): row.id for row in found}
    logins = []
    for columns, login in devices:
        if login is not None:
            row = ids[columns["address"], columns["https_port"]]
            sealed = sealer.seal(login.password.encode(), table="device", row=row, column="password", version=1)
            logins.append({"row": row, "username": login.username, "password_sealed": sealed, "password_version": 1})
    if logins:
        await tx.execute(update(device).where(device.c.id == bindparam("row")), logins)
    return [DeviceId(ids[columns["address"], columns["https_port"]]) for columns, _ in devices]


async def number(tx: Transaction) -> int:
    """How many devices there are."""
    return int(await tx.scalar(select(func.count()).select_from(device)) or 0)


async def look_in_full(tx: Transaction) -> int:
    """Every device is read in full at the next contact, as if it never was. How many there are."""
    return (await tx.execute(update(device).values(last_read=None))).rowcount


async def get(tx: Transaction, device_id: DeviceId) -> Device:
    found = await known(tx, device_id)
    if found is None:
        raise NotFound(f"There is no device with the id {device_id}.")
    return found


async def known(tx: Transaction, device_id: DeviceId) -> Device | None:
    """As `get`; None when it is forgotten."""
    row = (await tx.execute(select(device).where(device.c.id == device_id))).first()
    return None if row is None else _device(row)


async def every(tx: Transaction) -> list[Device]:
    """All devices, in the order they were added."""
    return [_device(row) for row in await tx.execute(select(device).order_by(device.c.id))]


async def ids(tx: Transaction) -> list[DeviceId]:
    """Those of all devices, in the order they were added."""
    return [DeviceId(row.id) for row in await tx.execute(select(device.c.id).order_by(device.c.id))]


async def some(tx: Transaction, device_ids: Collection[DeviceId]) -> list[Device]:
    """Those of these that are there, in the order they were added."""
    query = select(device).where(device.c.id.in_(device_ids)).order_by(device.c.id)
    return [_device(row) for row in await tx.execute(query)]


async def batch(tx: Transaction, *, after: DeviceId | None, limit: int) -> list[Device]:
    """The next devices after this id (None: from the beginning), in the order they were added."""
    query = select(device).order_by(device.c.id).limit(limit)
    return [_device(row) for row in await tx.execute(query if after is None else query.where(device.c.id > after))]


async def find(tx: Transaction, text: str) -> Device:
    """The one device that `text` means: MAC in any common spelling, address, `address:port`, host name, or id.

    Raises NotFound when there is none, Conflict, listing the matches, when there are several.
    """
    matches = [_device(row) for row in await tx.execute(select(device).where(_means(text)).order_by(device.c.id))]
    if not matches:
        raise NotFound(f"There is no device {text!r} in the inventory.")
    if len(matches) > 1:
        named = [f"{match.mac or 'no MAC'} at {match.address}:{match.https_port} (id {match.id})" for match in matches]
        more = f" and {len(named) - _SHOWN_MATCHES} more" if len(named) > _SHOWN_MATCHES else ""
        raise Conflict(f"{text!r} means {len(matches)} devices: {', '.join(named[:_SHOWN_MATCHES])}{more}. Name one.")
    return matches[0]


async def by_serial(tx: Transaction, serial: Serial) -> Device | None:
    row = (await tx.execute(select(device).where(device.c.serial == serial))).first()
    return None if row is None else _device(row)


async def serial_of_id(tx: Transaction, device_id: DeviceId) -> Serial | None:
    """None as well when the device was forgotten."""
    serial: Serial | None = await tx.scalar(select(device.c.serial).where(device.c.id == device_id))
    return serial


async def at(tx: Transaction, address: str, https_port: int) -> DeviceId | None:
    """Whose address and HTTPS port these are."""
    here = (device.c.address == address, device.c.https_port == https_port)
    found = await tx.scalar(select(device.c.id).where(*here))
    return None if found is None else DeviceId(found)


async def holder(tx: Transaction, name: str, *, besides: DeviceId | None = None) -> Device | None:
    """The device that holds this host name at a person's word or is dialled by it."""
    held = ((device.c.host_name == name) & device.c.host_name_typed) | (device.c.address == name)
    row = (await tx.execute(select(device).where(held, device.c.id != (besides or 0)))).first()
    return None if row is None else _device(row)


async def shared_names(tx: Transaction, names: Collection[str]) -> set[str]:
    """Those of these host names that more than one device has, typed, dialled or told."""
    if not names:
        return set()
    has = or_(device.c.host_name.in_(names), device.c.address.in_(names))
    rows = await tx.execute(select(device.c.host_name, device.c.address).where(has))
    holders = Counter(name for row in rows for name in {row.host_name, row.address})
    return {name for name in names if holders[name] > 1}


async def change(tx: Transaction, device_id: DeviceId, **columns: Any) -> Device:
    """The row with these columns set. Raises NotFound; Conflict as `add` does."""
    await tx.execute(update(device).where(device.c.id == device_id).values(columns))
    return await get(tx, device_id)


async def note_seen(tx: Transaction, device_ids: Collection[DeviceId], *, now: datetime) -> None:
    """They were seen now. One statement."""
    await tx.execute(update(device).where(device.c.id.in_(device_ids)).values(last_seen=now))


async def remove(tx: Transaction, device_id: DeviceId) -> None:
    """The device is forgotten. Certificates issued to it stay on record (ISS-RECORDED)."""
    if (await tx.execute(delete(device).where(device.c.id == device_id))).rowcount == 0:
        raise NotFound(f"There is no device with the id {device_id}.")


async def login(tx: Transaction, sealer: Sealer, device_id: DeviceId) -> Login | None:
    """The stored login, also when the device refused it before: see `Device.login_refused`."""
    columns = (device.c.username, device.c.password_sealed, device.c.password_version)
    row = (await tx.execute(select(*columns).where(device.c.id == device_id))).first()
    if row is None or row.password_sealed is None:
        return None
    password = sealer.open(
        row.password_sealed, table="device", row=device_id, column="password", version=row.password_version
    )
    return Login(row.username, password.decode())


async def set_login(tx: Transaction, sealer: Sealer, device_id: DeviceId, login: Login) -> Device:
    """The login is stored, sealed, under a new version: a refusal of the old one no longer counts."""
    version = (await get(tx, device_id)).password_version + 1
    sealed = sealer.seal(login.password.encode(), table="device", row=device_id, column="password", version=version)
    return await change(tx, device_id, username=login.username, password_sealed=sealed, password_version=version)


async def active_tasks(tx: Transaction, among: Collection[DeviceId] | None = None) -> dict[DeviceId, AtWork]:
    """The task that is at work on each device that has one; only of these devices, if they are given."""
    query = (
        select(job.c.device_id, job.c.task_id, task.c.actor).join(task, task.c.id == job.c.task_id).where(job.c.active)
    )
    rows = await tx.execute(query if among is None else query.where(job.c.device_id.in_(among)))
    return {DeviceId(row.device_id): AtWork(TaskId(row.task_id), row.actor) for row in rows}


async def without_chain(tx: Transaction) -> int:
    """How many devices send only their leaf, so that their clients need the bundle."""
    query = select(func.count()).select_from(device).where(device.c.chain_sent.is_(False))
    return int(await tx.scalar(query) or 0)


def canonical_host(text: str) -> str:
    """An address in its one spelling (RFC 5952, no brackets), or a host name in lower case without trailing dot."""
    host = text.strip()
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return host.rstrip(".").lower()


def _means(text: str) -> Any:
    host = canonical_host(text)
    conditions = [device.c.address == host, device.c.host_name == host]
    serial = serial_of(text)
    if serial is not None:
        conditions.append(device.c.serial == serial)
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        conditions.append(device.c.id == int(text))
    with_port = re.fullmatch(r"(\[[^\]]+\]|[^:]+):([0-9]{1,5})", text.strip())
    if with_port:
        port = int(with_port[2])
        here = or_(device.c.address == canonical_host(with_port[1]), device.c.host_name == canonical_host(with_port[1]))
        conditions.append(here & or_(device.c.https_port == port, device.c.http_port == port))
    return or_(*conditions)


def _device(row: Row[Any]) -> Device:
    values = dict(row._mapping)
    values.pop("password_sealed")
    return Device(
        **{
            **values,
            "tags": tuple(row.tags),
            "entries": tuple(row.entries),
            "generation": row.generation and Generation(row.generation),
            "support": Support(row.support),
            "trust_level": TrustLevel(row.trust_level),
            "policy": row.policy and ConnectionPolicy(row.policy),
            "served_source": row.served_source and CertificateSource(row.served_source),
        }
    )
