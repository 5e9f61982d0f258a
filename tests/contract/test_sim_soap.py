"""The SOAP services: one store, the right faults, namespaces as strict as the firmware (device-api 6 to 8)."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from defusedxml.ElementTree import fromstring

from fleetseal.sim.fleet import Fleet, SimulatedDevice
from tests.simulator import CERTIFICATES, TDS, TT, back, browser, configuration, create, envelope, handshake, soap

PROFILES = ("5.51", "6.50", "7.30", "9.10", "10.12", "11.6", "12.11")


@pytest.fixture
async def device(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedDevice]:
    async with Fleet([request.param], restart_seconds=0.01) as fleet:
        yield fleet.devices[0]


def every_profile() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("device", PROFILES, indirect=True)


def text_of(answer: str, namespace: str, local: str) -> str:
    found = fromstring(answer).find(f".//{{{namespace}}}{local}")
    assert found is not None
    assert found.text is not None
    return found.text


async def request_for(device: SimulatedDevice, alias: str) -> x509.CertificateSigningRequest:
    async with browser(device) as client:
        assert (await soap(client, create(alias))).status_code == 200
        answer = await soap(client, f"<c:GetPkcs10Request2><c:Id>{alias}</c:Id></c:GetPkcs10Request2>")
    return x509.load_der_x509_csr(base64.b64decode(text_of(answer.text, CERTIFICATES, "Pkcs10Request")))


def sign(key: object, *, subject: str = "CN=192.0.2.10") -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A certificate of a throw-away CA for this public key, and the CA's key."""
    assert isinstance(key, rsa.RSAPublicKey)
    issuer = rsa.generate_private_key(65537, 2048)
    built = x509.CertificateBuilder(
        issuer_name=x509.Name.from_rfc4514_string("CN=Plant CA"),
        subject_name=x509.Name.from_rfc4514_string(subject),
        public_key=key,
        serial_number=77,
        not_valid_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2027, 1, 1, tzinfo=UTC),
    )
    return built.sign(issuer, hashes.SHA256()), issuer


def data(der: bytes) -> str:
    return f"<tt:Data>{base64.b64encode(der).decode()}</tt:Data>"


def load(alias: str, certificate: x509.Certificate) -> str:
    der = certificate.public_bytes(Encoding.DER)
    identity = f"<tt:CertificateID>{alias}</tt:CertificateID>"
    item = f"<tds:NVTCertificate>{identity}<tt:Certificate>{data(der)}</tt:Certificate></tds:NVTCertificate>"
    return f"<tds:LoadCertificates>{item}</tds:LoadCertificates>"


def load_authority(alias: str, certificate: x509.Certificate) -> str:
    return (
        load(alias, certificate)
        .replace("NVTCertificate", "CACertificate")
        .replace("LoadCertificates", "LoadCACertificates")
    )


@every_profile()
async def test_a_key_made_on_the_device_comes_to_serve_https(device: SimulatedDevice) -> None:
    asked = await request_for(device, "plant-https-2026")
    certificate, _ = sign(asked.public_key())
    async with browser(device) as client:
        assert (await soap(client, load("plant-https-2026", certificate))).status_code == 200
        before = device.web
        wanted = configuration(device, alias="plant-https-2026", policy="HttpAndHttps")
        assert (await soap(client, wanted)).status_code == 200
        await back(device, 1)
        assert device.web.ciphers == before.ciphers
        listed = (await soap(client, "<tds:GetCertificates/>")).text
        status = (await soap(client, "<tds:GetCertificatesStatus/>")).text
        bound = (await soap(client, "<c:GetCertSet><c:CertSetName>WebServer</c:CertSetName></c:GetCertSet>")).text
    assert (await handshake(device)).leaf == certificate.public_bytes(Encoding.DER)
    assert "plant-https-2026" in listed
    used = {
        found.findtext(f"{{{TT}}}CertificateID"): found.findtext(f"{{{TT}}}Status")
        for found in fromstring(status).iter(f"{{{TDS}}}CertificateStatus")
    }
    assert [alias for alias, value in used.items() if value == "true"] == ["plant-https-2026"]
    assert "plant-https-2026" in bound


