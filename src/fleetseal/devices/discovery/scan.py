"""Range scan: which addresses accept a connection on a port where devices listen. Nothing is said to any."""

import errno
import ipaddress
import selectors
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fleetseal.core.errors import InvalidInput
from fleetseal.core.runtime import Clock
from fleetseal.core.text import clean
from fleetseal.devices.discovery import neighbours
from fleetseal.devices.discovery.neighbours import Address
from fleetseal.devices.target import may_be_dialled

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LARGEST = 65_536
"""Addresses in one scan: a /16 of IPv4."""

ROUTED_RATE = 10_000
"""Addresses a second beyond a router."""

NEIGHBOUR_RATE = 300
"""Addresses a second on a network of this computer: what the kernel's neighbour table takes while few of them live.
Where many do, the table sets the pace (`neighbours`)."""

_TICK_SECONDS = 0.005
_PATIENCE_SECONDS = 10.0
_IN_PROGRESS = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, errno.EINTR, 10035})  # Windows' own


@dataclass
class Progress:
    """How far a search is; changed in place while it runs."""

    total: int = 0
    done: int = 0
    found: int = 0
    seconds: float = 0.0  # since it began

    @property
    def rate(self) -> float:
        """A second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None while nothing tells."""
        return (self.total - self.done) / self.rate if self.done else None


def parse_ranges(texts: Sequence[str]) -> tuple[Address, ...]:
    """The addresses of these ranges, each `A-B`, a CIDR or one address, in order and once; without those that can be
    no device's. Raises InvalidInput on what is no range, and for more than a /16 in all."""
    ranges = [_bounds(text) for text in texts]
    total = sum(int(last) - int(first) + 1 for first, last in ranges)
    if total > LARGEST:
        raise InvalidInput(
            f"{total:,} addresses are too many: one scan takes {LARGEST:,} (a /16), because beyond that it takes hours "
            "on networks of this computer and looks like an attack on others. Scan in parts. Nothing was sent."
        )
    listed = (type(first)(number) for first, last in ranges for number in range(int(first), int(last) + 1))
    return tuple(dict.fromkeys(address for address in listed if may_be_dialled(address)))


