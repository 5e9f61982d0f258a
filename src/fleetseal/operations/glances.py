"""Glances at devices: which of them are as on record, which must be read in full. No login is sent by any of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from fleetseal.core.errors import DeviceError, InvalidInput
from fleetseal.core.model import Device
from fleetseal.core.runtime import side_by_side
from fleetseal.devices.driver import Connector, Glance
from fleetseal.operations.services import Services
from fleetseal.operations.states import CLOCK_TOLERANCE
from fleetseal.store import inventory

READ_EVERY: Final = timedelta(days=1)
"""A full read is due this long after the last: a glance shows neither the policy, nor the entries, nor whether the
login still works, nor, before AXIS OS 9, the firmware."""

SEEN_EVERY: Final = timedelta(hours=1)
"""`last_seen` of a device that is as it was is written when it is older than this."""


class Finding(Enum):
    UNCHANGED = auto()
    READ = auto()  # something differs from the record, or a full read is due
    MISSED = auto()  # no answer, or none of an Axis device


@dataclass(frozen=True)
class Swept:
    unchanged: tuple[Device, ...]
    read: tuple[Device, ...]
    missed: tuple[Device, ...]


async def sweep(services: Services, connector: Connector, devices: Collection[Device], *, at_once: int) -> Swept:
    """One glance at each of these devices. Of their rows only `last_seen` is written, of the unchanged ones where it
    is older than an hour, in one statement. Raises StoreError."""

    async def one(device: Device) -> Finding:
        try:
            seen = await connector.glance(device.endpoint, device.served_der)
        except (DeviceError, InvalidInput):
            return Finding.MISSED
        return judge(device, seen, services.clock.now())

    findings = await side_by_side(map(one, devices), at_once=at_once)
    found = {finding: tuple(d for d, f in zip(devices, findings, strict=True) if f is finding) for finding in Finding}
    now = services.clock.now()
    old = [one.id for one in found[Finding.UNCHANGED] if _older(one.last_seen, SEEN_EVERY, now)]
    if old:
        async with services.database.transaction() as tx:
            await inventory.note_seen(tx, old, now=now)
    return Swept(found[Finding.UNCHANGED], found[Finding.READ], found[Finding.MISSED])


def judge(device: Device, seen: Glance, now: datetime) -> Finding:
    """What a glance says of a device. Pure."""
    if not seen.asked:
        return Finding.READ
    if seen.serial is None and seen.leaf is None and device.serial is not None:
        return Finding.MISSED  # plain HTTP proves nothing, and whatever answers does not say who it is
    differs = (
        not device.reachable
        or seen.leaf != device.served_der
        or (seen.serial is not None and seen.serial != device.serial)
        or (seen.firmware is not None and seen.firmware != device.firmware)
        or _clock_is_wrong(device.clock_offset) != _clock_is_wrong(_offset(seen, now, device.clock_offset))
    )
    return Finding.READ if differs or _older(device.last_read, READ_EVERY, now) else Finding.UNCHANGED


def _offset(seen: Glance, now: datetime, recorded: float | None) -> float | None:
    return recorded if seen.date is None else (seen.date - now).total_seconds()


def _clock_is_wrong(offset: float | None) -> bool:
    return offset is not None and abs(offset) > CLOCK_TOLERANCE.total_seconds()


def _older(moment: datetime | None, age: timedelta, now: datetime) -> bool:
    """Also when it lies that far ahead: our clock was wrong when it was written."""
    return moment is None or abs(now - moment) >= age
