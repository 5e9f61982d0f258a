"""What the next night would renew, as things stand now, and what stands against it: read only, no device is asked.

The night itself looks again: its audit may find more, and it compares the clocks of devices where many are due.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fleetseal.core.config import Settings
from fleetseal.core.text import timestamp
from fleetseal.operations import issuing, renewal, windows
from fleetseal.operations.renewal import Night
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.store import authorities, renewals
from fleetseal.store.certificates import RenewalCause
from fleetseal.store.database import Transaction
from fleetseal.store.renewals import Candidate

Row = dict[str, Any]

MOST: Final = 1000
"""Devices in one answer."""

_CAUSES: Final = {
    RenewalCause.KEY: "Its key is weak, or was seen on another device.",
    RenewalCause.ISSUER: "Another CA signs now.",
    RenewalCause.NAMES: "Its names no longer fit the address or host name of the device.",
    RenewalCause.WARNING: "It warns already: the warning was set to begin earlier after it was issued.",
    RenewalCause.REVOKED: "It was revoked, and the device serves it.",
    RenewalCause.SUPERSEDED: "Another had taken its place, which a CRL tells, and the device serves it again.",
}


@dataclass(frozen=True)
class Obstacle:
    """Why nothing at all is renewed tonight."""

    reason: str
    locked: bool = False
    clock: bool = False  # it is in doubt
    behind: bool = False  # the CA has signed later: that has its alarm, night or day


async def plan(services: Services) -> Row:
    """The next window: `{"window","begins","ends","obstacle","compares_clocks","renewed","skipped","devices"}`.

    `obstacle`: why nothing would be renewed, or null. `devices`, `MOST` at most, those that are not renewed first:
    `{"mac","address","not_after","cause","reason","renewed","needs_person"}`; `reason` says why it is renewed, or why
    not. `renewed` and `skipped` count all.
    """
    async with services.database.reading() as tx:
        settings = await current(services, tx)
        window = windows.following(services.clock.now(), settings.renewal_window, services.zone)
        at = window.begins
        obstacle = await on_record(services, settings, tx, now=services.clock.now())
        candidates = [one._replace(busy=None) for one in await renewals.due(tx, at)]  # the tasks of today have ended
        night = await decisions(services, settings, tx, candidates, at)
        reasons = await renewals.reasons(tx, at)
        by_date, fleet = await renewals.due_by_date(tx, at), await renewals.fleet_size(tx)
    rows = [_row(one, reasons[one.id], night, obstacle) for one in candidates]
    renewed = sum(row["renewed"] for row in rows)
    return {
        "window": window.name,
        "begins": timestamp(window.begins),
        "ends": timestamp(window.ends),
        "obstacle": None if obstacle is None else obstacle.reason,
        "compares_clocks": obstacle is None and renewal.needs_clocks(by_date, fleet),
        "renewed": renewed,
        "skipped": len(rows) - renewed,
        "devices": sorted(rows, key=lambda row: bool(row["renewed"]))[:MOST],
    }


async def on_record(services: Services, settings: Settings, tx: Transaction, *, now: datetime) -> Obstacle | None:
    """Why nothing is renewed, as far as that is known without asking a device."""
    if not settings.renewal_automatic:
        return Obstacle("renewal.automatic is off.")
    signing = await authorities.find_signing(tx)
    if signing is None:
        return Obstacle("There is no CA here that could sign.")
    if not services.vault.is_open(issuing.key_file(signing)):
        return Obstacle("Waits: the CA key is locked.", locked=True)
    return await clock_behind(tx, now=now)


async def clock_behind(tx: Transaction, *, now: datetime) -> Obstacle | None:
    """The CA has signed later than the clock of this computer says (REN-CLOCK-SANE)."""
    signing = await authorities.find_signing(tx)
    if signing is None or now >= (signing.last_signed or signing.created):
        return None
    reason = f"The clock of this computer says {now:%Y-%m-%d %H:%M} UTC, and the CA has signed later than that."
    return Obstacle(f"{reason} Nothing is renewed until the clock is right.", clock=True, behind=True)


async def decisions(
    services: Services, settings: Settings, tx: Transaction, candidates: list[Candidate], now: datetime
) -> Night:
    """What is known for the decisions of the night that `now` is counted to."""

    def night_of(moment: datetime) -> Any:
        return windows.night_of(moment, settings.renewal_window, services.zone)

    failures = await renewals.failures(tx, now)
    began = windows.latest(now, settings.renewal_window, services.zone).begins
    times = {failure.at for found in failures.values() for failure in found}
    return Night(
        date=night_of(now),
        issued=await renewals.issued_since(tx, began),
        failures=failures,
        night_of={at: night_of(at) for at in times},
        harmed={one.cohort for one in candidates if any(failure.harmed for failure in failures.get(one.id, ()))},
    )


def _row(one: Candidate, why: renewals.Reason, night: Night, obstacle: Obstacle | None) -> Row:
    skip = renewal.decide(one, night)
    against = skip.reason if skip is not None else None if obstacle is None else obstacle.reason
    cause = None if why.reissue is None else RenewalCause(why.reissue)
    because = f"It is valid until {why.not_after:%Y-%m-%d}." if cause is None else _CAUSES[cause]
    return {
        "mac": one.mac,
        "address": one.address,
        "not_after": timestamp(why.not_after),
        "cause": "date" if cause is None else cause.value,
        "reason": because if against is None else against,
        "renewed": against is None,
        "needs_person": skip is not None and skip.needs_person,
    }
