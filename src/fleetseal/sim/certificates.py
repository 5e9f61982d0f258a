"""Keys, certificates and requests as devices make them, and the maker's factory (device-api 5.4, 7.1, 9.3)."""

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from fleetseal.core.runtime import Rng

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CURVES: dict[str, type[ec.EllipticCurve]] = {"EC-P256": ec.SECP256R1, "EC-P384": ec.SECP384R1, "EC-P521": ec.SECP521R1}
KEY_TYPES = ("RSA-1024", "RSA-2048", "RSA-3072", "RSA-4096", *_CURVES)

# hardwareModuleName (RFC 4108) under the enterprise arc of the maker, as in rest-cert-v1.json of the P3265-V
_HARDWARE_MODULE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
_HARDWARE_PREFIX = bytes.fromhex("3023060d2b0601040181db69a6f12508020412") + bytes.fromhex("04005001")
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Keys(Protocol):
    """Where private keys come from."""

    async def make(self, key_type: str) -> PrivateKey:
        """A new key; `key_type` is one of KEY_TYPES."""


class SystemKeys:
    async def make(self, key_type: str) -> PrivateKey:
        return await asyncio.to_thread(_generate, key_type)


def _generate(key_type: str) -> PrivateKey:
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type]())
    return rsa.generate_private_key(65537, int(key_type.removeprefix("RSA-")))


def same_key(certificate: x509.Certificate, key: PrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def names_extension(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    """From `IP:…` and `DNS:…` (device-api 9.3). Raises ValueError on any other kind."""
    found: list[x509.GeneralName] = []
    for name in names:
        kind, _, value = name.partition(":")
        if kind == "IP":
            found.append(x509.IPAddress(ipaddress.ip_address(value)))
        elif kind == "DNS" and value:
            found.append(x509.DNSName(value))
        else:
            raise ValueError("subject_alt_names: only IP and DNS names")
    return x509.SubjectAlternativeName(found)


def self_signed(
    key: PrivateKey,
    subject: x509.Name,
    *,
    rng: Rng,
    valid: tuple[datetime, datetime],
    names: tuple[str, ...] = (),
) -> x509.Certificate:
    builder = _builder(subject, subject, key, rng=rng, valid=valid)
    if names:
        builder = builder.add_extension(names_extension(names), critical=not list(subject))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())


def request(
    key: PrivateKey, subject: x509.Name, *, names: x509.SubjectAlternativeName | None = None, sha1: bool = False
) -> x509.CertificateSigningRequest:
    """PKCS#10. With `sha1`, signed as firmware before 9.x does (inferred); RSA keys only."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names is not None and list(names):
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(key, hashes.SHA256())
    if not sha1 or not isinstance(key, rsa.RSAPrivateKey):
        return made
    content = made.tbs_certrequest_bytes
    signature = key.sign(content, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - what old firmware does
    algorithm = bytes.fromhex("300d06092a864886f70d0101050500")  # sha1WithRSAEncryption, RFC 3279 2.2.1
    return x509.load_der_x509_csr(
        _tagged(0x30, content + algorithm + _tagged(0x03, b"\x00" + signature)),
    )


def _tagged(tag: int, content: bytes) -> bytes:
    """DER: tag, length, content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, *, rng: Rng, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(rng.bytes(20), "big") >> 1 | 1)
        .not_valid_before(valid[0].replace(microsecond=0))
        .not_valid_after(valid[1].replace(microsecond=0))
    )


_CA_USAGE = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip

_FAMILIES = {"ECC": "EC-P256", "RSA": "RSA-2048"}

# Preinstalled public roots of rest-cert-v1.json, in the device's order; the Axis ones stand between.
_BEFORE = ("COMODO ECC Certification Authority", "COMODO RSA Certification Authority", "Amazon Root CA 1",
           "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4")  # fmt: skip
_AFTER = (
    "GlobalSign ECC Root CA - R4", "GlobalSign ECC Root CA - R5", "GlobalSign Root CA", "GlobalSign Root CA - R3",
    "GlobalSign Root CA - R6", "GlobalSign Root E46", "GlobalSign Root R46", "DigiCert Assured ID Root CA",
    "DigiCert Assured ID Root G2", "DigiCert Assured ID Root G3", "DigiCert Global Root CA", "DigiCert Global Root G2",
    "DigiCert Global Root G3", "DigiCert High Assurance EV Root CA", "DigiCert TLS ECC P384 Root G5",
    "DigiCert TLS RSA4096 Root G5", "DigiCert Trusted Root G4", "Entrust Root Certification Authority",
    "Entrust Root Certification Authority - EC1", "Entrust Root Certification Authority - G2", "ISRG Root X1",
    "USERTrust ECC Certification Authority", "USERTrust RSA Certification Authority",
)  # fmt: skip


