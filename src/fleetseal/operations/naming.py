"""Which names a device's certificate gets (ISS-NAMES-FROM-INVENTORY; design: trust in a device). Pure.

A host name told by a device or a network is a hint. It becomes a certificate name only if a person typed or
imported it; or it is `axis-<own serial>`, alone or under a domain of ours; or it lies under such a domain and our
resolver maps it to the device's address.
"""

import ipaddress
from dataclasses import dataclass

from fleetseal.core.model import Device


@dataclass(frozen=True)
class Names:
    """`common_name` is the first of `names`; every one of them goes into the subjectAltName."""

    common_name: str
    names: tuple[str, ...]


def certificate_names(
    device: Device, *, common_name: str, domains: tuple[str, ...], resolved: frozenset[str]
) -> Names | None:
    """The names by the setting `certificate.common-name` (`address` or `hostname`).

    None: `hostname` is wanted and none is known; the address never takes its place silently.
    """
    address = _address_of(device)
    host_name = _host_name_of(device, domains=domains, resolved=resolved)
    order = (host_name, address) if common_name == "hostname" or address is None else (address, host_name)
    if order[0] is None:
        return None
    return Names(order[0], tuple(name for name in order if name is not None))


def misfit(held: tuple[str, ...], wanted: Names | None) -> str | None:
    """Why a certificate with the names `held` no longer fits, for people; None when it does. `wanted` is what
    `certificate_names` says now."""
    if wanted is None:
        return "certificate.common-name is `hostname`, and no host name is known that may be certified."
    there, here = _comparable(held), _comparable(wanted.names)
    if there == here:
        return None
    missing, surplus = (", ".join(sorted(names)) for names in (here - there, there - here))
    parts = [f"does not name {missing}"] if missing else []
    parts += [f"names {surplus}, which no longer holds"] if surplus else []
    return f"Its certificate {', and '.join(parts)}."


def finding(device: Device, held: tuple[str, ...], *, common_name: str, domains: tuple[str, ...]) -> str | None:
    """As `misfit`, without asking the resolver: a told host name that only the resolver could allow is neither
    missed nor one too many."""
    address = _address_of(device)
    answers = [frozenset[str](), frozenset([address] if address else [])]
    wanted = [certificate_names(device, common_name=common_name, domains=domains, resolved=one) for one in answers]
    misfits = [misfit(held, names) for names in wanted]
    return None if None in misfits else misfits[0]


def _comparable(names: tuple[str, ...]) -> frozenset[str]:
    def spelled(name: str) -> str:
        try:
            return str(ipaddress.ip_address(name))
        except ValueError:
            return name.lower()

    return frozenset(spelled(name) for name in names)


def _address_of(device: Device) -> str | None:
    """The device's address without a scope id, or None when it is dialled by host name."""
    try:
        return str(ipaddress.ip_address(device.address.partition("%")[0]))
    except ValueError:
        return None


def _host_name_of(device: Device, *, domains: tuple[str, ...], resolved: frozenset[str]) -> str | None:
    """The host name that may be certified, or None. `resolved`: what our resolver says of the told name."""
    if _address_of(device) is None:
        return device.address  # typed: nothing else makes a host name the dialled address
    name = device.host_name
    if name is None:
        return None
    if device.host_name_typed:
        return name
    label, _, domain = name.partition(".")
    if device.serial is not None and label == f"axis-{device.serial.lower()}" and (not domain or domain in domains):
        return name
    under_ours = any(name.endswith("." + own) for own in domains)
    return name if under_ours and _address_of(device) in resolved else None
