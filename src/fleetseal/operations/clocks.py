"""The clocks of devices, compared with this computer's and set to it."""

from dataclasses import dataclass
from typing import Any

from fleetseal.core.errors import AuthenticationFailed, DeviceError, TrustFailure
from fleetseal.core.model import Device, Selection
from fleetseal.devices.driver import Connection, Connector
from fleetseal.operations import listing, recording
from fleetseal.operations.listing import Row
from fleetseal.operations.plan import describe_offset
from fleetseal.operations.readiness import note_refusal, usable_login
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.operations.states import CLOCK_TOLERANCE
from fleetseal.operations.trust import peer_trust
from fleetseal.store import audit, inventory


async def clock(services: Services, *, actor: str, selection: Selection, correct: bool = False) -> list[Row]:
    """Each device's clock minus ours; with `correct`, set to ours and read back. Audited.

    One object for each device: `{"id","mac","address","result","offset","message"}`. `result` is `read`, `set` or
    `failed`; `offset` is in seconds, null when it could not be read.
    """
    devices = await listing.choose(services, selection)
    async with services.database.reading() as tx:
        settings, busy = await current(services, tx), await inventory.active_tasks(tx)
    await recording.logins_used(services, devices, actor=actor, purpose="device clock")
    clocks = _Clocks(services, services.connect(settings), actor, correct)
    rows = []
    for device in devices:
        if correct and device.id in busy:
            rows.append(_row(device, "failed", None, f"Busy in {busy[device.id]}. Nothing was set."))
        else:
            rows.append(await clocks.one(device))
    return rows


@dataclass(frozen=True)
class _Clocks:
    services: Services
    connector: Connector
    actor: str
    correct: bool

    async def one(self, device: Device) -> Row:
        try:
            async with self.services.database.reading() as tx:
                login = await usable_login(self.services, tx, device)
            sight = await self.connector.look(device.endpoint)
            if sight.unsupported_reason is not None:
                return _row(device, "failed", None, sight.unsupported_reason)
            async with self.services.database.reading() as tx:
                trust = await peer_trust(self.services, tx, device, sight)
            async with self.connector.open(device.endpoint, trust, login, serial=device.serial) as connection:
                return await self._through(device, connection)
        except AuthenticationFailed as error:
            await note_refusal(self.services, device)
            return _row(device, "failed", None, error.message)
        except (DeviceError, TrustFailure) as error:
            return _row(device, "failed", None, error.message)

    async def _through(self, device: Device, connection: Connection) -> Row:
        before = await self._offset(connection)
        if not self.correct:
            return _row(device, "read", before, _sentence(before))
        now = self.services.clock.now()
        async with self.services.database.transaction() as tx:  # before the act: what cannot be recorded is not done
            await audit.record(
                tx,
                now=now,
                actor=self.actor,
                action="device clock set",
                object=device.label,
                detail={"offset": before},
            )
        await connection.driver.set_clock(self.services.clock.now())
        after = await self._offset(connection)
        async with self.services.database.transaction() as tx:
            await inventory.change(tx, device.id, clock_offset=after)
        if abs(after) > CLOCK_TOLERANCE.total_seconds():
            message = f"It accepted the time, and is still {describe_offset(after)}. A time server may set it."
            return _row(device, "failed", after, message)
        return _row(device, "set", after, f"It was {describe_offset(before)}; now it is right.")

    async def _offset(self, connection: Connection) -> float:
        """Device minus ours, taken against the middle of the exchange."""
        start = self.services.clock.now()
        there = await connection.driver.clock()
        return (there - (start + (self.services.clock.now() - start) / 2)).total_seconds()


def _sentence(offset: float) -> str:
    right = abs(offset) <= CLOCK_TOLERANCE.total_seconds()
    return "Its clock is right." if right else f"Its clock is {describe_offset(offset)}."


def _row(device: Device, result: str, offset: float | None, message: str) -> Row:
    shown: dict[str, Any] = {"id": device.id, "mac": device.mac, "address": device.address}
    return {**shown, "result": result, "offset": offset, "message": message}