@every_profile()
async def test_requests_are_signed_as_in_their_age(device: SimulatedDevice) -> None:
    asked = await request_for(device, "plant-https-2026")
    old = device.profile.name in ("5.51", "6.50", "7.30")
    assert asked.signature_hash_algorithm is not None
    assert asked.signature_hash_algorithm.name == ("sha1" if old else "sha256")
    key = asked.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == (1024 if device.profile.name == "5.51" else 2048)
    digest: hashes.HashAlgorithm = hashes.SHA1() if old else hashes.SHA256()
    key.verify(asked.signature, asked.tbs_certrequest_bytes, padding.PKCS1v15(), digest)
    assert asked.subject.rfc4514_string() == "CN=192.0.2.10,O=Plant,C=SE"


@pytest.mark.parametrize("device", ["9.10"], indirect=True)
async def test_certificate_of_another_key_is_refused(device: SimulatedDevice) -> None:
    await request_for(device, "plant-https-2026")
    certificate, _ = sign(rsa.generate_private_key(65537, 2048).public_key())
    before = device.certificate("plant-https-2026")
    async with browser(device) as client:
        answer = await soap(client, load("plant-https-2026", certificate))
    assert answer.status_code == 400
    assert "ter:KeysNotMatching" in answer.text
    assert device.certificate("plant-https-2026") == before


@pytest.mark.parametrize("device", ["9.10", "12.11"], indirect=True)
@pytest.mark.parametrize(
    ("operation", "status", "word"),
    [
        (create("bound-already"), 400, "CertificateIdInUseFault"),
        ("<tds:DeleteCertificates><tds:CertificateID>bound-already</tds:CertificateID></tds:DeleteCertificates>", 400,
         "CertificateIdInUseFault"),
        ("<tds:DeleteCertificates><tds:CertificateID>nobody</tds:CertificateID></tds:DeleteCertificates>", 400,
         "ter:CertificateID"),
        ("<c:GetPkcs10Request2><c:Id>nobody</c:Id></c:GetPkcs10Request2>", 500, "Pkcs10GenerationFault"),
        ("<c:LoadPkcs12><c:Id>p12</c:Id><c:Certificate>AAAA</c:Certificate><c:Password>x</c:Password></c:LoadPkcs12>",
         400, "CertificateFormatFault"),
        ("<c:GetCertificates/>", 500, "ter:ActionNotSupported"),
        ("<c:GetCertSet><c:CertSetName>Nonsense</c:CertSetName></c:GetCertSet>", 400, "ter:InvalidArgVal"),
    ],
)  # fmt: skip
async def test_faults(device: SimulatedDevice, operation: str, status: int, word: str) -> None:
    async with browser(device) as client:
        assert (await soap(client, create("bound-already"))).status_code == 200
        assert (await soap(client, configuration(device, alias="bound-already"))).status_code == 200
        await back(device, 1)
        held = device.aliases
        answer = await soap(client, operation)
    assert (answer.status_code, word in answer.text) == (status, True)
    assert device.aliases == held


@pytest.mark.parametrize("device", ["9.10"], indirect=True)
async def test_an_unknown_binding_changes_nothing(device: SimulatedDevice) -> None:
    before, shown = device.web, device.served
    async with browser(device) as client:
        answer = await soap(client, configuration(device, alias="nobody", policy="Https"))
    assert answer.status_code == 400
    assert (device.web, device.served, device.restarts) == (before, shown, 0)


@pytest.mark.parametrize("device", ["12.11", "9.10"], indirect=True)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("w:Configuration>", "Configuration>"),
        lambda text: text.replace("a:Cipher>", "w:Cipher>"),
        lambda text: text.replace("a:Id>", "Id>"),
    ],
)
async def test_namespaces_are_strict_on_12(device: SimulatedDevice, spoil: object) -> None:
    assert callable(spoil)
    async with browser(device) as client:
        answer = await soap(client, spoil(configuration(device)))
    strict = device.profile.name == "12.11"
    assert answer.status_code == (400 if strict else 200)
    assert ("ter:TagMismatch" in answer.text) is strict


@pytest.mark.parametrize("device", ["12.11"], indirect=True)
async def test_order_is_strict_on_12(device: SimulatedDevice) -> None:
    whole = configuration(device)
    tls = "<w:Tls>true</w:Tls>"
    async with browser(device) as client:
        answer = await soap(client, whole.replace(tls, "").replace("</w:Configuration>", f"{tls}</w:Configuration>"))
    assert "ter:TagMismatch" in answer.text


