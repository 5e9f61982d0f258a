"""mDNS words: who offers an Axis service, asked from a port of our own, so that each device answers us alone
(RFC 6762 6.7, device-api 14.1). No I/O."""

import re
import struct

from fleetseal.core.model import Serial, serial_of
from fleetseal.devices.discovery.announced import Announced, is_makers

PORT = 5353
GROUPS = {4: "224.0.0.251", 6: "ff02::fb"}
SERVICES = ("_axis-video._tcp.local.", "_axis-nvr._tcp.local.", "_axis-audiosite._tcp.local.", "_http._tcp.local.")
"""The last one is every web server's: there the serial must be one of the maker's."""

_POINTER, _INTERNET = 12, 1
_MOST = 16
_ANY_WEB_SERVER = SERVICES[-1]


def question(service: str) -> bytes:
    """Who offers this service?"""
    labels = service.rstrip(".").encode("ascii").split(b".")
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + name + struct.pack("!2H", _POINTER, _INTERNET)


def parse(datagram: bytes) -> tuple[Announced, ...]:
    """One for each instance of our services; none when it is no answer. Addresses in it are not believed."""
    from zeroconf import (  # type: ignore[attr-defined]  # there, and not in its __all__
        DNSIncoming,
        DNSPointer,
        DNSService,
        DNSText,
    )

    message = DNSIncoming(datagram)
    if not message.valid or not message.is_response():
        return ()
    records = message.answers()
    instances = {
        record.alias: record.name.lower()
        for record in records
        if isinstance(record, DNSPointer) and record.name.lower() in SERVICES
    }
    servers = {record.name: record for record in records if isinstance(record, DNSService)}
    texts = {record.name: record.text for record in records if isinstance(record, DNSText)}
    found = []
    for name, service in list(instances.items())[:_MOST]:
        serial, server = _serial(texts.get(name, b""), name), servers.get(name)
        if service == _ANY_WEB_SERVER and not is_makers(serial):
            continue
        port, host = (None, None) if server is None else (server.port or None, _host_name(server.server))
        found.append(Announced("mDNS", serial, port, host_name=host))
    return tuple(found)


def _host_name(target: str) -> str | None:
    """What a certificate or a resolver might know; None for anything else."""
    name = target.rstrip(".").lower()
    return name if re.fullmatch(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", name) else None


def _serial(text: bytes, instance: str) -> Serial | None:
    """From the string `macaddress=`, else the last twelve digits of the instance's name."""
    while text:
        string, text = text[1 : 1 + text[0]], text[1 + text[0] :]
        key, _, value = string.partition(b"=")
        if key.lower() == b"macaddress":
            return serial_of(value.decode("ascii", "replace"))
    found = re.search(r"([0-9A-Fa-f]{12})\._(?:axis-|http\.)", instance)
    return serial_of(found[1]) if found else None
