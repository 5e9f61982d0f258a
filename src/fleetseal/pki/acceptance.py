"""May this certificate be used as a CA of ours (invariants 2.3, last paragraph)?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from fleetseal.core.errors import InvalidInput, IssuanceRefused, TrustFailure
from fleetseal.pki import chain, keys

_LEAST_REST = timedelta(days=90)


@dataclass(frozen=True)
class Accepted:
    """A CA certificate that may sign here. `path` is itself first, then upward to the self-signed root."""

    path: tuple[bytes, ...]
    may_sign_authorities: bool
    warnings: tuple[str, ...]


def accept(der: bytes, others: tuple[bytes, ...], *, now: datetime) -> Accepted:
    """Check a CA certificate whose key is at hand; `others` hold the CAs above it.

    Raises InvalidInput with one sentence for each rule that is broken.
    """
    require_authority(der, now=now)
    certificate = chain.load(der)
    if certificate.not_valid_after_utc - now <= _LEAST_REST:
        raise InvalidInput(
            f"The CA certificate ends on {certificate.not_valid_after_utc:%Y-%m-%d}: more than 90 days must be left."
        )
    usage, purposes = extension(certificate, x509.KeyUsage), extension(certificate, x509.ExtendedKeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise InvalidInput("The CA certificate may not sign certificates: its keyUsage lacks keyCertSign.")
    allowed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if purposes is not None and not any(purpose in allowed for purpose in purposes):
        raise InvalidInput("The CA certificate is not for server certificates: its extKeyUsage lacks serverAuth.")
    try:
        keys.judge_key(certificate.public_key())
    except IssuanceRefused as refused:
        raise InvalidInput(f"The key of the CA is too weak. {refused.message}") from refused
    path = _path_to_root(der, others, now=now)
    return Accepted(path, _may_sign_authorities(path), _warnings(certificate, usage))


def require_authority(der: bytes, *, now: datetime) -> None:
    """Raises InvalidInput when this is no CA certificate, or is not valid now."""
    certificate = chain.load(der)
    basic = extension(certificate, x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise InvalidInput("The certificate is not a CA certificate (basicConstraints CA is not set).")
    if certificate.not_valid_after_utc < now:
        raise InvalidInput(f"The CA certificate has expired on {certificate.not_valid_after_utc:%Y-%m-%d}.")
    if certificate.not_valid_before_utc > now:
        raise InvalidInput(
            f"The CA certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC. "
            "Check the clock of this computer."
        )


def _path_to_root(der: bytes, others: tuple[bytes, ...], *, now: datetime) -> tuple[bytes, ...]:
    path = chain.path(der, others)
    if not chain.issued_by(path[-1], path[-1]):
        missing = chain.describe(path[-1]).issuer
        raise InvalidInput(
            f'The certificate of the issuer "{missing}" is missing: clients must trust the root. Give the whole chain, '
            "e.g. fleetseal ca import CA.cer ROOT.cer."
        )
    if len(path) > 1:
        try:
            chain.verify_authority(der, path[1:-1], anchors=path[-1:], at=now)
        except TrustFailure as failure:
            raise InvalidInput(f"The chain of the CA is not valid. {failure.message}") from failure
    return path


def _may_sign_authorities(path: tuple[bytes, ...]) -> bool:
    """Whether every path length leaves room for one more CA below the first."""
    for below, der in enumerate(path):
        basic = extension(chain.load(der), x509.BasicConstraints)
        if basic is not None and basic.path_length is not None and basic.path_length < below + 1:
            return False
    return True


def _warnings(certificate: x509.Certificate, usage: x509.KeyUsage | None) -> tuple[str, ...]:
    found = []
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 3072:
        found.append("The key of the CA is RSA-2048, which is at its end in 2030: plan its replacement.")
    if extension(certificate, x509.SubjectKeyIdentifier) is None:
        found.append(
            "The CA certificate has no subject key identifier: strict clients (Python 3.13 and later) refuse it."
        )
    if usage is None:
        found.append("The CA certificate has no keyUsage: strict clients refuse it.")
    if usage is not None and not usage.crl_sign:
        found.append("The CA certificate may not sign CRLs (keyUsage lacks cRLSign): no client learns of a revocation.")
    if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).critical:
        found.append("basicConstraints of the CA certificate is not critical: strict clients refuse it.")
    return tuple(found)


def extension(certificate: x509.Certificate, kind: type[chain.ExtensionT]) -> chain.ExtensionT | None:
    """Raises InvalidInput when the extensions cannot be read."""
    try:
        return chain.extension(certificate, kind)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise InvalidInput("The extensions of the certificate cannot be read.") from error