@pytest.mark.parametrize("device", ["6.50", "12.11"], indirect=True)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
async def test_key_pairs_from_outside(device: SimulatedDevice, form: PrivateFormat) -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate, _ = sign(key.public_key())
    packed = key.private_bytes(Encoding.DER, form, NoEncryption())
    der = certificate.public_bytes(Encoding.DER)
    operation = (
        "<tds:LoadCertificateWithPrivateKey><tds:CertificateWithPrivateKey><tt:CertificateID>pair</tt:CertificateID>"
        f"<tt:Certificate>{data(der)}</tt:Certificate><tt:PrivateKey>{data(packed)}</tt:PrivateKey>"
        "</tds:CertificateWithPrivateKey></tds:LoadCertificateWithPrivateKey>"
    )
    old = PrivateFormat.PKCS12.encryption_builder().key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    p12 = pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, old.build(b"transport"))
    load_p12 = (
        f"<c:LoadPkcs12><c:Id>packed</c:Id><c:Certificate>{base64.b64encode(p12).decode()}</c:Certificate>"
        "<c:Password>transport</c:Password></c:LoadPkcs12>"
    )
    async with browser(device) as client:
        assert (await soap(client, operation)).status_code == 200
        assert (await soap(client, operation)).status_code == 400
        assert (await soap(client, load_p12)).status_code == 200
    assert device.certificate("pair") == device.certificate("packed") == der


@every_profile()
async def test_authorities_come_and_go(device: SimulatedDevice) -> None:
    key = rsa.generate_private_key(65537, 2048)
    authority, _ = sign(key.public_key(), subject="CN=Plant CA")
    async with browser(device) as client:
        assert (await soap(client, load_authority("plant-ca", authority))).status_code == 200
        assert "plant-ca" in device.authority_aliases
        assert "plant-ca" in (await soap(client, "<tds:GetCACertificates/>")).text
        assert "plant-ca" not in (await soap(client, "<tds:GetCertificates/>")).text
        gone = "<tds:DeleteCertificates><tds:CertificateID>plant-ca</tds:CertificateID></tds:DeleteCertificates>"
        assert (await soap(client, gone)).status_code == 200
    assert "plant-ca" not in device.authority_aliases


@pytest.mark.parametrize("device", ["12.11"], indirect=True)
async def test_factory_entries_stay(device: SimulatedDevice) -> None:
    held = device.aliases
    for alias in ("Axis device ID RSA-2048 (802.1AR)", "Axis device ID Root CA ECC"):
        gone = f"<tds:DeleteCertificates><tds:CertificateID>{alias}</tds:CertificateID></tds:DeleteCertificates>"
        async with browser(device) as client:
            assert (await soap(client, gone)).status_code == 400
    assert device.aliases == held


@pytest.mark.parametrize("device", ["9.10"], indirect=True)
async def test_the_store_fills_up(device: SimulatedDevice) -> None:
    await device.trouble(rsa_1024=True)  # quick to make
    async with browser(device) as client:
        answers = [await soap(client, create(f"entry {number}")) for number in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 19 + [500]  # one was there before
    assert "MaxNumberOfCertificatesFault" in answers[-1].text


@pytest.mark.parametrize("device", ["5.51"], indirect=True)
async def test_what_is_no_soap_is_a_fault(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        entity = '<!DOCTYPE a [<!ENTITY e "x">]>' + envelope("<tds:GetCertificates/>")
        for body in ("", "not xml", "<a/>", envelope(""), entity):
            answer = await client.post("/vapix/services", content=body)
            assert answer.status_code == 400


@pytest.mark.parametrize("device", ["5.51", "12.11"], indirect=True)
async def test_policy_https_sends_plain_http_away_and_http_closes_tls(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        assert (await soap(client, configuration(device, policy="Https"))).status_code == 200
        await back(device, 1)
        away = await client.get("/axis-cgi/usergroup.cgi")
        assert (away.status_code, away.headers["location"]) == (
            301, f"https://{device.address}:{device.https_port}/axis-cgi/usergroup.cgi",
        )  # fmt: skip
    await device.trouble(http_redirects=False)
    async with browser(device) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/axis-cgi/usergroup.cgi")
    async with browser(device, secure=True) as client:
        assert (await soap(client, configuration(device, policy="Http"))).status_code == 200
    await back(device, 2)
    assert device.served is None
    with pytest.raises(ConnectionRefusedError):
        await handshake(device)
    async with browser(device) as client:
        assert (await client.get("/axis-cgi/usergroup.cgi")).status_code == 200
