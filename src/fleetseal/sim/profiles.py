"""What each simulated model and firmware is and does: one `Profile` each (device-api 1, 6.6, 10.2, 19.1).

A profile says `inferred` where no recording of a real device stands behind it.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

LEGACY_CIPHERS = ("AES256-SHA", "AES128-SHA", "DES-CBC3-SHA")  # recorded, p5512_5.51.7
CBC_CIPHERS = ("DHE-RSA-AES128-SHA", "DHE-RSA-AES256-SHA", "AES128-SHA", "AES256-SHA")  # recorded, m1065-lw_9.x
AEAD_CIPHERS = (  # recorded, p3265-v_12.11.77
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


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
    time_zone: str = "GMT0BST,M3.5.0/1,M10.5.0"

    @property
    def inferred(self) -> bool:
        """No recording of such a device exists."""
        return self.source.startswith("inferred")

    @property
    def only_old_pkcs12(self) -> bool:
        """AES in PKCS#12 is not known before 10 (inferred, device-api 7.4)."""
        return int(self.product.firmware.partition(".")[0]) < 10

    @property
    def switch(self) -> bool:
        """Not a VAPIX device at all (device-api 15.3)."""
        return not self.interfaces.soap and not self.parameters


_KEY_TYPES = ("RSA-2048", "RSA-4096", "EC-P256", "EC-P384", "EC-P521")
_KEYSTORES = (
    ("TEE0", "TRUSTED_ENVIRONMENT", (), _KEY_TYPES),
    ("SE0", "STRONG", ("CC EAL6+",), ("RSA-1024", *_KEY_TYPES)),
)
_OLD_TLS = TlsAge("TLSv1", "TLSv1", LEGACY_CIPHERS, sends_chain=False)
_TLS_12 = TlsAge("TLSv1.2", "TLSv1.2", CBC_CIPHERS, sends_chain=False)
_TLS_13 = TlsAge("TLSv1.2", "TLSv1.3", AEAD_CIPHERS, sends_chain=True)
_DIGEST = LoginRules("digest", qop=True, apache=False, root_exists=True)
_ALL_GROUPS = ("Admin", "Operator", "Viewer")
_P3265 = Product(
    model="P3265-V",
    product_type="Dome Camera",
    firmware="12.11.77",
    build_date="Jul 08 2026 12:25",
    hardware_id="931.11",
    soc="Axis Artpec-8",
    architecture="aarch64",
    web_url="https://www.axis.com",
    oui="B8A44F",
)


def _product(model: str, product_type: str, firmware: str, build_date: str, *, oui: str, soc: str) -> Product:
    return Product(
        model, product_type, firmware, build_date, "70E", soc, "armv7hf", web_url="http://www.axis.com", oui=oui
    )


_AXIS_OS_12 = Profile(
    name="12.11",
    source="recording of an AXIS P3265-V with AXIS OS 12.11.77",
    product=_P3265,
    tls=_TLS_13,
    login=LoginRules("recommended", qop=True, apache=True, root_exists=False),
    keys=KeyRules(rsa_bits=2048, csr_sha1=False, factory_identity=True, self_signed=False, keystores=_KEYSTORES),
    interfaces=Interfaces(
        rest="v1",
        strict_namespaces=True,
        basic_device_info="1.3",
        unrestricted=True,
        api_discovery="apis-12.11.json",
        systemready="1.5",
        systemready_details=True,
        time_cgi="1.1",
        network_settings="1.38",
    ),
    parameters="parameters-12.11.txt",
    time_zone="<UTC1>-1<UTC2>-2,M3.5.0/2:00:00,M10.5.0/3:00:00",
)

