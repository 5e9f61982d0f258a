"""Reading certificates and verifying chains. Verification is the library's path validation, with explicit time,
anchors and name; linking by key identifier proves nothing (IDN-FULL-CHECK)."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from fleetseal.core.errors import InvalidInput, TrustFailure
from fleetseal.core.text import clean
from fleetseal.pki import keys
from fleetseal.pki import names as naming
from fleetseal.pki.names import Address

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)

_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What the library raises for a damaged certificate, at its loading or when a field is first asked for."""
_UNVERIFIED = (verification.VerificationError, *_UNREADABLE)


@dataclass(frozen=True)
class Description:
    """A certificate in words. All text is cleaned."""

    subject: str  # RFC 4514
    issuer: str
    common_name: str | None
    subject_serial: str | None  # the serialNumber attribute: a device ID's hardware serial, lower case
    names: tuple[str, ...]  # DNS names and addresses of the SAN
    serial: str  # 40 lower-case hexadecimal digits, as in our records
    not_before: datetime
    not_after: datetime
    sha256: str
    spki_sha256: str
    key: str  # e.g. RSA-2048, EC P-256
    is_ca: bool
    path_length: int | None
    self_signed: bool  # issuer and subject are equal and the signature is its own
    organization: str | None


@lru_cache(maxsize=256)  # several things are asked of one certificate, one after the other
def describe(der: bytes) -> Description:
    """Raises InvalidInput when this is no certificate that can be read."""
    with _reading("The certificate is damaged: its fields cannot be read."):
        return _described(load(der), der)


