"""Every shape of certificate, judged by programs that we did not write: pkilint, openssl, cryptography."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pkilint import loader  # type: ignore[import-untyped]  # pkilint has no type hints
from pkilint.pkix import certificate as pkix  # type: ignore[import-untyped]  # pkilint has no type hints
from pkilint.pkix import extension, name
from pkilint.validation import ValidationFindingSeverity  # type: ignore[import-untyped]  # pkilint has no type hints

from fleetseal.core.errors import TrustFailure
from fleetseal.pki import chain, profile
from fleetseal.pki.content import subject_name
from fleetseal.pki.lint import EXCEPTIONS, lint
from fleetseal.pki.names import UNCONSTRAINED, Constraints
from tests.pki import NOW, TestAuthority, authority, key

ADDRESSES = profile.permitted((), ("192.0.2.0/24", "2001:db8::/32"))
DOMAIN = profile.permitted(("plant.example",), ("192.0.2.0/24", "2001:db8::/32"))
PUBLIC = "http://pki.plant.example"


@dataclass(frozen=True)
class Shape:
    """A leaf, the name a client dials, and a neighbour's name that must fail."""

    id: str
    names: tuple[str, ...]
    dialled: str
    neighbour: str
    common_name: str | None = "first"
    family: str = "ec"
    kind: str = "ec-p256"
    tiers: int = 2
    constraints: Constraints = UNCONSTRAINED
    public_url: str = ""

    @property
    def authority(self) -> TestAuthority:
        return authority(self.family, tiers=self.tiers, constraints=self.constraints, public_url=self.public_url)

    @property
    def leaf(self) -> bytes:
        return _leaf(self)


@cache
def _leaf(shape: Shape) -> bytes:
    return shape.authority.leaf(
        *shape.names, common_name=shape.common_name, kind=shape.kind, public_url=shape.public_url
    )


V4, V6 = ("192.0.2.10",), ("2001:db8::10",)
FQDN = ("cam1.plant.example", "192.0.2.10")
LONG = (".".join(["a" * 30, "b" * 30, "plant", "example"]),)

SHAPES = [
    Shape("rsa-address", V4, "192.0.2.10", "192.0.2.11", family="rsa", kind="rsa-2048"),
    Shape("rsa-3072-leaf", V4, "192.0.2.10", "192.0.2.11", family="rsa", kind="rsa-3072"),
    Shape("rsa-one-tier", V4, "192.0.2.10", "192.0.2.11", family="rsa", kind="rsa-2048", tiers=1),
    Shape("rsa-ca-ec-leaf", FQDN, "cam1.plant.example", "cam2.plant.example", family="rsa"),
    Shape("ec-address", V4, "192.0.2.10", "192.0.2.11"),
    Shape("ec-ca-rsa-leaf", V4, "192.0.2.10", "192.0.2.11", kind="rsa-2048"),
    Shape("ipv6", V6, "2001:db8::10", "2001:db8::11"),
    Shape("host-name", FQDN, "cam1.plant.example", "cam2.plant.example"),
    Shape("host-name-by-address", FQDN, "192.0.2.10", "192.0.2.11"),
    Shape("no-common-name", V4, "192.0.2.10", "192.0.2.11", common_name=None),
    Shape("name-over-64-characters", LONG, LONG[0], "plant.example"),
    Shape("one-tier", V4, "192.0.2.10", "192.0.2.11", tiers=1),
    Shape("public-url", FQDN, "cam1.plant.example", "cam2.plant.example", public_url=PUBLIC),
    Shape("addresses-only", V4, "192.0.2.10", "192.0.2.11", constraints=ADDRESSES),
    Shape("addresses-only-ipv6", V6, "2001:db8::10", "2001:db8::11", constraints=ADDRESSES),
    Shape("constrained", FQDN, "cam1.plant.example", "cam2.plant.example", constraints=DOMAIN),
    Shape("constrained-address", V4, "192.0.2.10", "192.0.2.11", constraints=DOMAIN),
    Shape("constrained-one-tier", FQDN, "192.0.2.10", "192.0.2.11", constraints=DOMAIN, tiers=1),
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)


@cache
def _validator() -> Any:
    return pkix.create_pkix_certificate_validator_container(
        pkix.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            pkix.create_issuer_validator_container([]),
            pkix.create_validity_validator_container(),
            pkix.create_subject_validator_container([]),
            pkix.create_extensions_validator_container([]),
            pkix.create_spki_validator_container([]),
        ],
    )


