"""Frozen records shared by all layers. One word, one meaning: the words of docs/ARCHITECTURE.md.

X.509 things travel as DER bytes; only `pki` looks inside.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

DeviceId = NewType("DeviceId", int)
AuthorityId = NewType("AuthorityId", int)
IssuanceId = NewType("IssuanceId", int)
TaskId = NewType("TaskId", int)
JobId = NewType("JobId", int)
Serial = NewType("Serial", str)
"""A device's hardware serial number = its MAC address: 12 upper-case hexadecimal digits, no separators."""
Alias = NewType("Alias", str)
"""The name of a certificate entry on a device: 4-32 letters, digits, `-`, `_` or blanks (device-api 10.1)."""


def serial_of(text: str) -> Serial | None:
    """The serial that a MAC address or serial in any common spelling means; None when it is neither."""
    compact = re.sub(r"[:\-. ]", "", text.strip()).upper()
    return Serial(compact) if re.fullmatch(r"[0-9A-F]{12}", compact) else None


def mac_of(serial: Serial) -> str:
    """The serial as a MAC address in the usual spelling, e.g. B8:A4:4F:63:13:39."""
    return ":".join(serial[i : i + 2] for i in range(0, 12, 2))


# ---------------------------------------------------------------- what a device is


class Generation(StrEnum):
    """A family of firmware that speaks alike (device-api 1); a driver each."""

    SOAP = "soap"  # 5.70 to 11.5: SOAP certificate services
    REST = "rest"  # 11.6 on: REST `cert`, v1beta or v1; SOAP `aweb` for the binding
    PARAMETERS = "parameters"  # neither (AXIS Companion): the connection policy alone, by parameters


class Support(StrEnum):
    SUPPORTED = "supported"
    PRODUCT = "product"  # this product is not supported (T85, no certificate interface)
    FIRMWARE = "firmware"  # firmware below 5.70 / 1.25


class ConnectionPolicy(StrEnum):
    """What the device's web server accepts. The camera's setting, never our trust."""

    HTTP = "http"
    HTTP_AND_HTTPS = "both"
    HTTPS = "https"


class KeyOrigin(StrEnum):
    DEVICE = "device"
    MANAGER = "manager"


class KeyType(StrEnum):
    EC_P256 = "ec-p256"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"


@dataclass(frozen=True)
class Endpoint:
    """Where a device is dialled. `host` is an address (IPv6 without brackets) or a host name."""

    host: str
    http_port: int = 80
    https_port: int = 443
    legacy_tls: bool = False

    @property
    def name(self) -> str:
        """What a certificate must name: the host, without the scope that an IPv6 address has on one computer only."""
        return self.host.partition("%")[0]


@dataclass(frozen=True)
class Keystore:
    """A place on the device where keys live; ids are opaque (device-api 9.1)."""

    id: str
    key_types: tuple[str, ...] = ()
    default: bool = False


@dataclass(frozen=True)
class DeviceFacts:
    """What a device says of itself. All text is cleaned (core/text.py)."""

    serial: Serial
    model: str  # ProdNbr, e.g. P3265-V
    product_type: str
    firmware: str
    needs_setup: bool = False
    host_name: str | None = None  # a hint, never a certificate name by itself
    clock_offset: float | None = None  # device's clock minus ours, seconds
    generation: Generation | None = None  # None: no certificate interface was found
    rest_base: str | None = None  # e.g. /config/rest/cert/v1
    keystores: tuple[Keystore, ...] = ()
    administrator: bool | None = None  # None: not logged in
    http_port: int | None = None  # as the device itself has it; None: not read
    https_port: int | None = None


# ---------------------------------------------------------------- how far we believe it


class TrustLevel(StrEnum):
    """As stored and shown (`trust` of the contract)."""

    NONE = "none"
    PLAINTEXT = "plain"
    FIRST_USE = "first use"
    PINNED = "pinned"
    FACTORY = "factory"
    ANCHORED = "verified"


@dataclass(frozen=True)
class Plaintext:
    """Plain HTTP. Digest only, never Basic."""


@dataclass(frozen=True)
class FirstUse:
    """TLS with whatever certificate is shown, at a person's word, on first contact. Digest only, never Basic."""


@dataclass(frozen=True)
class Pinned:
    """Exactly this certificate. Basic only if a person accepted it."""

    sha256: bytes
    accepted: bool


@dataclass(frozen=True)
class Factory:
    """The maker's device ID certificate, full path validation, and the serial."""

    extra_roots: tuple[bytes, ...] = ()  # DER, `devices.maker-roots`


@dataclass(frozen=True)
class Anchored:
    """A certificate of ours for this very device.

    Accepted: a leaf whose SHA-256 is in `leaves`, or whose key (SHA-256 of SubjectPublicKeyInfo) is in `keys`,
    also when expired or named otherwise; else, only while both are empty, a chain to `anchors` (with
    `intermediates` at hand), the dialled name or address, and the serial of the device at login.

    `adopted`, one of the `leaves`: a certificate of another issuer, which was proved to chain to an anchor when it was
    put into service here.
    """

    anchors: tuple[bytes, ...]  # DER
    intermediates: tuple[bytes, ...] = ()  # DER
    leaves: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()
    adopted: bytes | None = None
    stolen: frozenset[bytes] = frozenset()  # keys that were revoked as compromised: they prove nobody


PeerTrust = Plaintext | FirstUse | Pinned | Factory | Anchored


# ---------------------------------------------------------------- certificates on devices


class CertificateSource(StrEnum):
    OURS = "ours"
    FACTORY = "factory"
    DEFAULT = "default"  # the device's own self-signed certificate
    OTHER = "other"


@dataclass(frozen=True)
class Installed:
    """An entry with a key in the device's store."""

    alias: Alias
    der: bytes
    in_use: bool  # bound to the web server or reported as used
    keystore: str | None = None