def parse_all(data: bytes) -> tuple[bytes, ...]:
    """Every certificate of a PEM, DER or PKCS#7 file, as DER, in its order. Empty when there is none."""
    try:
        if b"-----BEGIN PKCS7-----" in data:
            found = pkcs7.load_pem_pkcs7_certificates(data)
        elif b"-----BEGIN CERTIFICATE-----" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            return _parse_der(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("A certificate in the file is damaged.") from error
    return tuple(one.public_bytes(serialization.Encoding.DER) for one in found)


def request_subject(csr: bytes) -> str:
    """The subject of a request made here, RFC 4514."""
    return x509.load_der_x509_csr(csr).subject.rfc4514_string()


def to_pem(ders: Iterable[bytes]) -> bytes:
    return b"".join(keys.pem("CERTIFICATE", der) for der in ders)


def to_pkcs7(ders: Iterable[bytes]) -> bytes:
    """A PKCS#7 bundle of certificates (DER), as Windows imports it."""
    return pkcs7.serialize_certificates([load(der) for der in ders], serialization.Encoding.DER)


def issued_by(der: bytes, issuer: bytes) -> bool:
    """Whether the key of `issuer` signed this certificate under its name. Nothing else is checked."""
    try:
        with _tolerant():
            load(der).verify_directly_issued_by(load(issuer))
    except (InvalidInput, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def path(der: bytes, candidates: Iterable[bytes]) -> tuple[bytes, ...]:
    """From this certificate upward through `candidates`, by signature, this one first; ends at a self-signed one
    or where no issuer is found."""
    pool = [one for one in candidates if one != der]
    found = [der]
    while not issued_by(found[-1], found[-1]):
        above = next((one for one in pool if issued_by(found[-1], one)), None)
        if above is None:
            break
        pool.remove(above)
        found.append(above)
    return tuple(found)


# ---------------------------------------------------------------- verifying


def verify_server(
    leaf: bytes, intermediates: Iterable[bytes], *, anchors: Iterable[bytes], name: str, at: datetime
) -> tuple[bytes, ...]:
    """The chain, leaf first and anchor last, if this is a server certificate for `name` (host name or address).

    RFC 5280 path validation with the strict rules of `cryptography`. Raises TrustFailure with the reason.
    """
    wanted = naming.classify(name)
    subject = x509.IPAddress(wanted.value) if isinstance(wanted, Address) else x509.DNSName(wanted.text)
    try:
        with _tolerant():
            verifier = _policy(anchors, at).build_server_verifier(subject)
            chain = verifier.verify(load(leaf), [load(der) for der in intermediates])
    except _UNVERIFIED as error:
        raise TrustFailure(f"The certificate does not verify for {wanted.text}: {clean(str(error))}.") from error
    return _ders(chain)


def verify_client(
    leaf: bytes, intermediates: Iterable[bytes], *, anchors: Iterable[bytes], at: datetime
) -> tuple[bytes, ...]:
    """The chain, leaf first and anchor last, with no name looked at: for factory certificates (IEEE 802.1AR), which
    have no DNS name or address. The caller compares the serial. Raises TrustFailure with the reason."""
    try:
        with _tolerant():
            verifier = _policy(anchors, at).build_client_verifier()
            return _ders(verifier.verify(load(leaf), [load(der) for der in intermediates]).chain)
    except _UNVERIFIED as error:
        raise TrustFailure(f"The certificate does not verify: {clean(str(error))}.") from error


def verify_authority(
    authority: bytes, above: Iterable[bytes], *, anchors: Iterable[bytes], at: datetime
) -> tuple[bytes, ...]:
    """The chain of a CA certificate, itself first and anchor last. Old habits of enterprise roots (no SKI,
    basicConstraints not critical) are accepted. Raises TrustFailure with the reason."""
    ca_policy = verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
    )
    policy = _policy(anchors, at).extension_policies(
        ca_policy=ca_policy, ee_policy=verification.ExtensionPolicy.permit_all()
    )
    try:
        with _tolerant():
            verified = policy.build_client_verifier().verify(load(authority), [load(der) for der in above])
    except _UNVERIFIED as error:
        raise TrustFailure(f"The CA certificate does not verify: {clean(str(error))}.") from error
    return _ders(verified.chain)


def _policy(anchors: Iterable[bytes], at: datetime) -> verification.PolicyBuilder:
    store = verification.Store([load(der) for der in anchors])  # ValueError when empty
    return verification.PolicyBuilder().store(store).time(at)


def _ders(chain: Iterable[x509.Certificate]) -> tuple[bytes, ...]:
    return tuple(one.public_bytes(serialization.Encoding.DER) for one in chain)


# ---------------------------------------------------------------- parsing


def load(der: bytes) -> x509.Certificate:
    """Raises InvalidInput when it is no certificate."""
    with _reading("This is not a certificate, or it is damaged."):
        return x509.load_der_x509_certificate(der)


def _text(name: x509.Name) -> str:
    """RFC 4514, which has no name for the serialNumber of a device ID; OpenSSL calls it so."""
    return clean(name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"}), limit=500)


def _described(certificate: x509.Certificate, der: bytes) -> Description:
    subject, issuer, public = certificate.subject, certificate.issuer, certificate.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    basic = extension(certificate, x509.BasicConstraints)
    return Description(
        subject=_text(subject),
        issuer=_text(issuer),
        common_name=_attribute(subject, NameOID.COMMON_NAME),
        subject_serial=_attribute(subject, NameOID.SERIAL_NUMBER),
        names=_names(certificate),
        serial=f"{certificate.serial_number:040x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=hashlib.sha256(der).hexdigest(),
        spki_sha256=keys.spki_sha256(spki),
        key=keys.describe(public),
        is_ca=basic is not None and basic.ca,
        path_length=None if basic is None else basic.path_length,
        self_signed=subject == issuer and issued_by(der, der),
        organization=_attribute(subject, NameOID.ORGANIZATION_NAME),
    )


@contextmanager
def _reading(failure: str) -> Iterator[None]:
    """What the library raises for damage is InvalidInput."""
    try:
        with _tolerant():
            yield
    except _UNREADABLE as error:
        raise InvalidInput(failure) from error


@contextmanager
def _tolerant() -> Iterator[None]:
    """Without the library's warnings: devices' odd serial numbers and names are theirs to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parse_der(data: bytes) -> tuple[bytes, ...]:
    try:
        return (x509.load_der_x509_certificate(data).public_bytes(serialization.Encoding.DER),)
    except ValueError:
        pass
    try:
        return tuple(one.public_bytes(serialization.Encoding.DER) for one in pkcs7.load_der_pkcs7_certificates(data))
    except (ValueError, UnsupportedAlgorithm):
        return ()


def extension(certificate: x509.Certificate, kind: type[ExtensionT]) -> ExtensionT | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return clean(str(found[0].value)) if found else None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = extension(certificate, x509.SubjectAlternativeName)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    kinds = (x509.DNSName, x509.IPAddress)
    return tuple(clean(str(name.value)) for name in found or () if isinstance(name, kinds))
