"""What to do without a CA: a pure function of what was seen and what is wished."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fleetseal.core.config import Settings
from fleetseal.core.model import Alias, ConnectionPolicy, EnableWish
from fleetseal.core.text import clean
from fleetseal.operations.plan import Bind, Observed, Plan, Skipped, Switch, Unchanged, clock_is_off, wished_policy


@dataclass(frozen=True)
class Usable:
    """An entry with a key, neither the maker's nor the device's own default, that is valid now."""

    alias: Alias
    der: bytes
    not_before: datetime
    not_after: datetime


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
    if seen.facts.generation is None:
        return Skipped("This product has no certificate interface: nothing was changed.")
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
    entry, policy = usable[0], wished_policy(wish.policy, seen.https.policy)
    if seen.served is not None and seen.served.der == entry.der and seen.https.policy is policy:
        return Unchanged(f"Already as wished: it serves {clean(entry.alias)}, valid until {entry.not_after:%Y-%m-%d}.")
    offset = seen.facts.clock_offset or 0.0
    wrong = not entry.not_before <= now + timedelta(seconds=offset) <= entry.not_after
    if wrong and not wish.set_clock:
        return clock_is_off(offset)
    switch = Switch(
        previous=seen.https,
        policy=policy,
        open_http=seen.https.policy is ConnectionPolicy.HTTPS and settings.https_escape_route != "none",
        set_clock=wrong,
        dead_before=seen.https.tls and seen.https.policy is not ConnectionPolicy.HTTP and seen.served is None,
    )
    return Bind(entry.alias, entry.der, proved, switch)
