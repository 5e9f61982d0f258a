"""`/vapix/services`: certificate services, web server configuration and what of ONVIF goes with them
(device-api 6.3, 6.4, 7, 8)."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from fleetseal.sim import certificates, onvif
from fleetseal.sim.certificates import PrivateKey
from fleetseal.sim.device import Device, KeyOrder, WebServer
from fleetseal.sim.envelope import Node, answer, element, empty_fault, fault, ids, leaf, name, one, parse
from fleetseal.sim.faults import Effects
from fleetseal.sim.http import Request, Response
from fleetseal.sim.keystore import Reason, Refusal

_SUBJECT = {  # in the order of the schema (device-api 7.1)
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}
CERT_SETS = (  # soap-ListCertSets.xml
    "EAPTLS_WIRED", "EAPTLS_WIRED_SERVER", "EAPTLS_WIFI", "EAPPEAP_MSCHAPV2_WIFI", "AUDIOSITE", "MediaPlayerClient",
    "NTS", "EAPPEAP_MSCHAPV2_WIRED", "AVHS", "SIP", "Streaming_RTSPS", "RemoteSyslog", "StreamingMediaClient",
    "WebServer", "StreamingDeviceEventClient", "mqtt_client", "O3C",
)  # fmt: skip
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_DEVICE_ID = "Axis device ID ECC-P256 (802.1AR)"

Operation = Callable[[Node], Awaitable[str]]
"""From the operation element to the answer's content. Raises Refusal."""


