"""Our own linter: a certificate, as parsed, against the profile (ISS-LINTED). The builder's code is not used here."""

import functools
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from fleetseal.core.errors import InvalidInput, IssuanceRefused
from fleetseal.pki import keys
from fleetseal.pki import names as naming
from fleetseal.pki.content import Content, IssuingContent, LeafContent, RootContent, Signer, key_identifier, parsed
from fleetseal.pki.names import DnsName
from fleetseal.pki.profile import LONGEST_COMMON_NAME, LONGEST_LEAF, MOST_NAMES


@dataclass(frozen=True)
class Finding:
    rule: str
    message: str


_Extensions = dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]

EXCEPTIONS: Final = frozenset({"single-label"})
"""Findings that do not stop an issuance (profile 2.4)."""

_BASIC, _USAGE = ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE
_SKI, _AKI = ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER
_EXTENDED, _NAMES = ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.SUBJECT_ALTERNATIVE_NAME
_CONSTRAINTS, _CRL = ExtensionOID.NAME_CONSTRAINTS, ExtensionOID.CRL_DISTRIBUTION_POINTS
_AIA = ExtensionOID.AUTHORITY_INFORMATION_ACCESS

# shape: (extensions that must be there, extensions that may); nothing else may
_SHAPES: Final = {
    RootContent: ({_BASIC, _USAGE, _SKI, _AKI}, {_CONSTRAINTS}),
    IssuingContent: ({_BASIC, _USAGE, _EXTENDED, _SKI, _AKI}, {_CONSTRAINTS, _CRL}),
    LeafContent: ({_BASIC, _USAGE, _EXTENDED, _NAMES, _SKI, _AKI}, {_CRL, _AIA}),
}
_CRITICAL: Final = {_BASIC, _USAGE, _CONSTRAINTS}
_USAGES: Final = {
    RootContent: {"key_cert_sign", "crl_sign"},
    IssuingContent: {"key_cert_sign", "crl_sign"},
}
_SIGNATURES: Final = {
    "RSA": SignatureAlgorithmOID.RSA_WITH_SHA256,
    "EC P-256": SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    "EC P-384": SignatureAlgorithmOID.ECDSA_WITH_SHA384,
}
_USAGE_BITS: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


def lint(certificate: x509.Certificate, content: Content, signer: Signer | None) -> list[Finding]:
    """Everything in which the certificate differs from its content or from the profile; empty when all is well.

    `signer` is None for a root.
    """
    try:
        extensions = {extension.oid: extension for extension in certificate.extensions}
        findings = [
            *_fields(certificate, content, signer),
            *_subject(certificate, content),
            *_extension_set(extensions, content),
        ]
        return findings or [
            *_usages(certificate, extensions, content),
            *_identifiers(certificate, extensions, signer),
            *_names_of_leaf(certificate, extensions, content, signer),
        ]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return [Finding("encoding", f"The certificate cannot be parsed: {error}.")]


def require(certificate: x509.Certificate, content: Content, signer: Signer | None) -> None:
    """Raises IssuanceRefused with the first finding that is not on the exception list."""
    for finding in lint(certificate, content, signer):
        if finding.rule not in EXCEPTIONS:
            raise IssuanceRefused(
                f"The certificate would break the profile: {finding.message} Nothing was signed.", rule=finding.rule
            )


def _fields(certificate: x509.Certificate, content: Content, signer: Signer | None) -> list[Finding]:
    issuer = certificate if signer is None else signer.certificate
    expected = _signature_algorithm(certificate) if signer is None else signer_algorithm(signer.der)
    checks = {
        "version": certificate.version is x509.Version.v3,
        "serial": certificate.serial_number == content.serial and 0 < content.serial < 1 << 159,
        "signature-algorithm": certificate.signature_algorithm_oid == expected,
        "issuer-name": certificate.issuer.public_bytes() == issuer.subject.public_bytes(),
        "issuer": isinstance(content, RootContent) == (signer is None)
        and (signer is None or content.issuer == signer.sha256),  # type: ignore[union-attr]  # not a root
        "validity": certificate.not_valid_before_utc == content.not_before
        and certificate.not_valid_after_utc == content.not_after
        and _whole_second(content.not_before)
        and _whole_second(content.not_after)
        and content.not_before < content.not_after,
        "ISS-WITHIN-ISSUER": content.not_after <= issuer.not_valid_after_utc,
        "life": not isinstance(content, LeafContent) or content.not_after - content.not_before < LONGEST_LEAF,
        "key": _strong(certificate) and keys.spki(certificate.public_key()) == content.spki,  # type: ignore[arg-type]  # strong: RSA or EC
    }
    return [
        Finding(rule, f"The field {rule} is not as the profile asks.") for rule, holds in checks.items() if not holds
    ]


def _signature_algorithm(issuer: x509.Certificate) -> x509.ObjectIdentifier | None:
    kind = keys.describe(issuer.public_key())
    return _SIGNATURES.get("RSA" if kind.startswith("RSA") else kind)


@functools.lru_cache(maxsize=64)
def signer_algorithm(der: bytes) -> x509.ObjectIdentifier | None:
    return _signature_algorithm(parsed(der))


def _strong(certificate: x509.Certificate) -> bool:
    try:
        keys.judge_key(certificate.public_key())
    except IssuanceRefused:
        return False
    return True


