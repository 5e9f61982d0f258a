"""What each simulated model and firmware is and does: one `Profile` each (device-api 1, 6.6, 10.2, 19.1).

Each says first how sure it is: recorded, recorded in part, documented or inferred.
"""

from dataclasses import replace
from types import MappingProxyType

from fleetseal.sim.profile import Interfaces, KeyRules, LoginRules, Product, Profile, TlsAge

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
_WIRELESS = ("Network.Interface.I1.", "Network.Wireless.")
_CAMERA_PARAMETERS = ("Image", "PTZ.", "Motion.", "StreamProfile.", *_WIRELESS)
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
    source="recorded: an AXIS P3265-V with AXIS OS 12.11.77",
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

_AXIS_OS_11 = Profile(
    name="11.6",
    source="inferred: from 12.11 and the documentation",
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
)

_PROFILES: tuple[Profile, ...] = (
    Profile(
        name="5.51",
        source="recorded: an AXIS P5512 with 5.51.7; firmware below the supported 5.70",
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
        name="5.75",
        source="inferred: from 5.51, with the first firmware that is supported",
        product=_product("P7216", "Network Video Encoder", "5.75.1.11", "Nov 12 2015 13:30", oui="ACCC8E", soc=""),
        tls=_OLD_TLS,
        login=LoginRules("basic_digest", qop=False, apache=False, root_exists=True),
        keys=KeyRules(rsa_bits=1024, csr_sha1=True, self_signed=False),
        interfaces=Interfaces(),
        parameters="parameters-5.51.txt",
        https=False,
        policies=_ALL_GROUPS,
        boa_parameters=True,
    ),
    Profile(
        name="1.84",
        source="documented: what is cited of an AXIS A9188 with 1.84.1; the rest inferred from 9.10",
        product=_product(
            "A9188", "Network I/O Relay Module", "1.84.1", "Apr 10 2019 11:05", oui="ACCC8E", soc="Axis Artpec-5"
        ),
        tls=_TLS_12,
        login=_DIGEST,
        keys=KeyRules(rsa_bits=2048, csr_sha1=True),
        interfaces=Interfaces(),
        parameters="parameters-9.10.txt",
        boa_parameters=True,
        dropped=_CAMERA_PARAMETERS,
    ),
    Profile(
        name="6.50",
        source="inferred: from 5.51 and the documentation",
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
        source="inferred: from 9.10 and the documentation",
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
        source="recorded: an AXIS M1065-LW with 9.10.1",
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
        name="9.80-companion",
        source="documented: what is cited of an AXIS Companion Bullet LE with 9.80.2.2; the rest inferred from 9.10",
        product=_product(
            "C Bullet LE", "Network Camera", "9.80.2.2", "Mar 04 2020 10:12", oui="ACCC8E", soc="Axis Artpec-6"
        ),
        tls=_TLS_12,
        login=_DIGEST,
        keys=KeyRules(rsa_bits=2048, csr_sha1=False),
        interfaces=Interfaces(
            soap=False,
            basic_device_info="1.1",
            unrestricted=True,
            api_discovery="apis-9.10.json",
            systemready="1.1",
            time_cgi="1.0",
            limited=True,
        ),
        parameters="parameters-9.10.txt",
        policies=_ALL_GROUPS,
        boa_parameters=True,
        others="HttpAndHttps",  # recorded on 9.80 (device-api 6.2)
        changed={
            "Properties.API.WebService.WebService": "no",
            "Properties.API.WebService.ONVIF.ONVIF": "no",
            "Properties.System.AxisLimitedAccess": "yes",
            "Properties.System.Language": "",
        },
        dropped=_WIRELESS,
        placeholder="*****",
    ),
    Profile(
        name="10.12",
        source="recorded in part: systemready of an AXIS M3206-LVE with 10.12; the rest inferred from 9.10",
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
    _AXIS_OS_11,
    replace(
        _AXIS_OS_11,
        name="11.8-locked",
        source="documented: what a public client met on an AXIS A1610 under Secure Entry; the rest inferred from 11.6",
        product=_product("A1610", "Network Door Controller", "11.8.75.6", "May 28 2024 12:31", oui="B8A44F", soc=""),
        interfaces=replace(_AXIS_OS_11.interfaces, locked=True),
        dropped=("Image", "PTZ."),
    ),
    replace(
        _AXIS_OS_12,
        name="12.9-audio",
        source="documented: what public clients met on an AXIS C1110-E with 12.9; the rest inferred from 12.11",
        product=_product("C1110-E", "Network Cabinet Speaker", "12.9.63", "Apr 02 2026 09:40", oui="B8A44F", soc=""),
        interfaces=replace(_AXIS_OS_12.interfaces, get_only=True),
        dropped=("Image", "PTZ."),
    ),
    _AXIS_OS_12,
    replace(
        _AXIS_OS_12,
        name="12.11-self-signed",
        source="recorded in part: an AXIS P3265-V with AXIS OS 12.11.77; that it has no factory identity is inferred",
        keys=replace(_AXIS_OS_12.keys, factory_identity=False, self_signed=True),
    ),
    Profile(
        name="t85",
        source="documented: AXIS T85 switches are no VAPIX devices; the page is inferred",
        product=_product("T8508", "Network Switch", "6.54.2739", "Jan 01 2019 00:00", oui="ACCC8E", soc=""),
        tls=TlsAge("TLSv1.2", "TLSv1.2", AEAD_CIPHERS, sends_chain=False),
        login=LoginRules("", qop=False, apache=False, root_exists=True),
        keys=KeyRules(rsa_bits=2048, csr_sha1=False),
        interfaces=Interfaces(soap=False),
        parameters="",
    ),
)
_PROFILES += tuple(
    replace(
        _PROFILES[-1],
        name=name,
        source=f"inferred: an AXIS {model}, from what is documented of T85 switches",
        product=_product(model, kind, firmware, "Jan 01 2019 00:00", oui="ACCC8E", soc=""),
        interfaces=Interfaces(soap=False, elsewhere=elsewhere),
    )
    for name, model, kind, firmware, elsewhere in (
        ("t85-page", "T8516", "Network Switch", "6.54.3061", "page"),
        ("t86", "T8604", "Media Converter Switch", "1.05", "redirect"),
    )
)

PROFILES = MappingProxyType({profile.name: profile for profile in _PROFILES})
"""By name, oldest first."""