class Soap:
    def __init__(self, device: Device, effects: Effects) -> None:
        self._device = device
        self._effects = effects
        reads: dict[str, Operation] = {
            name("aweb", "GetWebServerTlsConfiguration"): self._get_web,
            name("acertificates", "GetPkcs10Request2"): self._request,
            name("acertificates", "ListCertSets"): self._cert_sets,
            name("acertificates", "GetCertSet"): self._cert_set,
            name("tds", "GetCertificates"): self._certificates,
            name("tds", "GetCACertificates"): self._authorities,
            name("tds", "GetCertificatesStatus"): self._status,
            name("tds", "GetDeviceInformation"): lambda node: onvif.device_information(device, node),
            name("tds", "GetServiceCapabilities"): lambda node: onvif.service_capabilities(device, node),
            name("tds", "GetNetworkInterfaces"): lambda node: onvif.network_interfaces(device, node),
            name("tds", "GetSystemDateAndTime"): lambda node: onvif.system_date_and_time(device, node),
        }
        writes: dict[str, tuple[str, Operation]] = {
            name("aweb", "SetWebServerTlsConfiguration"): ("bind", self._set_web),
            name("acertificates", "CreateCertificate2"): ("create_key", self._create),
            name("acertificates", "LoadPkcs12"): ("install_key_pair", self._load_pkcs12),
            name("tds", "LoadCertificates"): ("install", self._load),
            name("tds", "LoadCACertificates"): ("install_ca", self._load_authorities),
            name("tds", "LoadCertificateWithPrivateKey"): ("install_key_pair", self._load_pair),
            name("tds", "DeleteCertificates"): ("delete", self._delete),
        }
        self._reads, self._writes = reads, writes

    @property
    def _strict(self) -> bool:
        return self._device.profile.interfaces.strict_namespaces

    def anonymous(self, request: Request) -> bool:
        """GetSystemDateAndTime needs no login (ONVIF access rules)."""
        try:
            return parse(request.body).tag == name("tds", "GetSystemDateAndTime")
        except Refusal:
            return False

    async def answer(self, request: Request, user: str) -> Response:
        del user
        try:
            operation = parse(request.body)
        except Refusal as refusal:
            return fault(refusal, modern=self._strict)
        tag, node = operation.tag, Node(operation, strict=self._strict)
        if tag == name("tds", "GetDot1XConfigurations"):
            return empty_fault(modern=self._strict)
        if tag == name("acertificates", "GetPkcs10Request2"):
            return await self._perform("get_csr", tag, self._request, node)
        if tag in self._writes:
            verb, act = self._writes[tag]
            return await self._perform(verb, tag, act, node)
        if tag in self._reads:
            return await self._run(self._reads[tag], node)
        return fault(Refusal(Reason.UNKNOWN_ACTION, ""), modern=self._strict)

    async def _perform(self, verb: str, tag: str, act: Operation, node: Node) -> Response:
        local = tag.rpartition("}")[2]
        prefix = "tds" if tag == name("tds", local) else "aweb" if tag == name("aweb", local) else "acertificates"
        hollow = answer(element(f"{prefix}:{local}Response"), modern=self._strict)
        broken = fault(Refusal(Reason.UNKNOWN_ACTION, ""), modern=self._strict)
        return await self._effects.perform(verb, lambda: self._run(act, node), hollow=hollow, broken=broken)

    async def _run(self, act: Operation, node: Node) -> Response:
        try:
            return answer(await act(node), modern=self._strict)
        except Refusal as refusal:
            return fault(refusal, modern=self._strict)

    # ------------------------------------------------------------ web server

    async def _get_web(self, node: Node) -> str:
        node.children("aweb")
        web = self._device.web
        configuration = element(
            'aweb:Configuration name="WebServer"',
            leaf("aweb:Tls", "true" if web.tls else "false"),
            element("aweb:ConnectionPolicies", *(leaf(f"aweb:{group}", policy) for group, policy in web.policies)),
            element("aweb:Ciphers", *(leaf("acert:Cipher", cipher) for cipher in web.ciphers)),
            element("aweb:CertificateSet", _set_of([web.bound] if web.bound else [], web.authorities, web.trusted)),
        )
        return element("aweb:GetWebServerTlsConfigurationResponse", configuration)

    async def _set_web(self, node: Node) -> str:
        configuration = one(node.children("aweb", "Configuration")["Configuration"])
        parts = configuration.children("aweb", "Tls", "ConnectionPolicies", "Ciphers", "CertificateSet")
        policies = one(parts["ConnectionPolicies"]).children("aweb", "Admin", "Operator", "Viewer")
        ciphers = one(parts["Ciphers"]).children("acert", "Cipher")["Cipher"] if parts["Ciphers"] else []
        used, authorities, trusted = _read_set(one(parts["CertificateSet"]))
        tls = one(parts["Tls"]).text
        if len(used) > 1 or tls not in ("true", "false", "1", "0"):
            raise Refusal(Reason.INVALID, "one certificate, and true or false")
        self._device.bind(
            WebServer(
                tls=tls in ("true", "1"),
                policies=tuple((group, one(found).text) for group, found in policies.items() if found),
                ciphers=tuple(cipher.text for cipher in ciphers),
                bound=used[0] if used else None,
                authorities=authorities,
                trusted=trusted,
            )
        )
        return element("aweb:SetWebServerTlsConfigurationResponse")

    # ------------------------------------------------------------ certificate services

    async def _create(self, node: Node) -> str:
        parts = node.children("acertificates", "Id", "Subject", "ValidNotBefore", "ValidNotAfter")
        bits = 1024 if self._device.faults.rsa_1024 else self._device.profile.keys.rsa_bits
        order = KeyOrder(
            one(parts["Id"]).text,
            f"RSA-{bits}",
            _subject(one(parts["Subject"])),
            valid=(_moment(parts["ValidNotBefore"]), _moment(parts["ValidNotAfter"])),
        )
        entry = await self._device.create_key(order)
        return element(
            "acertificates:CreateCertificate2Response",
            leaf("acertificates:Id", entry.alias),
            leaf("acertificates:Certificate", _base64(entry.certificate)),
        )

    async def _request(self, node: Node) -> str:
        parts = node.children("acertificates", "Id", "Subject")
        subject = _subject(one(parts["Subject"])) if parts["Subject"] else None
        try:
            made = self._device.request(one(parts["Id"]).text, subject, ())
        except Refusal as refusal:
            raise Refusal(Reason.REQUEST, refusal.text) from refusal
        encoded = base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()
        return element("acertificates:GetPkcs10Request2Response", leaf("acertificates:Pkcs10Request", encoded))

    async def _load_pkcs12(self, node: Node) -> str:
        parts = node.children("acertificates", "Id", "Certificate", "Password")
        try:
            data = _bytes(one(parts["Certificate"]))
            if _PBES2 in data and self._device.profile.only_old_pkcs12:
                raise Refusal(Reason.FORMAT, "the encryption of the PKCS#12 file is not known")
            key, certificate, _ = pkcs12.load_key_and_certificates(data, one(parts["Password"]).text.encode())
        except ValueError as error:
            raise Refusal(Reason.FORMAT, "the PKCS#12 file cannot be read with this password") from error
        if certificate is None or not isinstance(key, PrivateKey):
            raise Refusal(Reason.FORMAT, "the PKCS#12 file lacks a certificate or a key")
        self._device.install_key_pair(one(parts["Id"]).text, certificate, key)
        return element("acertificates:LoadPkcs12Response")

    async def _cert_sets(self, node: Node) -> str:
        node.children("acertificates")
        names = (leaf("acert:CertSetNames", found) for found in CERT_SETS)
        return element("acertificates:ListCertSetsResponse", element("acertificates:CertSetNameList", *names))

    async def _cert_set(self, node: Node) -> str:
        asked = one(node.children("acertificates", "CertSetName")["CertSetName"]).text
        if asked not in CERT_SETS:
            raise Refusal(Reason.INVALID, f"no certificate set {asked!r}")
        used: list[str] = []
        authorities: tuple[str, ...] = ()
        if asked in self._device.cert_sets:
            used = list(self._device.cert_sets[asked])
        elif asked == "WebServer" and self._device.web.bound:
            used, authorities = [self._device.web.bound], self._device.web.authorities
        elif asked in ("EAPTLS_WIRED_SERVER", "Streaming_RTSPS") and _DEVICE_ID in self._device.store:
            used = [_DEVICE_ID]
            if asked == "EAPTLS_WIRED_SERVER":
                authorities = ("Axis device ID Root CA ECC", "Axis device ID Root CA RSA")
        content = element("acertificates:CertSet", _set_of(used, authorities, ()))
        return element("acertificates:GetCertSetResponse", content)

    # ------------------------------------------------------------ ONVIF, the same store

    async def _certificates(self, node: Node) -> str:
        node.children("tds")
        found = (_entry("tds:NvtCertificate", e.alias, e.certificate) for e in self._device.store.keys)
        return element("tds:GetCertificatesResponse", *found)

    async def _authorities(self, node: Node) -> str:
        node.children("tds")
        found = (_entry("tds:CACertificate", e.alias, e.certificate) for e in self._device.store.authorities)
        return element("tds:GetCACertificatesResponse", *found)

    async def _status(self, node: Node) -> str:
        node.children("tds")
        bound = self._device.web.bound
        aliases = sorted((entry.alias for entry in self._device.store.keys), key=lambda alias: alias != bound)
        found = (
            element(
                "tds:CertificateStatus",
                leaf("tt:CertificateID", alias),
                leaf("tt:Status", "true" if alias == bound else "false"),
            )
            for alias in aliases
        )
        return element("tds:GetCertificatesStatusResponse", *found)

    async def _load(self, node: Node) -> str:
        loaded = [_loaded(item) for item in node.children("tds", "NVTCertificate")["NVTCertificate"]]
        how = self._device.faults.load_certificates
        if how == "keys-not-matching":
            raise Refusal(Reason.KEYS_NOT_MATCHING, "The private and public keys do not match")
        for alias, certificate in loaded if how is None else ():
            self._device.install(alias, certificate)
        return element("tds:LoadCertificatesResponse")

    async def _load_authorities(self, node: Node) -> str:
        for item in node.children("tds", "CACertificate")["CACertificate"]:
            self._device.install_authority(*_loaded(item))
        return element("tds:LoadCACertificatesResponse")

    async def _load_pair(self, node: Node) -> str:
        if self._device.faults.pkcs12_only:
            raise Refusal(Reason.UNKNOWN_ACTION, "Optional action not implemented")
        items = node.children("tds", "CertificateWithPrivateKey")["CertificateWithPrivateKey"]
        for item in items:
            parts = item.children("tt", "CertificateID", "Certificate", "PrivateKey")
            data = one(one(parts["PrivateKey"]).children("tt", "Data")["Data"])
            try:
                key = certificates.load_private_key(_bytes(data))
            except ValueError as error:
                raise Refusal(Reason.FORMAT, str(error)) from error
            self._device.install_key_pair(
                one(parts["CertificateID"]).text, _certificate(one(parts["Certificate"])), key
            )
        return element("tds:LoadCertificateWithPrivateKeyResponse")

    async def _delete(self, node: Node) -> str:
        for item in node.children("tds", "CertificateID")["CertificateID"]:
            self._device.remove(item.text)
        return element("tds:DeleteCertificatesResponse")


