"""Which names a device's certificate gets (ISS-NAMES-FROM-INVENTORY; design: trust in a device). Pure.

A host name told by a device or a network is a hint. It becomes a certificate name only if a person typed or
imported it; or it is `axis-<own serial>`, alone or under a domain of ours; or it lies under such a domain and our
resolver maps it to the device's address. A hint that another device has as well is none.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Device
from fleetseal.pki import names as naming


@dataclass(frozen=True)
class Names:
    """`common_name` is the first of `names`; every one of them goes into the subjectAltName."""

    common_name: str
    names: tuple[str, ...]


def certificate_names(
    device: Device, *, common_name: str, domains: Sequence[str], resolved: Sequence[str] = (), shared: bool = False
) -> Names | None:
    """The names by the setting `certificate.common-name` (`address` or `hostname`).

    `resolved`: what our resolver says of a told name; its first is certified where that name is dialled. `shared`:
    another device has that name too. None: `hostname` is wanted, or the address is link-local, and no host name is
    known; the address never takes its place silently.
    """
    address = _address_of(device, resolved)
    host_name = _host_name_of(device, domains=domains, resolved=resolved, shared=shared)
    typed_alone = host_name is not None and address is None
    order = (host_name, address) if common_name == "hostname" or typed_alone else (address, host_name)
    if order[0] is None:
        return None
    return Names(order[0], tuple(name for name in order if name is not None))


def misfit(held: tuple[str, ...], wanted: Names | None) -> str | None:
    """Why a certificate with the names `held` no longer fits, for people; None when it does. `wanted` is what
    `certificate_names` says now."""
    if wanted is None:
        return "A host name is wanted, or its address is link-local, and no host name is known that may be certified."
    there, here = _comparable(held), _comparable(wanted.names)
    if there == here:
        return None
    missing, surplus = (", ".join(sorted(names)) for names in (here - there, there - here))
    parts = [f"does not name {missing}"] if missing else []
    parts += [f"names {surplus}, which no longer holds"] if surplus else []
    return f"Its certificate {', and '.join(parts)}."


def finding(device: Device, held: tuple[str, ...], *, common_name: str, domains: tuple[str, ...]) -> str | None:
    """As `misfit`, without asking the resolver: a told host name that only the resolver or another device could
    allow or forbid is neither missed nor one too many."""
    address = _address_of(device, ())
    behind = [address] if address else filter(is_address, held)  # of a told name that is dialled
    answers = [(), *((one,) for one in behind)]
    wanted = [
        certificate_names(device, common_name=common_name, domains=domains, resolved=one, shared=shared)
        for one in answers
        for shared in (False, True)
    ]
    misfits = [misfit(held, names) for names in wanted]
    return None if None in misfits else misfits[0 if address else -1]


def link_local(device: Device) -> bool:
    """It is dialled by an IPv6 address that means something on one network only, and needs a scope to be dialled."""
    try:
        address = ipaddress.ip_address(device.address)
    except ValueError:
        return False
    return address.version == 6 and address.is_link_local


def _comparable(names: tuple[str, ...]) -> frozenset[str]:
    def spelled(name: str) -> str:
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            return name.lower()

    return frozenset(spelled(name) for name in names)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def certifiable(name: str | None) -> str | None:
    """The host name in its one spelling; None for what no certificate may name."""
    try:
        classified = naming.classify(name or "")
    except InvalidInput:
        return None
    return classified.text if isinstance(classified, naming.DnsName) else None


def _address_of(device: Device, resolved: Sequence[str]) -> str | None:
    """The device's address without a scope id; None when it is `link_local`, or a person had it dialled by its host
    name. A told name that is dialled stands for the address behind it."""
    if link_local(device):
        return None
    if is_address(device.address):
        return device.endpoint.name
    return resolved[0] if resolved and not device.host_name_typed else None


def _host_name_of(device: Device, *, domains: Sequence[str], resolved: Sequence[str], shared: bool) -> str | None:
    """The host name that may be certified, or None."""
    name = certifiable(device.host_name)
    if name is None or device.host_name_typed:
        return name
    if shared:
        return None
    label, _, domain = name.partition(".")
    if device.serial is not None and label == f"axis-{device.serial.lower()}" and (not domain or domain in domains):
        return name
    under_ours = any(name.endswith("." + own) for own in domains)
    return name if under_ours and _address_of(device, resolved) in resolved else None
