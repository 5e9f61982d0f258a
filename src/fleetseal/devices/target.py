"""Where a device may be dialled (INP-NO-REDIRECT): a name is resolved once, and some addresses never."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from fleetseal.core.errors import InvalidInput, Unreachable

_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254")))
_BROADCAST = ipaddress.ip_address("255.255.255.255")

Resolver = Callable[[str], Awaitable[tuple[str, ...]]]
"""The addresses of a host name, in the order to dial them; empty when it is not known."""


async def resolve(host: str, resolver: Resolver) -> str:
    """The one address to dial for this address or host name.

    Raises Unreachable when the name is not known, InvalidInput when the address can be no device's.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        found = await resolver(host)
        if not found:
            raise Unreachable(f"The name {host} has no address.") from None
        address = ipaddress.ip_address(found[0])
    if not may_be_dialled(address):
        raise InvalidInput(f"{address} cannot be the address of a device. Nothing was sent.")
    return str(address)


def may_be_dialled(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it can be a device's: not unspecified, multicast, broadcast, or a cloud's metadata service."""
    judged = getattr(address, "ipv4_mapped", None) or address
    return not (judged.is_unspecified or judged.is_multicast or judged == _BROADCAST or judged in _METADATA)


async def addresses(name: str) -> tuple[str, ...]:
    """What the resolver of this computer gives for a host name. A `Resolver`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(str(entry[4][0]) for entry in found)
