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
