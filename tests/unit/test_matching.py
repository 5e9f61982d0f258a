"""Which device a brought certificate is for, and whether it may be used at all."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import DeviceId, Serial
from fleetseal.core.secrets import Secret
from fleetseal.operations.matching import Known, match, meant
from fleetseal.pki import bundles, chain
from fleetseal.pki.bundles import Bundle, File, require_fit
from tests.devices import SiteAuthority, pkcs8
from tests.support import NOW
from tests.unit.test_states import HEALTHY

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = rsa.generate_private_key(65537, 2048)
SITE = SiteAuthority(now=NOW)
NOBODY = Known({}, frozenset())
LOBBY = replace(HEALTHY, host_name="lobby.plant.example", host_name_typed=True)
GATE = replace(HEALTHY, id=DeviceId(2), serial=Serial("ACCC8E000002"), address="192.0.2.2", host_name="gate.example")
NEIGHBOUR = replace(GATE, id=DeviceId(3), serial=Serial("ACCC8E000003"), https_port=8443)
DEVICES = (LOBBY, GATE, NEIGHBOUR)


def subject(name: str | None, *, serial: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    return x509.Name([*attributes, *([x509.NameAttribute(NameOID.SERIAL_NUMBER, serial)] if serial else [])])


def leaf(*names: str, common_name: str | None = None, serial: str | None = None, **more: Any) -> bytes:
    return SITE.sign(
        KEY.public_key(), subject=subject(common_name, serial=serial), names=names or ("x.invalid",), **more
    )


@pytest.mark.parametrize(
    ("certificate", "device"),
    [
        (leaf(common_name="B8:A4:4F:63:13:39"), LOBBY),
        (leaf(common_name="b8a44f631339"), LOBBY),
        (leaf(serial="b8-a4-4f-63-13-39"), LOBBY),
        (leaf("axis-accc8e000002.plant.example"), GATE),
        (leaf("accc8e000003"), NEIGHBOUR),
        (leaf("LOBBY.plant.example"), LOBBY),
        (leaf("192.0.2.1"), LOBBY),
        (leaf(common_name="192.0.2.1"), LOBBY),
        (leaf("192.0.2.2", common_name="ACCC8E000003"), NEIGHBOUR),  # the MAC address decides, not the address
        (leaf("192.0.2.2", "lobby.plant.example"), LOBBY),  # nor where a host name is typed
        (leaf("192.0.2.1", serial="165562536143"), LOBBY),  # twelve digits, but no serial of the maker's
    ],
)
def test_the_device_that_is_named(certificate: bytes, device: object) -> None:
    assert meant(certificate, DEVICES) is device


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (leaf("192.0.2.77", common_name="cam"), r"No device .* that the certificate names \(cam, 192\.0\.2\.77\)"),
        (leaf("gate.example"), "No device of the inventory"),  # what a device says of itself draws no key to it
        (leaf("192.0.2.2"), r"It names 2 devices: AC:CC:8E:00:00:02 at 192\.0\.2\.2, AC:CC:8E:00:00:03"),
        (leaf("192.0.2.1", common_name="E82725000009"), "It names E8:27:25:00:00:09, which is not in the inventory"),
    ],
)
def test_none_or_several_are_refused(certificate: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        meant(certificate, DEVICES)


def issued(
    key: Any = KEY, *, purposes: list[ObjectIdentifier] | None = None, start: timedelta = -timedelta(days=1)
) -> bytes:
    """For LOBBY, by itself."""
    builder = (
        x509.CertificateBuilder()
        .serial_number(7)
        .subject_name(subject("lobby.plant.example"))
        .issuer_name(subject("Elsewhere"))
        .public_key(key.public_key())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + start + timedelta(days=30))
    )
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (SITE.issuing, "CA certificate"),
        (issued(rsa.generate_private_key(65537, 1024)), "too weak. An RSA key of 1024 bits"),
        (issued(start=-timedelta(days=31)), "It has expired on 2026-11-22"),
        (issued(start=timedelta(hours=1)), "It is not valid before 2026-11-23 13:00 UTC"),
        (issued(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), "extKeyUsage lacks serverAuth"),
    ],
)
def test_what_cannot_be_used_is_refused(certificate: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        require_fit(certificate, now=NOW, for_https=True)


def test_purposes_count_for_https_alone_and_where_they_are_named() -> None:
    require_fit(issued(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), now=NOW, for_https=False)
    for purposes in (None, [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], [ExtendedKeyUsageOID.SERVER_AUTH]):
        require_fit(issued(purposes=purposes), now=NOW, for_https=True)


def test_a_key_is_of_one_device() -> None:
    found = [Bundle("lobby.p12", issued(), (), b"")]
    spki = chain.describe(found[0].leaf).spki_sha256

    def matched(known: Known) -> tuple[list[str], list[str]]:
        good, bad = match(found, DEVICES, known, named=None, now=NOW, for_https=True)
        return [one.device.label for one in good], [one.reason for one in bad]

    assert matched(NOBODY) == matched(Known({spki: LOBBY.id}, frozenset())) == ([LOBBY.label], [])
    assert matched(Known({spki: GATE.id}, frozenset()))[1] == [
        "Its key is known from another device: each device has its own."
    ]
    assert matched(Known({}, frozenset({spki})))[1] == ["Its key is that of a CA here: no device may have it."]
    ended = frozenset({chain.describe(found[0].leaf).sha256})
    assert matched(Known({}, frozenset(), ended=ended))[1] == [
        "It was issued here, and revoked or superseded since: clients are told not to take it."
    ]
    assert matched(Known({}, frozenset(), stolen=frozenset({spki})))[1] == [
        "A certificate with its key was revoked as compromised: somebody else may have the key."
    ]


def test_two_files_for_one_device_are_both_refused_and_a_named_device_needs_no_name() -> None:
    found = [Bundle("a", issued(), (), b""), Bundle("b", issued(OTHER), (), b"")]
    good, bad = match(found, DEVICES, NOBODY, named=None, now=NOW, for_https=True)
    assert (good, [one.file for one in bad]) == ((), ["a", "b"])
    assert "is for B8:A4:4F:63:13:39, too" in bad[0].reason
    good, bad = match(found[:1], DEVICES, NOBODY, named=GATE, now=NOW, for_https=True)
    assert ([one.device for one in good], bad) == ([GATE], ())


# ---------------------------------------------------------------- files


def pem(*ders: bytes) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)


def key_pem(key: Any, passphrase: bytes | None = None) -> bytes:
    sealing = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing))


def test_pairs_are_found_in_one_file_in_two_and_under_their_passphrases() -> None:
    first, second = SITE.leaf(KEY.public_key(), "a.example"), SITE.leaf(OTHER.public_key(), "b.example")
    packed = pkcs12.serialize_key_and_certificates(
        None, OTHER, x509.load_der_x509_certificate(second), None, BestAvailableEncryption(b"two")
    )
    found, unused = bundles.read(
        [
            File("a.key", key_pem(KEY, b"one"), Secret("one")),
            File("a.pem", pem(first)),
            File("b.p12", packed, Secret("two")),
            File("chain.pem", pem(SITE.root, SITE.issuing)),
        ]
    )
    assert unused == ()
    assert [(one.file, one.leaf, one.above) for one in found] == [
        ("a.pem", first, (SITE.issuing, SITE.root)),
        ("b.p12", second, (SITE.issuing, SITE.root)),
    ]
    assert found[0].key == pkcs8(KEY)
    assert load_der_private_key(found[1].key, None).public_key() == OTHER.public_key()
    assert repr(found[0]).find(found[0].key.hex()) == -1


def test_what_makes_no_pair_is_told_with_its_reason() -> None:
    certificate = SITE.leaf(KEY.public_key(), "a.example")
    found, unused = bundles.read(
        [
            File("no-key.pem", pem(certificate)),
            File("no-certificate.key", key_pem(OTHER)),
            File("not-mine.pem", pem(SITE.leaf(KEY.public_key(), "b.example")) + key_pem(OTHER)),
            File("sealed.key", key_pem(KEY, b"one"), Secret("two")),
            File("open.key", key_pem(KEY, b"one")),
            File("text", b"nothing"),
        ]
    )
    assert found == ()
    reasons = {one.file: one.reason for one in unused}
    assert reasons["no-key.pem"] == "None of the files holds the private key of its certificate."
    assert reasons["no-certificate.key"] == "None of the files holds the certificate of this private key."
    assert reasons["not-mine.pem"] == "The private key does not belong to a certificate in the file."
    assert "passphrase is wrong" in reasons["sealed.key"]
    assert "give its passphrase" in reasons["open.key"]
    assert {one.file for one in unused if one.locked} == {"sealed.key", "open.key"}
    assert set(reasons) == {"no-key.pem", "no-certificate.key", "not-mine.pem", "sealed.key", "open.key", "text"}
