"""WS-Discovery words: the probe for network video devices, and what an answer says (device-api 14.3). No I/O."""

import re
import uuid
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from fleetseal.core.model import Serial, serial_of
from fleetseal.core.runtime import Rng
from fleetseal.devices.discovery.announced import Announced, is_makers

PORT = 3702
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}

_DISCOVERY = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{addressing}" xmlns:d="{discovery}"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header>
<a:Action s:mustUnderstand="1">{discovery}/Probe</a:Action><a:MessageID>urn:uuid:{id}</a:MessageID>
<a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>
<s:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>"""


def probe(rng: Rng) -> bytes:
    """What is sent; each has a message id of its own."""
    message_id = uuid.UUID(bytes=rng.bytes(16), version=4)
    return _PROBE.format(addressing=_ADDRESSING, discovery=_DISCOVERY, id=message_id).encode()


def parse(datagram: bytes) -> tuple[Announced, ...]:
    """One for each match; none when it is no answer to a probe. Of the addresses it names only ports are taken."""
    try:
        root = fromstring(datagram, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return ()
    found = []
    for match in root.iter(f"{{{_DISCOVERY}}}ProbeMatch"):
        services = (match.findtext(f"{{{_DISCOVERY}}}XAddrs") or "").split()[:16]
        endpoint = match.findtext(f"{{{_ADDRESSING}}}EndpointReference/{{{_ADDRESSING}}}Address") or ""
        http, https = _port("http", services), _port("https", services)
        found.append(Announced("WS-Discovery", _serial(endpoint), http, https))
        if len(found) == 16:
            break
    return tuple(found)


def _port(scheme: str, services: list[str]) -> int | None:
    """That of the first service of this scheme."""
    for service in services:
        try:
            parts = urlsplit(service)
            if parts.scheme == scheme:
                return parts.port or {"http": 80, "https": 443}[scheme]
        except ValueError:
            continue
    return None


def _serial(endpoint: str) -> Serial | None:
    """The end of an endpoint's UUID, where it looks like one (inferred)."""
    found = re.search(r"([0-9A-Fa-f]{12})$", endpoint.strip())
    serial = serial_of(found[1]) if found else None
    return serial if is_makers(serial) else None
