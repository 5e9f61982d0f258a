"""TLS towards devices: a context from a `PeerTrust`, and who is at the other end.

OpenSSL proves that the peer holds the key of the certificate it shows. Whether that certificate may be
believed is decided here, in the handshake, before the first request byte can leave (IDN-FULL-CHECK), by the path
validation of `pki.chain` with an explicit time: there is no second way.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import resources

from fleetseal.core.errors import (
    FleetsealError,
    IdentityMismatch,
    InvalidInput,
    TlsTooOld,
    TrustFailure,
    Unreachable,
    VerificationFailed,
)
from fleetseal.core.model import Anchored, Endpoint, Factory, FirstUse, PeerTrust, Pinned, Plaintext, Serial, Served
from fleetseal.core.runtime import Clock
from fleetseal.core.text import clean
from fleetseal.pki import chain

CONNECT_SECONDS = 5.0

Judge = Callable[[Served], None]
"""Returns if the peer may be believed; raises FleetsealError if not."""

_OLD_TLS = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE"}
)
_OLD_VERSIONS = {"TLSv1": "1.0", "TLSv1.1": "1.1"}
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})
_OP_LEGACY_SERVER_CONNECT: int = getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)  # named from Python 3.12 on
_SERIAL = re.compile(r"[0-9A-F]{12}")


@dataclass(frozen=True)
class Peer:
    """How one connection believes its other end, and whether Basic may be sent there (design: trust levels)."""

    judge: Judge
    basic: bool


def peer_for(trust: PeerTrust, endpoint: Endpoint, *, serial: Serial | None, clock: Clock) -> Peer | None:
    """The peer check of this level; None for plain HTTP. TLS 1.0 and 1.1 never carry Basic."""
    strong = not endpoint.legacy_tls
    match trust:
        case Plaintext():
            return None
        case FirstUse():
            return Peer(lambda served: None, basic=False)
        case Pinned(sha256=pin, accepted=accepted):
            return Peer(lambda served: _judge_pin(served, pin), basic=accepted and strong)
        case Factory(extra_roots=extra):
            return Peer(lambda served: _judge_factory(served, serial, extra, clock.now()), basic=strong)
        case Anchored():
            return Peer(_AnchoredJudge(trust, endpoint.name, clock), basic=strong)


class DeviceContext(ssl.SSLContext):
    """A context whose handshakes end in a judgement. `shown` and `refusal` are those of the latest handshake."""

    judge: Judge
    shown: Served | None = None
    refusal: FleetsealError | None = None


class DeviceSSLObject(ssl.SSLObject):
    """Judges the peer right after the handshake: no request byte leaves before it."""

    def do_handshake(self) -> None:
        context = self.context
        assert isinstance(context, DeviceContext)
        super().do_handshake()
        context.shown = _shown(self)
        try:
            context.judge(context.shown)
        except FleetsealError as error:
            context.refusal = error
            # The event loop ends a connection only on an SSLError; the transport raises `refusal` in its place.
            raise ssl.SSLCertVerificationError("the peer was judged and refused") from error


def context_for(judge: Judge, *, legacy_tls: bool = False) -> DeviceContext:
    """A client context that believes whom `judge` believes. TLS 1.2 at least, unless `legacy_tls`."""
    context = DeviceContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = DeviceSSLObject
    context.judge = judge
    _configure(context, legacy_tls=legacy_tls)
    return context


@cache
def shared_context(*, legacy_tls: bool) -> ssl.SSLContext:
    """For glances: one context for all devices, since making one costs as much as a handshake. It judges nobody: its
    user compares what is shown with the record before the first request byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _configure(context, legacy_tls=legacy_tls)
    return context


def _configure(context: ssl.SSLContext, *, legacy_tls: bool) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if legacy_tls:
        # Firmware 5.x: RSA key exchange with SHA-1 suites, 1024-bit keys, no secure renegotiation.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.options |= _OP_LEGACY_SERVER_CONNECT
        context.options |= ssl.OP_NO_SSLv3
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    else:
        # Firmware 5.51 to 9.80 offers only AES-CBC-SHA suites, some with 1024-bit keys (recorded lists); Python's
        # own default refuses them all. Better suites still come first.
        context.set_ciphers("DEFAULT:@SECLEVEL=1")
        context.minimum_version = ssl.TLSVersion.TLSv1_2


