"""What can be said of a simulated model and firmware (device-api 1, 5.1, 6, 9.1, 15)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Product:
    """The answers to "who are you"."""

    model: str  # ProdNbr
    product_type: str
    firmware: str
    build_date: str
    hardware_id: str
    soc: str
    architecture: str
    web_url: str
    oui: str  # first six digits of the serial

    @property
    def short_name(self) -> str:
        return f"AXIS {self.model}"

    @property
    def full_name(self) -> str:
        return f"AXIS {self.model} {self.product_type}"


@dataclass(frozen=True)
class TlsAge:
    """What the web server's TLS can do."""

    lowest: str  # as ssl.SSLSocket.version() names it
    highest: str
    ciphers: tuple[str, ...]  # up to TLS 1.2
    sends_chain: bool  # intermediates from the CA store, from 10.10 on (device-api 10.5)


@dataclass(frozen=True)
class LoginRules:
    """How the device asks for a login (device-api 5.1)."""

    policy: str  # Network.HTTP.AuthenticationPolicy
    qop: bool
    apache: bool  # nonces and headers of 12.x; else of the older server
    root_exists: bool  # factory state: root without password (before 11.6), else no user at all


@dataclass(frozen=True)
class KeyRules:
    """Keys and certificates (device-api 7.1, 9.1, 10.2)."""

    rsa_bits: int  # of CreateCertificate2
    csr_sha1: bool
    factory_identity: bool = False
    self_signed: bool = True  # made at first start, bound to the web server
    keystores: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = ()  # id, level, certifications, types
    shows_key_types: bool = True


@dataclass(frozen=True)
class Interfaces:
    """Which interfaces exist, and their versions; None: absent."""

    soap: bool = True
    rest: str | None = None  # "v1beta", "v1"
    strict_namespaces: bool = False
    basic_device_info: str | None = None
    unrestricted: bool = False  # getAllUnrestrictedProperties without login
    api_discovery: str | None = None  # data file of the list
    systemready: str | None = None
    systemready_details: bool = False
    time_cgi: str | None = None
    network_settings: str | None = None
    limited: bool = False  # user management and writes want `Axis-Orig-Sw=true` (device-api 16; which, is inferred)
    get_only: bool = False  # POST neither changes parameters nor makes the first user (C1110-E, device-api 2.2, 4.2)
    locked: bool = False  # SOAP answers 401 to any login (A1610 under Secure Entry, device-api 15.3)
    elsewhere: str = "404"  # what a switch answers beside its login page: "404", "redirect" to it, or the "page" itself


@dataclass(frozen=True)
class Profile:
    """One model and firmware. `parameters`: data file; `policies`: groups named by `aweb`."""

    name: str
    source: str
    product: Product
    tls: TlsAge
    login: LoginRules
    keys: KeyRules
    interfaces: Interfaces
    parameters: str
    https: bool = True  # at first start
    policies: tuple[str, ...] = ("Admin",)
    boa_parameters: bool = False  # System.BoaGroupPolicy.* exist
    others: str = "Http"  # policy of operators and viewers, where they have one: as recorded on the P5512
    changed: Mapping[str, str] = field(default_factory=dict)  # parameters that differ from the data file
    dropped: tuple[str, ...] = ()  # prefixes of those that this product lacks
    placeholder: str | None = None  # for passwords; None: as in the data file
    time_zone: str = "GMT0BST,M3.5.0/1,M10.5.0"

    @property
    def certainty(self) -> str:
        """`recorded`, `recorded in part`, `documented` or `inferred`: the first word of `source`."""
        return self.source.partition(":")[0]

    @property
    def inferred(self) -> bool:
        """No recording of such a device exists."""
        return not self.certainty.startswith("recorded")

    @property
    def only_old_pkcs12(self) -> bool:
        """AES in PKCS#12 is not known before 10 (inferred, device-api 7.4)."""
        return int(self.product.firmware.partition(".")[0]) < 10

    @property
    def certificates(self) -> bool:
        """It has an interface for certificates, and lets an administrator use it."""
        return self.interfaces.soap and not self.interfaces.locked

    @property
    def switch(self) -> bool:
        """Not a VAPIX device at all (device-api 15.3)."""
        return not self.interfaces.soap and not self.parameters
