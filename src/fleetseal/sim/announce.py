"""Virtual devices announce themselves on loopback as device-api 14 says: mDNS, SSDP and WS-Discovery.

Each has its own switch, a parameter of the device: `Network.Bonjour.Enabled`, `Network.UPnP.Enabled`,
`WebService.DiscoveryMode.Discoverable`.
"""

import asyncio
import ipaddress
import re
import socket
import struct
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from fleetseal.sim.fleet import SimulatedDevice

_BASIC = "urn:axis-com:service:BasicService:1"
_MATCH = """<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"
 xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">
<SOAP-ENV:Header><wsa:RelatesTo>{to}</wsa:RelatesTo><wsa:Action>\
http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</wsa:Action></SOAP-ENV:Header>
<SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>urn:uuid:{id}</wsa:Address>
</wsa:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{scopes}</d:Scopes>
<d:XAddrs>http://{host}:{port}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>
</d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>"""

Answer = Callable[["SimulatedDevice", bytes], bytes | None]


class Announcer:
    """An async context manager: inside it, `devices` (as they are at each question) answer what is asked by
    multicast on 127.0.0.1. Raises OSError where loopback has no multicast or a port is taken."""

    def __init__(self, devices: Iterable["SimulatedDevice"]) -> None:
        self._devices = devices
        self._transports: list[asyncio.DatagramTransport] = []

    async def __aenter__(self) -> "Announcer":
        try:
            await self._open("224.0.0.251", 5353, mdns)
            await self._open("239.255.255.250", 1900, ssdp)
            await self._open("239.255.255.250", 3702, ws_discovery)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for transport in self._transports:
            transport.abort()

    async def _open(self, group: str, port: int, answer: Answer) -> None:
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            ear.bind(("", port))
            membership = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(self._devices, answer), sock=ear)
        except BaseException:
            ear.close()
            raise
        self._transports.append(transport)


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, devices: Iterable["SimulatedDevice"], answer: Answer) -> None:
        self._devices = devices
        self._answer = answer

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        if not source[0].startswith("127."):
            return  # virtual devices are nobody else's business
        for device in self._devices:
            if ":" in device.address:
                continue  # it would answer by IPv6, to questions that are not heard here
            answer = self._answer(device, data)
            if answer is not None:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
                    mouth.bind((device.address, 0))
                    mouth.sendto(answer, source)


def mdns(device: "SimulatedDevice", question: bytes) -> bytes | None:
    """The answer to a question from a port other than 5353, as recorded (mdns-decoded.txt); None when it is not for
    this device. Names are not compressed."""
    service = _name("_axis-video", "_tcp", "local")
    asked = question[12 : 12 + len(service)]
    if question[2:6] != b"\0\0\0\1" or asked.lower() != service or question[12 + len(service) :][:2] != b"\0\x0c":
        return None
    if not device.profile.switch and _parameter(device, "Network.Bonjour.Enabled") != "yes":
        return None
    instance = _name(f"AXIS {device.profile.product.model} - {device.serial}")[:-1] + service
    host = _name(f"axis-{device.serial.lower()}", "local")
    text = f"macaddress={device.serial}".encode()
    records = (
        _record(service, 12, instance),
        _record(instance, 33, struct.pack("!3H", 0, 0, device.http_port) + host),
        _record(instance, 16, bytes([len(text)]) + text),
        _address(host, device.address),
    )
    head = question[:2] + struct.pack("!5H", 0x8400, 1, 1, 0, 3)
    return head + service + struct.pack("!2H", 12, 1) + b"".join(records)


def _name(*labels: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"


def _record(name: bytes, kind: int, content: bytes) -> bytes:
    return name + struct.pack("!2HIH", kind, 1, 10, len(content)) + content


def _address(name: bytes, text: str) -> bytes:
    address = ipaddress.ip_address(text)
    return _record(name, 1 if address.version == 4 else 28, address.packed)


def ssdp(device: "SimulatedDevice", question: bytes) -> bytes | None:
    """The answer to M-SEARCH; None when it is not for this device."""
    wanted = re.search(rb"^ST: *(\S+)\r$", question, re.MULTILINE | re.IGNORECASE)
    if not question.startswith(b"M-SEARCH ") or wanted is None or _parameter(device, "Network.UPnP.Enabled") != "yes":
        return None
    if wanted[1].decode("ascii", "replace") not in (_BASIC, "ssdp:all"):
        return None
    lines = (
        "HTTP/1.1 200 OK",
        "CACHE-CONTROL: max-age=1800",
        "EXT:",
        f"LOCATION: http://{_in_url(device.address)}:49154/rootdesc1.xml",
        "SERVER: Linux/3.4.0, UPnP/1.0, Portable SDK for UPnP devices/1.6.18",
        f"ST: {_BASIC}",
        f"USN: uuid:Upnp-BasicDevice-1_0-{device.serial}::{_BASIC}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def ws_discovery(device: "SimulatedDevice", question: bytes) -> bytes | None:
    """The answer to a Probe; None when it is not for this device."""
    identity = re.search(rb"MessageID>([^<]{1,100})<", question)
    if b"Probe>" not in question or b"NetworkVideoTransmitter" not in question or identity is None:
        return None
    if _parameter(device, "WebService.DiscoveryMode.Discoverable") not in ("Yes", "yes", None):
        return None
    product = device.profile.product
    scopes = (
        "onvif://www.onvif.org/type/video_encoder",
        "onvif://www.onvif.org/Profile/Streaming",
        f"onvif://www.onvif.org/name/{quote('AXIS ' + product.model)}",
        f"onvif://www.onvif.org/hardware/{quote(product.model)}",
    )
    return _MATCH.format(
        to=identity[1].decode("ascii", "replace"),
        id=uuid.UUID(f"00075fbe000010008000{device.serial}"),
        scopes=" ".join(scopes),
        host=_in_url(device.address),
        port=device.http_port,
    ).encode()


def _in_url(address: str) -> str:
    return f"[{address.partition('%')[0]}]" if ":" in address else address


def _parameter(device: "SimulatedDevice", name: str) -> str | None:
    return device.device.parameters.values().get(name)
