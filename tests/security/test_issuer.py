"""The issuer, called directly by someone who means harm: nothing is signed but what was prepared, once."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetseal.core.errors import InvalidInput, IssuanceRefused, StoreError
from fleetseal.core.secrets import Secret
from fleetseal.pki import profile
from fleetseal.pki.content import LeafContent, Signer
from fleetseal.pki.issuer import Issuer, KeyFile, Sealing, Vault
from fleetseal.pki.lint import lint
from tests.pki import NOW, RNG, authority, key

CA = authority("ec", constraints=profile.permitted(("plant.example",), ("192.0.2.0/24",)))


def good() -> LeafContent:
    return CA.content("cam.plant.example", "192.0.2.10")


def test_a_ticket_is_good_once_and_for_its_issuer_only() -> None:
    ticket = CA.issuer.prepare(good())
    other = Issuer(key("ec-p256")._key, CA.signer)
    with pytest.raises(IssuanceRefused) as refused:
        other.issue(ticket)
    assert refused.value.rule == "ISS-ONCE"
    issued = x509.load_der_x509_certificate(CA.issuer.issue(ticket))
    assert issued.tbs_certificate_bytes == ticket.tbs
    issued.verify_directly_issued_by(CA.signer.certificate)
    with pytest.raises(IssuanceRefused):
        CA.issuer.issue(ticket)


BAD: list[tuple[str, Callable[[LeafContent], LeafContent]]] = [
    ("encoding", lambda c: dataclasses.replace(c, serial=1 << 159)),
    ("issuer", lambda c: dataclasses.replace(c, issuer="0" * 64)),
    ("ISS-WITHIN-ISSUER", lambda c: dataclasses.replace(c, not_before=NOW, not_after=NOW + timedelta(days=5000))),
    ("life", lambda c: dataclasses.replace(c, not_after=c.not_before + timedelta(days=826))),
    ("validity", lambda c: dataclasses.replace(c, not_before=c.not_before + timedelta(microseconds=1))),
    ("key", lambda c: dataclasses.replace(c, spki=weak_key())),
    ("names", lambda c: dataclasses.replace(c, names=("CAM.plant.example", "cam.plant.example"), common_name=None)),
    ("common-name", lambda c: dataclasses.replace(c, common_name="bank.example")),
    (
        "name-constraints",
        lambda c: dataclasses.replace(c, names=("198.51.100.1", "cam.plant.example"), common_name=None),
    ),
    ("common-name", lambda c: dataclasses.replace(c, names=("192.0.2.10",), common_name="192.0.2.10")),
    (
        "encoding",
        lambda c: dataclasses.replace(c, names=("x" * 60 + ".plant.example",), common_name="x" * 60 + ".plant.example"),
    ),
]


def weak_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa

    from fleetseal.pki import keys

    return keys.spki(rsa.generate_private_key(65537, 1024).public_key())


@pytest.mark.parametrize(("rule", "change"), BAD, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BAD)])
def test_content_outside_the_profile_gets_no_ticket(rule: str, change: Callable[[LeafContent], LeafContent]) -> None:
    CA.issuer.prepare(good())
    with pytest.raises((IssuanceRefused, InvalidInput)) as refused:
        CA.issuer.prepare(change(good()))
    assert isinstance(refused.value, IssuanceRefused)
    assert refused.value.rule == rule


EXTRA = [
    (x509.SubjectAlternativeName([x509.DNSName("bank.example")]), False),
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.3")]), False),
    (x509.KeyUsage(True, False, False, False, False, True, True, False, False), True),
    (x509.SubjectKeyIdentifier(bytes(20)), False),
    (x509.AuthorityKeyIdentifier(bytes(20), None, None), False),
    (x509.OCSPNoCheck(), False),
]


@pytest.mark.parametrize(("value", "critical"), EXTRA, ids=lambda one: type(one).__name__)
def test_the_linter_sees_every_extension_that_differs(value: x509.ExtensionType, critical: bool) -> None:
    """The certificate of `good`, with one extension replaced or added, signed with the real key."""
    content = good()
    issued = x509.load_der_x509_certificate(CA.issuer.issue(CA.issuer.prepare(content)))
    builder = x509.CertificateBuilder(
        issued.issuer,
        issued.subject,
        issued.public_key(),
        issued.serial_number,
        issued.not_valid_before_utc,
        issued.not_valid_after_utc,
    )
    for extension in issued.extensions:
        if extension.oid != value.oid:
            builder = builder.add_extension(extension.value, extension.critical)
    changed = builder.add_extension(value, critical).sign(key("ec-p256")._key, hashes.SHA256())
    assert lint(issued, content, CA.signer) == []
    assert lint(changed, content, CA.signer) != []


@settings(deadline=None)
@given(
    addresses=st.lists(st.ip_addresses(network="192.0.2.0/24"), max_size=5, unique=True),
    hosts=st.lists(st.from_regex(r"[a-z]([a-z0-9]{0,20}[a-z0-9])?", fullmatch=True), max_size=5, unique=True),
    days=st.integers(1, 825),
    with_common_name=st.booleans(),
    kind=st.sampled_from(["ec-p256", "ec-p384", "rsa-2048"]),
)
def test_what_the_profile_decides_is_never_refused(
    addresses: list[object], hosts: list[str], days: int, with_common_name: bool, kind: str
) -> None:
    """Builder, linter and rules agree on random leaves; each is parsed back and compared with its content."""
    names = (*map(str, addresses), *(f"{host}.plant.example" for host in hosts))
    if not names:
        return
    content = CA.content(
        *names, common_name=names[0] if with_common_name else None, kind=kind, life=timedelta(days=days)
    )
    issued = x509.load_der_x509_certificate(CA.issuer.issue(CA.issuer.prepare(content)))
    assert lint(issued, content, CA.signer) == []


def test_a_root_signs_its_own_key_only() -> None:
    itself = key("ec-p384").issuer(None)
    content = profile.root_content("Plant", key("ec-p384", 1).spki, serial=1, now=NOW)
    with pytest.raises(IssuanceRefused):
        itself.prepare(content)


def test_a_key_under_the_certificate_of_another_is_refused() -> None:
    with pytest.raises(ValueError, match="not that of the certificate"):
        Issuer(key("ec-p256", 1)._key, CA.signer)


def test_key_files_cannot_be_swapped_or_altered(tmp_path: Path) -> None:
    vault = Vault(tmp_path, RNG)
    first, second = key("ec-p256"), key("ec-p256", 1)
    files = [KeyFile(one.name, Sealing.SIGNER) for one in (first, second)]
    for one, file in zip((first, second), files, strict=True):
        vault.keep(one, file)
    paths = [tmp_path / "ca" / f"{file.name}.key" for file in files]
    sealed = [path.read_bytes() for path in paths]
    assert Vault(tmp_path, RNG).issuer(files[0], CA.signer).prepare(good())
    paths[0].write_bytes(sealed[1])
    with pytest.raises(StoreError):
        Vault(tmp_path, RNG).issuer(files[0], CA.signer)
    paths[0].write_bytes(sealed[0][:-1] + bytes([sealed[0][-1] ^ 1]))
    with pytest.raises(StoreError):
        Vault(tmp_path, RNG).issuer(files[0], CA.signer)
    paths[0].unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        Vault(tmp_path, RNG).issuer(files[0], CA.signer)
    with pytest.raises(StoreError, match="does not belong"):
        Vault(tmp_path, RNG).issuer(files[1], CA.signer)


def test_no_representation_shows_a_key(tmp_path: Path) -> None:
    vault = Vault(tmp_path, RNG)
    file = KeyFile(key("ec-p256").name, Sealing.PASSPHRASE)
    vault.keep(key("ec-p256"), file, Secret("canary"))
    vault.unlock(file, Secret("canary"))
    for thing in (vault, key("ec-p256"), CA.issuer, CA.issuer.prepare(good())):
        assert "canary" not in repr(thing)
        assert "PRIVATE" not in repr(thing)
    with pytest.raises(TypeError):
        pickle.dumps(key("ec-p256"))
    with pytest.raises(TypeError):
        copy.deepcopy(key("ec-p256"))


def test_keeping_fails_when_the_directory_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("a file where the folder should be")
    with pytest.raises(StoreError):
        Vault(tmp_path, RNG).keep(key("ec-p256"), KeyFile("x", Sealing.SIGNER))


def test_a_signer_is_public_only() -> None:
    assert Signer(CA.root).constraints == CA.signer.constraints[:1]
