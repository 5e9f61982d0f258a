"""SSDP words: the search for Axis devices, and what an answer says (device-api 14.2). No I/O."""

import re

from fleetseal.core.model import serial_of
from fleetseal.devices.discovery.announced import Announced

PORT = 1900
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}

_TARGET = "urn:axis-com:service:BasicService:1"
_USN = re.compile(r"uuid:Upnp-BasicDevice-1_0-([0-9A-Fa-f]{12})(?:::|$)")


def search(version: int) -> bytes:
    """What is sent to the group of IPv4 or IPv6. Answers come within 1 s."""
    host = f"[{GROUPS[6].upper()}]" if version == 6 else GROUPS[4]
    lines = ("M-SEARCH * HTTP/1.1", f"HOST: {host}:{PORT}", 'MAN: "ssdp:discover"', "MX: 1", f"ST: {_TARGET}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def parse(datagram: bytes) -> Announced | None:
    """From an answer, or from what a device says unasked when it comes (NOTIFY); None: not of an Axis device. Where it
    says the device is, is not believed."""
    head, *lines = datagram.decode("utf-8", "replace").split("\r\n")
    unasked = head.startswith("NOTIFY * ")
    if not unasked and not re.match(r"HTTP/1\.[01] 200( |$)", head):
        return None
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().upper(): value.strip() for name, _, value in pairs}
    found = _USN.match(headers.get("USN", ""))
    if found is None or "axis-com" not in headers.get("NT" if unasked else "ST", ""):
        return None
    if unasked and headers.get("NTS") != "ssdp:alive":
        return None
    return Announced("SSDP", serial_of(found[1]))
