"""Connections to Axis devices: looking, proving identity, logging in, verifying from outside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fleetseal.core.errors import (
    Busy,
    IdentityMismatch,
    Rejected,
    SetupNeeded,
    TlsTooOld,
    Unreachable,
    VerificationFailed,
)
from fleetseal.core.model import DeviceFacts, Endpoint, Factory, Login, PeerTrust, Serial, Served
from fleetseal.core.runtime import Clock, Rng
from fleetseal.devices import probe, tls
from fleetseal.devices.axis import catalogue, identity, wire_cgi
from fleetseal.devices.driver import NOT_AXIS, Driver, Glance, Sight, TwoDevices, Verification
from fleetseal.devices.glance import glance
from fleetseal.devices.target import Resolver, addresses, resolve
from fleetseal.devices.transport import Redirected, Transport, connected


@dataclass
class OpenConnection:
    """Open, identity proved, logged in."""

    driver: Driver
    facts: DeviceFacts
    served: Served | None

    @property
    def encrypted(self) -> bool:
        return self.served is not None


class AxisConnector:
    """The `Connector` of this vendor. `extra_maker_roots` (DER) also count as maker's roots: for simulators."""

    def __init__(
        self, clock: Clock, rng: Rng, *, extra_maker_roots: tuple[bytes, ...] = (), resolver: Resolver = addresses
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._resolver = resolver
        self._extra_maker_roots = extra_maker_roots
        self._offers: probe.Offers = {}

    async def look(self, endpoint: Endpoint) -> Sight:
        await resolve(endpoint.host, self._resolver)
        sides = await asyncio.gather(self._look_https(endpoint), self._look_http(endpoint), return_exceptions=True)
        for failed in sides:
            if isinstance(failed, BaseException):
                raise failed
        https, http = (side for side in sides if isinstance(side, _Side))
        if not https.open and not http.open:
            reasons = dict.fromkeys((https.reason, http.reason))  # the same one, where both ports are one
            raise Unreachable(f"{endpoint.host} answers neither HTTPS nor HTTP. {' '.join(reasons)}".strip())
        if https.serial is not None and http.serial is not None and https.serial != http.serial:
            raise TwoDevices(
                f"{endpoint.host} is {https.serial} on port {endpoint.https_port} "
                f"and {http.serial} on port {endpoint.http_port}. Give the ports of one device."
            )
        return self._sight(https, http)

    async def glance(self, endpoint: Endpoint, leaf: bytes | None) -> Glance:
        return await glance(endpoint, leaf, resolver=self._resolver)

    async def served(self, endpoint: Endpoint) -> Served:
        return await tls.handshake(endpoint, await resolve(endpoint.host, self._resolver))

    async def resolve(self, name: str) -> tuple[str, ...]:
        return await self._resolver(name)

    @asynccontextmanager
    async def open(
        self, endpoint: Endpoint, trust: PeerTrust, login: Login, *, serial: Serial | None
    ) -> AsyncIterator[OpenConnection]:
        trust, peer = self._peer(endpoint, trust, serial)
        async with self._connected(endpoint, peer, login, serial) as transport:
            stranger = await self._meet(transport, trust)
            served = transport.served
            if stranger.needs_setup:
                raise SetupNeeded(
                    f"{endpoint.host} is in factory state: it has no administrator yet. No login was sent."
                )
            await identity.log_in(transport)
            facts, driver = await probe.choose(transport, stranger, self._offers)
            _same(transport, facts.serial)
            yield OpenConnection(driver, facts, served)

    async def set_up(self, endpoint: Endpoint, trust: PeerTrust, login: Login, *, serial: Serial | None) -> None:
        trust, peer = self._peer(endpoint, trust, serial)
        async with self._connected(endpoint, peer, None, serial) as transport:
            stranger = await self._meet(transport, trust)
            if not stranger.needs_setup:
                raise Rejected(f"{endpoint.host} has an administrator already. Nothing was sent.")
            await identity.set_up(transport, stranger, login)

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
    ) -> Verification:
        judge = _StrangersJudge(anchors, intermediates, leaf_sha256, name, self._clock)
        peer = tls.Peer(judge, basic=not endpoint.legacy_tls)
        try:
            async with self._connected(endpoint, peer, login, serial) as transport:
                await identity.log_in(transport)
                known = await identity.know(transport, identity.Stranger(None, None))
                _same(transport, known.facts.serial)
                served = transport.served
        except Busy as error:
            raise Unreachable(error.message) from error
        except tls.HandshakeFailed:
            await self.served(endpoint)  # raises TlsTooOld, if that is why
            raise
        assert served is not None, "a login over TLS has a handshake before it"
        return Verification(served, chain_sent=judge.chain_sent)

    def _peer(self, endpoint: Endpoint, trust: PeerTrust, serial: Serial | None) -> tuple[PeerTrust, tls.Peer | None]:
        if isinstance(trust, Factory):
            trust = Factory((*trust.extra_roots, *self._extra_maker_roots))
        return trust, tls.peer_for(trust, endpoint, serial=serial, clock=self._clock)

    async def _meet(self, transport: Transport, trust: PeerTrust) -> identity.Stranger:
        """Who it says it is, without a login; it is the device meant as far as `trust` and its words can tell."""
        try:
            stranger = await identity.meet(transport)
        except Unreachable:
            if transport.encrypted and transport.served is None:
                await self.served(transport.endpoint)  # raises what is wrong, if it is the handshake
            raise
        if isinstance(trust, Factory) and transport.served is not None:
            _same(transport, tls.factory_serial(transport.served, trust.extra_roots, self._clock.now()))
        _same(transport, stranger.serial)
        return stranger

    def _connected(
        self, endpoint: Endpoint, peer: tls.Peer | None, login: Login | None, serial: Serial | None
    ) -> AbstractAsyncContextManager[Transport]:
        return connected(
            endpoint, peer, login=login, serial=serial, clock=self._clock, rng=self._rng, resolver=self._resolver
        )

    async def _look_https(self, endpoint: Endpoint) -> "_Side":
        try:
            served = await self.served(endpoint)
        except (tls.HandshakeFailed, TlsTooOld) as error:
            return _Side(open=True, reason=error.message, tls_error=error.message)
        except Unreachable as error:
            return _Side(reason=error.message)
        side = await self._converse(endpoint, tls.Peer(lambda shown: None, basic=False))
        return replace(side, open=True, served=served)

    async def _look_http(self, endpoint: Endpoint) -> "_Side":
        try:
            return await self._converse(endpoint, None)
        except Redirected as error:
            if _same_host(endpoint, error.location):
                return _Side(open=True)
            raise

    async def _converse(self, endpoint: Endpoint, peer: tls.Peer | None) -> "_Side":
        """What this port says without a login. A web page in place of an interface is an answer too."""
        async with self._connected(endpoint, peer, None, None) as transport:
            try:
                challenged = await transport.ask(wire_cgi.challenge())
            except Redirected as error:
                if not _same_origin(error.location):
                    raise
                return _Side(open=True, answers=True, unsupported=await _network_gear(transport))
            except (Unreachable, Busy) as error:
                return _Side(reason=error.message)
            if challenged.status == 403:
                return _Side(open=True)
            named = transport.realm_serial
            stranger = await identity.meet(transport)
            unsupported = None
            if stranger.serial is None and named is None:
                unsupported = await _network_gear(transport)
            elif stranger.facts is not None:
                unsupported = catalogue.unsupported_product(stranger.facts.model)
            return _Side(
                open=True,
                answers=True,
                schemes=transport.schemes & {"digest", "basic"},
                serial=stranger.serial or named,
                stranger=stranger,
                offset=transport.clock_offset,
                unsupported=unsupported,
            )

    def _sight(self, https: "_Side", http: "_Side") -> Sight:
        best = https if https.serial is not None or not http.answers else http
        facts = best.stranger.facts
        needs_setup = best.stranger.needs_setup
        now = self._clock.now()
        return Sight(
            serial=best.serial,
            facts=None if facts is None else replace(facts, clock_offset=best.offset),
            needs_setup=needs_setup,
            http=http.answers,
            https=https.served is not None,
            served=https.served,
            http_schemes=http.schemes,
            https_schemes=https.schemes,
            factory=self._is_factory(https.served, best.serial, now),
            unsupported_reason=best.unsupported,
            tls_error=https.tls_error,
            date=None if best.offset is None else now + timedelta(seconds=best.offset),
        )

    def _is_factory(self, served: Served | None, serial: Serial | None, now: datetime) -> bool:
        if served is None or serial is None:
            return False
        try:
            return tls.factory_serial(served, self._extra_maker_roots, now) == serial
        except IdentityMismatch:
            return False