_PROFILES = (
    Profile(
        name="5.51",
        source="recording of an AXIS P5512 with 5.51.7; firmware below the supported 5.70",
        product=Product(
            "P5512",
            "PTZ Dome Network Camera",
            "5.51.7",
            "Jul 16 2020 14:38",
            "14B",
            "Axis Artpec-3",
            "crisv32",
            web_url="http://www.axis.com/",
            oui="00408C",
        ),
        tls=_OLD_TLS,
        login=LoginRules("basic_digest", qop=False, apache=False, root_exists=True),
        keys=KeyRules(rsa_bits=1024, csr_sha1=True),
        interfaces=Interfaces(),
        parameters="parameters-5.51.txt",
        policies=_ALL_GROUPS,
        boa_parameters=True,
    ),
    Profile(
        name="6.50",
        source="inferred from 5.51 and the documentation",
        product=_product(
            "P3364-LV", "Network Camera", "6.50.5.2", "Mar 21 2019 09:12", oui="00408C", soc="Axis Artpec-4"
        ),
        tls=_OLD_TLS,
        login=LoginRules("basic_digest", qop=False, apache=False, root_exists=True),
        keys=KeyRules(rsa_bits=2048, csr_sha1=True, self_signed=False),
        interfaces=Interfaces(),
        parameters="parameters-5.51.txt",
        https=False,
        policies=_ALL_GROUPS,
        boa_parameters=True,
    ),
    Profile(
        name="7.30",
        source="inferred from 9.10 and the documentation",
        product=_product(
            "M3045-V", "Network Camera", "7.30.1.1", "Nov 30 2017 10:40", oui="ACCC8E", soc="Axis Artpec-5"
        ),
        tls=_TLS_12,
        login=_DIGEST,
        keys=KeyRules(rsa_bits=2048, csr_sha1=True),
        interfaces=Interfaces(),
        parameters="parameters-9.10.txt",
        boa_parameters=True,
    ),
    Profile(
        name="9.10",
        source="recording of an AXIS M1065-LW with 9.10.1",
        product=_product(
            "M1065-LW",
            "Network Camera",
            "9.10.1",
            "Feb 15 2019 09:42",
            oui="ACCC8E",
            soc="Ambarella S2L (Flattened Device Tree)",
        ),
        tls=_TLS_12,
        login=_DIGEST,
        keys=KeyRules(rsa_bits=2048, csr_sha1=False),
        interfaces=Interfaces(basic_device_info="1.1", api_discovery="apis-9.10.json"),
        parameters="parameters-9.10.txt",
        boa_parameters=True,
        time_zone="CET-1CEST,M3.5.0,M10.5.0/3",
    ),
    Profile(
        name="10.12",
        source="recording (systemready only) of an AXIS M3206-LVE with 10.12; the rest inferred from 9.10",
        product=_product(
            "M3206-LVE", "Network Camera", "10.12.200", "Sep 11 2023 08:15", oui="B8A44F", soc="Axis Artpec-7"
        ),
        tls=TlsAge("TLSv1.2", "TLSv1.2", CBC_CIPHERS, sends_chain=True),
        login=_DIGEST,
        keys=KeyRules(rsa_bits=2048, csr_sha1=False),
        interfaces=Interfaces(
            basic_device_info="1.2",
            unrestricted=True,
            api_discovery="apis-9.10.json",
            systemready="1.2",
            time_cgi="1.0",
        ),
        parameters="parameters-9.10.txt",
    ),
    Profile(
        name="11.6",
        source="inferred from 12.11 and the documentation",
        product=_product("Q3536-LVE", "Dome Camera", "11.6.94", "Oct 02 2023 14:01", oui="E82725", soc="Axis Artpec-8"),
        tls=_TLS_13,
        login=LoginRules("digest", qop=True, apache=True, root_exists=False),
        keys=KeyRules(
            rsa_bits=2048,
            csr_sha1=False,
            factory_identity=True,
            self_signed=False,
            shows_key_types=False,
            keystores=(("SE0", "STRONG", ("CC EAL6+",), ("RSA-1024", *_KEY_TYPES)),),
        ),
        interfaces=Interfaces(
            rest="v1beta",
            basic_device_info="1.3",
            unrestricted=True,
            api_discovery="apis-12.11.json",
            systemready="1.4",
            systemready_details=True,
            time_cgi="1.0",
        ),
        parameters="parameters-12.11.txt",
    ),
    _AXIS_OS_12,
    replace(
        _AXIS_OS_12,
        name="12.11-self-signed",
        source="recording of an AXIS P3265-V with AXIS OS 12.11.77, without factory identity (inferred variant)",
        keys=replace(_AXIS_OS_12.keys, factory_identity=False, self_signed=True),
    ),
    Profile(
        name="t85",
        source="inferred: an AXIS T8508 switch, which is no VAPIX device",
        product=_product("T8508", "Network Switch", "6.54.2739", "Jan 01 2019 00:00", oui="ACCC8E", soc=""),
        tls=TlsAge("TLSv1.2", "TLSv1.2", AEAD_CIPHERS, sends_chain=False),
        login=LoginRules("", qop=False, apache=False, root_exists=True),
        keys=KeyRules(rsa_bits=2048, csr_sha1=False),
        interfaces=Interfaces(soap=False),
        parameters="",
    ),
)

PROFILES = MappingProxyType({profile.name: profile for profile in _PROFILES})
"""By name, oldest first."""
