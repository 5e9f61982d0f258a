"""What is sent, word for word, and the details of what is read."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from defusedxml.ElementTree import fromstring

from fleetseal.core.errors import NotSupported, PermissionDenied, ProtocolViolation, Rejected
from fleetseal.core.model import Alias, ConnectionPolicy, HttpsState, KeySpec, KeyType, Support
from fleetseal.devices.axis import catalogue, wire, wire_cgi, wire_json, wire_rest, wire_soap
from fleetseal.devices.http import Answer, Request

BASE = "/config/rest/cert/v1"
AWEB = "http://www.axis.com/vapix/ws/webserver"
ACERT = "http://www.axis.com/vapix/ws/cert"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
STATE = HttpsState(
    tls=True,
    policy=ConnectionPolicy.HTTPS,
    alias=Alias("Plant HTTPS 2026"),
    ciphers=("ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"),
    other_policies=(("Operator", ConnectionPolicy.HTTP), ("Viewer", ConnectionPolicy.HTTP_AND_HTTPS)),
    authorities=(Alias("plant-ca"),),
    trusted=(Alias("a"), Alias("b")),
)


def operation(request: Request) -> ElementTree.Element:
    body = fromstring(request.body).find(f"{{{SOAP}}}Body")
    assert body is not None
    assert len(body) == 1
    element = body[0]
    assert isinstance(element, ElementTree.Element)
    return element


def sent(request: Request) -> object:
    return json.loads(request.body)


def envelope(content: str) -> bytes:
    spaces = f'xmlns:s="{SOAP}" xmlns:x="{AWEB}" xmlns:y="{ACERT}" xmlns:ter="http://www.onvif.org/ver10/error"'
    return f"<s:Envelope {spaces}><s:Body>{content}</s:Body></s:Envelope>".encode()


# ---------------------------------------------------------------- SOAP


def test_the_web_server_is_sent_whole_in_the_recorded_order_and_qualified() -> None:
    """12.11 answers TagMismatch to a Configuration that is not in the webserver namespace (device-api 6.4)."""
    element = operation(wire_soap.set_https(STATE).request)
    assert [item.tag for item in element.iter()] == [
        f"{{{AWEB}}}SetWebServerTlsConfiguration",
        f"{{{AWEB}}}Configuration",
        f"{{{AWEB}}}Tls",
        f"{{{AWEB}}}ConnectionPolicies",
        f"{{{AWEB}}}Admin",
        f"{{{AWEB}}}Operator",
        f"{{{AWEB}}}Viewer",
        f"{{{AWEB}}}Ciphers",
        f"{{{ACERT}}}Cipher",
        f"{{{ACERT}}}Cipher",
        f"{{{AWEB}}}CertificateSet",
        f"{{{ACERT}}}Certificates",
        f"{{{ACERT}}}Id",
        f"{{{ACERT}}}CACertificates",
        f"{{{ACERT}}}Id",
        f"{{{ACERT}}}TrustedCertificates",
        f"{{{ACERT}}}Id",
        f"{{{ACERT}}}Id",
    ]
    assert [item.text for item in element.iter() if item.text] == [
        "true",
        "Https",
        "Http",
        "HttpAndHttps",
        *STATE.ciphers,
        "Plant HTTPS 2026",
        "plant-ca",
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    "state", [STATE, replace(STATE, alias=None, tls=False, other_policies=(), authorities=(), trusted=(), ciphers=())]
)
def test_what_was_sent_is_read_back_the_same(state: HttpsState) -> None:
    configuration = operation(wire_soap.set_https(state).request)[0]
    written = ElementTree.tostring(configuration, encoding="unicode")
    answer = envelope(f"<x:GetWebServerTlsConfigurationResponse>{written}</x:GetWebServerTlsConfigurationResponse>")
    assert wire_soap.get_https().decode(Answer(200, (), answer)) == state


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("Https<", "Sometimes<"), "connection policy that is not known"),
        ((">true<", ">perhaps<"), "true or false"),
        (("Admin>", "Boss>"), "the connection policy is missing"),
        (("<y:Id>one</y:Id>", "<y:Id>one</y:Id><y:Id>two</y:Id>"), "more than one certificate"),
        ((":Configuration", ":Setup"), "Configuration is missing"),
    ],
)
def test_a_web_server_that_cannot_be_understood(change: tuple[str, str], why: str) -> None:
    content = (
        "<x:R><x:Configuration><x:Tls>true</x:Tls><x:ConnectionPolicies><x:Admin>Https</x:Admin></x:ConnectionPolicies>"
        "<x:CertificateSet><y:Certificates><y:Id>one</y:Id></y:Certificates></x:CertificateSet></x:Configuration></x:R>"
    )
    assert wire_soap.get_https().decode(Answer(200, (), envelope(content))).alias == "one"
    with pytest.raises(ProtocolViolation, match=why):
        wire_soap.get_https().decode(Answer(200, (), envelope(content.replace(*change))))


def test_names_cannot_break_out_of_their_element() -> None:
    alias = Alias("a</acertificates:Id><b>&amp;")
    element = operation(wire_soap.create_certificate(alias, "<CN>").request)
    assert [item.text for item in element.iter() if item.text] == [alias, "<CN>"]


FAULT = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value>{subcode}</s:Code>"
    "<s:Reason><s:Text>{reason}</s:Text></s:Reason>{detail}</s:Fault>"
)


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("subcode", "detail", "kind", "code"),
    [
        ("ter:InvalidArgVal/ter:KeysNotMatching", "", Rejected, "InvalidArgVal/KeysNotMatching"),
        ("", "<s:Detail><CertificateIdInUseFault/></s:Detail>", Rejected, "CertificateIdInUseFault"),
        ("ter:Action", "<s:Detail><x:MaxNumberOfCertificatesFault>9</x:MaxNumberOfCertificatesFault></s:Detail>",
         Rejected, "Action/MaxNumberOfCertificatesFault"),
        ("ter:ActionNotSupported", "", NotSupported, None),
        ("ter:NotAuthorized", "", PermissionDenied, None),
        ("", "", Rejected, ""),
    ],
)  # fmt: skip
def test_faults(status: int, subcode: str, detail: str, kind: type[Exception], code: str | None) -> None:
    nested = ""
    for name in reversed(subcode.split("/") if subcode else []):
        nested = f"<s:Subcode><s:Value>{name}</s:Value>{nested}</s:Subcode>"
    body = envelope(FAULT.format(subcode=nested, reason="No", detail=detail))
    with pytest.raises(kind) as caught:
        wire_soap.load_certificate(Alias("a"), b"x").decode(Answer(status, (), body))
    if code is not None:
        assert getattr(caught.value, "vendor_code", None) == code
        assert str(caught.value).startswith("The device refused to take the certificate: No")


def test_every_soap_write_is_marked_as_one() -> None:
    alias = Alias("a")
    writes = (
        wire_soap.create_certificate(alias, "c"),
        wire_soap.load_certificate(alias, b"x"),
        wire_soap.load_key_pair(alias, b"x", b"y"),
        wire_soap.load_authority(alias, b"x"),
        wire_soap.delete_certificate(alias),
        wire_soap.set_https(STATE),
    )
    assert all(question.request.write for question in writes)
    assert not wire_soap.get_https().request.write
    assert not wire_soap.get_csr(alias, "c").request.write
    assert wire_soap.create_certificate(alias, "c").request.deadline == 120.0


def test_the_onvif_clock() -> None:
    tt = "http://www.onvif.org/ver10/schema"
    tds = "http://www.onvif.org/ver10/device/wsdl"

    def date(name: str, hour: int) -> str:
        return (
            f"<tt:{name}><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>5</tt:Minute><tt:Second>9</tt:Second></tt:Time>"
            f"<tt:Date><tt:Year>2026</tt:Year><tt:Month>7</tt:Month><tt:Day>1</tt:Day></tt:Date></tt:{name}>"
        )

    told = (
        f'<r:GetSystemDateAndTimeResponse xmlns:r="{tds}" xmlns:tt="{tt}"><r:SystemDateAndTime>'
        f"{date('UTCDateTime', 10)}{date('LocalDateTime', 12)}</r:SystemDateAndTime></r:GetSystemDateAndTimeResponse>"
    )
    utc, local = wire_soap.get_date_time().decode(Answer(200, (), envelope(told)))
    assert utc == datetime(2026, 7, 1, 10, 5, 9, tzinfo=UTC)
    assert local == datetime(2026, 7, 1, 12, 5, 9)  # noqa: DTZ001 - local time of the device
    with pytest.raises(ProtocolViolation):
        wire_soap.get_date_time().decode(Answer(200, (), envelope(told.replace("2026", "20260"))))


# ---------------------------------------------------------------- REST


def test_a_key_is_asked_for() -> None:
    spec = KeySpec("Tür, 3", ("192.0.2.10", "2001:db8::1", "cam1.example"), KeyType.EC_P256, "SE0")
    request = wire_rest.create_certificate(BASE, Alias("fs-1"), spec).request
    assert (request.method, request.target, request.write) == ("POST", f"{BASE}/create_certificate", True)
    assert sent(request) == {
        "data": {
            "alias": "fs-1",
            "subject": "CN=Tür\\, 3",
            "key_type": "EC-P256",
            "subject_alt_names": ["IP:192.0.2.10", "IP:2001:db8::1", "DNS:cam1.example"],
            "keystore": "SE0",
        }
    }


def test_an_alias_is_one_segment_of_the_address() -> None:
    request = wire_rest.remove_certificate(BASE, Alias("Axis device ID ECC-P256 (802.1AR)/../x")).request
    assert request.target == f"{BASE}/certificates/Axis%20device%20ID%20ECC-P256%20%28802.1AR%29%2F..%2Fx"
    assert (request.method, request.body, request.write) == ("DELETE", b"", True)


def test_certificate_and_key_travel_as_pem() -> None:
    request = wire_rest.add_key_pair(BASE, Alias("a"), b"leaf" * 30, b"key").request
    data = json.loads(request.body)["data"]
    assert wire.pem_blocks(data["certificate"]) == (b"leaf" * 30,)
    assert max(map(len, data["certificate"].splitlines())) <= 64
    assert "PRIVATE KEY" in data["private_key"]
    assert "key" not in repr(request).replace("private_key", "")


@pytest.mark.parametrize("data", ["{pem}", {"alias": "{pem}"}])
def test_a_csr_is_the_string_or_under_a_member(data: object) -> None:
    pem = wire.to_pem(b"request", "CERTIFICATE REQUEST")
    body = json.dumps({"status": "success", "data": data}).replace('"{pem}"', json.dumps(pem)).encode()
    assert wire_rest.get_csr(BASE, Alias("a")).decode(Answer(200, (), body)) == b"request"


def test_an_error_of_the_vendor_as_published() -> None:
    message = "Validation error: Failed to generate key pair: This key algorithm is not supported on TPM"
    body = json.dumps({"status": "error", "error": {"code": 5, "message": message}}).encode()
    with pytest.raises(Rejected, match="not supported on TPM") as caught:
        wire_rest.create_certificate(BASE, Alias("a"), KeySpec("c")).decode(Answer(400, (), body))
    assert (caught.value.vendor_code, caught.value.vendor_text) == ("5", message)


def test_beta_and_released_versions_and_no_others() -> None:
    versions = {
        "v1": {"state": "released", "rest_api": "/config/rest/cert/v1"},
        "v2": {"state": "beta", "rest_api": "/config/rest/cert/v2beta/"},
        "v3": {"state": "alpha", "rest_api": "/config/rest/cert/v3alpha"},
        "v9": {"state": "released", "rest_api": "http://evil.example/"},
    }
    for allowed, expected in (({"v1"}, "v1"), ({"v1", "v2"}, "v2beta"), ({"v1", "v3", "v9"}, "v1")):
        listed = {name: entry for name, entry in versions.items() if name in allowed}
        body = json.dumps({"apis": {"cert": listed, "broken": 7}}).encode()
        assert wire_rest.discover().decode(Answer(200, (), body)) == {"cert": f"/config/rest/cert/{expected}"}


# ---------------------------------------------------------------- JSON and text


@pytest.mark.parametrize(
    ("text", "hour"), [("2026-10-07T16:24:01Z", 16), ("2026-10-07T18:24:01+02:00", 16), ("2026-10-07T16:24:01", 16)]
)
def test_times(text: str, hour: int) -> None:
    assert wire_json.utc(text) == datetime(2026, 10, 7, hour, 24, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "0001-01-01T00:00:00+23:59"])
def test_times_that_are_none(text: object) -> None:
    with pytest.raises(ProtocolViolation):
        wire_json.utc(text)


@pytest.mark.parametrize("code", [2002, 2003, 2004, 4000, 4001, 405])
def test_an_absent_method_is_not_supported_and_the_rest_is_a_refusal(code: int) -> None:
    body = json.dumps({"error": {"code": code, "message": "no"}}).encode()
    with pytest.raises(NotSupported):
        wire_json.get_date_time().decode(Answer(200, (), body))
    other = json.dumps({"error": {"code": 1000, "message": "Invalid"}}).encode()
    with pytest.raises(Rejected, match="refused to set its clock: Invalid"):
        wire_json.set_date_time(datetime(2026, 1, 1, tzinfo=UTC)).decode(Answer(200, (), other))


def test_parameters_as_old_and_new_firmware_write_them() -> None:
    body = b"root.A.B=1=2 \r\nC.D=x\n# Error: Error -1 getting param in group 'E'\nroot.F=\nG=caf\xe9\n"
    found = wire_cgi.list_parameters("A", "C.D").decode(Answer(200, (), body))
    assert found == {"A.B": "1=2", "C.D": "x", "F": "", "G": "café"}


def test_an_error_in_a_success_is_seen() -> None:
    question = wire_cgi.set_date(datetime(2026, 7, 1, 12, 5, 9))  # noqa: DTZ001 - local time of the device
    fields = "action=set&year=2026&month=7&day=1&hour=12&minute=5&second=9"
    assert (question.request.target, question.request.write) == (f"/axis-cgi/date.cgi?{fields}", True)
    question.decode(Answer(200, (), b"OK\n"))
    with pytest.raises(Rejected, match="refused to set its clock"):
        question.decode(Answer(200, (), b"# Error: Error setting date\n"))


@pytest.mark.parametrize("wrapped", ["{0}", "{0}\n", "-----BEGIN CERTIFICATE-----\n{0}\n-----END CERTIFICATE-----\n"])
def test_certificates_in_any_wrapping(wrapped: str) -> None:
    der = bytes(range(200))
    text = base64.b64encode(der).decode()
    for body in (text, "\n".join(text[at : at + 64] for at in range(0, len(text), 64))):
        assert wire.pem_blocks(wrapped.format(body)) == (der,)
    for broken in ("", "§", "AAA"):
        with pytest.raises(ProtocolViolation):
            wire.pem_blocks(broken)


# ---------------------------------------------------------------- products


@pytest.mark.parametrize(
    ("model", "product_type", "firmware", "support"),
    [
        ("P5512", "PTZ Dome Network Camera", "5.51.7", Support.FIRMWARE),
        ("P5512", "PTZ Dome Network Camera", "5.69.99", Support.FIRMWARE),
        ("P5512", "PTZ Dome Network Camera", "5.70", Support.SUPPORTED),
        ("P5512", "PTZ Dome Network Camera", "10.0", Support.SUPPORTED),
        ("A9188", "Network I/O Relay Module", "1.84.1", Support.SUPPORTED),
        ("A1001", "Network Door Controller", "1.24.9", Support.FIRMWARE),
        ("C3003-E", "Network Horn Speaker", "1.25", Support.SUPPORTED),
        ("M1011", "Network Camera", "1.84.1", Support.FIRMWARE),
        ("T8508", "Network Switch", "6.54.2739", Support.PRODUCT),
        ("P3265-V", "Dome Camera", "", Support.FIRMWARE),
    ],
)
def test_support(model: str, product_type: str, firmware: str, support: Support) -> None:
    found, reason = catalogue.support(model, product_type, firmware)
    assert found is support
    assert bool(reason) == (support is not Support.SUPPORTED)


@pytest.mark.parametrize(
    ("product_type", "category"),
    [
        ("Dome Camera", "camera"),
        ("Network Video Door Station", "intercom"),
        ("Network Door Controller", "access control"),
        ("Video Encoder", "encoder"),
        ("Network Horn Speaker", "audio"),
        ("Network Audio Bridge", "audio"),
        ("Network I/O Relay Module", "access control"),
        ("Security Radar", "radar"),
        ("Toaster", "other"),
    ],
)
def test_categories(product_type: str, category: str) -> None:
    assert catalogue.category(product_type) == category
