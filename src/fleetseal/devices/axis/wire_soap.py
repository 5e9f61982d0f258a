"""SOAP: certificates (`acertificates`, `tds`) and the web server (`aweb`); device-api 2.4, 6 to 8. No I/O.

Names are matched by namespace URI, never by prefix, and everything sent is qualified (AXIS OS 12.11 checks).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from fleetseal.core.errors import NotSupported, PermissionDenied, ProtocolViolation
from fleetseal.core.model import Alias, ConnectionPolicy, HttpsState
from fleetseal.core.text import clean
from fleetseal.devices.axis import wire
from fleetseal.devices.http import KEY_GENERATION_SECONDS, NORMAL_SECONDS, Answer, Ask, Request

T = TypeVar("T")

_NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "acertificates": "http://www.axis.com/vapix/ws/certificates",
    "acert": "http://www.axis.com/vapix/ws/cert",
    "aweb": "http://www.axis.com/vapix/ws/webserver",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
}
_POLICIES = {
    "Http": ConnectionPolicy.HTTP,  # inferred (device-api 6.1)
    "HttpAndHttps": ConnectionPolicy.HTTP_AND_HTTPS,
    "Https": ConnectionPolicy.HTTPS,
}
_POLICY_WORDS = {policy: word for word, policy in _POLICIES.items()}
_OTHER_GROUPS = ("Operator", "Viewer")
"""Besides Admin, on firmware before 7.10 (device-api 6.4)."""


def get_certificates() -> Ask[tuple[tuple[Alias, bytes], ...]]:
    return _ask("<tds:GetCertificates/>", lambda body: _certificates(body, "NvtCertificate"))


def get_authorities() -> Ask[tuple[tuple[Alias, bytes], ...]]:
    return _ask("<tds:GetCACertificates/>", lambda body: _certificates(body, "CACertificate"))


def get_certificates_status() -> Ask[Mapping[Alias, bool]]:
    """True: used by the TLS server (recording soap-tds-GetCertificatesStatus.xml)."""
    return _ask("<tds:GetCertificatesStatus/>", _status)


def create_certificate(alias: Alias, common_name: str) -> Ask[None]:
    """A key of the device's choice and a self-signed certificate; no alternative names (device-api 7.1)."""
    return _ask(
        f"<acertificates:CreateCertificate2>{_id(alias)}{_subject(common_name)}</acertificates:CreateCertificate2>",
        lambda body: None,
        act="make a key",
        deadline=KEY_GENERATION_SECONDS,
    )


def get_csr(alias: Alias, common_name: str) -> Ask[bytes]:
    """DER. Changes nothing, so it may be asked again."""
    return _ask(
        f"<acertificates:GetPkcs10Request2>{_id(alias)}{_subject(common_name)}</acertificates:GetPkcs10Request2>",
        lambda body: wire.base64_der(_text(_one(body, "acertificates:Pkcs10Request"))),
        deadline=KEY_GENERATION_SECONDS,
    )


def load_certificate(alias: Alias, leaf: bytes) -> Ask[None]:
    """For a key already there (device-api 8.3; the pairing with CreateCertificate2 is inferred)."""
    return _ask(
        "<tds:LoadCertificates><tds:NVTCertificate>"
        f"{_certificate(alias, leaf)}"
        "</tds:NVTCertificate></tds:LoadCertificates>",
        lambda body: None,
        act="take the certificate",
    )


def load_key_pair(alias: Alias, leaf: bytes, private_key: bytes) -> Ask[None]:
    """`private_key` in the encoding the firmware takes, DER (device-api 8.4)."""
    return _ask(
        "<tds:LoadCertificateWithPrivateKey><tds:CertificateWithPrivateKey>"
        f"{_certificate(alias, leaf)}"
        f"<tt:PrivateKey><tt:Data>{wire.to_base64(private_key)}</tt:Data></tt:PrivateKey>"
        "</tds:CertificateWithPrivateKey></tds:LoadCertificateWithPrivateKey>",
        lambda body: None,
        act="take the certificate and its key",
    )


def load_pkcs12(alias: Alias, packed: bytes, passphrase: str) -> Ask[None]:
    """Certificate and key in one file (device-api 7.4)."""
    return _ask(
        f"<acertificates:LoadPkcs12>{_id(alias)}"
        f"<acertificates:Certificate>{wire.to_base64(packed)}</acertificates:Certificate>"
        f"<acertificates:Password>{escape(passphrase)}</acertificates:Password></acertificates:LoadPkcs12>",
        lambda body: None,
        act="take the certificate and its key",
    )


def load_authority(alias: Alias, certificate: bytes) -> Ask[None]:
    return _ask(
        "<tds:LoadCACertificates><tds:CACertificate>"
        f"{_certificate(alias, certificate)}"
        "</tds:CACertificate></tds:LoadCACertificates>",
        lambda body: None,
        act="take the CA certificate",
    )


