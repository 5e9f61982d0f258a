"""The background poll of a server: every device is glanced at once in a period, and read in full when it must be.

A device that does not answer is glanced at again after the longest restart of a web server, and only then, in full:
`Unreachable` needs more than one miss. Nothing is done to a device while a task is at work on it, nor to one whose
identity is in question (IDN-CHANGED-STOPS). A device that hangs or fails costs only itself (JOB-FAIR).
"""

import asyncio
import logging
import math
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, Final

from fleetseal.core.errors import FleetsealError, NotFound, StoreError
from fleetseal.core.model import DeviceId
from fleetseal.operations import contact, glances, recording
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.store import inventory

PERIOD: Final = 600.0
"""Seconds in which each device is glanced at once."""

AGAIN: Final = 180.0
"""Seconds from a miss to the second look: web servers restart for up to this long (DEV-REACHABLE)."""

_PARTS: Final = 120
"""At most so many parts make a round, one after the other, spread over the period."""

_GLANCES_AT_ONCE: Final = 100  # in one part
_READS_AT_ONCE: Final = 20  # in all: they send logins, and take a second or two each

_log = logging.getLogger(__name__)


async def recorded_poll(services: Services) -> None:
    """As `poll`, as soon as the audit log says that logins of devices are used from now on with no person at hand; none
    is before (AUD-FAILS-CLOSED)."""
    while True:
        try:
            await recording.poll_begins(services)
            break
        except StoreError as error:
            _log.warning("The poll waits for the audit log: %s", error.message)
            await services.clock.sleep(AGAIN)
    await poll(services)


async def poll(services: Services) -> None:
    """Until cancelled."""
    async with asyncio.TaskGroup() as group:
        await _Poll(services, group).go_round()


class _Poll:
    def __init__(self, services: Services, group: asyncio.TaskGroup) -> None:
        self._services = services
        self._group = group
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)
        self._in_hand: set[DeviceId] = set()  # a second glance or a full read is under way

    async def go_round(self) -> None:
        while True:
            parts = _parted(await self._ids())
            for part in parts:
                self._group.create_task(self._guarded(self._part(part)))
                await self._services.clock.sleep(PERIOD / len(parts))

    async def _ids(self) -> list[DeviceId]:
        try:
            async with self._services.database.reading() as tx:
                return await inventory.ids(tx)
        except StoreError as error:
            _log.warning("The poll could not read the inventory: %s", error.message)
            return []

    async def _part(self, ids: Collection[DeviceId]) -> None:
        swept = await self._sweep([one for one in ids if one not in self._in_hand])
        for device in swept.read:
            self._follow(device.id, self._read(device.id))
        for device in swept.missed:
            if device.reachable:
                self._follow(device.id, self._again(device.id))

    async def _again(self, device_id: DeviceId) -> None:
        await self._services.clock.sleep(AGAIN)
        swept = await self._sweep([device_id])
        if swept.read or swept.missed:
            await self._read(device_id)

    async def _read(self, device_id: DeviceId) -> None:
        async with self._reads:
            await contact.look_unattended(self._services, device_id)

    async def _sweep(self, ids: Collection[DeviceId]) -> glances.Swept:
        services = self._services
        async with services.database.reading() as tx:
            busy = await inventory.active_tasks(tx)
            devices = [one for one in await inventory.some(tx, ids) if one.id not in busy and not one.identity_problem]
        connector = services.connect(await in_force(services))
        return await glances.sweep(services, connector, devices, at_once=_GLANCES_AT_ONCE)

    def _follow(self, device_id: DeviceId, work: Coroutine[Any, Any, None]) -> None:
        self._in_hand.add(device_id)
        task = self._group.create_task(self._guarded(work))
        task.add_done_callback(lambda _: self._in_hand.discard(device_id))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except NotFound:
            pass  # forgotten in the meantime
        except FleetsealError as error:
            _log.warning("The poll left out devices, until the next round: %s", error.message)
        except Exception:  # a defect of ours at one device must end neither the poll nor the server
            _log.exception("The poll failed at devices; it goes on with the others.")


def _parted(ids: Sequence[DeviceId]) -> list[Sequence[DeviceId]]:
    """Parts of one size, at least one, `_PARTS` at most."""
    size = max(1, math.ceil(len(ids) / _PARTS))
    return [ids[start : start + size] for start in range(0, len(ids), size)] or [()]
