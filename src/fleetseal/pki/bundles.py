"""Files that people bring for devices: what in them belongs together, and may it serve?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from fleetseal.core.errors import InvalidInput, IssuanceRefused, Locked
from fleetseal.core.secrets import Secret
from fleetseal.pki import acceptance, chain, keys, pkcs12


@dataclass(frozen=True)
class File:
    """As a person gave it."""

    name: str
    content: bytes = field(repr=False)
    passphrase: Secret | None = None


@dataclass(frozen=True)
class Bundle:
    """A certificate with its key."""

    file: str  # in which the certificate was
    leaf: bytes
    above: tuple[bytes, ...]  # CA certificates of its chain that were in the files, lowest first, the root too
    key: bytes = field(repr=False)  # PKCS#8 DER, unencrypted; for memory only


@dataclass(frozen=True)
class Unused:
    """A file that makes no bundle, and why. `locked`: its passphrase is missing or wrong."""

    file: str
    reason: str
    locked: bool = False


@dataclass(frozen=True)
class _Read:
    name: str
    certificates: tuple[bytes, ...]
    key: keys.PrivateKey | None


def read(files: Sequence[File]) -> tuple[tuple[Bundle, ...], tuple[Unused, ...]]:
    """The pairs of certificate and key in these files, and the files that are part of none.

    A key is looked for with its certificate in its own file first, then in the others. Files that hold nothing but CA
    certificates are for the chains of all.
    """
    found: list[_Read] = []
    unused: list[Unused] = []
    for file in files:
        try:
            contents = pkcs12.read([file.content], file.passphrase)
            key = None if contents.key is None else keys.load(contents.key, file.passphrase)
        except (InvalidInput, Locked) as error:
            unused.append(Unused(file.name, error.message, locked=isinstance(error, Locked)))
        else:
            found.append(_Read(file.name, contents.certificates, key))
    bundles: list[Bundle] = []
    paired: list[_Read] = []
    for one in found:
        if one.key is None:
            continue
        pair = _leaf_for(one.key, (one, *(other for other in found if other is not one)))
        if pair is None:
            unused.append(Unused(one.name, _no_certificate(one)))
            continue
        beside, leaf = pair
        paired.append(beside)
        pool = [der for other in found for der in other.certificates if _is_ca(der)]
        bundles.append(Bundle(beside.name, leaf, chain.path(leaf, pool)[1:], keys.to_pkcs8(one.key)))
    for one in found:
        if one.key is None and not any(one is other for other in paired) and not all(map(_is_ca, one.certificates)):
            unused.append(Unused(one.name, "None of the files holds the private key of its certificate."))
    return tuple(bundles), tuple(unused)


def require_fit(leaf: bytes, *, now: datetime, for_https: bool) -> None:
    """Raises InvalidInput, in one sentence, when a device cannot use this certificate now: it is a CA's, its key is
    weak, it is not valid, or, for HTTPS, its extKeyUsage says that it is for other things (RFC 5280 4.2.1.12)."""
    described = chain.describe(leaf)
    if described.is_ca:
        raise InvalidInput("It is a CA certificate: no device serves one.")
    try:
        keys.judge_key(chain.load(leaf).public_key())
    except IssuanceRefused as refused:
        raise InvalidInput(f"Its key is too weak. {refused.message}") from refused
    if described.not_after < now:
        raise InvalidInput(f"It has expired on {described.not_after:%Y-%m-%d}.")
    if described.not_before > now:
        raise InvalidInput(f"It is not valid before {described.not_before:%Y-%m-%d %H:%M} UTC.")
    purposes = acceptance.extension(chain.load(leaf), x509.ExtendedKeyUsage)
    allowed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if for_https and purposes is not None and not any(purpose in allowed for purpose in purposes):
        raise InvalidInput("It is not for servers: its extKeyUsage lacks serverAuth.")


def _leaf_for(key: keys.PrivateKey, files: Iterable[_Read]) -> tuple[_Read, bytes] | None:
    spki_sha256 = keys.spki_sha256(keys.spki(key.public_key()))
    for file in files:
        for der in file.certificates:
            try:
                if chain.describe(der).spki_sha256 == spki_sha256:
                    return file, der
            except InvalidInput:  # unreadable, so it is not the one
                continue
    return None


def _no_certificate(one: _Read) -> str:
    if one.certificates:
        return "The private key does not belong to a certificate in the file."
    return "None of the files holds the certificate of this private key."


def _is_ca(der: bytes) -> bool:
    try:
        return chain.describe(der).is_ca
    except InvalidInput:
        return False