async def handshake(endpoint: Endpoint, address: str) -> Served:
    """What the device shows at `address`; not one request byte is sent.

    Raises Unreachable, as HandshakeFailed where the port is open, and TlsTooOld where a second handshake, which
    allows TLS 1.0 and 1.1, comes to its end with one of them.
    """
    try:
        return await _handshake(endpoint, address)
    except HandshakeFailed as failed:
        if endpoint.legacy_tls or isinstance(failed.__cause__, TimeoutError):  # old TLS refuses, it does not wait
            raise
        try:
            old = await _handshake(replace(endpoint, legacy_tls=True), address)
        except Unreachable:
            old = None
        if old is None or old.tls_version not in _OLD_VERSIONS:
            raise
    raise TlsTooOld(
        f"{endpoint.host} port {endpoint.https_port} offers only TLS {_OLD_VERSIONS[old.tls_version]}, "
        "which is refused. "
        f'"fleetseal device set {endpoint.host} --tls legacy" allows it for this device, with digest logins only.'
    )


async def _handshake(endpoint: Endpoint, address: str) -> Served:
    context = context_for(lambda served: None, legacy_tls=endpoint.legacy_tls)
    where = f"{endpoint.host} port {endpoint.https_port}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, endpoint.https_port)
    except TimeoutError as error:
        raise Unreachable(f"No connection to {where} within {CONNECT_SECONDS:.0f} seconds.") from error
    except OSError as error:
        raise Unreachable(no_connection(endpoint.host, endpoint.https_port, error)) from error
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await writer.start_tls(context, server_hostname=endpoint.name)
    except TimeoutError as error:
        raise HandshakeFailed(f"{where} did not end the TLS handshake within {CONNECT_SECONDS:.0f} seconds.") from error
    except OSError as error:
        raise handshake_failed(endpoint, error) from error
    finally:
        writer.transport.abort()
    if context.shown is None:
        raise HandshakeFailed(f"{where} closed the connection during the TLS handshake.")
    return context.shown


class HandshakeFailed(Unreachable):
    """The port is open, but no TLS handshake came to its end."""


def handshake_failed(endpoint: Endpoint, error: OSError) -> HandshakeFailed:
    """Why, in words, as far as the error tells."""
    where = f"{endpoint.host} port {endpoint.https_port}"
    reason = getattr(error, "reason", None) or ""  # of an SSLError, where OpenSSL gave one
    if reason in _OLD_TLS and not endpoint.legacy_tls:
        return HandshakeFailed(f"{where} has no TLS version from 1.2 on, or no cipher suite, in common with us.")
    if reason in _NOT_TLS:
        return HandshakeFailed(f"{where} does not speak TLS.")
    detail = clean(reason.replace("_", " ").lower()) or "the connection was closed"
    return HandshakeFailed(f"The TLS handshake with {where} failed: {detail}.")


def no_connection(host: str, port: int, error: OSError) -> str:
    """One sentence: why there is no connection."""
    if isinstance(error, ConnectionRefusedError):
        return f"{host} refuses connections on port {port}."
    return f"No connection to {host} port {port}: {clean(error.strerror or type(error).__name__)}."


def sha256(der: bytes) -> bytes:
    return hashlib.sha256(der).digest()


def factory_serial(served: Served, extra_roots: Sequence[bytes], at: datetime) -> Serial:
    """The serial number in a valid factory certificate (IEEE 802.1AR; device-api 5.4).

    Full path validation to the maker's roots or `extra_roots`; the maker's known intermediates are at hand.
    Host names play no part: these certificates name none. Raises IdentityMismatch.
    """
    roots, intermediates = _maker()
    try:
        chain.verify_client(served.leaf, [*served.chain[1:], *intermediates], anchors=[*roots, *extra_roots], at=at)
        number = (chain.describe(served.leaf).subject_serial or "").upper()
    except (TrustFailure, InvalidInput) as error:
        raise IdentityMismatch(
            "The certificate the device shows is not a valid factory certificate of its maker. No login was sent."
        ) from error
    if not _SERIAL.fullmatch(number):
        raise IdentityMismatch("The factory certificate the device shows names no serial number. No login was sent.")
    return Serial(number)