def _set_of(used: list[str], authorities: tuple[str, ...], trusted: tuple[str, ...]) -> str:
    return (
        ids("acert:Certificates", used)
        + ids("acert:CACertificates", authorities)
        + ids("acert:TrustedCertificates", trusted)
    )


def _read_set(node: Node) -> tuple[tuple[str, ...], ...]:
    parts = node.children("acert", "Certificates", "CACertificates", "TrustedCertificates")
    return tuple(
        tuple(item.text for found in parts[kind] for item in found.children("acert", "Id")["Id"]) for kind in parts
    )


def _entry(tag: str, alias: str, certificate: x509.Certificate) -> str:
    data = element("tt:Certificate", leaf("tt:Data", _base64(certificate)))
    return element(tag, leaf("tt:CertificateID", alias), data)


def _loaded(item: Node) -> tuple[str, x509.Certificate]:
    parts = item.children("tt", "CertificateID", "Certificate")
    return one(parts["CertificateID"]).text, _certificate(one(parts["Certificate"]))


def _certificate(node: Node) -> x509.Certificate:
    data = _bytes(one(node.children("tt", "Data")["Data"]))
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise Refusal(Reason.FORMAT, "the certificate cannot be read") from error


def _bytes(node: Node) -> bytes:
    """Base64, wrapped or not, with or without armour lines (device-api 8.4)."""
    lines = (line for line in node.text.splitlines() if not line.startswith("-----"))
    try:
        return base64.b64decode("".join("".join(lines).split()), validate=True)
    except binascii.Error as error:
        raise Refusal(Reason.FORMAT, "this is not base64") from error


def _base64(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificates.der(certificate)).decode()


def _subject(node: Node) -> x509.Name:
    parts = node.children("acert", *_SUBJECT)
    try:
        return x509.Name(
            x509.NameAttribute(_SUBJECT[kind], item.text)
            for kind, found in parts.items()
            for item in found
            if item.text
        )
    except ValueError as error:
        raise Refusal(Reason.INVALID, str(error)) from error


def _moment(found: list[Node]) -> datetime | None:
    """xsd:dateTime without zone is UTC (device-api 7.1)."""
    if not found or not found[0].text:
        return None
    try:
        moment = datetime.fromisoformat(found[0].text)
    except ValueError as error:
        raise Refusal(Reason.INVALID, "not a date") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
