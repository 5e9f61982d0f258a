"""The ports through which everything above speaks to a device.

A `Driver` is one generation's way of doing the same things; it is built from a transport and nothing
else. It does not retry, sleep, log secrets, know jobs or the store. Every verb that writes has one that
reads (DEV-READ-BACK); callers look after every write.

A `Connector` opens connections to one device under one `PeerTrust`.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from fleetseal.core.errors import ProtocolViolation
from fleetseal.core.model import (
    Alias,
    CertificateRequest,
    Chain,
    DeviceFacts,
    Endpoint,
    Generation,
    HttpsState,
    Installed,
    InstalledAuthority,
    KeyPair,
    KeySpec,
    Login,
    PeerTrust,
    Serial,
    Served,
)


class Driver(Protocol):
    generation: ClassVar[Generation]

    async def facts(self) -> DeviceFacts: ...
    async def certificates(self) -> tuple[Installed, ...]: ...
    async def authorities(self) -> tuple[InstalledAuthority, ...]: ...
    async def request_certificate(self, alias: Alias, spec: KeySpec) -> CertificateRequest:
        """A key under `alias` in the device's store, and a CSR of it. An existing entry of that name is used."""

    async def create_self_signed(self, alias: Alias, spec: KeySpec) -> None:
        """A key and a self-signed certificate under `alias`, nothing else."""

    async def install(self, alias: Alias, chain: Chain) -> None:
        """The leaf for the key under `alias`. Intermediates go by `install_authority`."""

    async def install_key_pair(self, alias: Alias, bundle: KeyPair) -> None:
        """Certificate and key under `alias`. Raises TrustFailure, sending nothing, on a plain HTTP transport."""

    async def install_authority(self, alias: Alias, certificate: bytes) -> None: ...
    async def remove(self, alias: Alias) -> None:
        """The entry (key or CA) is gone; NotFound if it was not there; Rejected if in use."""

    async def uses(self) -> Mapping[Alias, frozenset[str]]:
        """The services that use an entry, with a key or as a CA: `HTTPS`, `802.1X`, `MQTT`, `RTSPS`, or as the device
        calls them. An entry that nothing uses is absent."""

    async def https(self) -> HttpsState: ...
    async def set_https(self, state: HttpsState) -> None:
        """Sent whole. The web server restarts: a lost answer is OutcomeUnknown."""

    async def clock(self) -> datetime:
        """The device's time, UTC."""

    async def set_clock(self, now: datetime) -> None: ...


NOT_AXIS = "It answers, but not as an Axis device."
"""The `unsupported_reason` of what is no device of a maker we know."""


@dataclass(frozen=True)
class Sight:
    """What can be known of a device without sending any credential."""

    serial: Serial | None  # from unrestricted properties or the realm; None: not an Axis device, or it does not say
    facts: DeviceFacts | None  # None: a login is needed to know more
    needs_setup: bool | None
    http: bool  # port answers plain HTTP requests for its own content (not: refused, redirected)
    https: bool  # port completes a TLS handshake
    served: Served | None
    http_schemes: frozenset[str]  # "digest", "basic" as challenged on plain HTTP
    https_schemes: frozenset[str]
    factory: bool  # `served` is a valid factory certificate of `serial` (IDN-FULL-CHECK)
    unsupported_reason: str | None = None  # e.g. a T85 switch
    tls_error: str | None = None  # why no handshake, e.g. only TLS 1.0 is offered
    date: datetime | None = None  # HTTP Date header


@dataclass(frozen=True)
class Glance:
    """What one connection without a login showed."""

    leaf: bytes | None  # None: plain HTTP
    asked: bool  # False: another leaf than the recorded one was shown, and not one request byte was sent
    serial: Serial | None = None  # as told; None: it does not tell it without a login
    firmware: str | None = None  # likewise
    date: datetime | None = None  # HTTP Date header


class Connection(Protocol):
    """Open, identity proved, logged in. Valid inside `Connector.open` only."""

    driver: Driver
    facts: DeviceFacts
    served: Served | None  # None on plain HTTP

    @property
    def encrypted(self) -> bool: ...


class TwoDevices(ProtocolViolation):
    """The two ports of an endpoint belong to different devices."""


class Connector(Protocol):
    async def look(self, endpoint: Endpoint) -> Sight:
        """Identify with no credential sent. Raises Unreachable when neither port answers, TwoDevices, and
        ProtocolViolation on a redirect to another host or an answer out of bounds."""

    async def glance(self, endpoint: Endpoint, leaf: bytes | None) -> Glance:
        """One connection, one request at most, no login: over TLS, where `leaf` is the certificate on record (DER);
        without a record over plain HTTP, if no TLS answers. Raises Unreachable, Busy, ProtocolViolation,
        InvalidInput (an address that can be no device's)."""

    async def served(self, endpoint: Endpoint) -> Served:
        """Handshake, take what is shown, close; not one request byte. Raises Unreachable."""

    async def resolve(self, name: str) -> tuple[str, ...]:
        """The addresses that our resolver gives for a host name, to be dialled in that order; none when unknown."""

    def open(
        self, endpoint: Endpoint, trust: PeerTrust, login: Login, *, serial: Serial | None
    ) -> AbstractAsyncContextManager[Connection]:
        """Connect as `trust` says, prove identity, log in, choose the driver by probing.

        Raises IdentityMismatch (another serial or certificate; no credential was sent), TrustFailure (the
        device asks for more than this level may give, e.g. Basic), AuthenticationFailed (sent once),
        PermissionDenied, SetupNeeded, NotSupported (no driver fits), Unreachable, ProtocolViolation.
        """

    async def set_up(self, endpoint: Endpoint, trust: PeerTrust, login: Login, *, serial: Serial | None) -> None:
        """Prove identity as `open` does, and make `login` the first administrator. Nothing is sent, and Rejected
        raised, unless the device says that it is in factory state; InvalidInput when its policy would refuse the
        password. Raises OutcomeUnknown, Rejected after sending: a login shows what is true.
        """

    async def verify(
        self,
        endpoint: Endpoint,
        login: Login,
        *,
        anchors: tuple[bytes, ...] | None,
        intermediates: tuple[bytes, ...],
        leaf_sha256: bytes,
        name: str,
        serial: Serial,
    ) -> "Verification":
        """A new connection, made like a stranger's: anchors only, no pin, no pooled connection; chain, `name`
        (host name or address in the certificate), this very leaf, login. First with the anchors alone; if only the
        intermediates are missing, with them at hand (`chain_sent` False). `anchors` None, for a certificate that no CA
        known here vouches for: this very leaf and the login alone are proved.

        Raises Unreachable (refused, reset, handshake dead: the web server may be restarting),
        VerificationFailed (answered, with the wrong certificate: says which), AuthenticationFailed.
        """


@dataclass(frozen=True)
class Verification:
    served: Served
    chain_sent: bool  # False: clients need the bundle of `ca export`
