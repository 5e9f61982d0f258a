"""What will be signed, as plain data: recorded as JSON before a signature, and the same bytes whenever it is built."""

import base64
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.x509.oid import NameOID

from fleetseal.pki import names as naming
from fleetseal.pki.names import UNCONSTRAINED, Constraints


@dataclass(frozen=True)
class LeafContent:
    """A server certificate to be (profile 2.4). Names are normalised; times are whole seconds, UTC."""

    serial: int
    issuer: str  # SHA-256 of the issuer's certificate, hexadecimal
    not_before: datetime
    not_after: datetime
    common_name: str | None
    names: tuple[str, ...]
    spki: bytes
    life: timedelta  # from signing to not_after: what renewal is computed from
    key_encipherment: bool = True  # with an RSA key, for TLS 1.2 without forward secrecy
    crl_url: str | None = None
    ca_url: str | None = None

    @property
    def subject(self) -> x509.Name:
        return subject_name(self.common_name) if self.common_name else x509.Name([])

    def to_json(self) -> dict[str, object]:
        return _to_json("leaf", self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            **_signed_fields(data),
            issuer=data["issuer"],
            common_name=data["common_name"],
            names=tuple(data["names"]),
            life=timedelta(seconds=data["life"]),
            key_encipherment=data["key_encipherment"],
            crl_url=data["crl_url"],
            ca_url=data["ca_url"],
        )


@dataclass(frozen=True)
class RootContent:
    """A root certificate to be (profile 2.2). `path_length` is 0 in one-tier mode, else None."""

    serial: int
    not_before: datetime
    not_after: datetime
    common_name: str
    organization: str | None
    spki: bytes
    path_length: int | None
    constraints: Constraints = UNCONSTRAINED

    @property
    def subject(self) -> x509.Name:
        return subject_name(self.common_name, self.organization)

    def to_json(self) -> dict[str, object]:
        return _to_json("root", self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            **_signed_fields(data),
            common_name=data["common_name"],
            organization=data["organization"],
            path_length=data["path_length"],
            constraints=_constraints_from_json(data["constraints"]),
        )


@dataclass(frozen=True)
class IssuingContent:
    """An issuing CA certificate to be (profile 2.3)."""

    serial: int
    issuer: str
    not_before: datetime
    not_after: datetime
    common_name: str
    organization: str | None
    spki: bytes
    constraints: Constraints = UNCONSTRAINED
    crl_url: str | None = None

    @property
    def subject(self) -> x509.Name:
        return subject_name(self.common_name, self.organization)

    def to_json(self) -> dict[str, object]:
        return _to_json("issuing", self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            **_signed_fields(data),
            issuer=data["issuer"],
            common_name=data["common_name"],
            organization=data["organization"],
            constraints=_constraints_from_json(data["constraints"]),
            crl_url=data["crl_url"],
        )


Content = LeafContent | RootContent | IssuingContent


def content_from_json(data: Mapping[str, Any]) -> Content:
    """The inverse of `to_json`, exactly."""
    kinds: dict[str, type[Content]] = {"leaf": LeafContent, "root": RootContent, "issuing": IssuingContent}
    return kinds[data["kind"]].from_json(data)


def subject_name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


# ---------------------------------------------------------------- who signs


@dataclass(frozen=True)
class Signer:
    """The public side of a CA that signs: its certificate and those above it, to the root (DER)."""

    der: bytes
    above: tuple[bytes, ...] = ()

    @property
    def certificate(self) -> x509.Certificate:
        return parsed(self.der)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()

    @property
    def constraints(self) -> tuple[Constraints, ...]:
        """The name constraints in the chain. RFC 5280 6.1: a root that is only a trust anchor counts as well here,
        because validators differ (profile 2.7)."""
        found = (constraints_of(der) for der in (self.der, *self.above))
        return tuple(one for one in found if one is not None)


@functools.lru_cache(maxsize=64)
def parsed(der: bytes) -> x509.Certificate:
    """A CA certificate; parsed once, because each issuance needs it."""
    return x509.load_der_x509_certificate(der)


@functools.lru_cache(maxsize=64)
def constraints_of(der: bytes) -> Constraints | None:
    """The name constraints of a CA certificate, as far as they touch our leaves; None without."""
    try:
        found = parsed(der).extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    permitted, excluded = found.permitted_subtrees or [], found.excluded_subtrees or []
    return Constraints(
        permitted_dns=tuple(name.value for name in permitted if isinstance(name, x509.DNSName)),
        permitted_networks=tuple(_network(name) for name in permitted if isinstance(name, x509.IPAddress)),
        excluded_dns=tuple(name.value for name in excluded if isinstance(name, x509.DNSName)),
        excluded_networks=tuple(_network(name) for name in excluded if isinstance(name, x509.IPAddress)),
        directory=any(isinstance(name, x509.DirectoryName) for name in (*permitted, *excluded)),
    )


@functools.lru_cache(maxsize=64)
def key_identifier(der: bytes) -> bytes:
    """What the AKI of certificates signed by this CA holds: its SKI, else SHA-1 of its key (RFC 5280 4.2.1.2)."""
    certificate = parsed(der)
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


@functools.lru_cache(maxsize=64)
def may_sign_crls(der: bytes) -> bool:
    """Whether a CA certificate allows it: keyUsage, where there is one, has cRLSign (RFC 5280 4.2.1.3)."""
    try:
        return parsed(der).extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _network(name: x509.IPAddress) -> naming.Network:
    return naming.network(str(name.value))


# ---------------------------------------------------------------- JSON


def _to_json(kind: str, content: Content) -> dict[str, object]:
    members: dict[str, object] = {"kind": kind, "format": 1}
    for name, value in vars(content).items():
        members[name] = _plain(value)
    members["serial"] = f"{content.serial:040x}"
    return members


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return base64.b64encode(value).decode()
        case tuple():
            return [_plain(one) for one in value]
        case Constraints():
            return {name: _plain(one) for name, one in vars(value).items()}
        case str() | int() | None:
            return value
        case _:  # a network
            return str(value)


def _signed_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "serial": int(data["serial"], 16),
        "not_before": datetime.fromisoformat(data["not_before"]),
        "not_after": datetime.fromisoformat(data["not_after"]),
        "spki": base64.b64decode(data["spki"]),
    }


def _constraints_from_json(data: Mapping[str, Any]) -> Constraints:
    return Constraints(
        permitted_dns=tuple(data["permitted_dns"]),
        permitted_networks=tuple(naming.network(text) for text in data["permitted_networks"]),
        excluded_dns=tuple(data["excluded_dns"]),
        excluded_networks=tuple(naming.network(text) for text in data["excluded_networks"]),
        directory=data["directory"],
    )