def _subject(certificate: x509.Certificate, content: Content) -> list[Finding]:
    values = {attribute.oid: str(attribute.value) for attribute in certificate.subject}
    if isinstance(content, LeafContent):
        expected = {} if content.common_name is None else {NameOID.COMMON_NAME: content.common_name}
    else:
        expected = {NameOID.COMMON_NAME: content.common_name}
        if content.organization:
            expected[NameOID.ORGANIZATION_NAME] = content.organization
        if "." in content.common_name:
            return [Finding("subject", "The common name of a CA has a dot.")]
    too_long = any(len(value) > LONGEST_COMMON_NAME for value in values.values())
    if values != expected or len(list(certificate.subject)) != len(expected) or too_long:
        return [Finding("subject", "The subject is not as the profile asks.")]
    return []


def _extension_set(extensions: _Extensions, content: Content) -> list[Finding]:
    needed, allowed = _SHAPES[type(content)]
    findings = [Finding("extension", f"The extension {oid._name} is missing.") for oid in needed - extensions.keys()]
    findings += [
        Finding("extension", f"The extension {oid._name} is not in the profile.")
        for oid in extensions.keys() - needed - allowed
    ]
    anonymous = isinstance(content, LeafContent) and content.common_name is None
    for oid, extension in extensions.items():
        critical = oid in _CRITICAL or (oid == _NAMES and anonymous)
        if extension.critical != critical:
            findings.append(
                Finding("critical", f"The extension {oid._name} must {'' if critical else 'not '}be critical.")
            )
    return findings


def _usages(certificate: x509.Certificate, extensions: _Extensions, content: Content) -> list[Finding]:
    basic, usage = extensions[_BASIC].value, extensions[_USAGE].value
    assert isinstance(basic, x509.BasicConstraints)
    assert isinstance(usage, x509.KeyUsage)
    if isinstance(content, LeafContent):
        expected = {"digital_signature"}
        if content.key_encipherment and isinstance(certificate.public_key(), rsa.RSAPublicKey):
            expected.add("key_encipherment")
        extended, path_length = [Usage.SERVER_AUTH], None
    else:
        expected = _USAGES[type(content)]
        extended = [Usage.SERVER_AUTH, Usage.CLIENT_AUTH]
        path_length = content.path_length if isinstance(content, RootContent) else 0
    findings = []
    if basic.ca is isinstance(content, LeafContent) or basic.path_length != path_length:
        findings.append(Finding("basic-constraints", "basicConstraints is not as the profile asks."))
    if {bit for bit in _USAGE_BITS if getattr(usage, bit)} != expected:
        findings.append(Finding("key-usage", "keyUsage is not as the profile asks."))
    if _EXTENDED in extensions and list(_purposes(extensions)) != extended:
        findings.append(Finding("extended-key-usage", "extKeyUsage is not as the profile asks."))
    return findings


def _purposes(extensions: _Extensions) -> x509.ExtendedKeyUsage:
    value = extensions[_EXTENDED].value
    assert isinstance(value, x509.ExtendedKeyUsage)
    return value


def _identifiers(certificate: x509.Certificate, extensions: _Extensions, signer: Signer | None) -> list[Finding]:
    own, issuer = extensions[_SKI].value, extensions[_AKI].value
    assert isinstance(own, x509.SubjectKeyIdentifier)
    assert isinstance(issuer, x509.AuthorityKeyIdentifier)
    digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    findings = []
    if own.digest != digest:
        findings.append(Finding("subject-key-identifier", "The subject key identifier is not SHA-1 of the key."))
    wanted = digest if signer is None else key_identifier(signer.der)
    if (issuer.key_identifier, issuer.authority_cert_issuer, issuer.authority_cert_serial_number) != (
        wanted,
        None,
        None,
    ):
        findings.append(Finding("authority-key-identifier", "The authority key identifier is not that of the issuer."))
    return findings


def _names_of_leaf(
    certificate: x509.Certificate, extensions: _Extensions, content: Content, signer: Signer | None
) -> list[Finding]:
    if not isinstance(content, LeafContent):
        return []
    found = extensions[_NAMES].value
    assert isinstance(found, x509.SubjectAlternativeName)
    try:
        parsed = tuple(naming.classify(str(name.value)) for name in found)
    except InvalidInput as error:
        return [Finding("names", error.message)]
    texts = tuple(name.text for name in parsed)
    typed = all(isinstance(a, x509.DNSName) == isinstance(b, DnsName) for a, b in zip(found, parsed, strict=True))
    as_written = texts == tuple(str(name.value) for name in found)
    findings = []
    if not (typed and as_written and texts == content.names and len(set(texts)) == len(texts) <= MOST_NAMES):
        findings.append(Finding("names", "The names are not those intended, or not in normal form."))
    if content.common_name is not None and content.common_name not in texts:
        findings.append(Finding("common-name", "The common name is not one of the names."))
    chain = signer.constraints if signer else ()
    if naming.refused(parsed, chain):
        findings.append(Finding("name-constraints", "A name lies outside the name constraints of the CA."))
    hidden = any(one.constrains_dns for one in chain) and not any(isinstance(name, DnsName) for name in parsed)
    if content.common_name is not None and (hidden or any(one.directory for one in chain)):
        findings.append(Finding("common-name", "Under the name constraints of the CA the subject must be empty."))
    if any(isinstance(name, DnsName) and name.single_label for name in parsed):
        findings.append(Finding("single-label", "A host name has no domain."))
    return findings


def _whole_second(moment: datetime) -> bool:
    return moment.microsecond == 0 and moment.tzinfo is not None
