"""What the night renews: pure decisions.

A certificate is due at the instant that was computed when it was issued (REN-IN-TIME, `pki.profile.renew_at`), or
when the audit marked it. What failed before is tried again by its class; what a person must mend waits for one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date  # a field has its name
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from fleetseal.core.config import Settings
from fleetseal.core.errors import (
    AuthenticationFailed,
    Busy,
    CredentialsNeeded,
    IdentityMismatch,
    Locked,
    NotFound,
    OutcomeUnknown,
    SetupNeeded,
    StoreError,
    TlsTooOld,
    TrustFailure,
    Unreachable,
)
from fleetseal.core.model import AuthorityId, DeviceId
from fleetseal.operations.naming import Names, misfit
from fleetseal.operations.states import warning_begins
from fleetseal.pki import profile
from fleetseal.store.certificates import IssuanceRecord, RenewalCause
from fleetseal.store.renewals import Candidate, Failure

SHARE: Final = 0.2
"""From this part of the fleet on, being due by date needs the devices' clocks, or a person (REN-CLOCK-SANE)."""

LONGEST_PAUSE: Final = 8
"""Nights between two tries on a device that says no."""

FREE_TO_REPEAT: Final = frozenset(
    kind.code
    for kind in (
        *(Unreachable, Busy, OutcomeUnknown, StoreError),  # transient
        *(Locked, NotFound, TlsTooOld, SetupNeeded, IdentityMismatch, TrustFailure),
        *(AuthenticationFailed, CredentialsNeeded),  # a refused login is not sent again, whoever asks
    )
) | {"clock-is-wrong", "no-way-back", "no-host-name", "foreign-certificate", "https-off"}
"""Failures that end before anything is written: each night looks again. Others left a trace on the device, and wait
1, 2, 4, then 8 nights (JOB-RETRY-CLASS)."""


@dataclass(frozen=True)
class Skip:
    """The night leaves this device alone. `needs_person`: that is an alarm; `waits`: an earlier alarm stays."""

    candidate: Candidate
    reason: str
    needs_person: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Night:
    """What tonight's decisions need, besides the device."""

    date: Date
    issued: Collection[DeviceId]  # a renewal had something signed for them tonight already
    failures: Mapping[DeviceId, Sequence[Failure]]
    night_of: Mapping[datetime, Date]  # of each failure
    harmed: Collection[tuple[str, str]] = ()  # models and firmware of which a renewal left a device worse than before


def decide(candidate: Candidate, night: Night) -> Skip | None:
    """Why this device is not renewed tonight; None: it is."""
    if candidate.busy is not None:
        return Skip(candidate, f"Busy in {candidate.busy}.", waits=True)
    if candidate.https_off:
        return Skip(candidate, "HTTPS is off on it: it was switched off, and renewal does not switch it on.")
    if not candidate.supported:
        return Skip(candidate, candidate.support_reason, needs_person=True)
    if candidate.identity_problem is not None:
        return Skip(candidate, candidate.identity_problem, needs_person=True)
    if candidate.username is None:
        return Skip(
            candidate,
            "No login is stored for it. Give one: fleetseal device set DEVICE --username USER.",
            needs_person=True,
        )
    if candidate.login_refused:
        reason = (
            "It refused the stored login, which is not sent again until it is changed: fleetseal device set DEVICE."
        )
        return Skip(candidate, reason, needs_person=True)
    if candidate.id in night.issued:
        return Skip(
            candidate, "A certificate was signed for it tonight already; the next one is tomorrow's.", waits=True
        )
    if candidate.cohort in night.harmed and not any(one.harmed for one in night.failures.get(candidate.id, ())):
        reason = (
            f"A renewal left another device with {' '.join(candidate.cohort)} worse than before, so this one is not "
            "touched until a person has mended that one, or renews this one: fleetseal https enable DEVICE --renew."
        )
        return Skip(candidate, reason, needs_person=True)
    return _after_failures(candidate, night.failures.get(candidate.id, ()), night)


def _after_failures(candidate: Candidate, failures: Sequence[Failure], night: Night) -> Skip | None:
    if not failures:
        return None
    last = failures[-1]
    if any(failure.harmed for failure in failures):
        reason = f"A renewal left it worse than before, so nothing is tried without a person: {last.description}"
        return Skip(candidate, reason, needs_person=True)
    refusals = 0
    for failure in reversed(failures):
        if failure.error_code in FREE_TO_REPEAT:
            break
        refusals += 1
    if refusals == 0:
        return None
    pause = min(2 ** (refusals - 1), LONGEST_PAUSE)
    left = pause - (night.date - night.night_of[last.at]).days
    if left <= 0:
        return None
    when = "tomorrow night" if left == 1 else f"in {left} nights"
    return Skip(
        candidate, f"Its last renewal failed, and it is tried again {when}: {last.description}", needs_person=True
    )


# ---------------------------------------------------------------- marks


def mark(
    record: IssuanceRecord,
    *,
    weak: bool,
    names: Names | None,
    authority: AuthorityId | None,
    settings: Settings,
    now: datetime,
) -> RenewalCause | None:
    """Why this installed certificate is to be replaced whatever its `renew_at` says; None: it is not.

    `names`: what it would hold if it were issued now, None if that is not known; `authority`: the CA that signs now.
    """
    if weak:
        return RenewalCause.KEY
    if authority is not None and record.authority_id != authority:
        return RenewalCause.ISSUER
    if names is not None and misfit(record.names, names) is not None:
        return RenewalCause.NAMES
    if record.superseded is not None:
        return RenewalCause.SUPERSEDED
    warning = warning_begins(
        record.not_before,
        record.not_after,
        warning_days=settings.certificate_warning_days,
        backdated=profile.BACKDATING,
    )
    return RenewalCause.WARNING if now >= warning else None


# ---------------------------------------------------------------- the clock


def needs_clocks(due: int, fleet: int) -> bool:
    """So many are due by date that this computer's clock is in doubt."""
    return due > 0 and due >= SHARE * fleet


def clocks_agree(offsets: Sequence[timedelta]) -> bool:
    """The devices' clocks, by their median, would find a certificate signed now valid; False when none was read."""
    seconds = [offset.total_seconds() for offset in offsets]
    return bool(seconds) and abs(median(seconds)) < profile.BACKDATING.total_seconds()
