"""Certificate revocation lists (profile 2.6, RFC 5280 chapter 5): as data, as bytes, and judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from fleetseal.core.errors import IssuanceRefused
from fleetseal.pki.content import Signer, key_identifier, may_sign_crls
from fleetseal.pki.lint import Finding, signer_algorithm
from fleetseal.pki.profile import whole_second

ISSUING_LIFE: Final = timedelta(days=7)
ROOT_LIFE: Final = timedelta(days=400)


class Reason(StrEnum):
    """Why a certificate is not to be believed any more, in the words of RFC 5280 5.3.1.

    Left out: certificateHold and removeFromCRL (nothing here is revoked for a while only) and aACompromise (there
    are no attribute certificates).
    """

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"


@dataclass(frozen=True)
class Entry:
    """A certificate that is not to be believed any more, since `at` (whole seconds, UTC)."""

    serial: int
    at: datetime
    reason: Reason


@dataclass(frozen=True)
class CrlContent:
    """A CRL to be. `entries` are in the order of their serials: the same content is always the same bytes."""

    issuer: str  # SHA-256 of the issuer's certificate, hexadecimal
    number: int
    this_update: datetime
    next_update: datetime
    entries: tuple[Entry, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "format": 1,
            "issuer": self.issuer,
            "number": self.number,
            "this_update": self.this_update.isoformat(),
            "next_update": self.next_update.isoformat(),
            "entries": [[f"{entry.serial:040x}", entry.at.isoformat(), entry.reason] for entry in self.entries],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            issuer=data["issuer"],
            number=data["number"],
            this_update=datetime.fromisoformat(data["this_update"]),
            next_update=datetime.fromisoformat(data["next_update"]),
            entries=tuple(
                Entry(int(serial, 16), datetime.fromisoformat(at), Reason(reason))
                for serial, at, reason in data["entries"]
            ),
        )


def crl_content(signer: Signer, *, number: int, now: datetime, life: timedelta, entries: Iterable[Entry]) -> CrlContent:
    """A CRL of `signer`, made now. `life` is `ISSUING_LIFE` or `ROOT_LIFE`."""
    this_update = whole_second(now)
    listed = (Entry(one.serial, min(whole_second(one.at), this_update), one.reason) for one in entries)
    return CrlContent(
        issuer=signer.sha256,
        number=number,
        this_update=this_update,
        next_update=this_update + life,
        entries=tuple(sorted(listed, key=lambda entry: entry.serial)),
    )


def build(content: CrlContent, signer: Signer) -> x509.CertificateRevocationListBuilder:
    """Everything but the signature."""
    revoked = [_revoked(entry) for entry in content.entries]
    return (
        x509.CertificateRevocationListBuilder(revoked_certificates=revoked)
        .issuer_name(signer.certificate.subject)
        .last_update(content.this_update)
        .next_update(content.next_update)
        .add_extension(x509.AuthorityKeyIdentifier(key_identifier(signer.der), None, None), critical=False)
        .add_extension(x509.CRLNumber(content.number), critical=False)
    )


def require(crl: x509.CertificateRevocationList, content: CrlContent, signer: Signer) -> None:
    """Raises IssuanceRefused, naming the first rule, when `lint` finds something."""
    for finding in lint(crl, content, signer):
        raise IssuanceRefused(f"{finding.message} The CRL was not signed.", rule=finding.rule)


def lint(crl: x509.CertificateRevocationList, content: CrlContent, signer: Signer) -> list[Finding]:
    """Everything in which a CRL, as parsed, differs from its content or from the profile."""
    findings = []
    if not may_sign_crls(signer.der):
        findings.append(Finding("crl-sign", "keyUsage of the CA certificate lacks cRLSign."))
    if crl.issuer.public_bytes() != signer.certificate.subject.public_bytes() or content.issuer != signer.sha256:
        findings.append(Finding("issuer", "The issuer of the CRL is not the CA that is to sign it."))
    if crl.signature_algorithm_oid != signer_algorithm(signer.der):
        findings.append(Finding("signature-algorithm", "The signature algorithm is not the one of the profile."))
    if (crl.last_update_utc, crl.next_update_utc) != (content.this_update, content.next_update) or not (
        timedelta(0) < content.next_update - content.this_update <= ROOT_LIFE
    ):
        findings.append(Finding("validity", "The times of the CRL are not those intended."))
    return [*findings, *_extensions(crl, content, signer), *_entries(crl, content)]


def _revoked(entry: Entry) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.at)
    if entry.reason is not Reason.UNSPECIFIED:  # RFC 5280 5.3.1: then absent
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(entry.reason.value)), critical=False)
    return builder.build()


def _extensions(crl: x509.CertificateRevocationList, content: CrlContent, signer: Signer) -> list[Finding]:
    wanted = {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER: x509.AuthorityKeyIdentifier(key_identifier(signer.der), None, None),
        ExtensionOID.CRL_NUMBER: x509.CRLNumber(content.number),
    }
    found = {one.oid: one.value for one in crl.extensions}
    if found != wanted or any(one.critical for one in crl.extensions) or not 0 < content.number < 1 << 159:
        return [Finding("crl-extensions", "The extensions of the CRL are not those of the profile.")]
    return []


def _entries(crl: x509.CertificateRevocationList, content: CrlContent) -> list[Finding]:
    found = [(one.serial_number, one.revocation_date_utc, _reason(one)) for one in crl]
    wanted = [(one.serial, one.at, one.reason) for one in content.entries]
    late = any(one.at > content.this_update for one in content.entries)
    if found != wanted or late or len({serial for serial, _, _ in found}) != len(found):
        return [Finding("crl-entries", "The certificates on the CRL are not those intended.")]
    return []


def _reason(entry: x509.RevokedCertificate) -> Reason | None:
    """None for what the profile does not know."""
    extensions = list(entry.extensions)
    if not extensions:
        return Reason.UNSPECIFIED
    (one, *more) = extensions
    if more or one.critical or one.oid != CRLEntryExtensionOID.CRL_REASON:
        return None
    assert isinstance(one.value, x509.CRLReason)
    known = {reason.value for reason in Reason} - {Reason.UNSPECIFIED}
    return Reason(one.value.reason.value) if one.value.reason.value in known else None