def chain_problem(
    served: Served, *, anchors: Sequence[bytes], intermediates: Sequence[bytes], name: str, at: datetime
) -> str | None:
    """Why the served chain, with `intermediates` at hand, does not prove `name` to `anchors`; None if it does."""
    try:
        chain.verify_server(served.leaf, [*served.chain[1:], *intermediates], anchors=anchors, name=name, at=at)
    except (TrustFailure, InvalidInput) as error:
        return error.message
    return None


def leaf_judge(leaf_sha256: bytes) -> Judge:
    """Believes exactly this leaf; anything else is VerificationFailed, with both fingerprints."""

    def judge(served: Served) -> None:
        shown = sha256(served.leaf)
        if shown != leaf_sha256:
            raise VerificationFailed(
                f"The device serves another certificate (SHA-256 {_short(shown)}) than the one installed "
                f"({_short(leaf_sha256)})."
            )

    return judge


def _judge_pin(served: Served, pin: bytes) -> None:
    shown = sha256(served.leaf)
    if shown != pin:
        raise IdentityMismatch(
            f"The device shows another certificate (SHA-256 {_short(shown)}) than the one on record "
            f"({_short(pin)}). No login was sent."
        )


def _judge_factory(served: Served, serial: Serial | None, extra: tuple[bytes, ...], at: datetime) -> None:
    found = factory_serial(served, extra, at)
    if serial is not None and found != serial:
        raise IdentityMismatch(f"The factory certificate is that of {found}, not of {serial}. No login was sent.")


class _AnchoredJudge:
    """As `core.model.Anchored` says. Without a record the first leaf believed is kept for the connection's life,
    so that the serial proved at login stays that of the peer."""

    def __init__(self, trust: Anchored, host: str, clock: Clock) -> None:
        self._trust = trust
        self._host = host
        self._clock = clock
        self._first: bytes | None = None

    def __call__(self, served: Served) -> None:
        trust = self._trust
        if _key_sha256(served.leaf) in trust.stolen:
            raise IdentityMismatch(
                "The device shows a certificate whose key was revoked as compromised. No login was sent."
            )
        if trust.leaves or trust.keys:
            if sha256(served.leaf) not in trust.leaves and _key_sha256(served.leaf) not in trust.keys:
                raise IdentityMismatch(
                    f"The device shows a certificate (SHA-256 {_short(sha256(served.leaf))}) that was never issued "
                    "to it, with a key that is not its own. No login was sent."
                )
            return
        problem = chain_problem(
            served, anchors=trust.anchors, intermediates=trust.intermediates, name=self._host, at=self._clock.now()
        )
        if problem is not None:
            raise IdentityMismatch(
                f"The certificate of {self._host} does not lead to a certificate authority of ours: {problem}. "
                "No login was sent."
            )
        self._first = self._first or served.leaf
        if served.leaf != self._first:
            raise IdentityMismatch(f"{self._host} showed two certificates in one conversation. Nothing more was sent.")


def _shown(connection: ssl.SSLObject) -> Served:
    leaf = connection.getpeercert(True)
    if leaf is None:
        raise ssl.SSLError("the peer showed no certificate")
    cipher = connection.cipher()
    return Served(
        leaf=leaf,
        chain=_sent_chain(connection) or (leaf,),
        tls_version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
    )


def _sent_chain(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """All certificates the peer sent. Public from Python 3.13 on; before, only on the inner object."""
    if hasattr(connection, "get_unverified_chain"):
        return tuple(connection.get_unverified_chain())
    inner = getattr(connection, "_sslobj", None)
    if inner is None or not hasattr(inner, "get_unverified_chain"):
        return ()
    der = 2  # _ssl.ENCODING_DER
    return tuple(certificate.public_bytes(der) for certificate in inner.get_unverified_chain() or ())


@cache
def _maker() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The maker's roots, and its intermediates (recordings p3265-v_12.11.77/rest-cert-v1.json)."""
    pem = resources.files("fleetseal.devices.axis").joinpath("maker.pem").read_bytes()
    certificates = chain.parse_all(pem)
    roots = tuple(der for der in certificates if chain.issued_by(der, der))
    return roots, tuple(der for der in certificates if der not in roots)


def _key_sha256(der: bytes) -> bytes | None:
    try:
        return bytes.fromhex(chain.describe(der).spki_sha256)
    except InvalidInput:
        return None


def _short(digest: bytes) -> str:
    return digest.hex(":", 2).upper()[:19] + "…"
