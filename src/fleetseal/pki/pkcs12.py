"""Files that people bring and take away: PKCS#12, and PEM or DER in one file or several."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from fleetseal.core.errors import InvalidInput, Locked
from fleetseal.core.secrets import Secret
from fleetseal.core.text import clean
from fleetseal.pki import chain, keys

_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_LARGEST_FILE = 1 << 20
_ROUNDS = 600_000  # PBKDF2-HMAC-SHA256 (OWASP, 2023); of the MAC too, by which a passphrase can be tried as well
_ROUNDS_FOR_DEVICES = 2048


@dataclass(frozen=True)
class Contents:
    """What was found. The key is as `keys.load` takes it, and `key_was_sealed` tells whether a passphrase opened it."""

    certificates: tuple[bytes, ...]  # DER, as found, each once
    key: bytes | None = field(repr=False)
    key_was_sealed: bool = False
    name: str | None = None  # that a PKCS#12 file gives the key


def read(files: Iterable[bytes], passphrase: Secret | None) -> Contents:
    """Certificates and at most one key of PKCS#12, PEM and DER files.

    Raises Locked when a passphrase is missing or wrong, InvalidInput for damaged or unknown files and several keys.
    """
    certificates: list[bytes] = []
    found: list[bytes] = []
    sealed, name = False, None
    for data in files:
        if len(data) > _LARGEST_FILE:
            raise InvalidInput("A file is larger than 1 MiB: it is no certificate or key.")
        if _is_pkcs12(data):
            key, inside, name = _open(data, passphrase)
            found += [] if key is None else [key]
            certificates += inside
            sealed = True
            continue
        keys_here = _keys_in(data)
        certificates_here = chain.parse_all(data)
        if not keys_here and not certificates_here:
            raise InvalidInput("A file holds neither a certificate nor a private key that can be read.")
        found += keys_here
        certificates += certificates_here
    if len(found) > 1:
        raise InvalidInput("There is more than one private key in the files: give one.")
    key = found[0] if found else None
    sealed = sealed or (key is not None and keys.is_encrypted(key))
    return Contents(tuple(dict.fromkeys(certificates)), key, sealed, name)


def write(name: str, key: bytes, certificates: tuple[bytes, ...], passphrase: Secret) -> bytes:
    """A PKCS#12 file (PBES2, AES-256, HMAC-SHA256): the key (PKCS#8 DER), its certificate first, then the chain.

    Takes about a second, as trying a passphrase does.
    """
    return _remade_mac(
        _written(name, key, certificates, _encryption(passphrase, old=False, rounds=_ROUNDS)), passphrase
    )


def pack(key: bytes, leaf: bytes, passphrase: Secret, *, old: bool) -> bytes:
    """The same for a device that opens it at once: a random passphrase needs few rounds. `old`: PBE-SHA1-3DES and a
    SHA-1 MAC (RFC 7292 C), which firmware takes that knows nothing newer."""
    return _written("", key, (leaf,), _encryption(passphrase, old=old, rounds=_ROUNDS_FOR_DEVICES))


def _encryption(passphrase: Secret, *, old: bool, rounds: int) -> serialization.KeySerializationEncryption:
    return (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC if old else pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA1() if old else hashes.SHA256())  # noqa: S303 - what old firmware verifies
        .build(passphrase.reveal().encode())
    )


def _written(
    name: str, key: bytes, certificates: tuple[bytes, ...], encryption: serialization.KeySerializationEncryption
) -> bytes:
    parsed = [chain.load(der) for der in certificates]
    return pkcs12.serialize_key_and_certificates(name.encode(), keys.load(key), parsed[0], parsed[1:], encryption)


def _remade_mac(pfx: bytes, passphrase: Secret) -> bytes:
    """The MAC with as many rounds as the encryption: `cryptography` always writes one of 2,048 (RFC 7292 4)."""
    version, content_info, mac = keys.members(pfx)
    safe = keys.content(keys.members(keys.members(content_info)[1])[0])
    digest_info, salt, _ = keys.members(mac)
    key = _mac_key(passphrase, keys.content(salt))
    remade = keys.sequence(keys.members(digest_info)[0], keys.octet_string(hmac.digest(key, safe, "sha256")))
    return keys.sequence(version, content_info, keys.sequence(remade, salt, keys.integer(_ROUNDS)))


def _mac_key(passphrase: Secret, salt: bytes) -> bytes:
    """RFC 7292 B.2 with SHA-256, whose 32 bytes are the first block whole."""

    def filled(part: bytes) -> bytes:
        size = 64 * -(-len(part) // 64)
        return (part * size)[:size]

    block = b"\x03" * 64 + filled(salt) + filled((passphrase.reveal() + "\0").encode("utf-16-be"))
    for _ in range(_ROUNDS):
        block = hashlib.sha256(block).digest()
    return block


def _is_pkcs12(data: bytes) -> bool:
    """PFX ::= SEQUENCE { version INTEGER (3), authSafe ContentInfo, … } (RFC 7292 4)."""
    if data[:1] != b"\x30" or len(data) < 8:
        return False
    header = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[header : header + 4] == b"\x02\x01\x03\x30"


def _open(data: bytes, passphrase: Secret | None) -> tuple[bytes | None, list[bytes], str | None]:
    password = None if passphrase is None else passphrase.reveal().encode()
    try:
        opened = pkcs12.load_pkcs12(data, password)
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is None:
            raise Locked("The PKCS#12 file is encrypted: give its passphrase (--passphrase-file).") from error
        raise Locked("The passphrase is wrong, or the PKCS#12 file is damaged.") from error
    certificates = [opened.cert, *opened.additional_certs]
    ders = [one.certificate.public_bytes(serialization.Encoding.DER) for one in certificates if one is not None]
    named = opened.cert.friendly_name if opened.cert is not None else None
    name = None if named is None else clean(named.decode(errors="replace"), limit=64)
    if opened.key is None:
        return None, ders, name
    if not isinstance(opened.key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise InvalidInput("The private key is neither RSA nor EC: it cannot be used here.")
    return keys.to_pkcs8(opened.key), ders, name


def _keys_in(data: bytes) -> list[bytes]:
    if b"-----BEGIN" in data:
        return [match.group(0) + b"\n" for match in _KEY_BLOCK.finditer(data)]
    return [] if chain.parse_all(data) else _der_key(data)


def _der_key(data: bytes) -> list[bytes]:
    if keys.is_encrypted(data):
        return [data]
    try:
        keys.load(data)
    except InvalidInput:
        return []
    return [data]
