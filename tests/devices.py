"""What the tests of `devices` share: a small certificate authority, and doors to simulated devices."""

import hashlib
import ipaddress
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleetseal.core.model import Endpoint, Login, Serial
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.devices.connect import AxisConnector
from fleetseal.pki import chain
from fleetseal.sim.fleet import Fleet, SimulatedDevice
from fleetseal.sim.profiles import PROFILES

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


OLD_TLS = frozenset(name for name, profile in PROFILES.items() if profile.tls.highest == "TLSv1")
"""Profiles that speak nothing newer than TLS 1.0."""


def sha256(der: bytes) -> bytes:
    return hashlib.sha256(der).digest()


class SiteAuthority:
    """A root and an issuing CA with EC keys, valid around `now`."""

    def __init__(self, name: str = "Test site", *, now: datetime | None = None) -> None:
        self.now = now or SystemClock().now()
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.issuing_key = ec.generate_private_key(ec.SECP256R1())
        self._root_name = _name(f"{name} Root CA")
        self._issuing_name = _name(f"{name} Issuing CA")
        self.root = self.sign(self.root_key.public_key(), subject=self._root_name, by_root=True, authority=True)
        self.issuing = self.sign(
            self.issuing_key.public_key(), subject=self._issuing_name, by_root=True, authority=True
        )

    def leaf(self, key: PublicKey, *names: str, days: int = 90, by_root: bool = False) -> bytes:
        """DER of a server certificate for these names and addresses."""
        return self.sign(key, subject=x509.Name([]), names=names, days=days, by_root=by_root)

    def leaf_for_csr(self, csr: bytes, *names: str) -> bytes:
        key = x509.load_der_x509_csr(csr).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        return self.leaf(key, *names)

    def sign(
        self,
        key: PublicKey,
        *,
        subject: x509.Name,
        names: tuple[str, ...] = (),
        days: int = 3650,
        by_root: bool = False,
        authority: bool = False,
    ) -> bytes:
        signer, issuer = (self.root_key, self._root_name) if by_root else (self.issuing_key, self._issuing_name)
        until = self.now + timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .not_valid_before(min(self.now, until) - timedelta(days=1))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .add_extension(_usage(authority=authority), critical=True)
        )
        if not authority:
            alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
            builder = builder.add_extension(alternatives, critical=True)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def pkcs8(key: Key) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def endpoint_of(device: SimulatedDevice, *, legacy_tls: bool | None = None) -> Endpoint:
    """Its door; old TLS allowed where the profile has nothing else, unless said otherwise."""
    if legacy_tls is None:
        legacy_tls = device.profile.name in OLD_TLS
    return Endpoint(device.address, device.http_port, device.https_port, legacy_tls)


def login_of(device: SimulatedDevice) -> Login:
    return Login(device.username, device.password)


def serial_of(device: SimulatedDevice) -> Serial:
    return Serial(device.serial)


async def connector_for(fleet: Fleet) -> AxisConnector:
    """Believes the maker of the simulated devices."""
    await fleet.maker.open()
    return AxisConnector(SystemClock(), SystemRng(), extra_maker_roots=chain.parse_all(fleet.maker.roots_pem))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
