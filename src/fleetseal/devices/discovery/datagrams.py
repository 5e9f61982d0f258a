"""Asking a multicast group and hearing every answer of a burst, in bounded memory."""

import ipaddress
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fleetseal.core.runtime import Clock
from fleetseal.devices.discovery.announced import Announced
from fleetseal.devices.discovery.interfaces import Interface

LARGEST = 16_384
"""Bytes of one answer; longer ones are no device's."""

MOST = 50_000
"""Announcements of one search."""

MOST_OF_ONE = 64
"""Datagrams of one source: who floods is heard no longer, the others are."""

_BUFFER = 8 * 1024 * 1024
"""What the kernel is asked to keep; it may grant less. Its usual 208 KiB hold 500 answers of 5,000."""

_MOST_WAITING = 64 * 1024 * 1024  # bytes heard and not read yet
_MULTICAST_ALL = 49  # IP_MULTICAST_ALL of Linux: at 0 only what this socket joined is heard
_TICK_SECONDS = 0.005
_READ_A_TURN = 50


@dataclass(frozen=True)
class Question:
    """What is asked, where, and how answers are read."""

    group: str
    port: int
    datagram: Callable[[], bytes] | None  # None: nothing is asked; what is said to the group unasked is heard
    parse: Callable[[bytes], Sequence[Announced]]


async def ask(
    questions: Sequence[tuple[Interface, Question]], *, seconds: float, clock: Clock, times: int = 3
) -> list[tuple[str, Announced]]:
    """What was announced within `seconds` of asking, with the source addresses, each once. Each question is sent
    `times` times in the first half, because datagrams get lost. An interface that is down or has no multicast is
    asked in vain."""
    ears = []
    for interface, question in questions:
        with suppress(OSError):  # the interface went away, or its address is not ready yet
            ears.append(_Ear(interface, question))
    heard = _Heard()
    try:
        began, asked = clock.monotonic(), 0
        while (now := clock.monotonic() - began) < seconds:
            if asked < times and now >= asked * seconds / 2 / times:
                asked += 1
                for ear in ears:
                    ear.ask()
            for ear in ears:
                ear.drain(heard)
            heard.read(_READ_A_TURN)
            await clock.sleep(_TICK_SECONDS)
        for ear in ears:
            ear.drain(heard)
    finally:
        for ear in ears:
            ear.close()
    while heard.read(_READ_A_TURN):
        await clock.sleep(0)
    return list(heard.announced)


class _Heard:
    """Datagrams wait to be read, so that hearing is never late."""

    def __init__(self) -> None:
        self.announced: dict[tuple[str, Announced], None] = {}
        self._waiting: deque[tuple[str, bytes, Question]] = deque()
        self._bytes = 0
        self._from: Counter[str] = Counter()

    def take(self, source: str, datagram: bytes, question: Question) -> None:
        if len(datagram) > LARGEST or self._from[source] >= MOST_OF_ONE:
            return
        if self._bytes + len(datagram) > _MOST_WAITING or len(self._from) > MOST:
            return
        self._from[source] += 1
        self._bytes += len(datagram)
        self._waiting.append((source, datagram, question))

    def read(self, most: int) -> bool:
        """As many as this; whether more wait."""
        for _ in range(min(most, len(self._waiting))):
            source, datagram, question = self._waiting.popleft()
            self._bytes -= len(datagram)
            for said in question.parse(datagram):
                if len(self.announced) < MOST:
                    self.announced[source, said] = None
        return bool(self._waiting)


class _Ear:
    """A socket on one interface that asks one question."""

    def __init__(self, interface: Interface, question: Question) -> None:
        self._question = question
        self._scope = str(interface.index) if sys.platform == "win32" else interface.name
        v4 = interface.network.version == 4
        self._to = (question.group, question.port) if v4 else (question.group, question.port, 0, interface.index)
        self._socket = socket.socket(socket.AF_INET if v4 else socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            if question.datagram is None:
                _join(self._socket, interface, question)
            elif v4:
                own = socket.inet_aton(interface.address)
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
                self._socket.bind((interface.address, 0))
            else:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
                scope = interface.index if ipaddress.ip_address(interface.address).is_link_local else 0
                self._socket.bind((interface.address, 0, 0, scope))
        except BaseException:
            self._socket.close()
            raise

    def ask(self) -> None:
        if self._question.datagram is None:
            return
        with suppress(OSError):  # no route for multicast there, or the interface is down
            self._socket.sendto(self._question.datagram(), self._to)

    def drain(self, heard: _Heard) -> None:
        """Everything that has arrived."""
        for _ in range(MOST):
            try:
                datagram, source = self._socket.recvfrom(LARGEST + 1)
            except BlockingIOError:
                return
            except OSError:  # of an earlier send: a port that is closed, or a longer datagram on Windows
                continue
            heard.take(self._address(str(source[0])), datagram, self._question)

    def _address(self, source: str) -> str:
        """With its scope where it means something on this interface only: by name, which outlives a restart."""
        bare = source.partition("%")[0]
        return f"{bare}%{self._scope}" if bare.lower().startswith("fe80:") else bare

    def close(self) -> None:
        self._socket.close()


def _join(ear: socket.socket, interface: Interface, question: Question) -> None:
    """It hears what is said to the group on this interface, beside other programs that do. Raises OSError."""
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    group = socket.inet_pton(ear.family, question.group)
    if ear.family == socket.AF_INET:
        if sys.platform == "linux":
            ear.setsockopt(socket.IPPROTO_IP, _MULTICAST_ALL, 0)
        ear.bind(("" if sys.platform == "win32" else question.group, question.port))
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton(interface.address))
    else:
        ear.bind(("" if sys.platform == "win32" else question.group, question.port, 0, interface.index))
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", interface.index))
