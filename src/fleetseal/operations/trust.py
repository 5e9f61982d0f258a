"""How far a device is believed before any secret leaves.

By itself trust only tightens. It is lowered by a person alone: `trusting.accept`, and `https disable`.
"""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from fleetseal.core.config import Settings
from fleetseal.core.errors import IdentityMismatch, InvalidInput, TrustFailure
from fleetseal.core.model import (
    Anchored,
    Device,
    Factory,
    PeerTrust,
    Pinned,
    Plaintext,
    Served,
    TrustLevel,
)
from fleetseal.devices.driver import Sight
from fleetseal.operations import changes, issuing
from fleetseal.operations.changes import Change, Known
from fleetseal.operations.listing import Row
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.pki import chain
from fleetseal.pki.crl import Reason
from fleetseal.store import certificates, inventory
from fleetseal.store.database import Transaction

_LINEAGE_STATES: Final = ("issued", "installed", "superseded", "abandoned", "revoked")
"""Abandoned ones too, where they were signed: a device whose job could not be undone may go on serving its leaf.
Revoked ones too, so that the device can be given another certificate, but never with a key that counts as stolen."""


async def peer_trust(services: Services, tx: Transaction, device: Device, sight: Sight | None = None) -> PeerTrust:
    """How to believe this device now: what its row says, or something tighter that `sight` shows.

    Raises IdentityMismatch when its identity has changed and no person has decided yet; TrustFailure when only
    first contact would do and that is not allowed, or when it asks for more than first contact may give.
    """
    settings = await current(services, tx)
    if sight is None:
        own, serves_ours, proved = await anchored(tx, device), False, False
    else:
        known = await _known(services, tx, device, sight)
        own, serves_ours = known.own, known.anchored
        proved = changes.proves(device, sight, anchored=serves_ours)
        change = changes.judge(*changes.evidence(device, sight, known))
        if change is not None and change.contradicts:
            raise IdentityMismatch(change.reason)
    if device.identity_problem is not None and not proved:
        raise IdentityMismatch(device.identity_problem)
    host, now = device.endpoint.name, services.clock.now()
    if device.ever_anchored or serves_ours:
        return own
    if device.trust_level is TrustLevel.FACTORY or (sight is not None and sight.factory):
        return Factory()
    if device.trust_level is TrustLevel.PINNED and device.trust_pin is not None:
        return Pinned(device.trust_pin, accepted=True)
    if device.trust_level is TrustLevel.PLAINTEXT and device.plain_accepted:
        return Plaintext()
    unfit = misnamed(_shown(device, sight), host, own, at=now)
    if unfit is not None:
        raise TrustFailure(
            f"{unfit} No login was sent. If it is this device, dial it by that name: "
            "fleetseal device set DEVICE --address NAME; or accept its certificate: fleetseal device trust DEVICE."
        )
    return _first_contact(device, sight, settings)


def is_proof(trust: PeerTrust) -> bool:
    """Whether a device that was opened by this has proved its identity."""
    return isinstance(trust, Anchored | Factory) or (isinstance(trust, Pinned) and trust.accepted)


async def anchored(tx: Transaction, device: Device) -> Anchored:
    """What proves this device: the lineage of our own certificates for it, one of another issuer that was verified when
    it was put into service here, and our anchors."""
    stolen = await stolen_keys(tx)
    lineage = [
        record
        for record in await issuing.lineage(tx, device.id)
        if record.state in _LINEAGE_STATES
        and record.sha256 is not None
        and record.mac == device.serial
        and bytes.fromhex(record.spki_sha256) not in stolen
    ]
    adopted = device.trust_pin if device.trust_level is TrustLevel.ANCHORED else None
    ours = frozenset(bytes.fromhex(record.sha256) for record in lineage if record.sha256 is not None)
    return Anchored(
        anchors=await issuing.anchors(tx),
        intermediates=await issuing.intermediates(tx),
        leaves=ours if adopted is None else ours | {adopted},
        keys=frozenset(bytes.fromhex(record.spki_sha256) for record in lineage),
        adopted=adopted,
        stolen=stolen,
    )


async def stolen_keys(tx: Transaction) -> frozenset[bytes]:
    """SHA-256 of the keys whose certificates were revoked because somebody else may have them."""
    return frozenset(map(bytes.fromhex, await certificates.keys_revoked_for(tx, Reason.KEY_COMPROMISE)))


async def change_shown(services: Services, tx: Transaction, device: Device, sight: Sight) -> Change | None:
    """Why what was seen where the device is on record is not what was recorded; None when it is."""
    return changes.judge(*changes.evidence(device, sight, await _known(services, tx, device, sight)))


