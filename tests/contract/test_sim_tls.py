"""Each profile speaks the TLS of its age and no other, and shows what is bound (device-api 1, 5.4, 6.6, 10.5)."""

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fleetseal.core.runtime import SystemClock
from fleetseal.sim.fleet import Fleet, SimulatedDevice
from tests.simulator import back, browser, configuration, context, create, handshake, soap

AGES = {
    "5.51": ("TLSv1", "AES256-SHA"),
    "5.75": ("TLSv1", "AES256-SHA"),
    "1.84": ("TLSv1.2", "DHE-RSA-AES128-SHA"),
    "6.50": ("TLSv1", "AES256-SHA"),
    "7.30": ("TLSv1.2", "DHE-RSA-AES128-SHA"),
    "9.10": ("TLSv1.2", "DHE-RSA-AES128-SHA"),
    "9.80-companion": ("TLSv1.2", "DHE-RSA-AES128-SHA"),
    "10.12": ("TLSv1.2", "DHE-RSA-AES128-SHA"),
    "11.6": ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    "12.11": ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    "12.11-self-signed": ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    "t85": ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
}
KEY_BITS = {
    "5.51": 1024,
    "5.75": 1024,
    "6.50": 2048,
    "7.30": 2048,
    "9.10": 2048,
    "10.12": 2048,
    "12.11-self-signed": 2048,
}


@pytest.fixture
async def device(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedDevice]:
    async with Fleet([request.param], restart_seconds=0.01) as fleet:
        device = fleet.devices[0]
        if device.web.bound is None and not device.profile.switch:  # nothing from the factory: make one
            async with browser(device) as client:
                assert (await soap(client, create("made here"))).status_code == 200
                wanted = configuration(device, alias="made here", policy="HttpAndHttps")
                assert (await soap(client, wanted)).status_code == 200
            await back(device, 1)
        yield device


def every_profile() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("device", list(AGES), indirect=True)


@every_profile()
async def test_negotiates_what_its_age_can(device: SimulatedDevice) -> None:
    shown = await handshake(device)
    assert (shown.version, shown.cipher) == AGES[device.profile.name]
    assert shown.leaf == device.served


@every_profile()
async def test_refuses_older_and_newer_versions(device: SimulatedDevice) -> None:
    lowest, highest = device.profile.tls.lowest, device.profile.tls.highest
    if highest == "TLSv1":
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
            await handshake(device, context(lowest=ssl.TLSVersion.TLSv1_2))
    else:
        assert lowest == "TLSv1.2"
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
            await handshake(device, context(highest=ssl.TLSVersion.TLSv1_1))
    if highest == "TLSv1.2":
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
            await handshake(device, context(lowest=ssl.TLSVersion.TLSv1_3))


@every_profile()
async def test_offers_exactly_the_suites_of_its_list(device: SimulatedDevice) -> None:
    """Every suite this OpenSSL has, one at a time; DES-CBC3-SHA is compiled out of current builds."""
    age = device.profile.tls
    bound = device.device.store.get(device.web.bound or "").certificate.public_key()
    usable = {cipher for cipher in age.ciphers if ("ECDSA" in cipher) is isinstance(bound, ec.EllipticCurvePublicKey)}
    highest = ssl.TLSVersion.TLSv1 if age.highest == "TLSv1" else ssl.TLSVersion.TLSv1_2
    accepted = set()
    for suite in sorted({found["name"] for found in context().get_ciphers()}):
        if suite.startswith("TLS_"):
            continue
        client = context(highest=highest)
        client.set_ciphers(f"{suite}:@SECLEVEL=0")
        try:
            accepted.add((await handshake(device, client)).cipher)
        except OSError:
            continue
    assert accepted == usable - {"DES-CBC3-SHA"}


@pytest.mark.parametrize("device", list(KEY_BITS), indirect=True)
async def test_keys_have_the_size_of_its_age(device: SimulatedDevice) -> None:
    key = x509.load_der_x509_certificate((await handshake(device)).leaf).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == KEY_BITS[device.profile.name]


@pytest.mark.parametrize("device", ["9.10", "10.12", "12.11"], indirect=True)
async def test_sends_intermediates_from_10_10_on(device: SimulatedDevice) -> None:
    """The chain is built from the CA store; the root is never sent."""
    root, issuing, leaf, key = _site()
    device.device.install_authority("plant root", root)
    device.device.install_authority("plant issuing", issuing)
    device.device.install_key_pair("plant", leaf, key)
    async with browser(device) as client:
        assert (await soap(client, configuration(device, alias="plant"))).status_code == 200
    await back(device, 1)
    sent = [x509.load_der_x509_certificate(found) for found in (await handshake(device)).chain]
    assert sent == ([leaf] if device.profile.name == "9.10" else [leaf, issuing])


@pytest.mark.parametrize("device", ["12.11", "11.6"], indirect=True)
async def test_factory_identity_chains_to_the_makers_root(device: SimulatedDevice) -> None:
    leaf, issuing = (x509.load_der_x509_certificate(found) for found in (await handshake(device)).chain)
    leaf.verify_directly_issued_by(issuing)
    roots = x509.load_pem_x509_certificates(device.device.around.maker.roots_pem)
    issuing.verify_directly_issued_by(next(root for root in roots if root.subject == issuing.issuer))
    serial = device.serial.lower()
    assert leaf.subject.rfc4514_string() == (
        f"2.5.4.5={serial},CN=axis-{serial}-eccp256-1,O=Axis Communications AB,L=Lund,C=SE"
    )
    assert issuing.subject.rfc4514_string() == "CN=Axis device ID Intermediate CA ECC 2,O=Axis Communications AB"
    assert leaf.not_valid_after_utc.year == 9999
    assert {found.oid.dotted_string for found in leaf.extensions} == {"2.5.29.17", "2.5.29.35"}


def _site() -> tuple[x509.Certificate, x509.Certificate, x509.Certificate, rsa.RSAPrivateKey]:
    """Root, issuing CA, leaf, the leaf's key."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
    names = [x509.Name.from_rfc4514_string(f"CN={name}") for name in ("plant root", "plant issuing", "plant leaf")]
    now = SystemClock().now()
    made = []
    for index, signer in ((0, 0), (1, 0), (2, 1)):
        builder = x509.CertificateBuilder(
            issuer_name=names[signer],
            subject_name=names[index],
            public_key=keys[index].public_key(),
            serial_number=index + 1,
            not_valid_before=now - timedelta(days=1),
            not_valid_after=now + timedelta(days=1),
        )
        authority = x509.BasicConstraints(ca=index < 2, path_length=None)
        made.append(builder.add_extension(authority, critical=True).sign(keys[signer], hashes.SHA256()))
    return made[0], made[1], made[2], keys[2]
