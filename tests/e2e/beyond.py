"""The other computer of the namespace tests: `python -m tests.e2e.beyond listen`, or `announce ADDRESS SWITCHES`.

Writes a line when it is ready, and runs until it is killed.
"""

import asyncio
import socket
import struct
import sys

from fleetseal.sim import announce
from fleetseal.sim.announce import Answer
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.namespaces import FAR

SERIAL = "B8A44FD15C0B"
NOTIFIED = "ACCC8ED15C0C"
_GROUPS = {
    5353: ("224.0.0.251", "ff02::fb", announce.mdns),
    1900: ("239.255.255.250", "ff02::c", announce.ssdp),
    3702: ("239.255.255.250", "ff02::c", announce.ws_discovery),
}
_NOTIFY = (
    "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\nNT: urn:axis-com:service:BasicService:1\r\n"
    f"USN: uuid:Upnp-BasicDevice-1_0-{NOTIFIED}::urn:axis-com:service:BasicService:1\r\n\r\n"
).encode()


def listen() -> None:
    """Every local address accepts connections on port 443, and says nothing."""
    with socket.create_server(("", 443), backlog=4096) as ear:
        ready()
        while True:
            ear.accept()[0].close()


async def announced(host: str, switches: str) -> None:
    """A device at this address answers what is asked of the groups, as the comma-separated switches say."""
    async with Fleet([DeviceSpec("12.11", SERIAL, host, 80, 443)]) as fleet:
        device = fleet.devices[0]
        names = ("Network.Bonjour.Enabled", "Network.UPnP.Enabled", "WebService.DiscoveryMode.Discoverable")
        for name, value in zip(names, switches.split(","), strict=True):
            device.device.parameters.put(name, value)
        loop = asyncio.get_running_loop()
        for port, (v4, v6, answer) in _GROUPS.items():
            for family, group in ((socket.AF_INET, v4), (socket.AF_INET6, v6)):
                ear = _joined(family, group, port)
                loop.add_reader(ear, _answer, ear, answer, device)
        ready()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.20.15.254"))
            while True:
                mouth.sendto(_NOTIFY, ("239.255.255.250", 1900))
                await asyncio.sleep(0.2)  # noqa: TID251 - as a device would, if oftener


def _answer(ear: socket.socket, answer: Answer, device: SimulatedDevice) -> None:
    question, source = ear.recvfrom(10_000)
    said = answer(device, question)
    if said is not None:
        ear.sendto(said, source)


def _joined(family: socket.AddressFamily, group: str, port: int) -> socket.socket:
    ear = socket.socket(family, socket.SOCK_DGRAM)
    ear.setblocking(False)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    packed, index = socket.inet_pton(family, group), socket.if_nametoindex(FAR)
    if family == socket.AF_INET:
        ear.bind(("", port))
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + socket.inet_aton("10.20.15.254"))
    else:
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        ear.bind(("", port))
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("@I", index))
    return ear


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen()
    else:
        asyncio.run(announced(sys.argv[2], sys.argv[3]))
