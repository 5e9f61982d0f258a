"""Why a device is not what is on record: a table from what was seen to a verdict, for people. Pure.

A verdict is an explanation, never a proof: nothing is sent to a device because of one. What the recorded trust level
demands is decided by `contradicts` and `proves`; the first rule of `_RULES` that holds then gives the words.
See docs/procedures/device-changed.md.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Final

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Anchored, Device, TrustLevel
from fleetseal.devices.driver import Sight
from fleetseal.pki import chain

_CLOCK_KEPT: Final = timedelta(minutes=5)
_CLOCK_LOST: Final = timedelta(days=1)


class Verdict(StrEnum):
    RENEWED = "renewed by another manager"
    RESET = "factory reset"
    UPDATED = "firmware update"
    REPLACED = "device replaced"
    TAKEN = "address now another device's"
    IMPOSTOR = "possibly an impostor"
    MOVED = "address changed"


class SerialShown(StrEnum):
    SAME = auto()  # or none is on record yet
    UNTOLD = auto()  # it answers as a product that tells none
    KNOWN = auto()  # that of another device of the inventory, whose record is not contradicted
    CLAIMED = auto()  # that of another device of the inventory, whose record is contradicted
    STRANGE = auto()  # on no record


class LeafShown(StrEnum):
    NONE = auto()
    RECORDED = auto()
    RECORDED_KEY = auto()  # another certificate for the key on record
    ANOTHERS = auto()  # the leaf or its key is on record for another serial than the one shown
    STOLEN = auto()  # its key was revoked as compromised
    FACTORY = auto()  # the maker vouches for the serial shown
    SELF_SIGNED = auto()
    FOREIGN = auto()  # by another issuer, or by a CA of ours and on no record
    UNREADABLE = auto()


@dataclass(frozen=True)
class Evidence:
    """What was seen, against what is on record."""

    contradicts: bool  # the record: a person has to decide
    serial: SerialShown = SerialShown.SAME
    leaf: LeafShown = LeafShown.RECORDED
    leaf_differs: bool = False  # from the one on record, which there is
    reset: bool = False  # in factory state, and somebody had logged in before
    other_model: bool = False
    other_firmware: bool = False
    clock_lost: bool = False  # right before, and more than a day off now


@dataclass(frozen=True)
class Words:
    """What the sentences name. Text from devices is cleaned."""

    own: str  # the device of the record
    address: str
    shown: str = ""  # serial
    other_address: str = ""  # of the device of the inventory that has this serial
    holder: str = ""  # for whom the shown certificate or key is on record
    model: str = ""
    before: str = ""  # firmware
    after: str = ""
    subject: str = ""
    issuer: str = ""


@dataclass(frozen=True)
class Change:
    """`contradicts`: the identity differs from the record, and nothing more is sent until a person decides."""

    verdict: Verdict
    reason: str
    contradicts: bool


@dataclass(frozen=True)
class _Rule:
    holds: Callable[[Evidence], bool]
    verdict: Verdict
    happened: str  # a template over Words


_SAME_SERIAL: Final = (SerialShown.SAME,)
_BORROWED: Final = (LeafShown.RECORDED, LeafShown.RECORDED_KEY, LeafShown.ANOTHERS)

_RULES: Final = (
    _Rule(
        lambda e: e.serial not in _SAME_SERIAL and e.leaf in _BORROWED,
        Verdict.IMPOSTOR,
        "What answers at {address} says that it is {shown}, with a certificate or key that is on record for {holder}. "
        "A key belongs to one device.",
    ),
    _Rule(
        lambda e: e.serial is SerialShown.CLAIMED,
        Verdict.IMPOSTOR,
        "What answers at {address} says that it is {shown}, which is on record at {other_address}, but it does not "
        "prove that.",
    ),
    _Rule(
        lambda e: e.serial is SerialShown.KNOWN,
        Verdict.TAKEN,
        "{shown} answers at {address}, where {own} is on record. {shown} itself is on record at {other_address}.",
    ),
    _Rule(
        lambda e: e.serial is SerialShown.UNTOLD,
        Verdict.TAKEN,
        "Another product, which tells no serial number, answers at {address}, where {own} is on record.",
    ),
    _Rule(
        lambda e: e.serial is SerialShown.STRANGE and e.other_model,
        Verdict.TAKEN,
        "{shown}, of model {model} and not in the inventory, answers at {address}, where {own} is on record.",
    ),
    _Rule(
        lambda e: e.serial is SerialShown.STRANGE,
        Verdict.REPLACED,
        "Another unit, {shown}, answers at {address}, where {own} is on record.",
    ),
    _Rule(
        lambda e: e.leaf is LeafShown.ANOTHERS,
        Verdict.IMPOSTOR,
        "It says that it is {own}, and shows a certificate or key that is on record for {holder}.",
    ),
    _Rule(
        lambda e: e.leaf is LeafShown.STOLEN,
        Verdict.IMPOSTOR,
        "It shows a certificate whose key was revoked as compromised: whoever has the key can pose as {own}.",
    ),
    _Rule(
        lambda e: e.reset,
        Verdict.RESET,
        "It is in factory state, which it was not before.",
    ),
    _Rule(
        lambda e: e.leaf is LeafShown.FACTORY and e.leaf_differs and not e.other_firmware,
        Verdict.RESET,
        "In place of the certificate on record it shows its factory certificate, which its maker signed for {own}: it "
        "was reset, or somebody set its web server back.",
    ),
    _Rule(
        lambda e: e.leaf is LeafShown.UNREADABLE,
        Verdict.IMPOSTOR,
        "It says that it is {own}, and shows a certificate that cannot be read.",
    ),
    _Rule(
        lambda e: e.leaf is LeafShown.RECORDED_KEY and e.leaf_differs,
        Verdict.RENEWED,
        "It shows another certificate for the key on record, issued by {issuer}.",
    ),
    _Rule(
        lambda e: e.leaf is LeafShown.FOREIGN and e.leaf_differs,
        Verdict.RENEWED,
        "It shows a certificate that was not issued to it here ({subject}), issued by {issuer}.",
    ),
    _Rule(  # that an update may make the device's own certificate anew is inferred
        lambda e: e.other_firmware,
        Verdict.UPDATED,
        "Its firmware was {before} and is {after}.",
    ),
    _Rule(  # that a reset loses the clock is inferred
        lambda e: e.leaf is LeafShown.SELF_SIGNED and e.leaf_differs and e.clock_lost,
        Verdict.RESET,
        "It made itself a new certificate and lost its clock: it was reset, and somebody set it up again.",
    ),
    _Rule(
        lambda e: e.leaf_differs or e.contradicts,
        Verdict.IMPOSTOR,
        "It says that it is {own}, and shows a certificate that was not issued to it here ({subject}), with another "
        "key than the one on record.",
    ),
)

_ACCEPT: Final = "accept what it shows now: fleetseal device trust DEVICE"
_TO_DECIDE: Final = {
    Verdict.RENEWED: f"If somebody did that on purpose, {_ACCEPT}; to have a certificate of ours there again, "
    "fleetseal https enable DEVICE. Anyone can make such a certificate: if nobody did, see to the device.",
    Verdict.RESET: f"If somebody did that on purpose, {_ACCEPT} (--plain-http where it shows no certificate); in "
    "factory state, then set it up: fleetseal device setup DEVICE. If nobody did, see to the device.",
    Verdict.UPDATED: f"If somebody updated it on purpose, {_ACCEPT}. If nobody did, see to the device.",
    Verdict.REPLACED: f"If the unit was exchanged, {_ACCEPT}. If the device is elsewhere, say where: fleetseal device "
    "set DEVICE --address ADDRESS.",
    Verdict.TAKEN: "If the device is elsewhere, fleetseal discover finds it, and one that proves itself is followed; "
    "or say where it is: fleetseal device set DEVICE --address ADDRESS. If it is gone: fleetseal device remove DEVICE.",
    Verdict.IMPOSTOR: f"See to the device before anything else. Only if somebody changed it on purpose, {_ACCEPT}.",
}
_TO_KNOW: Final = {
    Verdict.RENEWED: "To have a certificate of ours there again: fleetseal https enable DEVICE --renew.",
    Verdict.RESET: "In factory state, set it up: fleetseal device setup DEVICE. If nobody reset it, see to the device.",
    Verdict.UPDATED: "Its identity is as on record: nothing needs to be done.",
    Verdict.IMPOSTOR: "It is trusted by less than its certificate, as before. See to the device, or secure it: "
    "fleetseal https enable DEVICE.",
}


def judge(evidence: Evidence, words: Words) -> Change | None:
    """Why it differs, by the first rule that holds; None when nothing does.

    The reason says what happened, what was sent, and what to do. A contradiction always has a verdict.
    """
    rule = next((rule for rule in _RULES if rule.holds(evidence)), None)
    if rule is None:
        return None
    happened = rule.happened.format(**vars(words))
    if evidence.contradicts:
        reason = f"{happened} Nothing was sent. {_TO_DECIDE[rule.verdict]}"
    else:
        reason = f"{happened} {_TO_KNOW[rule.verdict]}"
    return Change(rule.verdict, reason, evidence.contradicts)


def moved(before: str, after: str) -> Change:
    """The address was followed, because the identity was proved there."""
    return Change(
        Verdict.MOVED,
        f"It was at {before} and is at {after}, where it proved its identity. If its certificate names the old "
        "address, issue it anew: fleetseal https enable DEVICE.",
        contradicts=False,
    )


def stored(change: Change, since: str) -> dict[str, str]:
    """As the column `last_change` has it."""
    return {"verdict": change.verdict.value, "reason": change.reason, "since": since}


def stays(device: Device, sight: Sight) -> bool:
    """Whether the recorded change still holds after a look that found none: until `device trust` or `https enable`,
    unless the recorded thing was seen again."""
    if device.last_change is None or device.identity_problem is not None:
        return False
    match device.last_change["verdict"]:
        case Verdict.RESET:
            return bool(sight.needs_setup) or not device.needs_setup
        case Verdict.RENEWED:
            return not device.ever_anchored
        case _:
            return True


# ---------------------------------------------------------------- what the record demands


def contradicts(device: Device, sight: Sight, *, anchored: bool) -> bool:
    """What was seen is not the recorded device, by what its trust level demands. `anchored`: it serves a certificate
    of ours for this very device.

    A device that such a certificate, or its maker, vouches for is not contradicted by an older pin.
    """
    if device.serial is not None and sight.serial != device.serial:
        return sight.serial is not None or sight.unsupported_reason is not None
    if device.ever_anchored:
        return bool(sight.needs_setup) or (sight.served is not None and not anchored)
    if sight.served is None or sight.factory or anchored:
        return False
    if device.trust_level is TrustLevel.FACTORY:
        return True
    return _pin(device) not in (None, hashlib.sha256(sight.served.leaf).digest())


def proves(device: Device, sight: Sight, *, anchored: bool) -> bool:
    """What was seen, without a login, is the recorded device by what its trust level demands: a certificate of ours
    for it, the factory certificate of its serial, or the pin. Plain HTTP proves nothing.
    """
    if device.serial is None or sight.serial != device.serial or sight.served is None:
        return False
    if device.ever_anchored:
        return anchored and not sight.needs_setup
    if device.trust_level is TrustLevel.FACTORY:
        return sight.factory
    return _pin(device) == hashlib.sha256(sight.served.leaf).digest()


def _pin(device: Device) -> bytes | None:
    kept = device.trust_level in (TrustLevel.PINNED, TrustLevel.FIRST_USE)
    return device.trust_pin if kept else None


# ---------------------------------------------------------------- what was seen


@dataclass(frozen=True)
class Known:
    """What is on record about what was seen."""

    own: Anchored  # our certificates for the device meant
    anchored: bool  # what was seen serves one of them
    now: datetime
    other: Device | None = None  # has the serial that was shown, and is not the device meant
    other_contradicted: bool = False
    holder: str | None = None  # the serial for which the shown leaf or key is on record


def evidence(device: Device, sight: Sight, known: Known) -> tuple[Evidence, Words]:
    """What was seen where `device` is on record, against what is known."""
    facts = sight.facts
    shown = None if sight.served is None else _described(sight.served.leaf)
    leaf = _leaf(device, sight, shown, known)
    seen = Evidence(
        contradicts=leaf is LeafShown.ANOTHERS or contradicts(device, sight, anchored=known.anchored),
        serial=_serial(device, sight, known),
        leaf=leaf,
        leaf_differs=leaf not in (LeafShown.NONE, LeafShown.RECORDED) and _has_leaf(device, known.own),
        reset=bool(sight.needs_setup) and _was_set_up(device),
        other_model=facts is not None and bool(device.model) and facts.model != device.model,
        other_firmware=facts is not None and bool(device.firmware) and facts.firmware != device.firmware,
        clock_lost=_clock_lost(device, sight, known.now),
    )
    return seen, Words(
        own=device.label,
        address=device.address,
        shown=sight.serial or "",
        other_address=known.other.address if known.other else "",
        holder=known.holder or device.label,
        model=facts.model if facts else "",
        before=device.firmware,
        after=facts.firmware if facts else "",
        subject=shown.subject or "no subject" if shown else "unreadable",
        issuer=shown.issuer if shown else "",
    )


def _serial(device: Device, sight: Sight, known: Known) -> SerialShown:
    if device.serial is None or sight.serial == device.serial:
        return SerialShown.SAME
    if sight.serial is None:
        return SerialShown.SAME if sight.unsupported_reason is None else SerialShown.UNTOLD
    if known.other is None:
        return SerialShown.STRANGE
    return SerialShown.CLAIMED if known.other_contradicted else SerialShown.KNOWN


def _leaf(device: Device, sight: Sight, shown: chain.Description | None, known: Known) -> LeafShown:
    if sight.served is None:
        return LeafShown.NONE
    if shown is None:
        return LeafShown.UNREADABLE
    if known.holder is not None and known.holder != (sight.serial or device.serial):
        return LeafShown.ANOTHERS
    leaf, key = bytes.fromhex(shown.sha256), bytes.fromhex(shown.spki_sha256)
    if leaf in known.own.leaves or leaf == _pin(device):
        return LeafShown.RECORDED
    if key in known.own.stolen:
        return LeafShown.STOLEN
    if sight.factory and sight.serial == device.serial and device.trust_level is TrustLevel.FACTORY:
        return LeafShown.RECORDED
    served = None if device.ever_anchored or device.served_der is None else _described(device.served_der)
    if served is not None and served.sha256 == shown.sha256:
        return LeafShown.RECORDED
    if key in known.own.keys or (served is not None and served.spki_sha256 == shown.spki_sha256):
        return LeafShown.RECORDED_KEY
    if sight.factory:
        return LeafShown.FACTORY
    return LeafShown.SELF_SIGNED if shown.self_signed else LeafShown.FOREIGN


def _has_leaf(device: Device, own: Anchored) -> bool:
    """There is a certificate on record, with which another one is compared."""
    if device.ever_anchored:
        return bool(own.leaves or own.keys)
    return device.served_der is not None or device.trust_level is TrustLevel.FACTORY


def _was_set_up(device: Device) -> bool:
    """A login worked there once, and it was not known to be reset."""
    return device.ever_anchored or (device.generation is not None and not device.needs_setup)


def _clock_lost(device: Device, sight: Sight, now: datetime) -> bool:
    if device.clock_offset is None or sight.date is None:
        return False
    return abs(device.clock_offset) <= _CLOCK_KEPT.total_seconds() and abs(sight.date - now) > _CLOCK_LOST


def _described(der: bytes) -> chain.Description | None:
    try:
        return chain.describe(der)
    except InvalidInput:
        return None