def findings(der: bytes) -> set[str]:
    """Codes of pkilint at NOTICE and above; its severities count downward, FATAL is 0."""
    document = loader.load_certificate(der, "certificate")
    return {
        one.finding.code
        for result in _validator().validate(document.root)
        for one in result.finding_descriptions
        if one.finding.severity <= ValidationFindingSeverity.NOTICE
    }


@shapes
def test_pkilint_finds_nothing(shape: Shape) -> None:
    for der in (shape.authority.root, *shape.authority.intermediates, shape.leaf):
        assert findings(der) == set()


def test_pkilint_does_find() -> None:
    """The harness can fail: the authority key identifier, relabelled as policyConstraints, is reported."""
    broken = SHAPES[4].leaf.replace(bytes.fromhex("0603551d23"), bytes.fromhex("0603551d24"))
    assert findings(broken)


@shapes
def test_openssl_accepts_the_name_and_refuses_a_neighbour(shape: Shape, tmp_path: Path) -> None:
    accepted = openssl_verify(shape.authority, shape.leaf, shape.dialled, tmp_path)
    assert accepted.returncode == 0, accepted.stderr
    refused = openssl_verify(shape.authority, shape.leaf, shape.neighbour, tmp_path)
    assert refused.returncode != 0
    assert "mismatch" in refused.stderr


def openssl_verify(ca: TestAuthority, leaf: bytes, dialled: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`openssl verify`, strict, as a server certificate for this name, at the time the certificate was made."""
    for file, ders in (
        ("root", [ca.root]),
        ("chain", ca.intermediates),
        ("leaf", [leaf]),
    ):
        (folder / f"{file}.pem").write_bytes(chain.to_pem(ders))
    untrusted = ["-untrusted", str(folder / "chain.pem")] if ca.intermediates else []
    is_address = dialled[-1].isdigit() or ":" in dialled
    return subprocess.run(
        [
            "openssl",
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-attime",
            str(int(NOW.timestamp())),
            "-CAfile",
            str(folder / "root.pem"),
            *untrusted,
            "-verify_ip" if is_address else "-verify_hostname",
            dialled,
            str(folder / "leaf.pem"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


@shapes
def test_cryptography_accepts_the_name_and_refuses_a_neighbour(shape: Shape) -> None:
    anchors = (shape.authority.root,)
    verified = chain.verify_server(
        shape.leaf, shape.authority.intermediates, anchors=anchors, name=shape.dialled, at=NOW
    )
    assert verified == (shape.leaf, *shape.authority.intermediates, shape.authority.root)
    with pytest.raises(TrustFailure):
        chain.verify_server(shape.leaf, shape.authority.intermediates, anchors=anchors, name=shape.neighbour, at=NOW)


def test_a_single_label_is_the_one_exception() -> None:
    """Both linters report it; it is the one finding that does not stop an issuance (profile 2.4)."""
    ca = authority()
    content = ca.content("axis-b8a44f631339", "192.0.2.10")
    leaf = ca.issuer.issue(ca.issuer.prepare(content))
    assert findings(leaf) == {"pkix.invalid_domain_name_syntax"}
    reported = lint(x509.load_der_x509_certificate(leaf), content, ca.signer)
    assert {finding.rule for finding in reported} == EXCEPTIONS
    assert chain.verify_server(
        leaf, authority().intermediates, anchors=(authority().root,), name="axis-b8a44f631339", at=NOW
    )


def test_under_dns_constraints_openssl_refuses_an_address_in_the_common_name(tmp_path: Path) -> None:
    """Why profile 2.7 rule 4 leaves the CN out: the same leaf with the CN is refused, so the rule is not idle."""
    ca = authority(constraints=DOMAIN)
    issued = x509.load_der_x509_certificate(ca.leaf("192.0.2.10"))
    assert not issued.subject.rdns
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issued.issuer)
        .subject_name(subject_name("192.0.2.10"))
        .public_key(issued.public_key())
        .serial_number(issued.serial_number)
        .not_valid_before(issued.not_valid_before_utc)
        .not_valid_after(issued.not_valid_after_utc)
    )
    for one in issued.extensions:
        builder = builder.add_extension(one.value, one.critical)
    named = builder.sign(key("ec-p256")._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    verified = openssl_verify(ca, named, "192.0.2.10", tmp_path)
    assert verified.returncode != 0
    assert "permitted subtree violation" in verified.stderr
