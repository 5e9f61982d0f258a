"""Which device is a certificate for? By what it names: a MAC address, else host names, else addresses. Pure."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Device, DeviceId, Serial, mac_of, serial_of
from fleetseal.devices.axis.catalogue import MAKERS
from fleetseal.pki import bundles, chain
from fleetseal.pki.bundles import Bundle, Unused
from fleetseal.store.inventory import canonical_host


@dataclass(frozen=True)
class Matched:
    bundle: Bundle
    device: Device


@dataclass(frozen=True)
class Known:
    """Keys that may not be used: `owners` has the device on which each was first seen, `ours` are those of our CAs,
    `stolen` those whose certificates were revoked for that; by SHA-256 of SubjectPublicKeyInfo. `ended` are
    certificates that a CRL of ours tells of, by SHA-256."""

    owners: Mapping[str, DeviceId]
    ours: frozenset[str]
    stolen: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()


def match(
    found: Sequence[Bundle],
    devices: Sequence[Device],
    known: Known,
    *,
    named: Device | None,
    now: datetime,
    for_https: bool,
) -> tuple[tuple[Matched, ...], tuple[Unused, ...]]:
    """Each certificate with the one device that it is for, or with `named`, which a person gave; and those that cannot
    be used, with the reasons."""
    spkis = Counter(chain.describe(bundle.leaf).spki_sha256 for bundle in found)
    matched: list[Matched] = []
    unused: list[Unused] = []
    for bundle in found:
        try:
            bundles.require_fit(bundle.leaf, now=now, for_https=for_https)
            described = chain.describe(bundle.leaf)
            spki = described.spki_sha256
            if described.sha256 in known.ended:
                raise InvalidInput(
                    "It was issued here, and revoked or superseded since: clients are told not to take it."
                )
            if spkis[spki] > 1:
                raise InvalidInput("Another of the files has the same key: each device has its own.")
            device = named or meant(bundle.leaf, devices)
            _require_own_key(spki, device, known)
            matched.append(Matched(bundle, device))
        except InvalidInput as error:
            unused.append(Unused(bundle.file, error.message))
    wanted = Counter(one.device.id for one in matched)
    twice = [one for one in matched if wanted[one.device.id] > 1]
    unused += [
        Unused(one.bundle.file, f"Another of the files is for {one.device.label}, too: give one.") for one in twice
    ]
    return tuple(one for one in matched if wanted[one.device.id] == 1), tuple(unused)


def meant(leaf: bytes, devices: Sequence[Device]) -> Device:
    """The one device that the certificate names. A host name counts if a person typed it or if it is
    `axis-<own serial>`: what a device says of itself would draw keys to it. Raises InvalidInput when there is none, or
    more than one."""
    described = chain.describe(leaf)
    words = [word for word in (described.common_name, described.subject_serial, *described.names) if word]
    found = _by_serial(words, devices) or _by_host(words, devices)
    if not found:
        raise InvalidInput(
            "No device of the inventory has a MAC address, a typed host name or an address that the certificate names "
            f"({', '.join(words) or 'none'}). Name the device: --device."
        )
    if len(found) > 1:
        shown = ", ".join(f"{device.label} at {device.address}" for device in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise InvalidInput(f"It names {len(found)} devices: {shown}{more}. Name the device: --device.")
    return found[0]


def _by_serial(words: Iterable[str], devices: Sequence[Device]) -> list[Device]:
    serials = {serial for word in words if (serial := _serial_in(word)) is not None}
    found = [device for device in devices if device.serial in serials]
    strange = sorted(serial for serial in serials if serial.startswith(MAKERS))
    if strange and not found:
        raise InvalidInput(
            f"It names {mac_of(Serial(strange[0]))}, which is not in the inventory. Name the device: --device."
        )
    return found


def _serial_in(word: str) -> Serial | None:
    """Of a MAC address, or of a host name whose first label is one, as in `axis-b8a44f631339.plant.example`."""
    return serial_of(word) or serial_of(word.lower().partition(".")[0].removeprefix("axis-"))


def _by_host(words: Iterable[str], devices: Sequence[Device]) -> list[Device]:
    hosts = {canonical_host(word) for word in words}
    names = {host for host in hosts if not _is_address(host)}
    by_name = [
        device
        for device in devices
        if (device.host_name_typed and device.host_name in names) or device.address in names
    ]
    return by_name or [device for device in devices if device.address in hosts]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _require_own_key(spki_sha256: str, device: Device, known: Known) -> None:
    if spki_sha256 in known.ours:
        raise InvalidInput("Its key is that of a CA here: no device may have it.")
    if spki_sha256 in known.stolen:
        raise InvalidInput("A certificate with its key was revoked as compromised: somebody else may have the key.")
    if known.owners.get(spki_sha256, device.id) != device.id:
        raise InvalidInput("Its key is known from another device: each device has its own.")
