"""The only place where CA keys are open: keep them, open them, sign with them (SEC-CA-APART).

Signing is two acts: `prepare` builds and lints the content with a filler signature and gives a ticket; `issue` takes
that ticket, once, and signs exactly these bytes.
"""

import asyncio
import functools
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from fleetseal.core.config import CREDENTIAL
from fleetseal.core.errors import IssuanceRefused, Locked, StoreError
from fleetseal.core.runtime import Rng
from fleetseal.core.secrets import Sealer, Secret, load_or_create_key, write_private
from fleetseal.pki import crl, keys, pkcs12
from fleetseal.pki.builder import build, build_request
from fleetseal.pki.content import Content, Signer
from fleetseal.pki.crl import CrlContent
from fleetseal.pki.filler import filler
from fleetseal.pki.keys import PrivateKey
from fleetseal.pki.lint import require

Filled = x509.Certificate | x509.CertificateRevocationList
"""With filler in place of the signature."""


class Ticket:
    """One content, linted, that one issuer may sign once. Only `Issuer.prepare` and `prepare_crl` make one."""

    __slots__ = ("_filled", "_issuer", "tbs")

    def __init__(self, issuer: "Issuer", filled: Filled) -> None:
        self._issuer = issuer
        self._filled: Filled | None = filled
        self.tbs = _tbs(filled)

    def _take(self, issuer: "Issuer") -> Filled:
        if self._issuer is not issuer or self._filled is None:
            raise IssuanceRefused(
                "This ticket was used before, or is for another CA. Nothing was signed.", rule="ISS-ONCE"
            )
        filled, self._filled = self._filled, None
        return filled


class Issuer:
    """A CA key that is open, with the certificates it signs under; `signer` is None for a root that signs itself."""

    def __init__(self, key: PrivateKey, signer: Signer | None) -> None:
        if signer is not None and key.public_key() != signer.certificate.public_key():
            raise ValueError("the key is not that of the certificate")
        self._key = key
        self.signer = signer

    def __repr__(self) -> str:
        return "Issuer(…)"

    def prepare(self, content: Content) -> Ticket:
        """The content as it will be signed, linted. Raises IssuanceRefused with the rule it breaks."""
        if self.signer is None and keys.spki(self._key.public_key()) != content.spki:
            raise IssuanceRefused("A root signs its own key only. Nothing was signed.", rule="issuer")
        filled = _filled(content, self.signer)
        require(filled, content, self.signer)
        return Ticket(self, filled)

    def prepare_crl(self, content: CrlContent) -> Ticket:
        """As `prepare`, for a CRL of this CA."""
        if self.signer is None:
            raise IssuanceRefused("A root that is being made signs its own key only.", rule="issuer")
        filled = _filled_crl(content, self.signer)
        crl.require(filled, content, self.signer)
        return Ticket(self, filled)

    def issue(self, ticket: Ticket) -> bytes:
        """The certificate or CRL (DER). Raises IssuanceRefused when the ticket is not ours or was used."""
        filled = ticket._take(self)
        der = _with_signature(filled, keys.sign(self._key, ticket.tbs))
        is_crl = isinstance(filled, x509.CertificateRevocationList)
        read = x509.load_der_x509_crl if is_crl else x509.load_der_x509_certificate
        if _tbs(read(der)) != ticket.tbs:
            raise IssuanceRefused("What was signed is not what was prepared; it is discarded.", rule="ISS-LINTED")
        return der


def to_be_signed(content: Content, signer: Signer | None) -> bytes:
    """The bytes a signature will cover; needs no key. They are linted by `Issuer.prepare`, before they are signed."""
    return _filled(content, signer).tbs_certificate_bytes


def crl_to_be_signed(content: CrlContent, signer: Signer) -> bytes:
    """As `to_be_signed`, of a CRL."""
    return _tbs(_filled_crl(content, signer))


@functools.lru_cache(maxsize=16)  # the intent and the lint that follow each other look at the same one
def _filled(content: Content, signer: Signer | None) -> x509.Certificate:
    """The certificate with a filler signature."""
    key: Any = serialization.load_der_public_key(content.spki) if signer is None else signer.certificate.public_key()
    try:
        return build(content, signer).sign(filler(key), keys.signature_hash(key))
    except ValueError as error:
        raise IssuanceRefused(
            f"The certificate cannot be encoded: {error}. Nothing was signed.", rule="encoding"
        ) from error


@functools.lru_cache(maxsize=4)  # as above
def _filled_crl(content: CrlContent, signer: Signer) -> x509.CertificateRevocationList:
    key: Any = signer.certificate.public_key()
    try:
        return crl.build(content, signer).sign(filler(key), keys.signature_hash(key))
    except ValueError as error:
        raise IssuanceRefused(f"The CRL cannot be encoded: {error}. Nothing was signed.", rule="encoding") from error


