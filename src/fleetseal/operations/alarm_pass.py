"""Alarms whose causes can be seen in the records: a pass opens those whose cause holds and closes the others
(ALM-TRUE)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from fleetseal.core.config import Settings
from fleetseal.core.model import Device, DeviceId
from fleetseal.operations import issuing
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.operations.states import statuses, warning_begins
from fleetseal.operations.web_certificate import PURPOSE
from fleetseal.pki import chain, profile
from fleetseal.pki.issuer import Sealing
from fleetseal.store import alarms, authorities, certificates, inventory, nights, renewals
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.database import Transaction


class Condition(NamedTuple):
    """Something that holds now."""

    severity: str
    message: str
    expires: datetime | None = None  # the end of what it warns about


Wanted = dict[tuple[str, str], Condition]
"""(cause, object) -> condition"""

RENEWAL_FAILED: Final = "renewal-failed"

_DEVICE: Final = {
    "Certificate has expired": ("certificate-expired", "critical"),
    "Certificate about to expire": ("certificate-expiring", "warning"),
}
_SYSTEM: Final = ("ca-expired", "ca-expiring", "ca-locked", "issuing-ca-needs-renewal")
NIGHT_OVERDUE: Final = ("nightly-overdue", "nightly run")

CLOCK: Final = "clock-jumped"
THIS_COMPUTER: Final = "this computer"
"""The object of that alarm where the whole fleet is due at once; where a CA has signed later than now, it is the CA."""
SERVER_EXPIRING: Final = ("server-certificate-expiring", THIS_COMPUTER)
DISK_LOW: Final = ("disk-nearly-full", "data directory")

SETTLED: Final = ("needs-hands", RENEWAL_FAILED, "certificate-differs", *(cause for cause, _ in _DEVICE.values()))
"""What a proved new certificate on a device ends."""

ASKED_BEFORE: Final = timedelta(days=60)
"""How long before a leaf would be cut short a new issuing CA is asked for (ISS-WITHIN-ISSUER)."""
OVERDUE: Final = timedelta(days=2)
_BATCH: Final = 500
_LEAST_FREE: Final = 2**30  # bytes


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
        wanted[NIGHT_OVERDUE] = Condition(
            "critical",
            f"No nightly run has ended well since {last:%Y-%m-%d %H:%M} UTC: certificates are not renewed. "
            "See why: fleetseal nightly.",
        )
    await settle(services, (NIGHT_OVERDUE[0],), wanted)


async def computer(services: Services) -> None:
    """The alarms about the computer itself are open exactly where their causes hold: its disk, its clock,
    and the certificate of its own door."""
    async with services.database.reading() as tx:
        is_low = DISK_LOW in {(one.cause, one.object) for one in await alarms.open_alarms(tx)}
        signing = await authorities.find_signing(tx)
    await settle(services, (DISK_LOW[0],), _of_disk(services, is_low=is_low))
    now, wanted = services.clock.now(), Wanted()
    signed = None if signing is None else signing.last_signed or signing.created
    if signing is not None and signed is not None and now < signed:
        wanted[CLOCK, signing.name] = Condition(
            "critical",
            f"The clock of this computer is behind the last signature of this CA, {signed:%Y-%m-%d %H:%M} UTC. Nothing "
            "is signed until the clock is right.",
        )
    await settle(services, (CLOCK,), wanted, besides={THIS_COMPUTER})
    await settle(services, (SERVER_EXPIRING[0],), await _of_server(services))


async def _of_server(services: Services) -> Wanted:
    """The certificate that this server shows to browsers is late: its renewal did not come about."""
    async with services.database.reading() as tx:
        days = (await current(services, tx)).certificate_warning_days
        shown = await certificates.of_purpose(tx, PURPOSE, "installed")
    wanted = Wanted()
    for one in shown:
        begins = warning_begins(one.not_before, one.not_after, warning_days=days, backdated=profile.BACKDATING)
        if services.clock.now() >= begins:
            wanted[SERVER_EXPIRING] = Condition(
                "warning",
                f"The certificate of the web application is valid until {one.not_after:%Y-%m-%d} and was not renewed. "
                "See why: fleetseal nightly.",
                one.not_after,
            )
    return wanted


def _of_disk(services: Services, *, is_low: bool) -> Wanted:
    """A gibibyte or a tenth of a small disk is little, a tenth of that very little; an alarm that is open ends when a
    fifth more is free, so that it does not come and go."""
    total, free = services.disk(services.data)
    least = min(_LEAST_FREE, total // 10)
    if free >= least * (1.2 if is_low else 1.0):
        return {}
    message = (
        f"Less than {round(least * 1.2 / 2**20)} MiB are free where {services.data} is. Make room: on a full disk "
        "nothing is signed and no job goes on."
    )
    return {DISK_LOW: Condition("critical" if free < least // 10 else "warning", message)}


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
    wanted: Mapping[tuple[str, str], Condition],
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
    told = {key: Condition(one.severity, one.message, one.expires) for key, one in open_.items()}
    if told == dict(wanted):
        return
    now = services.clock.now()
    async with services.database.transaction() as tx:
        for (cause, name), condition in wanted.items():
            if told.get((cause, name)) != condition:
                await alarms.raise_alarm(tx, now=now, cause=cause, object=name, **condition._asdict())
        for cause, name in told.keys() - wanted.keys():
            await alarms.close_alarm(tx, now=now, cause=cause, object=name)


def _of_device(device: Device, settings: Settings, now: datetime) -> Wanted:
    end = None if device.served_der is None else chain.describe(device.served_der).not_after
    return {
        (_DEVICE[one.status][0], device.label): Condition(_DEVICE[one.status][1], f"{one.status}. {one.reason}", end)
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
        wanted["ca-locked", signing.name] = Condition("critical", f"{LOCKED} {fleet} devices depend on it.")
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
        message = f"This CA was valid until {end:%Y-%m-%d}: nothing can be signed."
        return {("ca-expired", name): Condition("critical", message)}
    wanted = Wanted()
    if now >= warning_begins(described.not_before, end, warning_days=settings.certificate_warning_days):
        message = f"This CA is valid until {end:%Y-%m-%d}. Renew it: {_renewal(record)}."
        wanted["ca-expiring", name] = Condition("warning", message, end)
    if record.signs_leaves and now >= end - timedelta(days=settings.certificate_validity_days) - ASKED_BEFORE:
        message = (
            f"This CA is valid until {end:%Y-%m-%d}: soon it could not sign device certificates of "
            f"{settings.certificate_validity_days} days. Renew it: {_renewal(record)}."
        )
        wanted["issuing-ca-needs-renewal", name] = Condition("warning", message)
    return wanted


def _renewal(record: AuthorityRecord) -> str:
    """The command that puts another in its place."""
    ours = record.key_sealing == Sealing.SIGNER and record.request_der is None  # made here, under a root that is here
    return "fleetseal ca renew" if ours else "fleetseal ca renew --root"