def delete_certificate(alias: Alias) -> Ask[None]:
    """Of either kind; the key goes with it (device-api 8.5)."""
    return _ask(
        f"<tds:DeleteCertificates><tds:CertificateID>{escape(alias)}</tds:CertificateID></tds:DeleteCertificates>",
        lambda body: None,
        act=f"remove “{alias}”",
    )


def list_cert_sets() -> Ask[tuple[str, ...]]:
    """The names of the sets that bind entries to services (device-api 7.5, recording soap-ListCertSets.xml)."""
    return _ask(
        "<acertificates:ListCertSets/>", lambda body: _listed(body, "acertificates:CertSetNameList/acert:CertSetNames")
    )


def get_cert_set(name: str) -> Ask[frozenset[Alias]]:
    """The entries in it, with a key or as a CA (recordings soap-GetCertSet-*.xml)."""
    return _ask(
        f"<acertificates:GetCertSet><acertificates:CertSetName>{escape(name)}</acertificates:CertSetName>"
        "</acertificates:GetCertSet>",
        lambda body: frozenset(map(Alias, _listed(body, "acertificates:CertSet/*/acert:Id"))),
    )


def get_https() -> Ask[HttpsState]:
    return _ask("<aweb:GetWebServerTlsConfiguration/>", _https)


def set_https(state: HttpsState) -> Ask[None]:
    """The whole configuration, elements in the recorded order (device-api 6.4)."""
    groups = (("Admin", state.policy), *state.other_policies)
    policies = "".join(f"<aweb:{group}>{_POLICY_WORDS[policy]}</aweb:{group}>" for group, policy in groups)
    ciphers = "".join(f"<acert:Cipher>{escape(name)}</acert:Cipher>" for name in state.ciphers)
    bound = () if state.alias is None else (state.alias,)
    return _ask(
        "<aweb:SetWebServerTlsConfiguration><aweb:Configuration>"
        f"<aweb:Tls>{'true' if state.tls else 'false'}</aweb:Tls>"
        f"<aweb:ConnectionPolicies>{policies}</aweb:ConnectionPolicies>"
        f"<aweb:Ciphers>{ciphers}</aweb:Ciphers>"
        "<aweb:CertificateSet>"
        f"{_ids('Certificates', bound)}{_ids('CACertificates', state.authorities)}"
        f"{_ids('TrustedCertificates', state.trusted)}"
        "</aweb:CertificateSet></aweb:Configuration></aweb:SetWebServerTlsConfiguration>",
        lambda body: None,
        act="change its web server",
    )


def get_date_time() -> Ask[tuple[datetime, datetime | None]]:
    """The device's time in UTC, and its local time (naive) if told (`tds:GetSystemDateAndTime`)."""
    return _ask("<tds:GetSystemDateAndTime/>", _date_time)


def _ask(
    content: str, decode: Callable[[Element], T], *, act: str | None = None, deadline: float = NORMAL_SECONDS
) -> Ask[T]:
    """A question; with `act` a write, named so in a refusal."""
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope{declared}><s:Body>{content}</s:Body></s:Envelope>'
    request = Request(
        "POST",
        "/vapix/services",
        body.encode(),
        content_type="application/soap+xml; charset=utf-8",
        write=act is not None,
        deadline=deadline,
    )
    return Ask(request, lambda answer: decode(_body(answer, act or "answer")))


def _body(answer: Answer, act: str) -> Element:
    """The element in the SOAP body. Faults come with 200, 400 or 500 and are raised (device-api 2.4, 7.7)."""
    if answer.status not in (200, 400, 500) or (answer.status != 200 and b"Envelope" not in answer.body[:4000]):
        wire.refuse_status(answer)
    envelope = wire.xml(answer.body)
    body = envelope.find("s:Body", _NAMESPACES)
    if body is None:
        raise wire.violation("a SOAP message")
    fault = body.find("s:Fault", _NAMESPACES)
    if fault is not None:
        raise _fault(fault, act)
    if len(body) != 1:
        raise wire.violation("one SOAP answer")
    return body[0]


def _fault(fault: Element, act: str) -> Exception:
    """By subcode or fault element, which are looked for in both places (device-api 7.7)."""
    codes = [_text(value).rpartition(":")[2] for value in fault.findall(".//s:Subcode/s:Value", _NAMESPACES)]
    detail = fault.find("s:Detail", _NAMESPACES)
    names = [] if detail is None else [element.tag.rpartition("}")[2] for element in detail.iter()]
    named = [name for name in names if name.endswith("Fault")]
    code = "/".join([*codes, *named])
    reason = _text(fault.find("s:Reason/s:Text", _NAMESPACES))
    told = "" if detail is None else " ".join(piece.strip() for piece in detail.itertext() if piece.strip())
    words = " – ".join(piece for piece in (reason, told) if piece)
    if "ActionNotSupported" in codes:
        return NotSupported(f"The device cannot {act}: {clean(words) or 'not implemented'}.")
    if "NotAuthorized" in codes:
        return PermissionDenied(f"The device does not let this user {act}. An administrator is needed.")
    return wire.rejected(act, code=code, words=words)


