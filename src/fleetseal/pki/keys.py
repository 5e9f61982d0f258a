"""Private and public keys: make, load, judge, write (profile 2.1, ISS-KEY-PROVED)."""

import base64
import functools
import hashlib
import math
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fleetseal.core.errors import InvalidInput, IssuanceRefused, Locked
from fleetseal.core.model import KeyType
from fleetseal.core.runtime import Rng
from fleetseal.core.secrets import Secret

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

ROOT_KEYS: Final = {"rsa": "rsa-4096", "ec": "ec-p384"}
ISSUING_KEYS: Final = {"rsa": "rsa-3072", "ec": "ec-p256"}
_RSA_BITS: Final = {"rsa-2048": 2048, "rsa-3072": 3072, "rsa-4096": 4096}
_CURVES: Final[dict[str, ec.EllipticCurve]] = {"ec-p256": ec.SECP256R1(), "ec-p384": ec.SECP384R1()}
_EXPONENT: Final = 65537

# PBES2 with scrypt: OpenSSL opens up to 32 MiB; N=2^14, r=8 takes 16 MiB
_SCRYPT_N: Final = 1 << 14
_SCRYPT_R: Final = 8
SCRYPT_P: Final = 16


def generate(kind: KeyType | str) -> PrivateKey:
    """A new key of a kind like `rsa-3072` or `ec-p384`, from the system's generator."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return rsa.generate_private_key(_EXPONENT, _RSA_BITS[kind])


def load(data: bytes, passphrase: Secret | None = None) -> PrivateKey:
    """A private key from PKCS#8, PKCS#1 or SEC1, PEM or DER.

    Raises Locked when a passphrase is missing or wrong, InvalidInput when it is no key that we can use.
    """
    read = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    password = None if passphrase is None else passphrase.reveal().encode()
    sealed = is_encrypted(data)
    try:
        key = read(data, password if sealed else None)
    except TypeError as error:
        raise Locked("The private key is encrypted: give its passphrase (--passphrase-file).") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if sealed and password is not None:
            raise Locked("The passphrase is wrong: the private key cannot be opened.") from error
        if sealed:
            raise Locked("The private key is encrypted: give its passphrase (--passphrase-file).") from error
        raise InvalidInput("The private key cannot be read: the file is damaged or of an unknown kind.") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise InvalidInput("The private key is neither RSA nor EC: it cannot be used here.")
    return key


def is_encrypted(data: bytes) -> bool:
    """Whether a PEM or DER private key needs a passphrase."""
    if b"-----BEGIN" in data:
        return b"BEGIN ENCRYPTED PRIVATE KEY" in data or b"Proc-Type: 4,ENCRYPTED" in data
    # EncryptedPrivateKeyInfo begins with a SEQUENCE of SEQUENCE; every plain form with a SEQUENCE of INTEGER
    header = 2 + (data[1] & 0x7F if len(data) > 1 and data[1] & 0x80 else 0)
    return data[header : header + 1] == b"\x30"


def to_pkcs8(key: PrivateKey) -> bytes:
    """PKCS#8 DER, unencrypted; for memory only."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def to_traditional(pkcs8: bytes) -> bytes:
    """The same key, DER, as older firmware takes it: PKCS#1 (RSA) or SEC1 (EC); for memory only."""
    return load(pkcs8).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def spki(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki_sha256(der: bytes) -> str:
    """The identity of a key in our records: SHA-256 of its SubjectPublicKeyInfo, lower-case hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def signature_hash(key: PublicKey) -> hashes.SHA256 | hashes.SHA384:
    """What this key signs certificates with: SHA-384 for P-384, else SHA-256 (profile 2.1)."""
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1":
        return hashes.SHA384()
    return hashes.SHA256()


def describe(key: object) -> str:
    """For people: `RSA-2048`, `EC P-256`."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "EC P-256", "secp384r1": "EC P-384", "secp521r1": "EC P-521"}.get(
            key.curve.name, f"EC {key.curve.name}"
        )
    return type(key).__name__.removesuffix("PublicKey")


