"""What all four request styles share: statuses, bounded parsers, PEM. No I/O."""

import base64
import binascii
import json
import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from fleetseal.core.errors import (
    CredentialsNeeded,
    NotSupported,
    PermissionDenied,
    ProtocolViolation,
    Rejected,
)
from fleetseal.core.text import clean
from fleetseal.devices.http import Answer
from fleetseal.pki import keys

_XML_DEPTH = 40
_XML_ELEMENTS = 20_000
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


def refuse_status(answer: Answer, *accepted: int) -> None:
    """Return if the status is one of `accepted`; otherwise raise what it means."""
    match answer.status:
        case status if status in accepted:
            return
        case 401:
            raise CredentialsNeeded("The device asks for a login, and none is given.")
        case 403:
            raise PermissionDenied("The device does not let this user do that. An administrator is needed.")
        case 404 | 405 | 501:
            raise NotSupported(f"The device does not have this interface (HTTP {answer.status}).")
        case status:
            raise Rejected(f"The device answered HTTP {status}.", vendor_code=str(status))


def not_supported(what: str) -> NotSupported:
    return NotSupported(f"The device does not know {what}.")


def violation(what: str) -> ProtocolViolation:
    return ProtocolViolation(f"The device's answer is not {what}.")


def text(body: bytes) -> str:
    """UTF-8, or ISO-8859-1 as of older firmware (device-api 2)."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, all of its text fit for UTF-8 (RFC 8259 8.2 has escapes that are not). Raises
    ProtocolViolation; nesting and digits are bounded by the parser."""
    document = text(body)
    try:
        value = json.loads(document)
        if "\\u" in document:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation("The device's answer is not valid JSON, or nested without reason.") from error
    if not isinstance(value, dict):
        raise ProtocolViolation("The device's answer is JSON, but not an object.")
    return value


def xml(body: bytes) -> Element:
    """The root element. No DTD, no entities, at most 40 levels and 20,000 elements. Raises ProtocolViolation."""
    parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True)
    try:
        parser.feed(body)
        root = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ProtocolViolation("The device's answer is not valid XML.") from error
    assert isinstance(root, Element)
    return root


def pem_blocks(document: str) -> tuple[bytes, ...]:
    """The DER of each PEM block, or of bare base64. Raises ProtocolViolation."""
    bodies = [match.group(2) for match in _PEM.finditer(document)] or [document]
    return tuple(base64_der(body) for body in bodies)


def base64_der(body: str) -> bytes:
    """DER from base64 with any line breaks. Raises ProtocolViolation."""
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolViolation("The device sent a certificate or request that is not valid base64.") from error
    if not der:
        raise ProtocolViolation("The device sent an empty certificate or request.")
    return der


def to_base64(der: bytes) -> str:
    return base64.b64encode(der).decode()


def to_pem(der: bytes, label: str) -> str:
    return keys.pem(label, der).decode()


def rejected(act: str, *, code: str, words: str) -> Rejected:
    """The device's refusal in one sentence, with its own words, cleaned."""
    code, words = clean(code, limit=80), clean(words)
    told = f"{words} ({code})" if words and code else words or code or "it gave no reason"
    return Rejected(f"The device refused to {act}: {told}.", vendor_code=code, vendor_text=words)


class _BoundedBuilder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._count += 1
        if self._depth > _XML_DEPTH or self._count > _XML_ELEMENTS:
            raise ProtocolViolation("The device's answer is XML nested or repeated without reason.")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)