def _tbs(filled: Filled) -> bytes:
    if isinstance(filled, x509.CertificateRevocationList):
        return filled.tbs_certlist_bytes
    return filled.tbs_certificate_bytes


def _with_signature(filled: Filled, signature: bytes) -> bytes:
    """Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 4.1; CertificateList,
    5.1, alike): the same first two members, encoded once and never again."""
    der, tbs = filled.public_bytes(serialization.Encoding.DER), _tbs(filled)
    start = der.index(tbs) + len(tbs)
    algorithm = der[start : start + 2 + der[start + 1]]
    return keys.sequence(tbs, algorithm, keys.bit_string(signature))


# ---------------------------------------------------------------- keeping keys


class Sealing(StrEnum):
    """What opens a key file."""

    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a secret
    SIGNER = "signer"


@dataclass(frozen=True)
class KeyFile:
    """Where the key of a CA lies: `DATA/ca/<name>.key`. `remembered`: its passphrase lies beside it."""

    name: str
    sealing: Sealing
    remembered: bool = False


class NewKey:
    """A CA key not kept yet. The vault alone looks inside."""

    __slots__ = ("_key", "kind", "name", "spki")

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.spki = keys.spki(key.public_key())
        self.kind = keys.describe(key.public_key())
        self.name = keys.spki_sha256(self.spki)[:32]

    def __repr__(self) -> str:
        return f"NewKey({self.name})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere")

    def request(self, common_name: str, organization: str | None) -> bytes:
        """A PKCS#10 request (DER) for a CA certificate."""
        return build_request(self._key, common_name, organization)

    def issuer(self, signer: Signer | None) -> Issuer:
        """Signs with the key as it is in memory; for the ceremony that makes it."""
        return Issuer(self._key, signer)


