"""The first administrator of devices in factory state: made, proved by a login, stored."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fleetseal.core.errors import (
    AuthenticationFailed,
    CredentialsNeeded,
    DeviceError,
    FleetsealError,
    InvalidInput,
    NotSupported,
    OutcomeUnknown,
    PermissionDenied,
    Rejected,
    SetupNeeded,
    StoreError,
    TrustFailure,
)
from fleetseal.core.model import Device, Login, PeerTrust, Pinned, Plaintext, Selection, Support
from fleetseal.core.runtime import side_by_side
from fleetseal.devices.axis.catalogue import support
from fleetseal.devices.driver import Connector, Sight
from fleetseal.operations import listing, recording
from fleetseal.operations.contact import look_again
from fleetseal.operations.listing import Row
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.operations.trust import peer_trust
from fleetseal.store import audit, inventory


async def set_up(
    services: Services, *, actor: str, references: Sequence[str], login: Login, plain_http: bool = False
) -> list[Row]:
    """Each device in factory state has this administrator, proved by a login, and the login is stored.

    One object for each device: `{"id","mac","address","result","message"}`; `result` is `set up` or `failed`. The
    password itself crosses the network: over the best-trusted TLS there is; over plain HTTP only with `plain_http`,
    and only where the device offers nothing better. Audited before it is sent. Raises NotFound and Conflict for
    references, and StoreError.
    """
    devices = await listing.choose(services, Selection(refs=tuple(references)))
    settings = await in_force(services)
    work = _SettingUp(services, services.connect(settings), actor, login, plain_http)
    return await side_by_side([work.one(device) for device in devices], at_once=settings.jobs_concurrency)


@dataclass(frozen=True)
class _SettingUp:
    services: Services
    connector: Connector
    actor: str
    login: Login
    plain_http: bool

    async def one(self, device: Device) -> Row:
        try:
            await self._set_up(device)
        except StoreError:
            raise
        except FleetsealError as error:
            return _row(device, "failed", error.message)
        async with self.services.database.transaction() as tx:
            await inventory.set_login(tx, self.services.sealer, device.id, self.login)
            await recording.login_stored(self.services, tx, device, self.login, actor=self.actor)
        found = (await look_again(self.services, device.id)).device
        return _row(found, "set up", f"Its administrator is {self.login.username}. The login is stored.")

    async def _set_up(self, device: Device) -> None:
        """Raises what stands against it, saying whether anything was sent."""
        sight = await self.connector.look(device.endpoint)
        _require_fresh(device, sight)
        async with self.services.database.reading() as tx:
            trust = await peer_trust(self.services, tx, device, sight)
        carrier = self._carrier(trust, sight)
        await self._record(device, carrier)
        serial = device.serial or sight.serial
        refusal: DeviceError | None = None
        try:
            await self.connector.set_up(device.endpoint, carrier, self.login, serial=serial)
        except (OutcomeUnknown, Rejected) as error:
            refusal = error  # it may have taken it all the same: the login tells
        try:
            async with self.connector.open(device.endpoint, trust, self.login, serial=serial):
                return
        except (SetupNeeded, AuthenticationFailed, PermissionDenied) as error:
            raise _not_done(error, refusal) from error
        except (DeviceError, TrustFailure) as error:
            raise OutcomeUnknown(
                f"The administrator was sent, but whether the login works could not be seen: {error.message} "
                "Look at it again: fleetseal device refresh; where it works, store the login: fleetseal device set."
            ) from error

    def _carrier(self, trust: PeerTrust, sight: Sight) -> PeerTrust:
        """How the password travels: TLS where there is any, though a login would go by plain HTTP (digest)."""
        if not isinstance(trust, Plaintext):
            return trust
        if sight.served is not None:
            return Pinned(hashlib.sha256(sight.served.leaf).digest(), accepted=False)
        if self.plain_http:
            return trust
        raise TrustFailure(
            "It offers plain HTTP only, where everyone on the way can read the new password. Nothing was sent. "
            "To send it all the same: --plain-http."
        )

    async def _record(self, device: Device, carrier: PeerTrust) -> None:
        async with self.services.database.transaction() as tx:  # before the act: what cannot be recorded is not done
            if (task := (await inventory.active_tasks(tx, [device.id])).get(device.id)) is not None:
                raise InvalidInput(f"Busy in {task}. Nothing was sent. Wait until it has ended.")
            await audit.record(
                tx,
                now=self.services.clock.now(),
                actor=self.actor,
                action="device setup",
                object=device.label,
                detail={"username": self.login.username, "over": type(carrier).__name__},
            )


def _require_fresh(device: Device, sight: Sight) -> None:
    """Raises unless this is a supported device in factory state."""
    supported, reason = device.support, device.support_reason
    if sight.facts is not None:
        supported, reason = support(sight.facts.model, sight.facts.product_type, sight.facts.firmware)
    if sight.unsupported_reason is not None:
        raise NotSupported(f"{sight.unsupported_reason} Nothing was sent.")
    if supported is not Support.SUPPORTED:
        raise NotSupported(f"{reason} Nothing was sent.")
    if sight.needs_setup is None:
        raise NotSupported("It does not say whether it is in factory state. Nothing was sent: set it up by its page.")
    if not sight.needs_setup:
        raise CredentialsNeeded(
            "It has an administrator already. Nothing was sent. Store the login: fleetseal device set DEVICE."
        )


def _not_done(error: DeviceError, refusal: DeviceError | None) -> DeviceError:
    if isinstance(refusal, Rejected):
        return refusal
    if isinstance(error, SetupNeeded):
        return Rejected("It is in factory state as before: the administrator was not made. Try again.")
    return Rejected("It has an administrator now, who is not this one: this login does not work there.")


def _row(device: Device, result: str, message: str) -> Row:
    return {
        "id": device.id,
        "mac": device.mac,
        "address": device.address,
        "result": result,
        "message": message,
    }
