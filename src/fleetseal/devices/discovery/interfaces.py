"""The networks of this computer."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import ifaddr

from fleetseal.core.errors import InvalidInput
from fleetseal.core.text import clean
from fleetseal.devices.discovery.scan import Network


@dataclass(frozen=True)
class Interface:
    """One address of one network adapter."""

    name: str
    index: int
    address: str  # without scope
    network: Network

    @property
    def loopback(self) -> bool:
        return self.network.is_loopback


def interfaces() -> tuple[Interface, ...]:
    """As the system has them now."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            network = ipaddress.ip_network(f"{address}/{ip.network_prefix}", strict=False)
            found.append(Interface(adapter.nice_name, adapter.index or 0, address, network))
    return tuple(found)


def chosen(names: Sequence[str]) -> tuple[Interface, ...]:
    """Those with one of these names or addresses; none named: all but loopback.

    Raises InvalidInput for a name that no interface has, and when there is none.
    """
    present = interfaces()
    for name in names:
        if not any(name in (one.name, one.address) for one in present):
            known = ", ".join(dict.fromkeys(one.name for one in present))
            raise InvalidInput(f"There is no interface {clean(name)!r} here. There are: {known}.")
    found = tuple(one for one in present if (one.name in names or one.address in names if names else not one.loopback))
    if not found:
        raise InvalidInput("This computer has no network interface with an address.")
    return found


def on_link() -> tuple[Network, ...]:
    """Networks whose addresses are reached without a router, by ARP or neighbour discovery."""
    return tuple(
        one.network for one in interfaces() if not one.loopback and one.network.prefixlen < one.network.max_prefixlen
    )