@dataclass(frozen=True)
class _Side:
    """One port, seen without a login."""

    open: bool = False
    answers: bool = False  # for its own content
    reason: str = ""
    schemes: frozenset[str] = frozenset()
    serial: Serial | None = None
    stranger: identity.Stranger = field(default_factory=lambda: identity.Stranger(None, None))
    offset: float | None = None
    served: Served | None = None
    tls_error: str | None = None
    unsupported: str | None = None


class _StrangersJudge:
    """Exactly this leaf, and a chain from it: first with what the device sent, then with our intermediates. Without
    anchors this leaf alone."""

    def __init__(
        self, anchors: tuple[bytes, ...] | None, intermediates: tuple[bytes, ...], leaf: bytes, name: str, clock: Clock
    ) -> None:
        self.chain_sent = False
        self._anchors = anchors
        self._intermediates = intermediates
        self._leaf = tls.leaf_judge(leaf)
        self._name = name
        self._clock = clock

    def __call__(self, served: Served) -> None:
        self._leaf(served)
        if self._anchors is None:
            self.chain_sent = len(served.chain) > 1
            return
        at = self._clock.now()
        alone = tls.chain_problem(served, anchors=self._anchors, intermediates=(), name=self._name, at=at)
        self.chain_sent = alone is None
        if alone is None:
            return
        problem = tls.chain_problem(
            served, anchors=self._anchors, intermediates=self._intermediates, name=self._name, at=at
        )
        if problem is not None:
            raise VerificationFailed(f"The device serves the new certificate, but it does not verify. {problem}")


async def _network_gear(transport: Transport) -> str:
    """What something without our interfaces calls itself on its front page (device-api 15.3)."""
    try:
        return catalogue.network_gear(await transport.ask(wire_cgi.front_page())) or NOT_AXIS
    except Redirected as error:
        if not _same_origin(error.location):
            raise
        return NOT_AXIS


def _same(transport: Transport, serial: Serial | None) -> None:
    """`serial` is that of the device meant, or nobody knew it before. Raises IdentityMismatch."""
    if serial is None:
        return
    transport.serial = transport.serial or serial
    if serial != transport.serial:
        raise IdentityMismatch(
            f"{transport.endpoint.host} is device {serial}, not {transport.serial}. Nothing was changed."
        )


def _same_origin(location: str) -> bool:
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def _same_host(endpoint: Endpoint, location: str) -> bool:
    try:
        return urlsplit(location).hostname == endpoint.host.lower()
    except ValueError:
        return False
