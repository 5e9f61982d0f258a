"""Whether work on a device may begin: its login, and what stands against it."""

from fleetseal.core.errors import (
    AuthenticationFailed,
    CredentialsNeeded,
    IdentityMismatch,
    NotSupported,
    SetupNeeded,
    TrustFailure,
    Unreachable,
)
from fleetseal.core.model import Device, DeviceId, Login, TrustLevel
from fleetseal.operations import issuing, states
from fleetseal.operations.contact import refresh_device
from fleetseal.operations.services import Services
from fleetseal.operations.trust import may_lead_to_ours
from fleetseal.store import credentials, inventory
from fleetseal.store.database import Transaction


async def usable_login(services: Services, tx: Transaction, device: Device) -> Login:
    """The stored login. Raises CredentialsNeeded when there is none, AuthenticationFailed when the device refused
    this very one before (JOB-RETRY-CLASS)."""
    login = await inventory.login(tx, services.sealer, device.id)
    if login is None:
        raise CredentialsNeeded(
            "It asks for a login and none is stored. Give one: "
            "fleetseal device set DEVICE --username USER --password-file FILE. Nothing was changed on it."
        )
    if device.login_refused:
        raise AuthenticationFailed(
            "It refused the stored login, which is not sent again until it is changed: "
            "fleetseal device set DEVICE --username USER --password-file FILE. It was not contacted."
        )
    return login


async def ready(services: Services, device_id: DeviceId, *, certificates: bool = True) -> tuple[Device, Login]:
    """The device and its login, when work on it may begin. One that was not fit when last seen is looked at again, and
    so is one without a login, while there are named credentials that may be tried on it today, and one on which a job
    may have left a certificate of ours that nobody has seen since.
    `certificates`: the work is about certificates, not about the connection policy alone.

    Raises what stands against it: NotSupported, IdentityMismatch, SetupNeeded, TrustFailure, Unreachable, and as
    `usable_login`.
    """
    async with services.database.reading() as tx:
        device = await inventory.get(tx, device_id)
        hope = await _may_try(services, tx, device)
        left = not (device.ever_anchored or device.plain_accepted) and await issuing.lineage(tx, device_id) != ()
    unsettled = device.needs_setup or device.trust_problem is not None or device.trust_level is TrustLevel.NONE
    if hope or left or unsettled or device.last_read is None or may_lead_to_ours(device):
        device = await refresh_device(services, device_id)
    if not states.fit(device, certificates=certificates):
        raise NotSupported(device.support_reason)
    if device.identity_problem is not None:
        raise IdentityMismatch(device.identity_problem)
    if device.needs_setup:
        raise SetupNeeded(
            "It is in factory state: it has no administrator yet. "
            "Set it up: fleetseal device setup DEVICE. No login was sent."
        )
    if device.trust_problem is not None:
        raise TrustFailure(device.trust_problem)
    if device.trust_level is TrustLevel.NONE and not device.reachable:
        raise Unreachable(device.unreachable_reason)
    async with services.database.reading() as tx:
        return device, await usable_login(services, tx, device)


async def _may_try(services: Services, tx: Transaction, device: Device) -> bool:
    """It has no login, and a named credential was not tried on it today."""
    if await inventory.login(tx, services.sealer, device.id) is not None:
        return False
    return bool(await credentials.untried(tx, services.sealer, device.id, now=services.clock.now()))


async def note_refusal(services: Services, device: Device) -> None:
    """The login that `device` had is not sent again until it is changed."""
    async with services.database.transaction() as tx:
        await inventory.change(tx, device.id, password_refused_version=device.password_version)
