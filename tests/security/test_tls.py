"""Who is believed: the factory identity for real and forged, and each trust level against the wrong peer."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from fleetseal.core.errors import FleetsealError, IdentityMismatch
from fleetseal.core.model import Anchored, Endpoint, Factory, FirstUse, PeerTrust, Pinned, Plaintext, Serial, Served
from fleetseal.devices import tls
from fleetseal.pki import chain

from ..devices import SiteAuthority, sha256
from ..support import NOW, FakeClock

TREE = Path(__file__).parent.parent / "recordings" / "p3265-v_12.11.77" / "rest-cert-v1.json"
SERIAL = Serial("B8A44F631339")
SITE = SiteAuthority(now=NOW)


def _entries(kind: str) -> dict[str, bytes]:
    data = json.loads(TREE.read_text())["data"][kind]
    return {entry["alias"]: chain.parse_all(entry["certificate"].encode())[0] for entry in data}


DEVICE_IDS = {alias: der for alias, der in _entries("certificates").items() if "802.1AR" in alias}
AUTHORITIES = {alias: der for alias, der in _entries("ca_certificates").items() if "Axis device ID" in alias}


def shown(leaf: bytes, *sent: bytes) -> Served:
    return Served(leaf, (leaf, *sent), "TLSv1.3", "TLS_AES_256_GCM_SHA384")


def judge(trust: PeerTrust, served: Served, *, host: str = "192.0.2.10", serial: Serial | None = SERIAL) -> None:
    peer = tls.peer_for(trust, Endpoint(host), serial=serial, clock=FakeClock())
    assert peer is not None
    peer.judge(served)


def resigned(der: bytes, issuer: bytes) -> bytes:
    """The same certificate, extensions and key identifiers included, under a key that is not the maker's."""
    original, above = x509.load_der_x509_certificate(der), x509.load_der_x509_certificate(issuer)
    builder = x509.CertificateBuilder(
        issuer_name=above.subject,
        subject_name=original.subject,
        public_key=FORGER.public_key(),
        serial_number=original.serial_number,
        not_valid_before=original.not_valid_before_utc,
        not_valid_after=original.not_valid_after_utc,
    )
    for extension in original.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(FORGER, hashes.SHA256()).public_bytes(Encoding.DER)


FORGER = ec.generate_private_key(ec.SECP256R1())


# ---------------------------------------------------------------- the factory identity (IDN-FULL-CHECK)


@pytest.mark.parametrize("alias", DEVICE_IDS)
@pytest.mark.parametrize("sends_intermediates", [True, False])
def test_the_recorded_device_ids_are_believed(alias: str, sends_intermediates: bool) -> None:
    sent = [der for name, der in AUTHORITIES.items() if "Intermediate" in name] if sends_intermediates else []
    served = shown(DEVICE_IDS[alias], *sent)
    assert tls.factory_serial(served, (), NOW) == SERIAL
    judge(Factory(), served)


def test_a_device_id_of_another_device_is_an_impostor() -> None:
    served = shown(DEVICE_IDS["Axis device ID ECC-P256 (802.1AR)"])
    with pytest.raises(IdentityMismatch, match="that of B8A44F631339, not of ACCC8E000001"):
        judge(Factory(), served, serial=Serial("ACCC8E000001"))


@pytest.mark.parametrize("alias", DEVICE_IDS)
def test_copied_key_identifiers_prove_nothing(alias: str) -> None:
    family = "ECC" if "ECC" in alias else "RSA"
    root, above = (
        AUTHORITIES[f"Axis device ID Root CA {family}"],
        AUTHORITIES[f"Axis device ID Intermediate CA {family} 2"],
    )
    leaf = resigned(DEVICE_IDS[alias], above)
    intermediate = resigned(above, root)
    forged_root = resigned(root, root)
    for sent in ((), (above,), (intermediate,), (intermediate, forged_root), (above, root)):
        with pytest.raises(IdentityMismatch, match="not a valid factory certificate"):
            tls.factory_serial(shown(leaf, *sent), (), NOW)


def test_a_factory_leaf_cannot_issue() -> None:
    """The holder of one genuine key cannot make itself another serial."""
    genuine = _client_leaf(x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, "accc8e000001")]))
    wanted = _client_leaf(x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, SERIAL.lower())]))
    assert tls.factory_serial(shown(genuine, SITE.issuing), (SITE.root,), NOW) == "ACCC8E000001"
    with pytest.raises(IdentityMismatch):
        tls.factory_serial(shown(resigned(wanted, genuine), genuine, SITE.issuing), (SITE.root,), NOW)


def test_a_root_for_simulators_counts_only_where_it_is_named() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, SERIAL.lower())])
    leaf = SITE.sign(FORGER.public_key(), subject=name, names=("axis.example",))
    sent = shown(_client_leaf(name), SITE.issuing)
    assert tls.factory_serial(sent, (SITE.root,), NOW) == SERIAL
    with pytest.raises(IdentityMismatch):
        tls.factory_serial(sent, (), NOW)
    with pytest.raises(IdentityMismatch):  # a server certificate of the same authority is no factory certificate
        tls.factory_serial(shown(leaf, SITE.issuing), (SITE.root,), NOW)


