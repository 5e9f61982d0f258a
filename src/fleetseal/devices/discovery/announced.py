"""What devices say of themselves on the network, before anybody looks: hints, put together to sightings."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from fleetseal.core.model import Serial
from fleetseal.devices.axis.catalogue import MAKERS
from fleetseal.devices.discovery.sighting import Sighting
from fleetseal.devices.target import may_be_dialled


def is_makers(serial: Serial | None) -> bool:
    """Whether it begins like the serials of the maker: needed where anybody may announce the same (inferred)."""
    return serial is not None and serial.startswith(MAKERS)


@dataclass(frozen=True)
class Announced:
    """One announcement. Ports are those of the web server, None where it names none."""

    by: str
    serial: Serial | None = None
    http_port: int | None = None
    https_port: int | None = None
    host_name: str | None = None


def sightings(heard: Iterable[tuple[str, Announced]], *, http_port: int, https_port: int) -> list[Sighting]:
    """One for each address and device, IPv4 first, self-assigned addresses last. `heard` has the source addresses.

    The ports given stand where no announcement names one. Addresses that can be no device's are left out, and
    link-local ones of IPv6 without the scope that tells their interface.
    """
    merged: dict[tuple[str, Serial | None], Sighting] = {}
    unnamed: list[tuple[str, Announced]] = []
    for address, said in heard:
        if not _usable(address):
            continue
        if said.serial is None:
            unnamed.append((address, said))
            continue
        named = (address, said.serial)
        merged[named] = _joined(merged.get(named), address, said, http_port, https_port)
    for address, said in unnamed:
        own = [key for key in merged if key[0] == address]
        key: tuple[str, Serial | None] = own[0] if len(own) == 1 else (address, None)
        merged[key] = _joined(merged.get(key), address, said, http_port, https_port)
    return sorted(merged.values(), key=_order)


def _joined(before: Sighting | None, address: str, said: Announced, http_port: int, https_port: int) -> Sighting:
    """A port that was named wins over the one that stands for none."""
    known = before or Sighting(address, http_port, https_port)
    return Sighting(
        address,
        said.http_port or known.http_port,
        said.https_port or known.https_port,
        said.serial or known.serial,
        tuple(sorted({*known.seen_by, said.by})),
        said.host_name or known.host_name,
    )


def _usable(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    scoped = isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None
    return may_be_dialled(address) and (address.version == 4 or scoped or not address.is_link_local)


def _order(sighting: Sighting) -> tuple[int, bool, int, int]:
    address = ipaddress.ip_address(sighting.address)
    return (address.version, address.is_link_local, int(address), sighting.http_port)
