"""What to do with certificates that this site did not issue: a pure function of what was seen and what is wished."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleetseal.core.config import Settings
from fleetseal.core.model import Alias, ConnectionPolicy, EnableWish, Generation
from fleetseal.core.text import clean
from fleetseal.operations.plan import (
    NO_INTERFACE,
    Bind,
    Observed,
    Plan,
    Refused,
    Skipped,
    Switch,
    Unchanged,
    clock_is_off,
    wished_policy,
)


@dataclass(frozen=True)
class Usable:
    """An entry with a key, there or to be, neither the maker's nor the device's own default, that is valid now."""

    alias: Alias
    der: bytes
    not_before: datetime
    not_after: datetime
    name: str | None = None  # as of `Bind`
    above: tuple[bytes, ...] = ()
    known: bool = False  # the device was trusted by this very certificate or its key before


def plan_existing(
    seen: Observed,
    wish: EnableWish,
    *,
    settings: Settings,
    usable: tuple[Usable, ...],
    proved: bool,
    now: datetime,
) -> Plan:
    """Without a CA: the one usable entry of the device. `proved`: what was read came from a device that proved its
    identity."""
    if seen.facts.generation is Generation.PARAMETERS:
        return NO_INTERFACE
    if not usable:
        return Skipped(
            "There is no CA here, and the device holds no certificate that HTTPS could serve. "
            'Make a CA: "fleetseal ca create --name NAME".',
            "no-certificate",
        )
    if len(usable) > 1:
        names = ", ".join(clean(entry.alias) for entry in usable)
        return Skipped(
            f"There is no CA here, and the device holds {len(usable)} certificates that HTTPS could serve: {names}. "
            "Leave one of them: fleetseal certificate delete DEVICE ALIAS.",
            "several-certificates",
        )
    return plan_entry(seen, wish, usable[0], settings=settings, proved=proved, now=now)


def plan_entry(
    seen: Observed, wish: EnableWish, entry: Usable, *, settings: Settings, proved: bool, now: datetime
) -> Plan:
    """This entry is to serve HTTPS. Trust is not lowered by it: that is a person's decision of its own."""
    policy = wished_policy(wish.policy, seen.https.policy)
    if seen.served is not None and seen.served.der == entry.der and seen.https.policy is policy:
        return Unchanged(
            f"Already as wished: it serves {clean(entry.alias)}, valid until {entry.not_after:%Y-%m-%d}.", entry.alias
        )
    if seen.device.ever_anchored and entry.name is None and not entry.known:
        return Refused(
            "The device is verified now, and no CA that is trusted here vouches for the new certificate under this "
            "device's address or typed host name: it would be trusted less. Nothing was changed. Trust its CA: "
            "fleetseal ca import --trust-only FILE; or give up the verification first: fleetseal device trust DEVICE.",
            "not-verified",
        )
    offset = seen.facts.clock_offset or 0.0
    wrong = not entry.not_before <= now + timedelta(seconds=offset) <= entry.not_after
    if wrong and not wish.set_clock:
        return clock_is_off(offset)
    return _bind(seen, entry, policy, proved=proved, settings=settings, set_clock=wrong)


def plan_storing(seen: Observed, entry: Usable, *, there: bool, proved: bool) -> Plan:
    """This entry is to be in the device's store, and nothing more."""
    if there:
        return Unchanged(
            f"Already as wished: it is stored as {clean(entry.alias)}, valid until {entry.not_after:%Y-%m-%d}.",
            entry.alias,
        )
    return _bind(seen, entry, seen.https.policy, proved=proved)


def _bind(
    seen: Observed,
    entry: Usable,
    policy: ConnectionPolicy,
    *,
    proved: bool,
    settings: Settings | None = None,
    set_clock: bool = False,
) -> Bind:
    """`settings` None: the web server stays as it is, and needs no way back."""
    escape = settings is not None and settings.https_escape_route != "none"
    switch = Switch(
        previous=seen.https,
        policy=policy,
        open_http=seen.https.policy is ConnectionPolicy.HTTPS and escape,
        set_clock=set_clock,
        dead_before=seen.https.tls and seen.https.policy is not ConnectionPolicy.HTTP and seen.served is None,
    )
    return Bind(entry.alias, entry.der, proved, switch, entry.name, entry.above)