def sign(key: PrivateKey, data: bytes) -> bytes:
    """A signature as certificates carry it: RSA PKCS#1 v1.5, or ECDSA."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, PKCS1v15(), signature_hash(key.public_key()))
    return key.sign(data, ec.ECDSA(signature_hash(key.public_key())))


# ---------------------------------------------------------------- strength


@functools.lru_cache(maxsize=256)  # one issuance asks several times, and 100 rounds of Fermat are not free
def judge(der: bytes) -> PublicKey:
    """The public key of a SubjectPublicKeyInfo, if it is strong enough to be certified (profile 2.1).

    Raises IssuanceRefused: `key-type`, `key-size`, `key-exponent`, `key-small-factor`, `key-close-primes`.
    """
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IssuanceRefused("The public key cannot be read, so it is not certified.", rule="key-type") from error
    return _judge(key)


def judge_key(key: object) -> PublicKey:
    """As `judge`, for a key that is loaded already."""
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return judge(spki(key))
    return _judge(key)


def _judge(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in ("secp256r1", "secp384r1"):
            raise IssuanceRefused(f"{describe(key)} keys are not certified: use P-256 or P-384.", rule="key-type")
        return key
    if not isinstance(key, rsa.RSAPublicKey):
        raise IssuanceRefused(f"{describe(key)} keys are not certified: use RSA or EC.", rule="key-type")
    if key.key_size not in _RSA_BITS.values():
        raise IssuanceRefused(
            f"An RSA key of {key.key_size} bits is not certified: 2048, 3072 or 4096 are.", rule="key-size"
        )
    numbers = key.public_numbers()
    if numbers.e != _EXPONENT:
        raise IssuanceRefused("The RSA key has another exponent than 65537: it is not certified.", rule="key-exponent")
    if math.gcd(numbers.n, _SMALL_PRIMES) != 1:
        raise IssuanceRefused("The RSA key has a small factor: its generator is broken.", rule="key-small-factor")
    if _close_primes(numbers.n):
        raise IssuanceRefused(
            "The RSA key is made of two close primes: its generator is broken.", rule="key-close-primes"
        )
    return key


def _product_of_primes(limit: int) -> int:
    sieve = bytearray([1]) * limit
    for number in range(2, math.isqrt(limit) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return math.prod(number for number in range(2, limit) if sieve[number])


_SMALL_PRIMES: Final = _product_of_primes(752)  # as BR 6.1.6 suggests: no factor below 752
_SQUARES_MODULO: Final = tuple((m, frozenset(i * i % m for i in range(m))) for m in (64, 63, 65, 11))


def _close_primes(modulus: int) -> bool:
    """Fermat's factorisation finds p and q within 100 rounds (BR 6.1.1.3)."""
    a = math.isqrt(modulus)
    if a * a < modulus:
        a += 1
    rest = a * a - modulus
    for _ in range(100):
        if all(rest % m in squares for m, squares in _SQUARES_MODULO) and math.isqrt(rest) ** 2 == rest:
            return True
        rest += 2 * a + 1
        a += 1
    return False


# ---------------------------------------------------------------- PKCS#8 under a passphrase


def to_encrypted_pem(pkcs8: bytes, passphrase: Secret, rng: Rng, *, scrypt_p: int = SCRYPT_P) -> bytes:
    """PKCS#8 PEM under PBES2: scrypt (N=2^14, r=8, p=16), AES-256-CBC (RFC 8018, RFC 7914). Takes about half a second.

    `cryptography` and the openssl command open it. A lower `scrypt_p` guards nothing: it is for tests.
    """
    salt, vector = rng.bytes(16), rng.bytes(16)
    key = Scrypt(salt, 32, _SCRYPT_N, _SCRYPT_R, scrypt_p).derive(passphrase.reveal().encode())
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    ciphertext = encryptor.update(padder.update(pkcs8) + padder.finalize()) + encryptor.finalize()
    numbers = b"".join(integer(n) for n in (_SCRYPT_N, _SCRYPT_R, scrypt_p, 32))
    derivation = sequence(_OID_SCRYPT, sequence(octet_string(salt), numbers))
    encryption = sequence(_OID_AES256_CBC, octet_string(vector))
    der = sequence(sequence(_OID_PBES2, sequence(derivation, encryption)), octet_string(ciphertext))
    return pem("ENCRYPTED PRIVATE KEY", der)


def to_pem_under(pkcs8: bytes, passphrase: Secret) -> bytes:
    """PKCS#8 PEM under PBES2 with few rounds: for a passphrase that is a key of 256 random bits, which nobody tries."""
    encryption = serialization.BestAvailableEncryption(passphrase.reveal().encode())
    return load(pkcs8).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


_OID_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_OID_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_OID_AES256_CBC: Final = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42


def pem(label: str, der: bytes) -> bytes:
    """RFC 7468."""
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def sequence(*members: bytes) -> bytes:
    """A DER SEQUENCE of encoded members."""
    return _tlv(0x30, b"".join(members))


def members(der: bytes) -> list[bytes]:
    """The encoded members of a constructed DER value."""
    inside, found = content(der), []
    while inside:
        _, end = _bounds(inside)
        found.append(inside[:end])
        inside = inside[end:]
    return found


def content(der: bytes) -> bytes:
    """Of the first DER value there."""
    start, end = _bounds(der)
    return der[start:end]


def octet_string(content: bytes) -> bytes:
    return _tlv(0x04, content)


def integer(value: int) -> bytes:
    """A DER INTEGER that is not negative."""
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bit_string(content: bytes) -> bytes:
    """A DER BIT STRING of whole octets."""
    return _tlv(0x03, b"\x00" + content)


def _bounds(der: bytes) -> tuple[int, int]:
    """Where the content of the first DER value begins and ends."""
    size, start = der[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    return start, start + size


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
