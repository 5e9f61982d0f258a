"""Every shape of CRL, judged by programs that we did not write: pkilint, openssl, cryptography."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pkilint import loader, pkix  # type: ignore[import-untyped]  # pkilint has no type hints
from pkilint.pkix import crl as pkix_crl  # type: ignore[import-untyped]  # pkilint has no type hints
from pkilint.pkix import extension, name
from pkilint.validation import ValidationFindingSeverity  # type: ignore[import-untyped]  # pkilint has no type hints

from fleetseal.core.errors import IssuanceRefused
from fleetseal.pki import chain, crl, keys
from fleetseal.pki.content import Signer
from fleetseal.pki.crl import CrlContent, Entry, Reason
from tests.pki import NOW, TestAuthority, authority, key

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Shape:
    id: str
    family: str = "ec"
    tiers: int = 2
    entries: tuple[Entry, ...] = ()
    number: int = 1
    life: timedelta = crl.ISSUING_LIFE
    years: int = 0  # after NOW

    @property
    def authority(self) -> TestAuthority:
        return authority(self.family, tiers=self.tiers)

    @property
    def content(self) -> CrlContent:
        return crl.crl_content(
            self.authority.signer,
            number=self.number,
            now=NOW + self.years * 366 * DAY,
            life=self.life,
            entries=self.entries,
        )

    @property
    def der(self) -> bytes:
        return _der(self)


@cache
def _der(shape: Shape) -> bytes:
    issuer = shape.authority.issuer
    return issuer.issue(issuer.prepare_crl(shape.content))


def entry(serial: int, reason: Reason = Reason.SUPERSEDED) -> Entry:
    return Entry(serial, NOW - DAY, reason)


SHAPES = [
    Shape("empty"),
    Shape("empty-rsa", family="rsa"),
    Shape("root", tiers=1, life=crl.ROOT_LIFE, number=7),
    Shape("root-rsa", family="rsa", tiers=1, life=crl.ROOT_LIFE),
    Shape("every-reason", entries=tuple(entry(number, reason) for number, reason in enumerate(Reason, start=1))),
    Shape("many", entries=tuple(entry((1 << 158) - number) for number in range(2000)), number=(1 << 63) - 1),
    Shape("after-2050", entries=(Entry(9, NOW + 30 * 366 * DAY, Reason.KEY_COMPROMISE),), years=30),
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)


@cache
def _validator() -> Any:
    return pkix_crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            pkix_crl.create_issuer_validator_container([]),
            pkix_crl.create_validity_validator_container([]),
            pkix_crl.create_extensions_validator_container([]),
        ],
    )


def findings(der: bytes) -> set[str]:
    """Codes of pkilint at NOTICE and above; its severities count downward, FATAL is 0."""
    document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der, "crl")
    return {
        one.finding.code
        for result in _validator().validate(document.root)
        for one in result.finding_descriptions
        if one.finding.severity <= ValidationFindingSeverity.NOTICE
    }


@shapes
def test_pkilint_finds_nothing(shape: Shape) -> None:
    assert findings(shape.der) == set()


def test_pkilint_does_find() -> None:
    """The harness can fail: the CRL number, relabelled as a delta CRL indicator, is reported."""
    assert findings(SHAPES[0].der.replace(bytes.fromhex("0603551d14"), bytes.fromhex("0603551d1b")))


def openssl(*arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False, timeout=20)


@shapes
def test_openssl_verifies_the_signature_and_reads_what_was_meant(shape: Shape, tmp_path: Path) -> None:
    issuer = tmp_path / "issuer.pem"
    issuer.write_bytes(chain.to_pem([shape.authority.signer.der]))
    shown = openssl("crl", "-inform", "DER", "-verify", "-CAfile", str(issuer), "-noout", "-text", given=shape.der)
    text = shown.stdout.decode()
    assert (shown.returncode, b"verify OK" in shown.stderr) == (0, True), shown.stderr
    assert "Version 2 (0x1)" in text
    assert f"X509v3 CRL Number: \n                {shape.number}\n" in text or f"0x{shape.number:X}" in text
    assert text.count("Serial Number:") == len(shape.entries)
    spoilt = shape.der[:-1] + bytes([shape.der[-1] ^ 1])
    refused = openssl("crl", "-inform", "DER", "-verify", "-CAfile", str(issuer), "-noout", given=spoilt)
    assert b"verify failure" in refused.stderr


@shapes
def test_what_is_signed_is_what_was_meant(shape: Shape) -> None:
    parsed, content = x509.load_der_x509_crl(shape.der), shape.content
    assert crl.lint(parsed, content, shape.authority.signer) == []
    assert parsed.is_signature_valid(shape.authority.signer.certificate.public_key())  # type: ignore[arg-type]  # RSA or EC
    assert [one.serial_number for one in parsed] == sorted(one.serial for one in shape.entries)
    plain = [one.serial_number for one in parsed if not list(one.extensions)]
    assert plain == [one.serial for one in content.entries if one.reason is Reason.UNSPECIFIED]
    assert CrlContent.from_json(json.loads(json.dumps(content.to_json()))) == content


def test_the_same_content_is_the_same_bytes_in_whatever_order_it_was_given() -> None:
    shape = SHAPES[4]
    turned = replace(shape, entries=tuple(reversed(shape.entries)))
    issuer = shape.authority.issuer
    assert issuer.prepare_crl(turned.content).tbs == issuer.prepare_crl(shape.content).tbs


@pytest.mark.parametrize("tiers", [1, 2])
@pytest.mark.parametrize("family", ["ec", "rsa"])
def test_openssl_refuses_the_revoked_certificate_and_no_other(family: str, tiers: int, tmp_path: Path) -> None:
    ca = authority(family, tiers=tiers)
    good, bad = (ca.leaf(f"192.0.2.{number}") for number in (10, 11))
    serial = x509.load_der_x509_certificate(bad).serial_number
    content = crl.crl_content(
        ca.signer, number=3, now=NOW, life=crl.ISSUING_LIFE, entries=[entry(serial, Reason.KEY_COMPROMISE)]
    )
    (tmp_path / "crl.pem").write_bytes(keys.pem("X509 CRL", ca.issuer.issue(ca.issuer.prepare_crl(content))))
    (tmp_path / "root.pem").write_bytes(chain.to_pem([ca.root]))
    (tmp_path / "chain.pem").write_bytes(chain.to_pem(ca.intermediates or [ca.root]))
    outcomes = []
    for leaf in (good, bad):
        (tmp_path / "leaf.pem").write_bytes(chain.to_pem([leaf]))
        files = ("-CAfile", "root.pem", "-untrusted", "chain.pem", "-CRLfile", "crl.pem", "leaf.pem")
        paths = [str(tmp_path / word) if word.endswith(".pem") else word for word in files]
        outcomes.append(openssl("verify", "-x509_strict", "-crl_check", "-attime", f"{NOW.timestamp():.0f}", *paths))
    assert [one.returncode for one in outcomes] == [0, 2], outcomes
    assert b"certificate revoked" in outcomes[1].stderr


# ---------------------------------------------------------------- what is not signed

BAD: list[tuple[str, Callable[[CrlContent], CrlContent]]] = [
    ("issuer", lambda c: replace(c, issuer="0" * 64)),
    ("validity", lambda c: replace(c, next_update=c.this_update)),
    ("validity", lambda c: replace(c, next_update=c.this_update + 401 * DAY)),
    ("validity", lambda c: replace(c, this_update=c.this_update + timedelta(milliseconds=1))),
    ("crl-extensions", lambda c: replace(c, number=0)),
    ("crl-entries", lambda c: replace(c, entries=(entry(7), entry(7)))),
    ("crl-entries", lambda c: replace(c, entries=(Entry(7, c.this_update + DAY, Reason.SUPERSEDED),))),
    ("encoding", lambda c: replace(c, entries=(entry(-1),))),
]


@pytest.mark.parametrize(("rule", "change"), BAD, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BAD)])
def test_content_outside_the_profile_gets_no_ticket(rule: str, change: Callable[[CrlContent], CrlContent]) -> None:
    shape = SHAPES[4]
    with pytest.raises(IssuanceRefused) as refused:
        shape.authority.issuer.prepare_crl(change(shape.content))
    assert refused.value.rule == rule


def test_the_linter_sees_what_another_hand_would_change() -> None:
    ca, content = SHAPES[4].authority, SHAPES[4].content
    signing = key("ec-p256")._key
    for changed in (
        crl.build(content, ca.signer).add_extension(x509.IssuerAlternativeName([x509.DNSName("x.example")]), False),
        crl.build(replace(content, number=2), ca.signer),
        crl.build(replace(content, entries=content.entries[1:]), ca.signer),
        crl.build(content, Signer(ca.root)),
    ):
        assert crl.lint(changed.sign(signing, keys.signature_hash(signing.public_key())), content, ca.signer) != []


def test_a_ca_without_crl_sign_signs_none_and_its_leaves_point_to_none() -> None:
    ca = authority()
    own = x509.load_der_x509_certificate(ca.root)
    builder = x509.CertificateBuilder(own.issuer, own.subject, own.public_key(), 5, NOW - DAY, NOW + 900 * DAY)
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
    root_key = key("ec-p384")
    der = builder.sign(root_key._key, keys.signature_hash(root_key._key.public_key())).public_bytes(
        serialization.Encoding.DER
    )
    issuer = root_key.issuer(Signer(der))
    content = crl.crl_content(Signer(der), number=1, now=NOW, life=crl.ROOT_LIFE, entries=[])
    with pytest.raises(IssuanceRefused, match="cRLSign") as refused:
        issuer.prepare_crl(content)
    assert refused.value.rule == "crl-sign"
    mute = TestAuthority(der, (), issuer, Signer(der))
    pointed = mute.content("192.0.2.10", public_url="http://pki.plant.example")
    assert (pointed.crl_url, pointed.ca_url is None) == (None, False)


def test_a_ticket_is_for_one_signature() -> None:
    issuer = SHAPES[0].authority.issuer
    ticket = issuer.prepare_crl(SHAPES[0].content)
    issuer.issue(ticket)
    with pytest.raises(IssuanceRefused) as refused:
        issuer.issue(ticket)
    assert refused.value.rule == "ISS-ONCE"
    with pytest.raises(IssuanceRefused):
        key("ec-p384").issuer(None).prepare_crl(SHAPES[0].content)
