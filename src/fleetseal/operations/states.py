"""What a person reads about a device: the `https` and `status` columns of the contract. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fleetseal.core.config import Settings
from fleetseal.core.model import CertificateSource, ConnectionPolicy, Device, Generation, Support, TrustLevel
from fleetseal.operations.plan import describe_offset
from fleetseal.pki import chain, profile
from fleetseal.store.tasks import AtWork

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""Beyond this a device's clock is wrong (device-api 18, recipe B)."""

_MAKERS: Final = frozenset({CertificateSource.DEFAULT.value, CertificateSource.FACTORY.value})


@dataclass(frozen=True)
class Status:
    status: str
    reason: str


def https_text(device: Device, *, authority_configured: bool) -> str:
    """The `https` column: the first that holds."""
    if device.support is Support.PRODUCT:
        return "Unsupported device"
    if device.support is Support.FIRMWARE:
        return "Unsupported firmware"
    if device.tls is None or device.policy is None:
        return "Unknown"
    if device.tls and _enabled(device):
        return "Enabled"
    keys = [entry for entry in device.entries if entry.get("kind") != "ca"]
    if authority_configured or any(entry["source"] not in _MAKERS for entry in keys):
        return "Disabled"
    return "Disabled (Missing server certificate)"


def statuses(
    device: Device, *, now: datetime, settings: Settings, active_task: AtWork | None, disowned: str | None = None
) -> list[Status]:
    """Every status that holds, the one to show first; `OK` alone when none does. `disowned`: why what it serves is not
    to be taken, though it is ours."""
    found = [
        *unread(device, settings),
        *([] if disowned is None else [Status("Certificate not trusted", disowned)]),
        *_certificate_and_clock(device, now=now, settings=settings),
    ]
    if active_task is not None:
        found.append(Status("Busy", f"Busy in {active_task}."))
    return found or [Status("OK", "")]


def lasting(device: Device, *, now: datetime, settings: Settings) -> tuple[datetime | None, datetime | None]:
    """From when, and until before when, time alone changes nothing of what `statuses` finds; None: always, for ever."""
    if (end := _end(device, settings)) is None:
        return None, None
    turns = (end.begins, end.not_after + timedelta(microseconds=1))
    before, later = [turn for turn in turns if turn <= now], [turn for turn in turns if turn > now]
    return max(before, default=None), min(later, default=None)


def unread(device: Device, settings: Settings) -> list[Status]:
    """Every status that holds and says why the device cannot be read in full."""
    return [*_reach(device), *_credentials(device), *_trust(device, settings)]


def fit(device: Device, *, certificates: bool) -> bool:
    """Work on this product and firmware is possible: about certificates, or about the connection policy alone."""
    policy_alone = not certificates and device.generation is Generation.PARAMETERS
    return device.support is Support.SUPPORTED or policy_alone


def warning_begins(
    not_before: datetime, not_after: datetime, *, warning_days: int, backdated: timedelta = timedelta()
) -> datetime:
    """When "about to expire" begins (REN-IN-TIME). `backdated`: how long before its signing a certificate begins."""
    return not_after - profile.warning_before(not_after - not_before - backdated, warning_days)


def endings(device: Device, *, now: datetime, settings: Settings) -> list[Status]:
    """What will end or has ended on the device besides the certificate it serves: other usages, and CA entries. What
    the maker put there is nobody's here to renew."""
    found: list[Status] = []
    for entry in device.entries:
        if entry["source"] in _MAKERS or entry["sha256"] == device.served_sha256 or not entry["not_after"]:
            continue
        end = datetime.fromisoformat(str(entry["not_after"]))
        start = datetime.fromisoformat(str(entry.get("not_before") or entry["not_after"]))  # old rows tell no beginning
        what = f"The {'CA certificate' if entry.get('kind') == 'ca' else 'certificate'} {entry['alias']}"
        if now > end:
            found.append(Status("Certificate has expired", f"{what} was valid until {end:%Y-%m-%d}."))
        elif now >= warning_begins(start, end, warning_days=settings.certificate_warning_days):
            found.append(Status("Certificate about to expire", f"{what} is valid until {end:%Y-%m-%d}."))
    return found


def _enabled(device: Device) -> bool:
    if device.policy is ConnectionPolicy.HTTPS:
        return True
    allowed = device.policy is ConnectionPolicy.HTTP_AND_HTTPS
    return allowed and device.served_source in (CertificateSource.OURS, CertificateSource.OTHER)


def _reach(device: Device) -> list[Status]:
    found = []
    if device.identity_problem is not None:
        found.append(Status("Identity changed", device.identity_problem))
    if not device.reachable:
        found.append(Status("Unreachable", device.unreachable_reason))
    if device.needs_setup:
        found.append(
            Status(
                "Setup needed",
                "It is in factory state: it has no administrator yet. Set it up: fleetseal device setup DEVICE.",
            )
        )
    return found


def _credentials(device: Device) -> list[Status]:
    if device.needs_setup or (device.support is Support.PRODUCT and device.generation is not Generation.PARAMETERS):
        return []
    if device.username is None:
        return [Status("Credentials needed", "It asks for a login, and none is stored.")]
    if device.login_refused:
        reason = "It refused the stored login, which is not sent again until it is changed."
        return [Status("Wrong credentials", reason)]
    return []


def _trust(device: Device, settings: Settings) -> list[Status]:
    if device.trust_problem is not None:
        return [Status("Certificate not trusted", device.trust_problem)]
    if settings.security_ignore_certificate_validation or not depends_on_first_contact(device):
        return []
    reason = (
        "It was accepted on first contact only, and security.ignore-certificate-validation is off. "
        "Accept what it shows: fleetseal device trust DEVICE."
    )
    return [Status("Certificate not trusted", reason)]


def depends_on_first_contact(device: Device) -> bool:
    """Nothing but "ignore certificate validation" lets us send this device a login (IDN-DEBT-VISIBLE)."""
    plain = device.trust_level is TrustLevel.PLAINTEXT and not device.plain_accepted
    return plain or device.trust_level is TrustLevel.FIRST_USE


def _certificate_and_clock(device: Device, *, now: datetime, settings: Settings) -> list[Status]:
    expired: list[Status] = []
    expiring: list[Status] = []
    if (end := _end(device, settings)) is not None:
        if now > end.not_after:
            expired = [Status("Certificate has expired", f"It was valid until {end.not_after:%Y-%m-%d}.")]
        elif now >= end.begins:
            expiring = [Status("Certificate about to expire", f"It is valid until {end.not_after:%Y-%m-%d}.")]
    return [*expired, *_clock(device), *expiring]


@dataclass(frozen=True)
class _End:
    """Of the certificate that a device serves: when its warning begins, and until when it is valid."""

    begins: datetime
    not_after: datetime


def _end(device: Device, settings: Settings) -> _End | None:
    if device.served_der is None or device.served_source not in (CertificateSource.OURS, CertificateSource.OTHER):
        return None
    served = chain.describe(device.served_der)
    backdated = profile.BACKDATING if device.served_source is CertificateSource.OURS else timedelta()
    begins = warning_begins(
        served.not_before,
        served.not_after,
        warning_days=settings.certificate_warning_days,
        backdated=min(backdated, served.not_after - served.not_before),
    )
    return _End(begins, served.not_after)


def _clock(device: Device) -> list[Status]:
    if device.clock_offset is None or abs(device.clock_offset) <= CLOCK_TOLERANCE.total_seconds():
        return []
    return [Status("Clock is wrong", f"It is {describe_offset(device.clock_offset)}, by this computer's.")]
