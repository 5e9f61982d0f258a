"""Reading and verifying certificates that we did not make, and the files people bring."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleetseal.core.errors import InvalidInput, Locked, TrustFailure
from fleetseal.core.secrets import Secret
from fleetseal.pki import chain, keys, pkcs12
from tests.pki import NOW, authority, chains_to, key

RECORDING = Path(__file__).parents[1] / "recordings" / "p3265-v_12.11.77" / "rest-cert-v1.json"


def recorded(kind: str) -> list[bytes]:
    """The certificates of a recorded device: `certificates` (with keys), or `ca_certificates`."""
    entries = json.loads(RECORDING.read_text())["data"][kind]
    return [der for entry in entries for der in chain.parse_all(entry["certificate"].encode())]


def maker() -> tuple[list[bytes], list[bytes]]:
    """(roots, intermediates) of the maker's device IDs."""
    found = [der for der in recorded("ca_certificates") if "Axis device ID" in chain.describe(der).subject]
    roots = [der for der in found if chain.describe(der).self_signed]
    return roots, [der for der in found if der not in roots]


def test_the_three_factory_certificates_of_a_real_device_verify() -> None:
    roots, intermediates = maker()
    assert (len(roots), len(intermediates)) == (2, 2)
    for leaf in recorded("certificates")[:3]:
        described = chain.describe(leaf)
        assert described.subject_serial == "b8a44f631339"
        assert described.subject.startswith("serialNumber=b8a44f631339,")
        assert described.names == ()
        path = chain.verify_client(leaf, intermediates, anchors=roots, at=NOW)
        assert path[0] == leaf
        assert path[-1] in roots


def test_a_forged_factory_certificate_with_copied_identifiers_does_not_verify() -> None:
    """IDN-FULL-CHECK: every field is copied from the real one, key identifiers too; only the signature is another."""
    roots, intermediates = maker()
    real = x509.load_der_x509_certificate(recorded("certificates")[0])
    forger = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        real.issuer,
        real.subject,
        forger.public_key(),
        real.serial_number,
        real.not_valid_before_utc,
        NOW + timedelta(days=9),
    )
    for extension in real.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    forged = builder.sign(forger, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert chain.describe(forged).subject == chain.describe(recorded("certificates")[0]).subject
    with pytest.raises(TrustFailure):
        chain.verify_client(forged, intermediates, anchors=roots, at=NOW)


def test_a_self_signed_certificate_is_no_factory_certificate() -> None:
    roots, intermediates = maker()
    with pytest.raises(TrustFailure):
        chain.verify_client(recorded("ca_certificates")[-1], intermediates, anchors=roots, at=NOW)


def test_verification_is_strict_about_time_anchor_and_name() -> None:
    ca = authority()
    leaf = ca.leaf("192.0.2.10")

    def accepted(*, name: str = "192.0.2.10", at: datetime = NOW, anchors: tuple[bytes, ...] = (ca.root,)) -> bool:
        return chains_to(leaf, intermediates=ca.intermediates, anchors=anchors, name=name, at=at)

    assert accepted()
    assert not accepted(name="192.0.2.11")
    assert not accepted(name="cam.example")
    assert not accepted(name="not a name")
    assert not accepted(at=NOW + timedelta(days=366))
    assert not accepted(at=NOW - timedelta(days=2))
    assert not accepted(anchors=())
    assert not accepted(anchors=(authority("rsa").root,))
    assert not chains_to(leaf, intermediates=(), anchors=(ca.root,), name="192.0.2.10", at=NOW)
    assert not chains_to(b"junk", intermediates=(), anchors=(ca.root,), name="192.0.2.10", at=NOW)


def test_issued_by_is_by_signature() -> None:
    ca, other = authority(), authority(tiers=1)
    leaf = ca.leaf("192.0.2.10")
    assert chain.issued_by(leaf, ca.intermediates[0])
    assert not chain.issued_by(leaf, ca.root)
    assert not chain.issued_by(leaf, leaf)
    assert not chain.issued_by(b"junk", ca.root)
    assert chain.path(leaf, (ca.root, other.root, *ca.intermediates)) in (
        (leaf, *ca.intermediates, ca.root),
        (leaf, *ca.intermediates, other.root),  # the same key and name: both roots signed it
    )


def test_descriptions() -> None:
    ca = authority()
    described = chain.describe(ca.leaf("cam.plant.example", "2001:db8::10"))
    assert described.names == ("cam.plant.example", "2001:db8::10")
    assert (described.key, described.is_ca, described.self_signed) == ("EC P-256", False, False)
    assert described.not_after == datetime(2027, 11, 22, 12, 59, 59, tzinfo=UTC)
    root = chain.describe(ca.root)
    assert (root.key, root.is_ca, root.self_signed, root.organization) == ("EC P-384", True, True, "Example")
    for broken in (b"", b"junk", ca.root[:-1], ca.root[:40]):
        with pytest.raises(InvalidInput):
            chain.describe(broken)
    assert replace(root, subject="") != root


def test_every_recorded_certificate_can_be_described() -> None:
    found = recorded("certificates") + recorded("ca_certificates")
    assert len(found) == 38
    for der in found:
        described = chain.describe(der)
        assert described.subject
        assert described.key.startswith(("RSA-", "EC P-"))


def test_files_of_every_form() -> None:
    ca = authority()
    ders = (ca.leaf("192.0.2.10"), *ca.intermediates)
    assert chain.parse_all(chain.to_pem(ders)) == ders
    assert set(chain.parse_all(chain.to_pkcs7(ders))) == set(ders)
    assert chain.parse_all(ders[0]) == ders[:1]
    assert chain.parse_all(b"nothing") == ()


def test_our_pkcs12_is_read_back() -> None:
    ca = authority()
    private = keys.to_pkcs8(key("ec-p256", 1)._key)
    ders = (ca.leaf("192.0.2.10"), *ca.intermediates)
    file = pkcs12.write("cam", private, ders, Secret("right"))
    contents = pkcs12.read([file], Secret("right"))
    assert contents.certificates == ders
    assert contents.key == private
    assert contents.key_was_sealed
    assert "key=" not in repr(contents).replace("key_was", "")
    for wrong in (None, Secret("wrong")):
        with pytest.raises(Locked):
            pkcs12.read([file], wrong)