async def proves(services: Services, tx: Transaction, device: Device, sight: Sight, *, host: str) -> bool:
    """What was seen at `host` is this very device, by what its trust level demands; no login is needed for that."""
    holder = None if sight.served is None else await _holder(tx, sight.served)
    serves_ours = _serves(host, sight, await anchored(tx, device), holder, services.clock.now())
    return changes.proves(device, sight, anchored=serves_ours)


def vouched_name(device: Device, leaf: bytes, above: tuple[bytes, ...], own: Anchored, *, at: datetime) -> str | None:
    """The name of the device for which a stranger who has our anchors accepts `leaf`, with `above` at hand: its
    address, else the host name that a person typed. None: no CA known here vouches for it. Pure."""
    names = [device.address, *filter(None, [device.host_name if device.host_name_typed else None])]
    with_chain = (*above, *own.intermediates)
    return next((name for name in names if _chains(leaf, with_chain, own, name, at)), None)


def trust_served(device: Device, own: Anchored, leaf: bytes, *, name: str | None, proved: bool, sent: bool) -> Row:
    """The columns that say how a device is trusted that serves a certificate which this site did not issue, put into
    service at a person's word.

    `name`: that of `vouched_name` by which it was verified, or None; `proved`: the device had proved its identity
    before; `sent`: it sends the chain. A verified one is kept by itself where the chain alone would not prove it at
    the next contact. An unverified one never lowers what the device had reached.
    """
    pin = hashlib.sha256(leaf).digest()
    if in_lineage(leaf, own):
        return trust_columns(replace(own, adopted=pin if pin == own.adopted else None), None)
    if name is not None:
        by_chain = sent and name == device.address and not (own.leaves or own.keys)
        return trust_columns(replace(own, adopted=None if by_chain else pin), None)
    if device.ever_anchored:
        return {}
    return trust_columns(Pinned(pin, accepted=proved), None)


def misnamed(served: Served | None, host: str, own: Anchored, *, at: datetime) -> str | None:
    """That a certificate whose signatures lead to an anchor of ours names something else than `host`, for people, with
    the names it does hold; None otherwise. Such a device is never believed on first contact. Expiry plays no part.
    Pure."""
    if served is None or not own.anchors:
        return None
    try:
        leaf = chain.describe(served.leaf)
    except InvalidInput:  # unreadable, so not ours
        return None
    above = (*own.intermediates, *served.chain[1:])
    if host in map(str.lower, leaf.names):
        return None
    if not set(chain.path(served.leaf, (*own.anchors, *above))) & set(own.anchors):
        return None
    valid = min(max(at, leaf.not_before), leaf.not_after)
    if _chains(served.leaf, above, own, host, valid):  # by a wildcard
        return None
    held = ", ".join(leaf.names) or "no host or address"
    return f"Its certificate is of a certificate authority that is trusted here, but names {held}, not {host}."


def trust_columns(trust: PeerTrust, served: Served | None) -> dict[str, Any]:
    """The columns of the row after `trust`, as `peer_trust` chose it, was relied on."""
    if isinstance(trust, Anchored):
        return {
            "trust_level": TrustLevel.ANCHORED,
            "trust_pin": trust.adopted,
            "ever_anchored": True,
            "trust_problem": None,
        }
    if isinstance(trust, Factory):
        return {"trust_level": TrustLevel.FACTORY, "trust_pin": None, "trust_problem": None}
    if isinstance(trust, Plaintext):
        return {"trust_level": TrustLevel.PLAINTEXT, "trust_problem": None}
    if isinstance(trust, Pinned):
        level = TrustLevel.PINNED if trust.accepted else TrustLevel.FIRST_USE
        return {"trust_level": level, "trust_pin": trust.sha256, "trust_problem": None}
    pin = None if served is None else hashlib.sha256(served.leaf).digest()
    return {"trust_level": TrustLevel.FIRST_USE, "trust_pin": pin, "trust_problem": None}


# ---------------------------------------------------------------- what is on record


async def _known(services: Services, tx: Transaction, device: Device, sight: Sight) -> Known:
    now = services.clock.now()
    holder = None if sight.served is None else await _holder(tx, sight.served)
    own, other, other_contradicted = await anchored(tx, device), None, False
    if sight.serial is not None and device.serial not in (None, sight.serial):
        other = await inventory.by_serial(tx, sight.serial)
    if other is not None:
        others = _serves(device.address, sight, await anchored(tx, other), holder, now)
        other_contradicted = changes.contradicts(other, sight, anchored=others)
    return Known(
        own=own,
        anchored=_serves(device.address, sight, own, holder, now),
        now=now,
        other=other,
        other_contradicted=other_contradicted,
        holder=holder,
    )