def test_a_factory_certificate_without_serial_or_readable_content() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "axis-b8a44f631339-eccp256-1")])
    with pytest.raises(IdentityMismatch, match="names no serial number"):
        tls.factory_serial(shown(_client_leaf(name), SITE.issuing), (SITE.root,), NOW)
    for broken in (b"", b"\x30\x00", DEVICE_IDS["Axis device ID RSA-2048 (802.1AR)"][:-40]):
        with pytest.raises(IdentityMismatch):
            tls.factory_serial(shown(broken), (), NOW)


def test_a_device_id_outside_its_validity() -> None:
    served = shown(DEVICE_IDS["Axis device ID ECC-P256 (802.1AR)"])
    with pytest.raises(IdentityMismatch):
        tls.factory_serial(served, (), datetime(2015, 1, 1, tzinfo=UTC))


def _client_leaf(subject: x509.Name) -> bytes:
    """As a device ID is: no EKU, no DNS name or address."""
    key = FORGER.public_key()
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(subject)
        .issuer_name(x509.load_der_x509_certificate(SITE.issuing).subject)
        .public_key(key)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_hardware_name()]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(SITE.issuing_key.public_key()), critical=False
        )
        .sign(SITE.issuing_key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def _hardware_name() -> x509.OtherName:
    real = x509.load_der_x509_certificate(DEVICE_IDS["Axis device ID ECC-P256 (802.1AR)"])
    names = real.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return next(name for name in names if isinstance(name, x509.OtherName))


# ---------------------------------------------------------------- the other levels


def test_plain_http_has_no_peer() -> None:
    assert tls.peer_for(Plaintext(), Endpoint("192.0.2.10"), serial=SERIAL, clock=FakeClock()) is None


@pytest.mark.parametrize(
    ("trust", "basic"),
    [
        (FirstUse(), False),
        (Pinned(b"", accepted=False), False),
        (Pinned(b"", accepted=True), True),
        (Factory(), True),
        (Anchored((SITE.root,)), True),
    ],
)
def test_who_may_be_sent_the_password_itself(trust: PeerTrust, basic: bool) -> None:
    for legacy in (False, True):
        peer = tls.peer_for(trust, Endpoint("192.0.2.10", legacy_tls=legacy), serial=SERIAL, clock=FakeClock())
        assert peer is not None
        assert peer.basic == (basic and not legacy)


def test_a_pin_is_this_certificate_and_no_other() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pinned, other = SITE.leaf(key, "192.0.2.10"), SITE.leaf(key, "192.0.2.10")
    judge(Pinned(sha256(pinned), accepted=False), shown(pinned))
    with pytest.raises(IdentityMismatch, match="another certificate"):
        judge(Pinned(sha256(pinned), accepted=True), shown(other))


def test_a_recorded_leaf_or_key_is_believed_even_expired_and_elsewhere() -> None:
    key = FORGER.public_key()
    old, other = SITE.leaf(key, "198.51.100.1", days=-30), SITE.leaf(SITE.root_key.public_key(), "192.0.2.10")
    spki = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    judge(Anchored((SITE.root,), leaves=frozenset({sha256(old)})), shown(old))
    judge(Anchored((SITE.root,), keys=frozenset({spki})), shown(old))
    for record in (
        Anchored((SITE.root,), leaves=frozenset({sha256(old)})),
        Anchored((SITE.root,), keys=frozenset({spki})),
    ):
        with pytest.raises(IdentityMismatch, match="never issued"):  # ours and valid, but not this device's
            judge(record, shown(other, SITE.issuing))
        with pytest.raises(IdentityMismatch):
            judge(record, shown(b"no certificate"))


def test_without_a_record_the_whole_chain_and_the_name_must_fit() -> None:
    key = FORGER.public_key()
    good = SITE.leaf(key, "192.0.2.10", "cam1.example")
    judge(Anchored((SITE.root,)), shown(good, SITE.issuing))
    judge(Anchored((SITE.root,), (SITE.issuing,)), shown(good))
    judge(Anchored((SITE.root,), (SITE.issuing,)), shown(good), host="cam1.example")
    wrong: list[tuple[Anchored, Served, str]] = [
        (Anchored((SITE.root,)), shown(good), "192.0.2.10"),  # the intermediate is nowhere
        (Anchored((SITE.root,), (SITE.issuing,)), shown(good), "192.0.2.11"),
        (Anchored((SITE.root,), (SITE.issuing,)), shown(good), "cam2.example"),
        (Anchored((SiteAuthority(now=NOW).root,), (SITE.issuing,)), shown(good), "192.0.2.10"),
        (Anchored((SITE.root,), (SITE.issuing,)), shown(SITE.leaf(key, "192.0.2.10", days=-1)), "192.0.2.10"),
        (Anchored((SITE.root,), (SITE.issuing,)), shown(SITE.issuing, SITE.root), "192.0.2.10"),
        (Anchored(()), shown(good, SITE.issuing), "192.0.2.10"),
    ]
    for trust, served, host in wrong:
        with pytest.raises(IdentityMismatch, match="does not lead"):
            judge(trust, served, host=host)


def test_without_a_record_one_conversation_has_one_peer() -> None:
    """The serial is proved at login: a second device of ours at this address must not inherit it."""
    trust = Anchored((SITE.root,), (SITE.issuing,))
    peer = tls.peer_for(trust, Endpoint("192.0.2.10"), serial=SERIAL, clock=FakeClock())
    assert peer is not None
    first, second = (SITE.leaf(FORGER.public_key(), "192.0.2.10") for _ in range(2))
    peer.judge(shown(first))
    peer.judge(shown(first))
    with pytest.raises(FleetsealError, match="two certificates"):
        peer.judge(shown(second))
