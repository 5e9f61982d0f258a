"""Alarms whose causes can be seen in the records: a pass opens those whose cause holds and closes the others
(ALM-TRUE)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from fleetseal.core.config import Settings
from fleetseal.core.model import Device, DeviceId
from fleetseal.operations import issuing
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.operations.states import statuses, warning_begins
from fleetseal.pki import chain
from fleetseal.store import alarms, authorities, inventory, nights, renewals
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction

Wanted = dict[tuple[str, str], tuple[str, str]]
"""(cause, object) -> (severity, message)"""

RENEWAL_FAILED: Final = "renewal-failed"

_DEVICE: Final = {
    "Certificate has expired": ("certificate-expired", "critical"),
    "Certificate about to expire": ("certificate-expiring", "warning"),
}
_SYSTEM: Final = ("ca-expired", "ca-expiring", "ca-locked", "issuing-ca-needs-renewal")
NIGHT_OVERDUE: Final = ("nightly-overdue", "nightly run")

SETTLED: Final = ("needs-hands", RENEWAL_FAILED, "certificate-differs", *(cause for cause, _ in _DEVICE.values()))
"""What a proved new certificate on a device ends."""

ASKED_BEFORE: Final = timedelta(days=60)
"""How long before a leaf would be cut short a new issuing CA is asked for (ISS-WITHIN-ISSUER)."""
OVERDUE: Final = timedelta(days=2)
_BATCH: Final = 500


async def authority(services: Services) -> None:
    """The alarms of CAs are open exactly where their causes hold."""
    async with services.database.reading() as tx:
        wanted = await _of_authorities(services, tx, await current(services, tx))
    await settle(services, _SYSTEM, wanted)


async def overdue(services: Services) -> None:
    """No run of the night has ended well for two days: an alarm exactly then. Not to be asked while one is at work."""
    now, wanted = services.clock.now(), Wanted()
    async with services.database.reading() as tx:
        made = [one.created for one in await authorities.every(tx) if one.signs_leaves]
        last = max(filter(None, (await nights.last_success(tx), min(made, default=None))), default=None)
        fleet = await renewals.fleet_size(tx)
    if fleet and last is not None and now - last > OVERDUE:
        wanted[NIGHT_OVERDUE] = (
            "critical",
            f"No nightly run has ended well since {last:%Y-%m-%d %H:%M} UTC: certificates are not renewed. "
            "See why: fleetseal nightly.",
        )
    await settle(services, (NIGHT_OVERDUE[0],), wanted)


async def devices(services: Services) -> None:
    """The alarms about the certificate that a device serves are open exactly where its status says the same."""
    causes = [cause for cause, _ in _DEVICE.values()]
    after: DeviceId | None = None
    while True:
        async with services.database.reading() as tx:
            settings = await current(services, tx)
            batch = await inventory.batch(tx, after=after, limit=_BATCH)
        if not batch:
            return
        after, wanted, now = batch[-1].id, Wanted(), services.clock.now()
        for device in batch:
            wanted |= _of_device(device, settings, now)
        await settle(services, causes, wanted, among={device.label for device in batch})


async def settle(
    services: Services,
    causes: Collection[str],
    wanted: Mapping[tuple[str, str], tuple[str, str]],
    *,
    among: Collection[str] | None = None,
    besides: Collection[str] = (),
) -> None:
    """Of these causes, and of the objects `among` (None: all) but not `besides`, exactly the wanted alarms are open.
    Nothing is written where that is so already."""

    def meant(alarm: alarms.Alarm) -> bool:
        here = among is None or alarm.object in among
        return alarm.cause in causes and here and alarm.object not in besides

    async with services.database.reading() as tx:
        open_ = {(one.cause, one.object): one for one in await alarms.open_alarms(tx) if meant(one)}
    told = {key: (one.severity, one.message) for key, one in open_.items()}
    if told == dict(wanted):
        return
    now = services.clock.now()
    async with services.database.transaction() as tx:
        for (cause, name), (severity, message) in wanted.items():
            if told.get((cause, name)) != (severity, message):
                await alarms.raise_alarm(tx, now=now, cause=cause, object=name, severity=severity, message=message)
        for cause, name in told.keys() - wanted.keys():
            await alarms.close_alarm(tx, now=now, cause=cause, object=name)


def _of_device(device: Device, settings: Settings, now: datetime) -> Wanted:
    return {
        (_DEVICE[one.status][0], device.label): (_DEVICE[one.status][1], f"{one.status}. {one.reason}")
        for one in statuses(device, now=now, settings=settings, active_task=None)
        if one.status in _DEVICE
    }


async def _of_authorities(services: Services, tx: Transaction, settings: Settings) -> Wanted:
    now, wanted = services.clock.now(), Wanted()
    ours = [one for one in await authorities.every(tx) if one.state == "active" and one.key_file and one.der]
    for record in ours:
        wanted |= _of_authority(record, settings, now)
    signing = await authorities.find_signing(tx)
    fleet = await renewals.fleet_size(tx)
    if signing is None or fleet == 0:
        return wanted
    if settings.renewal_automatic and not services.vault.is_open(issuing.key_file(signing)):
        wanted["ca-locked", signing.name] = ("critical", f"{LOCKED} {fleet} devices depend on it.")
    return wanted


LOCKED: Final = (
    "Renewal waits: the CA key is locked. Continue with the passphrase: fleetseal ca unlock, or fleetseal nightly "
    "--passphrase-file FILE."
)


def _of_authority(record: AuthorityRecord, settings: Settings, now: datetime) -> Wanted:
    assert record.der is not None
    described = chain.describe(record.der)
    name, end = described.common_name or record.name, described.not_after
    if now > end:
        return {("ca-expired", name): ("critical", f"This CA was valid until {end:%Y-%m-%d}: nothing can be signed.")}
    wanted = Wanted()
    if now >= warning_begins(described.not_before, end, warning_days=settings.certificate_warning_days):
        wanted["ca-expiring", name] = (
            "warning",
            f"This CA is valid until {end:%Y-%m-%d}. Renew it: fleetseal ca renew.",
        )
    if record.signs_leaves and now >= end - timedelta(days=settings.certificate_validity_days) - ASKED_BEFORE:
        message = (
            f"This CA is valid until {end:%Y-%m-%d}: soon it could not sign device certificates of "
            f"{settings.certificate_validity_days} days. Renew it: fleetseal ca renew."
        )
        wanted["issuing-ca-needs-renewal", name] = ("warning", message)
    return wanted