@dataclass(frozen=True)
class InstalledAuthority:
    """A CA entry in the device's store."""

    alias: Alias
    der: bytes


@dataclass(frozen=True)
class HttpsState:
    """The web server's TLS configuration as read (`aweb` or parameters). Unknown members are kept as read."""

    tls: bool
    policy: ConnectionPolicy  # of the administrators
    alias: Alias | None  # bound entry
    ciphers: tuple[str, ...] = ()
    other_policies: tuple[tuple[str, ConnectionPolicy], ...] = ()  # ("Operator", …), ("Viewer", …) where they exist
    authorities: tuple[Alias, ...] = ()
    trusted: tuple[Alias, ...] = ()


@dataclass(frozen=True)
class KeySpec:
    """What the device is asked to make; the names are for its own records only (ISS-NAMES-FROM-INVENTORY)."""

    common_name: str
    names: tuple[str, ...] = ()
    key_type: KeyType = KeyType.RSA_2048
    keystore: str | None = None


@dataclass(frozen=True)
class CertificateRequest:
    """PKCS#10, DER, not yet judged."""

    der: bytes


@dataclass(frozen=True)
class Chain:
    """Leaf first, then issuing CAs; never the root. DER."""

    leaf: bytes
    intermediates: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class KeyPair:
    """A chain with its private key, made by the manager (KeyOrigin.MANAGER)."""

    chain: Chain
    private_key: bytes = field(repr=False)  # PKCS#8 DER, unencrypted; lives in memory only


@dataclass(frozen=True)
class Login:
    """User name and password. Never printed, logged or compared."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Served:
    """What a TLS handshake showed, before any request byte."""

    leaf: bytes
    chain: tuple[bytes, ...]  # all certificates the device sent, leaf first, DER
    tls_version: str
    cipher: str


# ---------------------------------------------------------------- tasks


class TaskAction(StrEnum):
    ENABLE_HTTPS = "Enable HTTPS"
    DISABLE_HTTPS = "Disable HTTPS"
    INSTALL_CERTIFICATE = "Install certificate"
    DELETE_CERTIFICATE = "Delete certificate"
    RENEW_CERTIFICATE = "Renew certificate"
    INSTALL_AUTHORITIES = "Install CA certificates"
    REMOVE_AUTHORITIES = "Remove CA certificates"
    REFRESH = "Refresh"


class TaskState(StrEnum):
    QUEUED = "Queued"
    RUNNING = "Running"
    WAITING = "Waiting"
    SUSPENDED = "Suspended"
    FINISHED = "Finished"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class JobStatus(StrEnum):
    WAITING = "Waiting"
    RUNNING = "Running"
    FINISHED = "Finished"
    UNCHANGED = "Unchanged"
    SKIPPED = "Skipped"
    FAILED = "Failed"
    ROLLED_BACK = "Rolled back"
    CANCELLED = "Cancelled"

    @property
    def active(self) -> bool:
        """The job still has work to do and keeps others off the device."""
        return self in (JobStatus.WAITING, JobStatus.RUNNING)


@dataclass(frozen=True)
class EnableWish:
    """What a person asked of `https enable`."""

    policy: str = "keep"  # keep | both | https
    renew: bool = False
    replace_foreign: bool = False
    set_clock: bool = False
    unattended: bool = False  # the night's: a device whose HTTPS was switched off stays as it is


@dataclass(frozen=True)
class Selection:
    """Which devices an action is asked for. `refs` are named explicitly; the others are met."""

    refs: tuple[str, ...] = ()
    everything: bool = False
    filters: tuple[str, ...] = ()
    listed: bool = False  # a person marked `refs` in a list: they are met there


# ---------------------------------------------------------------- the inventory


@dataclass(frozen=True)
class Device:
    """A row of the inventory, without its password. Columns as in store/schema.py."""

    id: DeviceId
    serial: Serial | None
    address: str
    host_name: str | None
    host_name_typed: bool
    http_port: int
    https_port: int
    legacy_tls: bool
    site: str
    tags: tuple[str, ...]
    model: str
    product_type: str
    firmware: str
    generation: Generation | None
    support: Support
    support_reason: str
    needs_setup: bool
    username: str | None
    password_version: int
    password_refused_version: int | None
    trust_level: TrustLevel
    trust_pin: bytes | None
    ever_anchored: bool
    identity_problem: str | None
    trust_problem: str | None
    reachable: bool
    unreachable_reason: str
    clock_offset: float | None
    tls: bool | None
    policy: ConnectionPolicy | None
    bound_alias: Alias | None
    served_der: bytes | None
    served_source: CertificateSource | None
    chain_sent: bool | None
    entries: tuple[dict[str, object], ...]
    added: datetime
    last_seen: datetime | None
    last_read: datetime | None = None  # when it was last looked at in full, whatever came of it
    plain_accepted: bool = False  # a person accepted that it shows nothing (trust_level `plain`)
    last_change: Mapping[str, str] | None = None  # {"verdict", "reason", "since"}: why it is not as it was

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address, self.http_port, self.https_port, self.legacy_tls)

    @property
    def mac(self) -> str | None:
        return None if self.serial is None else mac_of(self.serial)

    @property
    def served_sha256(self) -> str | None:
        """Of the certificate it serves, as hex."""
        return None if self.served_der is None else hashlib.sha256(self.served_der).hexdigest()

    @property
    def label(self) -> str:
        """How messages, alarms and audit records name it: the MAC address, else the address."""
        return self.mac or self.address

    @property
    def login_refused(self) -> bool:
        """The device refused this very login: it is not sent again until it is changed (JOB-RETRY-CLASS)."""
        return self.password_refused_version == self.password_version
