"""SOAP 1.2 as the devices read and write it (device-api 2.4, 6.4, 7.7)."""

import re
from collections.abc import Iterable
from functools import cache
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from fleetseal.sim.http import Response
from fleetseal.sim.keystore import Reason, Refusal
from fleetseal.sim.parameters import data_file

NAMESPACES = {
    "acertificates": "http://www.axis.com/vapix/ws/certificates",
    "acert": "http://www.axis.com/vapix/ws/cert",
    "aweb": "http://www.axis.com/vapix/ws/webserver",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
}
_ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
_TAIL = "</SOAP-ENV:Body></SOAP-ENV:Envelope>"
# Older firmware declares what it uses under other prefixes: prefixes carry no meaning (inferred)
_OLD_PREFIXES = {"acertificates": "ns5", "acert": "ns4", "aweb": "ns6"}

# Faults: SOAP code, ONVIF subcodes (8.6), element of the certificate services in the detail (7.7)
_FAULTS = {
    Reason.EXISTS: ("Sender", ("InvalidArgVal", "CertificateID"), "CertificateIdInUseFault"),
    Reason.IN_USE: ("Sender", ("InvalidArgVal", "CertificateID"), "CertificateIdInUseFault"),
    Reason.UNKNOWN: ("Sender", ("InvalidArgVal", "CertificateID"), ""),
    Reason.FULL: ("Receiver", ("Action", "MaxCertificates"), "MaxNumberOfCertificatesFault"),
    Reason.FORMAT: ("Sender", ("InvalidArgVal", "CertificateFormat"), "CertificateFormatFault"),
    Reason.KEYS_NOT_MATCHING: ("Sender", ("InvalidArgVal", "KeysNotMatching"), ""),
    Reason.KEY_GENERATION: ("Receiver", ("Action", "KeyGeneration"), "KeyPairGenerationFault"),
    Reason.REQUEST: ("Receiver", ("Action", "Signature"), "Pkcs10GenerationFault"),
    Reason.INVALID: ("Sender", ("InvalidArgVal",), ""),
    Reason.TAG_MISMATCH: ("Sender", ("TagMismatch",), ""),
}


def name(prefix: str, local: str) -> str:
    """The qualified name as ElementTree writes it."""
    return f"{{{NAMESPACES[prefix]}}}{local}"


class Node:
    """An element of a request, read as strictly as the firmware does: AXIS OS 12 wants each child's namespace
    and order right and knows no others; older firmware goes by local names (inferred)."""

    def __init__(self, element: Element, *, strict: bool) -> None:
        self._element = element
        self._strict = strict

    def children(self, prefix: str, *locals_: str) -> dict[str, list["Node"]]:
        """The children, by local name. Raises Refusal (TagMismatch) on one that is not expected there."""
        found: dict[str, list[Node]] = {local: [] for local in locals_}
        position = 0
        for child in self._element:
            local = child.tag.rpartition("}")[2]
            if self._strict:
                right = local in found and child.tag == name(prefix, local) and locals_.index(local) >= position
                if not right:
                    raise Refusal(
                        Reason.TAG_MISMATCH,
                        f"Validation constraint violation: tag name or namespace mismatch in element <{local}>",
                    )
                position = locals_.index(local)
            if local in found:
                found[local].append(Node(child, strict=self._strict))
        return found

    @property
    def text(self) -> str:
        return (self._element.text or "").strip()


def one(found: list[Node]) -> Node:
    """Raises Refusal unless there is exactly one."""
    if len(found) != 1:
        raise Refusal(Reason.TAG_MISMATCH, "Validation constraint violation: a required element is missing")
    return found[0]


def parse(body: bytes) -> Element:
    """The operation element of a request. Raises Refusal on anything that is not SOAP 1.2 with one operation."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        raise Refusal(Reason.INVALID, "not well-formed") from error
    found = root.find(f"{{{_ENVELOPE}}}Body")
    if root.tag != f"{{{_ENVELOPE}}}Envelope" or found is None or len(found) != 1:
        raise Refusal(Reason.TAG_MISMATCH, "SOAP version mismatch or invalid SOAP message")
    return found[0]


def element(tag: str, *content: str) -> str:
    """An element of parts that are XML already. `tag` may carry attributes."""
    return f"<{tag}>{''.join(content)}</{tag.partition(' ')[0]}>"


def leaf(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>"


def ids(tag: str, aliases: Iterable[str]) -> str:
    return element(tag, *(leaf("acert:Id", alias) for alias in aliases))


def answer(content: str, *, modern: bool, status: int = 200) -> Response:
    text = _dress(content, modern=modern)
    return Response(status, text.encode(), "application/soap+xml; charset=utf-8")


def fault(refusal: Refusal, *, modern: bool) -> Response:
    """HTTP 400 for a sender's fault, 500 for a receiver's (device-api 2.4)."""
    if refusal.reason is Reason.UNKNOWN_ACTION:
        content = _fault(
            "Receiver", ("ActionNotSupported",), "Optional action not implemented",
            leaf("SOAP-ENV:Text", "The requested action is optional and is not implemented"),
        )  # fmt: skip
        return answer(content, modern=modern, status=500)
    code, subcodes, detail = _FAULTS[refusal.reason]
    inner = f"<acertificates:{detail}></acertificates:{detail}>" if detail else ""
    content = _fault(code, subcodes, refusal.text, inner)
    return answer(content, modern=modern, status=400 if code == "Sender" else 500)


def empty_fault(*, modern: bool) -> Response:
    """A fault that says nothing at all (soap-tds-GetDot1XConfigurations-fault.xml)."""
    content = element(
        "SOAP-ENV:Fault",
        element("SOAP-ENV:Code", leaf("SOAP-ENV:Value", "SOAP-ENV:Sender")),
        element("SOAP-ENV:Reason", '<SOAP-ENV:Text xml:lang="en"/>'),
    )
    return answer(content, modern=modern, status=400)


def _fault(code: str, subcodes: tuple[str, ...], reason: str, detail: str) -> str:
    inner = ""
    for subcode in reversed(subcodes):
        inner = element("SOAP-ENV:Subcode", leaf("SOAP-ENV:Value", f"ter:{subcode}"), inner)
    return element(
        "SOAP-ENV:Fault",
        element("SOAP-ENV:Code", leaf("SOAP-ENV:Value", f"SOAP-ENV:{code}"), inner),
        element("SOAP-ENV:Reason", f'<SOAP-ENV:Text xml:lang="en">{escape(reason)}</SOAP-ENV:Text>'),
        element("SOAP-ENV:Detail", detail) if detail else "",
    )


def _dress(content: str, *, modern: bool) -> str:
    if modern:
        return data_file("soap-head-12.11.xml") + "<SOAP-ENV:Body>" + content + _TAIL
    for prefix, old in _OLD_PREFIXES.items():
        content = re.sub(rf"(</?){prefix}:", rf"\g<1>{old}:", content)
    return _old_head() + "<SOAP-ENV:Body>" + content + _TAIL


@cache
def _old_head() -> str:
    declared = {"SOAP-ENV": _ENVELOPE, "ter": "http://www.onvif.org/ver10/error"}
    declared |= {_OLD_PREFIXES.get(prefix, prefix): uri for prefix, uri in NAMESPACES.items()}
    attributes = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in declared.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope {attributes}>'