async def scan(
    addresses: Sequence[Address],
    *,
    ports: Sequence[int],
    seconds: float,
    clock: Clock,
    on_link: Sequence[Network] = (),
    rate: float = ROUTED_RATE,
    neighbour_rate: float = NEIGHBOUR_RATE,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Those that accept a connection on one of the ports within `seconds`, in their order.

    At most `rate` addresses a second are tried, and `neighbour_rate` on the networks `on_link`. Sockets that the
    system does not grant now are tried later: a small limit makes the scan slow, never blind.
    """
    progress = progress or Progress()
    progress.total += len(addresses)
    near = frozenset(address for address in addresses if any(address in network for network in on_link))
    far = [address for address in addresses if address not in near]
    found: set[Address] = set()
    for part, pace in ((far, rate), ([one for one in addresses if one in near], neighbour_rate)):
        if part:
            sweep = _Sweep(tuple(dict.fromkeys(ports)), seconds, clock, progress, near=part is not far)
            found |= await sweep.run(part, pace)
    return tuple(str(address) for address in addresses if address in found)


class _Sweep:
    """One paced pass. Connections are begun and looked at in turns of 5 ms, by one selector: this costs a fifth of
    what a task and a stream for each would."""

    def __init__(self, ports: tuple[int, ...], seconds: float, clock: Clock, progress: Progress, *, near: bool) -> None:
        self._ports = ports
        self._near = near
        self._seconds = seconds
        self._clock = clock
        self._progress = progress
        self._places = _places()
        self._selector = selectors.DefaultSelector()
        self._begun: deque[tuple[float, socket.socket, Address]] = deque()  # oldest first
        self._waiting: dict[Address, int] = {}  # how many ports are still open questions
        self._found: set[Address] = set()
        self._granted = clock.monotonic()  # when the system last granted a connection

    async def run(self, addresses: Sequence[Address], rate: float) -> set[Address]:
        started, before = self._clock.monotonic(), self._progress.seconds
        queue = deque((address, port) for address in addresses for port in self._ports)
        self._waiting = dict.fromkeys(addresses, len(self._ports))
        allowed = float(len(self._ports))
        last = started
        try:
            while queue or self._begun:
                now = self._clock.monotonic()
                # a turn that came late is made up for, within a quarter of a second
                allowed = min(allowed + (now - last) * rate * len(self._ports), max(1.0, rate / 4) * len(self._ports))
                last = now
                while queue and allowed >= 1 and self._begin(*queue[0], now):
                    queue.popleft()
                    allowed -= 1
                self._collect(now)
                self._progress.seconds = before + now - started
                await self._clock.sleep(_TICK_SECONDS)
        finally:
            for _, connection, _ in self._begun:
                connection.close()
            self._selector.close()
        return self._found

    def _begin(self, address: Address, port: int, now: float) -> bool:
        """False when the system grants no more sockets now."""
        if len(self._begun) >= self._places:
            return False
        if self._near and port == self._ports[0] and not neighbours.fits(address):
            return self._no_room(now)
        try:
            connection = socket.socket(neighbours.family(address), socket.SOCK_STREAM)
        except OSError as error:
            if error.errno in neighbours.FULL:
                return self._no_room(now)
            self._close(address, None)  # no such family here
            return True
        connection.setblocking(False)
        result = connection.connect_ex((str(address), port))
        if result in neighbours.FULL:
            connection.close()
            return self._no_room(now)
        self._granted = now
        if result in _IN_PROGRESS:
            self._selector.register(connection, selectors.EVENT_WRITE, address)
            self._begun.append((now, connection, address))
        else:
            self._close(address, connection, answered=result == 0)
        return True

    def _no_room(self, now: float) -> bool:
        """Try later: False. Raises InvalidInput when that did not help for long."""
        if now - self._granted > (neighbours.PATIENCE_SECONDS if self._near else _PATIENCE_SECONDS):
            raise neighbours.no_room()
        return False

    def _collect(self, now: float) -> None:
        """What was answered, or has been silent for too long, is closed."""
        for key, _ in self._selector.select(0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            self._selector.unregister(connection)
            failed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._close(key.data, connection, answered=failed == 0)
        while self._begun and (self._begun[0][1].fileno() < 0 or self._begun[0][0] + self._seconds <= now):
            _, connection, address = self._begun.popleft()
            if connection.fileno() >= 0:
                self._selector.unregister(connection)
                self._close(address, connection)

    def _close(self, address: Address, connection: socket.socket | None, *, answered: bool = False) -> None:
        if connection is not None:
            connection.close()
        if answered and address not in self._found:
            self._found.add(address)
            self._progress.found += 1
        self._waiting[address] -= 1
        if not self._waiting[address]:
            self._progress.done += 1


def _bounds(text: str) -> tuple[Address, Address]:
    """The first and the last address of a range."""
    try:
        if "/" in text:
            network = ipaddress.ip_network(text.strip(), strict=False)
            edge = 1 if network.version == 4 and network.prefixlen < 31 else 0  # network and broadcast address
            return network[edge], network[-1 - edge]
        first, dash, last = text.partition("-")
        low = ipaddress.ip_address(first.strip())
        high = ipaddress.ip_address(last.strip()) if dash else low
    except ValueError as error:
        raise InvalidInput(
            f"{clean(text)!r} is no range: give 10.0.0.10-10.0.0.99, 10.0.0.0/24 or one address."
        ) from error
    if low.version != high.version or int(low) > int(high) or "%" in text:
        raise InvalidInput(f"{clean(text)!r} is no range: the first address comes first, both of one kind, no scope.")
    return low, high


def _places() -> int:
    """How many connections may be open at once; the limit of this process is raised as far as it may be."""
    if issubclass(selectors.DefaultSelector, selectors.SelectSelector):
        return 400  # select() of Windows takes 512
    try:
        import resource
    except ImportError:
        return 400
    wanted, spare = 2 * ROUTED_RATE + 2_000, 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    raised = wanted + spare if hard == resource.RLIM_INFINITY else min(hard, wanted + spare)
    if raised > soft:
        with suppress(OSError, ValueError):  # macOS refuses more than it was built for
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return max(soft - spare, 50)
