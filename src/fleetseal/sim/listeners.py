"""The two ports of a virtual device, on each of its addresses."""

import asyncio
import socket
import sys
from collections.abc import Callable

from fleetseal.sim.device import Device

Protocol = Callable[[], asyncio.BaseProtocol]


class Listeners:
    """By whether they are for TLS. A port that was held once stays the device's: while nothing listens, it refuses."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._servers: dict[bool, list[asyncio.Server]] = {}
        self._held: dict[bool, list[socket.socket]] = {}
        self._ports: dict[bool, int] = {}  # the last that could be had

    def __contains__(self, secure: bool) -> bool:
        return secure in self._servers

    async def open(self, secure: bool, protocol: Protocol) -> None:
        """It listens on the port that the device is configured for, or on the last that could be had."""
        self.hold(secure)
        loop = asyncio.get_running_loop()
        sockets = self._held.pop(secure)
        self._servers[secure] = [await loop.create_server(protocol, sock=one) for one in sockets]

    def close(self) -> None:
        """Nothing listens; the ports are held."""
        for secure in tuple(self._servers):
            for server in self._servers.pop(secure):
                server.close()
            self.hold(secure)

    def let_go(self) -> None:
        """The ports are free and forgotten, if nothing listens."""
        for sockets in self._held.values():
            _close(sockets)
        self._held.clear()
        self._ports.clear()

    def hold(self, secure: bool) -> None:
        """The port is bound, chosen if it was 0, and the device knows it; connecting to it is refused until it
        listens. Raises OSError when the first port that is wanted cannot be had."""
        device = self._device
        port = device.https_port if secure else device.http_port
        held = self._held.pop(secure, None)
        if held is None or held[0].getsockname()[1] != port:
            _close(held or ())
            try:
                held = self._bound(port)
            except OSError:  # a setting that cannot be followed: the server stays where it was
                if secure not in self._ports:
                    raise
                held = self._bound(self._ports[secure])
        self._held[secure] = held
        self._ports[secure] = held[0].getsockname()[1]
        if secure:
            device.https_port = self._ports[secure]
        else:
            device.http_port = self._ports[secure]

    def _bound(self, port: int) -> list[socket.socket]:
        identity = self._device.identity
        made: list[socket.socket] = []
        try:
            for address in (identity.address, *identity.other_addresses):
                made.append(_socket(address, made[0].getsockname()[1] if made else port))
        except OSError:
            _close(made)
            raise
        return made


def _socket(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there the option would let others take the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][4])
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def _close(sockets: "tuple[socket.socket, ...] | list[socket.socket]") -> None:
    for one in sockets:
        one.close()