class Maker:
    """The simulated maker: two private roots, two intermediates with the real ones' names and profile, and
    what a device leaves the factory with. Its keys live in memory only; real roots never vouch for it."""

    def __init__(self, *, keys: Keys, rng: Rng) -> None:
        self._keys = keys
        self._rng = rng
        self._signers: dict[str, tuple[x509.Certificate, PrivateKey]] = {}
        self._rsa: dict[str, PrivateKey] = {}
        self._authorities: dict[str, x509.Certificate] = {}

    async def open(self) -> None:
        """The CAs and the units' RSA keys exist; the first call takes a second."""
        if self._authorities:
            return
        signing = {family: [await self._keys.make(kind) for _ in range(2)] for family, kind in _FAMILIES.items()}
        device_keys = {kind: await self._keys.make(kind) for kind in ("RSA-2048", "RSA-4096")}
        stand_in = await self._keys.make("EC-P256")
        if self._authorities:  # somebody else was faster
            return
        made = {}
        for family, (root_key, key) in signing.items():
            root_name, name = f"Axis device ID Root CA {family}", f"Axis device ID Intermediate CA {family} 2"
            made[root_name] = self._authority(root_name, root_key, root_name, root_key, path=1, end=2060)
            made[name] = self._authority(name, key, root_name, root_key, path=0, end=2055)
            self._signers[family] = (made[name], key)
        axis = sorted(made)  # the device's order: intermediates, then roots
        self._rsa = device_keys
        self._authorities = {
            alias: made.get(alias) or self._public(alias, stand_in) for alias in (*_BEFORE, *axis, *_AFTER)
        }

    @property
    def roots_pem(self) -> bytes:
        """The two roots, for `devices.maker-roots`."""
        return "".join(pem(self._authorities[f"Axis device ID Root CA {family}"]) for family in ("ECC", "RSA")).encode()

    @property
    def authorities(self) -> dict[str, x509.Certificate]:
        """The preinstalled CA entries, by alias, in the device's order. The public roots are stand-ins that
        carry the alias as their name: their real certificates are not ours to ship."""
        return dict(self._authorities)

    async def identity(self, serial: str) -> dict[str, tuple[x509.Certificate, PrivateKey]]:
        """The three device ID entries of a unit, by alias. The RSA keys are one per maker, to start fast."""
        hardware = self._rng.bytes(14)
        made = {}
        for label, suffix, key_type, family in (
            ("ECC-P256", "eccp256", "EC-P256", "ECC"),
            ("RSA-2048", "rsa2048", "RSA-2048", "RSA"),
            ("RSA-4096", "rsa4096", "RSA-4096", "RSA"),
        ):
            key = self._rsa.get(key_type) or await self._keys.make(key_type)
            certificate = self._device(f"axis-{serial.lower()}-{suffix}-1", serial, key, family, hardware)
            made[f"Axis device ID {label} (802.1AR)"] = (certificate, key)
        return made

    def _device(self, name: str, serial: str, key: PrivateKey, family: str, hardware: bytes) -> x509.Certificate:
        issuer, issuer_key = self._signers[family]
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
                x509.NameAttribute(NameOID.LOCALITY_NAME, "Lund"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Axis Communications AB"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, serial.lower()),
            ]
        )
        valid = (datetime(2022, 4, 6, 15, 30, 31, tzinfo=UTC), _NEVER)
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        other = x509.OtherName(_HARDWARE_MODULE_NAME, _HARDWARE_PREFIX + hardware)
        return (
            _builder(subject, issuer.subject, key, rng=self._rng, valid=valid)
            .add_extension(x509.SubjectAlternativeName([other]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )

    def _authority(
        self, name: str, key: PrivateKey, issuer: str, issuer_key: PrivateKey, *, path: int, end: int
    ) -> x509.Certificate:
        valid = (datetime(2020, 4, 29, 15, 16, 33, tzinfo=UTC), datetime(end, 6, 1, 12, tzinfo=UTC))
        above = x509.SubjectKeyIdentifier.from_public_key(issuer_key.public_key())
        return (
            _builder(_maker_name(name), _maker_name(issuer), key, rng=self._rng, valid=valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path), critical=True)
            .add_extension(_CA_USAGE, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )

    def _public(self, alias: str, key: PrivateKey) -> x509.Certificate:
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Stand-in of a simulated device"),
                x509.NameAttribute(NameOID.COMMON_NAME, alias),
            ]
        )
        valid = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2038, 1, 18, tzinfo=UTC))
        return (
            _builder(name, name, key, rng=self._rng, valid=valid)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_CA_USAGE, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )


def _maker_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Axis Communications AB"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def load_private_key(data: bytes) -> PrivateKey:
    """Unencrypted PKCS#8, PKCS#1 or SEC 1, as PEM or DER. Raises ValueError on anything else."""
    try:
        load = serialization.load_pem_private_key if b"-----" in data else serialization.load_der_private_key
        key = load(data, None)
    except (ValueError, TypeError) as error:
        raise ValueError("the private key cannot be read") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("this key type is not supported")
    return key


def year_from(now: datetime) -> tuple[datetime, datetime]:
    return now, now + timedelta(days=365)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()