class Vault:
    """The CA keys of one data directory. Key objects are loaded once: an RSA key takes 30 ms and more."""

    def __init__(self, data: Path, rng: Rng, *, credential: Path | None = None, scrypt_p: int = keys.SCRYPT_P) -> None:
        """`credential`: a file in which the operating system hands over the passphrase of the CA. `scrypt_p`: what
        guessing a passphrase costs; less than the default is for tests."""
        self._scrypt_p = scrypt_p
        self._credential = credential
        self._opens: dict[str, bool] = {}  # whether the credential does, by key file; tried once
        self._folder = data / "ca"
        self._signer_key = data / "signer.key"
        self._rng = rng
        self._open: dict[str, PrivateKey] = {}
        self._issuers: dict[tuple[str, str], Issuer] = {}
        self.ceremony = asyncio.Lock()  # one CA is made at a time
        self.crls = asyncio.Lock()  # one CRL is made at a time: their numbers grow

    def __repr__(self) -> str:
        return f"Vault({len(self._open)} open)"

    def generate(self, kind: str) -> NewKey:
        """A new key, e.g. `rsa-3072`; takes seconds for large RSA keys."""
        return NewKey(keys.generate(kind))

    def adopt(self, data: bytes, passphrase: Secret | None) -> NewKey:
        """A key brought from outside. Raises Locked, InvalidInput, as `keys.load` does."""
        return NewKey(keys.load(data, passphrase))

    def keep(self, key: NewKey, file: KeyFile, passphrase: Secret | None = None) -> None:
        """The key file, and with `remembered` its passphrase, are on disk. Raises StoreError.

        With a passphrase the key file is sealed by it alone; without, by signer.key, and opens unattended.
        """
        pkcs8 = keys.to_pkcs8(key._key)
        if file.sealing is Sealing.SIGNER:
            write_private(self._path(file), self._seal(pkcs8, file, "key"))
            return
        if passphrase is None:
            raise ValueError("a key sealed by a passphrase needs one")
        write_private(self._path(file), keys.to_encrypted_pem(pkcs8, passphrase, self._rng, scrypt_p=self._scrypt_p))
        if file.remembered and passphrase.reveal() != self._handed_over():
            self._remember(file, passphrase)

    def kept(self, file: KeyFile) -> str | None:
        """Where a passphrase lies by which this key opens unattended, for people; None when there is none."""
        if file.sealing is Sealing.SIGNER:
            return None
        if self._credential_opens(file):
            return f"by systemd, as the credential {CREDENTIAL}"
        remembered = file.remembered and self._passphrase_path(file).exists()
        return "beside the key in ca/, sealed by signer.key" if remembered else None

    def pack(self, file: KeyFile, name: str, certificates: tuple[bytes, ...], *, under: Secret, own: Secret) -> bytes:
        """The key, its certificate (the first) and those above as PKCS#12 under the passphrase `under`. A key that only
        a passphrase opens is opened by `own`, and is closed again afterwards.

        Raises Locked when that is wrong, StoreError when the file is missing, altered or another key.
        """
        key = self._load(file) if self.is_open(file) else keys.load(self._read(self._path(file)), own)
        if key.public_key() != x509.load_der_x509_certificate(certificates[0]).public_key():
            raise StoreError(f"The key file {self._path(file)} does not belong to the CA certificate. Restore it.")
        return pkcs12.write(name, keys.to_pkcs8(key), certificates, under)

    def reopen(self, file: KeyFile) -> NewKey:
        """A kept key that waits for its certificate. Raises Locked, StoreError."""
        return NewKey(self._load(file))

    def discard(self, file: KeyFile) -> None:
        """The key is gone: from memory and from disk."""
        self.lock(file)
        try:
            self._path(file).unlink(missing_ok=True)
            self._passphrase_path(file).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"The key file {self._path(file)} cannot be removed: {error.strerror}.") from error

    def unlock(self, file: KeyFile, passphrase: Secret) -> None:
        """The key is open until `lock` or the end of the process. Raises Locked when the passphrase is wrong."""
        if file.sealing is Sealing.SIGNER:
            self._load(file)
            return
        self._open[file.name] = keys.load(self._read(self._path(file)), passphrase)

    def lock(self, file: KeyFile) -> None:
        self._open.pop(file.name, None)
        self._issuers = {known: issuer for known, issuer in self._issuers.items() if known[0] != file.name}

    def is_open(self, file: KeyFile) -> bool:
        """Whether `issuer` would give one now, with no person at hand."""
        if file.name in self._open or self._credential_opens(file):
            return True
        unattended = file.sealing is Sealing.SIGNER or (file.remembered and self._passphrase_path(file).exists())
        return unattended and self._signer_key.exists() and self._path(file).exists()

    def holds(self, file: KeyFile) -> bool:
        """Whether the key is in memory."""
        return file.name in self._open

    def issuer(self, file: KeyFile, signer: Signer) -> Issuer:
        """The issuer of this key under this certificate.

        Raises Locked when a person must unlock it, StoreError when the file is missing, altered or another key.
        """
        known = (file.name, signer.sha256)
        if known not in self._issuers:
            key = self._load(file)
            if key.public_key() != signer.certificate.public_key():
                raise StoreError(f"The key file {self._path(file)} does not belong to the CA certificate. Restore it.")
            self._issuers[known] = Issuer(key, signer)
        return self._issuers[known]

    def _load(self, file: KeyFile) -> PrivateKey:
        if file.name not in self._open:
            content = self._read(self._path(file))
            if file.sealing is Sealing.SIGNER:
                key = keys.load(self._unseal(content, file, "key"))
            elif self._credential_opens(file):
                key = keys.load(content, Secret(self._handed_over() or ""))
            elif file.remembered:
                sealed = self._read(self._passphrase_path(file))
                key = keys.load(content, Secret(self._unseal(sealed, file, "passphrase").decode()))
            else:
                raise Locked('The CA key is locked. Give --passphrase-file, or unlock it: "fleetseal ca unlock".')
            self._open[file.name] = key
        return self._open[file.name]

    def _credential_opens(self, file: KeyFile) -> bool:
        if self._credential is None or file.sealing is Sealing.SIGNER:
            return False
        if file.name not in self._opens:
            try:
                keys.load(self._read(self._path(file)), Secret(self._handed_over() or ""))
            except (Locked, StoreError):
                self._opens[file.name] = False
            else:
                self._opens[file.name] = True
        return self._opens[file.name]

    def _handed_over(self) -> str | None:
        """The passphrase in the credential; one trailing newline is dropped, as from any file of a passphrase."""
        if self._credential is None:
            return None
        return self._read(self._credential).decode(errors="replace").removesuffix("\n").removesuffix("\r")

    def _remember(self, file: KeyFile, passphrase: Secret) -> None:
        write_private(self._passphrase_path(file), self._seal(passphrase.reveal().encode(), file, "passphrase"))

    def _seal(self, secret: bytes, file: KeyFile, what: str) -> bytes:
        return self._sealer().seal(secret, table="ca", row=file.name, column=what, version=1)

    def _unseal(self, sealed: bytes, file: KeyFile, what: str) -> bytes:
        if not self._signer_key.exists():
            raise Locked(f"{self._signer_key} is missing: this computer cannot sign. Restore it from a backup.")
        return self._sealer().open(sealed, table="ca", row=file.name, column=what, version=1)

    def _sealer(self) -> Sealer:
        return Sealer(load_or_create_key(self._signer_key, self._rng), self._rng, purpose="fleetseal ca key")

    def _path(self, file: KeyFile) -> Path:
        return self._folder / f"{file.name}.key"

    def _passphrase_path(self, file: KeyFile) -> Path:
        return self._folder / f"{file.name}.passphrase"

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"The key file {path} cannot be read: {error.strerror}. Restore it from a backup."
            ) from error
