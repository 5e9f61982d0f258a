"""How the tests of the simulator look at it: with the standard library's TLS and a foreign HTTP client, never
with the drivers."""

import asyncio
import ssl
import warnings
from contextlib import suppress
from dataclasses import dataclass

import httpx

from fleetseal.sim.fleet import SimulatedDevice

SOAP = "http://www.w3.org/2003/05/soap-envelope"
CERTIFICATES = "http://www.axis.com/vapix/ws/certificates"
CERT = "http://www.axis.com/vapix/ws/cert"
WEB = "http://www.axis.com/vapix/ws/webserver"
TDS = "http://www.onvif.org/ver10/device/wsdl"
TT = "http://www.onvif.org/ver10/schema"
DECLARED = f'xmlns:c="{CERTIFICATES}" xmlns:a="{CERT}" xmlns:w="{WEB}" xmlns:tds="{TDS}" xmlns:tt="{TT}"'


@dataclass(frozen=True)
class Shown:
    """What a handshake showed."""

    version: str
    cipher: str
    leaf: bytes
    chain: tuple[bytes, ...]


def context(*, lowest: ssl.TLSVersion | None = None, highest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that checks nothing and accepts the oldest suites."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = lowest or ssl.TLSVersion.TLSv1
        if highest is not None:
            made.maximum_version = highest
    return made


async def handshake(device: SimulatedDevice, client: ssl.SSLContext | None = None) -> Shown:
    """Connect, take what is shown, close. Raises OSError (with ssl.SSLError below it) when it fails."""
    _, writer = await asyncio.open_connection(device.address, device.https_port, ssl=client or context())
    try:
        handle = writer.get_extra_info("ssl_object")
        chain = handle._sslobj.get_unverified_chain()  # no public name before Python 3.13
        leaf = handle.getpeercert(binary_form=True)
        assert leaf is not None
        ders = tuple(ssl.PEM_cert_to_DER_cert(found.public_bytes()) for found in chain)
        return Shown(handle.version(), handle.cipher()[0], leaf, ders)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def browser(device: SimulatedDevice, *, secure: bool = False, login: bool = True) -> httpx.AsyncClient:
    """A client for one port of the device, logging in as it asks there."""
    port = device.https_port if secure else device.http_port
    auth: httpx.Auth | None = None
    if login:
        digest = "digest" in device.device.schemes(secure=secure)
        kind = httpx.DigestAuth if digest else httpx.BasicAuth
        auth = kind(device.username, device.password)
    scheme = "https" if secure else "http"
    return httpx.AsyncClient(base_url=f"{scheme}://{device.address}:{port}", auth=auth, verify=context(), timeout=20)


def envelope(operation: str) -> str:
    """The operation, with the prefixes c, a, w, tds and tt declared, in a SOAP envelope."""
    return f'<s:Envelope xmlns:s="{SOAP}" {DECLARED}><s:Body>{operation}</s:Body></s:Envelope>'


async def soap(client: httpx.AsyncClient, operation: str) -> httpx.Response:
    headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
    return await client.post("/vapix/services", content=envelope(operation), headers=headers)


def configuration(
    device: SimulatedDevice, *, alias: str | None = None, policy: str | None = None, tls: bool = True
) -> str:
    """The present web server configuration with these changes, as an operation to send."""
    web = device.web
    policies = "".join(f"<w:{group}>{policy or present}</w:{group}>" for group, present in web.policies)
    ciphers = "".join(f"<a:Cipher>{cipher}</a:Cipher>" for cipher in web.ciphers)
    bound = alias or web.bound
    identity = f"<a:Id>{bound}</a:Id>" if bound else ""
    return (
        f"<w:SetWebServerTlsConfiguration><w:Configuration><w:Tls>{str(tls).lower()}</w:Tls>"
        f"<w:ConnectionPolicies>{policies}</w:ConnectionPolicies><w:Ciphers>{ciphers}</w:Ciphers>"
        f"<w:CertificateSet><a:Certificates>{identity}</a:Certificates><a:CACertificates/><a:TrustedCertificates/>"
        "</w:CertificateSet></w:Configuration></w:SetWebServerTlsConfiguration>"
    )


def create(alias: str, common_name: str = "192.0.2.10") -> str:
    subject = f"<a:C>SE</a:C><a:O>Plant</a:O><a:CN>{common_name}</a:CN>"
    return f"<c:CreateCertificate2><c:Id>{alias}</c:Id><c:Subject>{subject}</c:Subject></c:CreateCertificate2>"


async def back(device: SimulatedDevice, restarts: int) -> None:
    """The web server has restarted as often as this."""
    async with asyncio.timeout(10):
        while device.restarts < restarts or not device.listening:
            await asyncio.sleep(0.01)  # noqa: TID251 - waits for real sockets