def _certificates(body: Element, kind: str) -> tuple[tuple[Alias, bytes], ...]:
    return tuple(
        (
            Alias(_text(_one(item, "tt:CertificateID"))),
            wire.pem_blocks(_text(_one(item, "tt:Certificate/tt:Data")))[0],
        )
        for item in body.findall(f"tds:{kind}", _NAMESPACES)
    )


def _status(body: Element) -> Mapping[Alias, bool]:
    return {
        Alias(_text(_one(item, "tt:CertificateID"))): _flag(_one(item, "tt:Status"))
        for item in body.findall("tds:CertificateStatus", _NAMESPACES)
    }


def _https(body: Element) -> HttpsState:
    configuration = _one(body, "aweb:Configuration")
    tls = _flag(_one(configuration, "aweb:Tls"))
    policies = {
        group: _policy(element)
        for group in ("Admin", *_OTHER_GROUPS)
        if (element := configuration.find(f"aweb:ConnectionPolicies/aweb:{group}", _NAMESPACES)) is not None
    }
    if "Admin" not in policies:
        raise wire.violation("complete: the connection policy is missing")
    chosen = "aweb:CertificateSet/acert:"
    bound = _listed(configuration, f"{chosen}Certificates/acert:Id")
    if len(bound) > 1:
        raise ProtocolViolation("The device's web server is bound to more than one certificate.")
    return HttpsState(
        tls=tls,
        policy=policies.pop("Admin"),
        alias=Alias(bound[0]) if bound else None,
        ciphers=_listed(configuration, "aweb:Ciphers/acert:Cipher"),
        other_policies=tuple(policies.items()),
        authorities=tuple(map(Alias, _listed(configuration, f"{chosen}CACertificates/acert:Id"))),
        trusted=tuple(map(Alias, _listed(configuration, f"{chosen}TrustedCertificates/acert:Id"))),
    )


def _policy(element: Element) -> ConnectionPolicy:
    word = _text(element)
    if word not in _POLICIES:
        raise ProtocolViolation(f"The device names a connection policy that is not known: {clean(word, limit=40)}.")
    return _POLICIES[word]


def _date_time(body: Element) -> tuple[datetime, datetime | None]:
    told = _one(body, "tds:SystemDateAndTime")
    local = told.find("tt:LocalDateTime", _NAMESPACES)
    utc = _date(_one(told, "tt:UTCDateTime")).replace(tzinfo=UTC)
    return utc, None if local is None else _date(local)


def _date(element: Element) -> datetime:
    parts = ("Date/tt:Year", "Date/tt:Month", "Date/tt:Day", "Time/tt:Hour", "Time/tt:Minute", "Time/tt:Second")
    try:
        year, month, day, hour, minute, second = (int(_text(_one(element, f"tt:{part}"))) for part in parts)
        return datetime(year, month, day, hour, minute, min(second, 59))  # noqa: DTZ001 - the caller knows the zone
    except (ValueError, OverflowError) as error:
        raise wire.violation("a date") from error


def _one(parent: Element, path: str) -> Element:
    found = parent.find(path, _NAMESPACES)
    if found is None:
        raise wire.violation(f"complete: {path.rpartition(':')[2]} is missing")
    return found


def _listed(parent: Element, path: str) -> tuple[str, ...]:
    return tuple(word for element in parent.findall(path, _NAMESPACES) if (word := _text(element)))


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _flag(element: Element) -> bool:
    word = _text(element).lower()
    if word not in ("true", "false", "1", "0"):  # xsd:boolean
        raise wire.violation("true or false where it must be")
    return word in ("true", "1")


def _id(alias: Alias) -> str:
    return f"<acertificates:Id>{escape(alias)}</acertificates:Id>"


def _subject(common_name: str) -> str:
    return f"<acertificates:Subject><acert:CN>{escape(common_name)}</acert:CN></acertificates:Subject>"


def _certificate(alias: Alias, der: bytes) -> str:
    return (
        f"<tt:CertificateID>{escape(alias)}</tt:CertificateID>"
        f"<tt:Certificate><tt:Data>{wire.to_base64(der)}</tt:Data></tt:Certificate>"
    )


def _ids(kind: str, aliases: tuple[Alias, ...]) -> str:
    listed = "".join(f"<acert:Id>{escape(alias)}</acert:Id>" for alias in aliases)
    return f"<acert:{kind}>{listed}</acert:{kind}>"
