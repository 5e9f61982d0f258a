"""The kernel's neighbour table: who is where on the networks of this computer.

Each unanswered address holds a place in it for about 3 s, each live one for 15 to 45 s, and Linux has 1,024 places. A
connection that finds none is lost without an error, live devices included. A datagram is refused, so an empty one goes
first.
"""

import errno
import ipaddress
import socket
import sys

from fleetseal.core.errors import InvalidInput
from fleetseal.core.runtime import Clock

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Of a system that grants no more sockets, or no place in the table."""

PATIENCE_SECONDS = 90.0
"""How long a full table is waited for: twice what a live address holds its place."""

_DISCARD = 9  # RFC 863: whatever becomes of the datagram does not matter
_REPORT_ERRORS = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}  # IP_RECVERR, IPV6_RECVERR of Linux
_PAUSE_SECONDS = 0.2


def fits(address: Address) -> bool:
    """Whether the table has a place for it; it holds one afterwards."""
    try:
        with socket.socket(family(address), socket.SOCK_DGRAM) as mouth:
            mouth.setblocking(False)
            if sys.platform == "linux":  # without it the refusal is kept from us
                mouth.setsockopt(*_REPORT_ERRORS[address.version], 1)
            mouth.sendto(b"", (str(address), _DISCARD))
    except OSError as error:
        return error.errno not in FULL
    return True


async def place_for(address: Address, clock: Clock) -> None:
    """It holds a place in the table, unless none became free for 90 s: then connecting tells."""
    began = clock.monotonic()
    while not fits(address) and clock.monotonic() - began < PATIENCE_SECONDS:
        await clock.sleep(_PAUSE_SECONDS)


def no_room() -> InvalidInput:
    return InvalidInput(
        "This system grants no more connections: its neighbour table or its sockets are used up. Close programs, or "
        "on Linux raise net.ipv4.neigh.default.gc_thresh3 above the number of your devices; then search again."
    )


def family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