async def _holder(tx: Transaction, served: Served) -> str | None:
    """The serial for which this leaf, or its key, is on our record."""
    try:
        leaf = chain.describe(served.leaf)
    except InvalidInput:
        return None
    serial = await certificates.serial_of_leaf(tx, leaf.sha256)
    owner = None if serial else await certificates.owner_of_key(tx, leaf.spki_sha256)
    return serial if owner is None else await inventory.serial_of_id(tx, owner)


def _serves(host: str, sight: Sight, own: Anchored, holder: str | None, at: datetime) -> bool:
    """It serves a certificate of ours for this device. One that is on record for another is none, whatever it names."""
    if sight.served is None or holder not in (None, sight.serial):
        return False
    return _is_anchored(host, sight.served, own, at)


# ---------------------------------------------------------------- choosing


def _first_contact(device: Device, sight: Sight | None, settings: Settings) -> PeerTrust:
    """By the certificate kept from first contact, else as this sight allows; digest only, never Basic."""
    if not settings.security_ignore_certificate_validation:
        raise TrustFailure(
            "It cannot be verified, and security.ignore-certificate-validation is off. No login was sent. "
            "Accept what it shows: fleetseal device trust DEVICE."
        )
    if device.trust_level is TrustLevel.FIRST_USE and device.trust_pin is not None:
        return Pinned(device.trust_pin, accepted=False)
    if sight is None:
        if device.trust_level is TrustLevel.PLAINTEXT:
            return Plaintext()
        raise TrustFailure("It was never contacted with success. Look at it again: fleetseal device refresh DEVICE.")
    if sight.served is not None and "digest" in sight.https_schemes:
        return Pinned(hashlib.sha256(sight.served.leaf).digest(), accepted=False)
    if sight.http and "digest" in sight.http_schemes:
        return Plaintext()
    raise TrustFailure(
        "It takes the password in clear text only (Basic), which is not sent before its certificate is verified. "
        "Accept its certificate: fleetseal device trust DEVICE; or allow digest login on the device."
    )


def foreseen(sight: Sight, host: str, own: Anchored, *, settings: Settings, at: datetime) -> TrustLevel:
    """How far a device that is not in the inventory would be believed if a person adopted it at `host`. Pure."""
    if sight.serial is None:
        return TrustLevel.NONE
    if sight.served is not None and _is_anchored(host, sight.served, own, at):
        return TrustLevel.ANCHORED
    if sight.factory:
        return TrustLevel.FACTORY
    if misnamed(sight.served, host, own, at=at) is not None:
        return TrustLevel.NONE
    if settings.security_ignore_certificate_validation:
        if sight.served is not None and "digest" in sight.https_schemes:
            return TrustLevel.FIRST_USE
        if sight.http and "digest" in sight.http_schemes:
            return TrustLevel.PLAINTEXT
    return TrustLevel.NONE


def may_lead_to_ours(device: Device) -> bool:
    """It was believed on first contact only, and what it served was signed by somebody: perhaps by a certificate
    authority that is trusted here since."""
    if device.trust_level not in (TrustLevel.FIRST_USE, TrustLevel.PLAINTEXT) or device.plain_accepted:
        return False
    return device.served_der is not None and not chain.issued_by(device.served_der, device.served_der)


def in_lineage(leaf: bytes, own: Anchored) -> bool:
    """Whether `own` holds this leaf or its key."""
    return hashlib.sha256(leaf).digest() in own.leaves or _key(leaf) in own.keys


def _key(leaf: bytes) -> bytes | None:
    """SHA-256 of the key; None for what cannot be read, which is not ours."""
    try:
        return bytes.fromhex(chain.describe(leaf).spki_sha256)
    except InvalidInput:
        return None


def _shown(device: Device, sight: Sight | None) -> Served | None:
    """What it shows, or showed when it was last looked at."""
    if sight is not None:
        return sight.served
    return None if device.served_der is None else Served(device.served_der, (device.served_der,), "", "")


def _is_anchored(host: str, served: Served, own: Anchored, at: datetime) -> bool:
    if in_lineage(served.leaf, own):
        return True
    if own.leaves or own.keys:
        return False
    return _chains(served.leaf, (*served.chain[1:], *own.intermediates), own, host, at)


def _chains(leaf: bytes, above: tuple[bytes, ...], own: Anchored, name: str, at: datetime) -> bool:
    if not own.anchors or _key(leaf) in own.stolen:
        return False
    try:
        chain.verify_server(leaf, above, anchors=own.anchors, name=name.partition("%")[0], at=at)
    except (TrustFailure, InvalidInput):  # not ours, or an address that no certificate can name
        return False
    return True
