"""The only HTTP client. One `Transport` is one conversation with one device under one trust level.

Bounds (INP-BOUNDED): one deadline for each exchange, 5 s of it to connect; 2 MB of body, 128 header fields of
8 KiB. Content encodings are not asked for and not taken; redirects are errors.

Credentials (IDN-BEFORE-SECRET, IDN-NEVER-BASIC): the handshake has judged the peer before a request leaves;
an Authorization header follows only a challenge whose realm is AXIS_<serial> of the device meant. Basic needs a
`Peer` that allows it. A refused login is sent once.

Writes travel on connections of their own, because the death of an idle pooled connection cannot be told from a
lost answer; and aiohttp's habit of repeating GET and DELETE by itself is switched off for them.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TypeVar

import aiohttp
from yarl import URL

from fleetseal.core.errors import (
    AuthenticationFailed,
    Busy,
    IdentityMismatch,
    NotSupported,
    OutcomeUnknown,
    PermissionDenied,
    ProtocolViolation,
    TrustFailure,
    Unreachable,
)
from fleetseal.core.model import Endpoint, Login, Serial, Served
from fleetseal.core.runtime import Clock, Rng
from fleetseal.core.text import clean
from fleetseal.devices import tls
from fleetseal.devices.digest import Challenge, DigestSession, choose, parse_challenges
from fleetseal.devices.failures import Exchange, basic_refused, lost, translated
from fleetseal.devices.http import Answer, Ask, Request
from fleetseal.devices.target import Resolver, addresses, resolve

T = TypeVar("T")

BODY_LIMIT = 2_000_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Redirected(ProtocolViolation):
    """The device points elsewhere. `location` is where to, uncleaned."""

    def __init__(self, message: str, *, location: str) -> None:
        super().__init__(message)
        self.location = location


@asynccontextmanager
async def connected(
    endpoint: Endpoint,
    peer: tls.Peer | None,
    *,
    login: Login | None,
    serial: Serial | None,
    clock: Clock,
    rng: Rng,
    resolver: Resolver = addresses,
) -> AsyncIterator["Transport"]:
    """A transport, closed at the end. `peer` None: plain HTTP. `login` None: nothing is ever sent to log in."""
    transport = Transport(endpoint, peer, login=login, clock=clock, rng=rng, resolver=resolver)
    transport.serial = serial
    try:
        yield transport
    finally:
        await transport.close()


class Transport:
    """Speaks HTTP with one device, one request at a time. Made by `connected`."""

    def __init__(
        self,
        endpoint: Endpoint,
        peer: tls.Peer | None,
        *,
        login: Login | None,
        clock: Clock,
        rng: Rng,
        resolver: Resolver,
    ) -> None:
        self.endpoint = endpoint
        self.serial: Serial | None = None
        """Whom the realm must name; taken from the first challenge when nobody knew it before."""
        self.clock_offset: float | None = None
        """The device's clock minus ours by its latest Date header, seconds."""
        self.challenges: tuple[Challenge, ...] = ()
        self._peer = peer
        self._login = login
        self._clock = clock
        self._rng = rng
        self._resolver = resolver
        self._context = None if peer is None else tls.context_for(peer.judge, legacy_tls=endpoint.legacy_tls)
        self._digest: DigestSession | None = None
        self._basic = False
        self._let_in = False  # this login was taken once
        self._turn = asyncio.Lock()
        self._address = ""
        self._exchange = Exchange(Request("GET", "/"))
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @property
    def encrypted(self) -> bool:
        return self._peer is not None

    @property
    def served(self) -> Served | None:
        """What the latest handshake showed; None on plain HTTP."""
        return None if self._context is None else self._context.shown

    @property
    def schemes(self) -> frozenset[str]:
        """Login schemes of the latest challenge, e.g. digest, basic."""
        return frozenset(challenge.scheme for challenge in self.challenges)

    @property
    def realm_serial(self) -> Serial | None:
        """Who the latest challenge says the device is."""
        return next((challenge.serial for challenge in self.challenges if challenge.serial), None)

    @property
    def _port(self) -> int:
        return self.endpoint.https_port if self.encrypted else self.endpoint.http_port

    async def ask(self, question: Ask[T]) -> T:
        """Exchange and decode."""
        return question.decode(await self.exchange(question.request))

    async def exchange(self, request: Request) -> Answer:
        """The device's answer, logged in where it asked for that.

        Raises Unreachable, Busy, OutcomeUnknown (a write was sent, its answer lost), AuthenticationFailed,
        PermissionDenied, TrustFailure, IdentityMismatch, ProtocolViolation.
        """
        async with self._turn:
            self._exchange = Exchange(request)
            try:
                async with asyncio.timeout(request.deadline):
                    return await self._converse(request)
            except (Unreachable, OutcomeUnknown):
                self._digest, self._basic = None, False  # a restarted web server knows its old nonces no more
                raise
            except TimeoutError as error:
                self._digest, self._basic = None, False
                raise lost(self.endpoint, self._exchange, f"within {request.deadline:.0f} seconds") from error

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def _converse(self, request: Request) -> Answer:
        remembered = None if request.anonymous else self._authorization(request)
        answer = await self._send(request, remembered)
        if answer.status == 401:
            self.challenges = parse_challenges(answer.all("www-authenticate"))
            if self._login is None or request.anonymous:
                return answer
            if remembered is None or self._stale():
                self._settle()
                answer = await self._send(request, self._authorization(request))
                if answer.status == 401:
                    self.challenges = parse_challenges(answer.all("www-authenticate"))
            if answer.status == 401:
                self._digest, self._basic = None, False
                if self._let_in:
                    raise NotSupported(
                        f"{self.endpoint.host} takes the login and refuses an interface that certificates need, "
                        "as a door controller does while AXIS Camera Station Secure Entry owns it."
                    )
                raise AuthenticationFailed(
                    f"{self.endpoint.host} refused the user name or the password. "
                    "It is not tried again until the credential is changed."
                )
        if answer.status < 400 and not request.anonymous:
            self._let_in = self._digest is not None or self._basic
        if answer.status == 403 and not request.anonymous:
            raise PermissionDenied(f"{self.endpoint.host} does not let this user do that. An administrator is needed.")
        return answer

    def _stale(self) -> bool:
        return self._digest is not None and any(c.scheme == "digest" and c.stale for c in self.challenges)

    def _settle(self) -> None:
        """Choose how to answer the challenge, or raise: the realm must be the device's, Basic must be allowed."""
        self._digest, self._basic = None, False
        for challenge in self.challenges:
            self._check_realm(challenge)
        digest = choose(self.challenges)
        if digest is not None:
            self._digest = DigestSession(digest)
        elif "basic" not in self.schemes:
            raise NotSupported(
                f"{self.endpoint.host} asks for a login method that is not known here "
                f"({clean(', '.join(sorted(self.schemes))) or 'none named'}). No login was sent."
            )
        elif self._peer is None or not self._peer.basic:
            raise TrustFailure(basic_refused(self.endpoint, encrypted=self.encrypted))
        else:
            self._basic = True

    def _check_realm(self, challenge: Challenge) -> None:
        if challenge.scheme not in ("digest", "basic"):
            return
        serial = challenge.serial
        if serial is None:
            raise IdentityMismatch(
                f"{self.endpoint.host} asks for a login as “{clean(challenge.realm or '', limit=60)}”, "
                "not as an Axis device. No login was sent."
            )
        self.serial = self.serial or serial
        if serial != self.serial:
            raise IdentityMismatch(
                f"{self.endpoint.host} answers as device {serial}, not as {self.serial}. No login was sent."
            )

    def token(self) -> str:
        """128 random bits, hexadecimal."""
        return self._rng.bytes(16).hex()

    def _authorization(self, request: Request) -> str | None:
        if self._login is None:
            return None
        if self._digest is not None:
            return self._digest.header(self._login, request.method, request.target, self.token())
        if self._basic:
            pair = f"{self._login.username}:{self._login.password}".encode()
            return "Basic " + base64.b64encode(pair).decode()
        return None

    async def _send(self, request: Request, authorization: str | None) -> Answer:
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        if authorization is not None:
            headers["Authorization"] = authorization
        exchange = self._exchange = Exchange(request, self._port)
        try:
            session = await self._session(own_connection=request.write)
            if "%" in self._address:
                headers["Host"] = f"[{self._address.partition('%')[0]}]:{self._port}"
            async with session.request(
                request.method,
                self._url(request.target),
                data=request.body or None,
                headers=headers,
                allow_redirects=False,
                server_hostname=None if self._context is None else self.endpoint.name,
                trace_request_ctx=exchange,
            ) as response:
                exchange.answered = True
                answer = Answer(
                    response.status,
                    tuple((key.lower(), value) for key, value in response.headers.items()),
                    await _body(self.endpoint, response),
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if self._context is not None and self._context.refusal is not None:
                raise self._context.refusal from error
            raise translated(self.endpoint, exchange, error) from error
        self._note_clock(answer)
        _refuse_redirect(self.endpoint, answer)
        if answer.status in (429, 503):
            raise Busy(f"{self.endpoint.host} is busy and asks to be left alone for now (HTTP {answer.status}).")
        return answer

    def _note_clock(self, answer: Answer) -> None:
        if (date := answer.date) is not None:
            self.clock_offset = (date - self._clock.now()).total_seconds()

    async def _session(self, *, own_connection: bool) -> aiohttp.ClientSession:
        if not self._address:
            self._address = await resolve(self.endpoint.host, self._resolver)
        if own_connection not in self._sessions:
            self._sessions[own_connection] = _session(self._context, own_connection=own_connection)
        return self._sessions[own_connection]

    def _url(self, target: str) -> URL:
        scheme = "https" if self.encrypted else "http"
        host = f"[{self._address}]" if ":" in self._address else self._address
        return URL(f"{scheme}://{host}:{self._port}{target}", encoded=True)


async def _body(endpoint: Endpoint, response: aiohttp.ClientResponse) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ProtocolViolation(f"{endpoint.host} sent an encoded answer ({clean(encoding, limit=30)}) unasked.")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise ProtocolViolation(f"The answer of {endpoint.host} is longer than {BODY_LIMIT // 1_000_000} MB.")
    return bytes(body)


def _refuse_redirect(endpoint: Endpoint, answer: Answer) -> None:
    if answer.status in _REDIRECTS:
        location = answer.header("location") or ""
        raise Redirected(
            f"{endpoint.host} points to {clean(location, limit=80) or 'another place'} instead of answering. "
            "Redirects are not followed.",
            location=location,
        )


def _session(context: tls.DeviceContext | None, *, own_connection: bool) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    connector = aiohttp.TCPConnector(
        ssl=True if context is None else context,
        limit=1,
        force_close=own_connection,
        keepalive_timeout=None if own_connection else 3.0,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=tls.CONNECT_SECONDS),
        trace_configs=[trace],
        skip_auto_headers=["User-Agent"],
        middlewares=(_never_twice,) if own_connection else (),
    )


class _Cut(aiohttp.ClientConnectionError):
    """A connection that ended early, as an error that aiohttp does not answer by sending again."""


async def _never_twice(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Cut from error


async def _note_sent(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.sent = True
