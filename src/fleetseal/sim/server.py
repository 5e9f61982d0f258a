"""The ports of a virtual device: real listeners, real TLS, restarts that really close them (device-api 19.3)."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable, Iterable, Sized
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from typing import SupportsIndex

from cryptography import x509
from cryptography.x509.oid import NameOID

from fleetseal.sim import certificates, hostile
from fleetseal.sim.device import Device
from fleetseal.sim.http import MAX_LINE, BadRequest, Dropped, Headers, Request, Response, encode, read_request
from fleetseal.sim.listeners import Listeners
from fleetseal.sim.tls import Credential, credential

Answer = Callable[[Request], Awaitable[Response]]


@dataclass
class RequestRecord:
    """One request as it arrived. Credentials are counted, never kept."""

    at: datetime
    method: str
    target: str
    secure: bool
    authorization: str | None  # "Basic", "Digest"
    credential_bytes: int  # of the Authorization header and of passwords in query or body
    body_bytes: int
    served_sha256: str | None  # the certificate it was sent to; None on plain HTTP
    status: int | None = None  # None: no answer was sent


class _Reader(asyncio.StreamReader):
    """Counts what arrives, before anything reads it."""

    received = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.received += len(data) if isinstance(data, Sized) else 0
        super().feed_data(data)


class _Tls(SSLProtocol):
    """Sends the alert of a failed handshake, as web servers do; the standard protocol drops it. Its socket is among
    `sockets` while it is open, also before the handshake has ended and while reading is paused: the loop alone would
    let go of it then."""

    sockets: set[asyncio.BaseTransport]
    socket: asyncio.BaseTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.socket = transport
        self.sockets.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.sockets.discard(self.socket)
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if handshake_exc is not None:
            self._process_outgoing()  # type: ignore[attr-defined]  # missing in typeshed
        super()._on_handshake_complete(handshake_exc)


class DeviceServer:
    """Listeners of one device. `open` before use, `close` at the end; `requests` grows as they come."""

    def __init__(self, device: Device, answer: Answer, *, headers: Callable[[bool], Headers]) -> None:
        self.requests: list[RequestRecord] = []
        self.connections = 0
        self.bytes_received = 0  # application data, on both ports
        self.restarts = 0
        self._device = device
        self._answer = answer
        self._headers = headers
        self._listeners = Listeners(device)
        self._working: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._sockets: set[asyncio.BaseTransport] = set()  # of TLS connections that are open
        self._lock = asyncio.Lock()
        self._closing = False
        self._current: Credential | None = None
        self._stale: Credential | None = None
        self._wrong: Credential | None = None

    async def open(self) -> None:
        """Both ports are known, and those that the configuration opens listen. It may have been closed before."""
        self._closing = False
        for secure in (False, True):
            self._listeners.hold(secure)
        await self.reconcile()

    async def close(self) -> None:
        """Nothing listens, no connection is left."""
        self._closing = True
        self._stop()
        tasks = list(self._working)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in list(self._sockets):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        for _ in range(3):  # the loop closes what was aborted
            await self._device.around.clock.sleep(0)
        self._listeners.let_go()

    async def reconcile(self) -> None:
        """Listeners and certificate are as configuration and faults say now."""
        async with self._lock:
            self._stop(abort=False)
            await self._start()

    async def restart(self) -> None:
        """The web server was away for `restart_seconds` and is back with the present configuration."""
        async with self._lock:
            self._device.changed.clear()
            self.restarts += 1
            self._stop()
            await self._device.around.clock.sleep(self._device.faults.restart_seconds)
            await self._start()

    @property
    def listening(self) -> bool:
        """Every listener that is wanted is there."""
        return all((secure in self._listeners) is self._wanted(secure) for secure in (False, True))

    @property
    def served(self) -> x509.Certificate | None:
        """What a handshake would show now; None when there is none to be had."""
        if True not in self._listeners or self._dead():
            return None
        shown = self._shown()
        return None if shown is None else shown.leaf

    # ------------------------------------------------------------ listeners

    def _wanted(self, secure: bool) -> bool:
        web, faults = self._device.web, self._device.faults
        if faults.unreachable:
            return False
        if secure:
            return web.tls and web.admin != "Http" and web.bound is not None
        return not faults.http_closed and (web.admin != "Https" or faults.http_redirects)

    async def _start(self) -> None:
        web = self._device.web
        if web.tls and web.bound is not None:
            await self._load(web.bound)
        for secure in (False, True):
            if self._wanted(secure) and secure not in self._listeners:
                await self._listeners.open(secure, partial(self._protocol, secure))

    def _stop(self, *, abort: bool = True) -> None:
        self._listeners.close()
        if abort:
            own = asyncio.current_task()
            for task, writer in self._working.items():
                if task is not own:
                    writer.transport.abort()

    def _protocol(self, secure: bool) -> asyncio.BaseProtocol:
        loop = asyncio.get_running_loop()
        reader = _Reader(limit=MAX_LINE, loop=loop)

        async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._connected(reader, writer, secure=secure)

        plain = asyncio.StreamReaderProtocol(reader, connected, loop=loop)
        if not secure or self._current is None:
            return plain
        waiter = loop.create_future()
        waiter.cancel()  # nobody waits for the handshake
        secured = _Tls(loop, plain, self._current.context, waiter, server_side=True, ssl_handshake_timeout=5)
        secured.sockets = self._sockets
        return secured

    # ------------------------------------------------------------ TLS

    async def _load(self, alias: str) -> None:
        device = self._device
        entry = device.store.get(alias)
        if entry.key is None:
            return
        age = device.profile.tls
        chain = tuple(device.store.chain(entry.certificate)) if age.sends_chain else ()
        made = credential(alias, entry.certificate, entry.key, chain=chain, age=age, ciphers=device.web.ciphers)
        if not device.faults.serves_old_certificate:
            self._stale = None
        elif self._stale is None:
            self._stale = self._current
        self._current = made
        made.context.sni_callback = self._choose
        if device.faults.serves_wrong_leaf and self._wrong is None:
            self._wrong = await self._stranger()

    async def _stranger(self) -> Credential:
        """A certificate that nobody asked for, with a key of its own."""
        device = self._device
        key = await device.around.keys.make(f"RSA-{device.profile.keys.rsa_bits}")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
        valid = certificates.year_from(device.now())
        leaf = certificates.self_signed(key, name, rng=device.around.rng, valid=valid)
        age = device.profile.tls
        return credential("", leaf, key, chain=(), age=age, ciphers=device.web.ciphers)

    def _dead(self) -> bool:
        """Handshakes fail now (faults), which spares what was bound at the first start."""
        device, faults = self._device, self._device.faults
        if not self._new():
            return False
        if faults.tls_dead_on_new_certificate:
            return True
        age = device.around.clock.monotonic() - device.bound_since
        return faults.tls_dies_after is not None and age >= faults.tls_dies_after

    def _shown(self) -> Credential | None:
        faults = self._device.faults
        if faults.serves_wrong_leaf and self._wrong is not None and self._new():
            return self._wrong
        return self._stale if faults.serves_old_certificate and self._stale is not None else self._current

    def _new(self) -> bool:
        """What is bound was not there at the first start."""
        return self._device.web.bound not in self._device.first_bound

    def _choose(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        """Called in each handshake, with or without a server name."""
        if name is not None and "%" in name:  # no DNS name (RFC 6066 3)
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        if self._dead():
            return int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
        shown = self._shown()
        if shown is not None and shown.context is not context:
            handshake.context = shown.context
        return None

    # ------------------------------------------------------------ connections

    async def _connected(self, reader: _Reader, writer: asyncio.StreamWriter, *, secure: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._working[task] = writer
        try:
            if self._device.faults.unreachable:
                writer.transport.abort()
                return
            restart = await self._converse(reader, writer, secure=secure)
            if restart:
                await self.restart()
        except (Dropped, OSError, ssl.SSLError):
            writer.transport.abort()
        except asyncio.CancelledError:  # by `close`, which waits for the end of this task
            if not self._closing:
                raise
            writer.transport.abort()
        finally:
            self.bytes_received += reader.received
            self._working.pop(task, None)
            writer.close()
            try:
                await writer.wait_closed()
            except (OSError, ssl.SSLError):
                pass
            except asyncio.CancelledError:  # by `close`, as above
                if not self._closing:
                    raise

    async def _converse(self, reader: _Reader, writer: asyncio.StreamWriter, *, secure: bool) -> bool:
        """Requests and answers until the client is done; whether the web server is to restart now."""
        while True:
            try:
                request = await read_request(reader, secure=secure)
            except BadRequest as error:
                writer.write(encode(Response.text("", status=error.status), self._common(secure), close=True))
                await writer.drain()
                return False
            if request is None:
                return False
            record = self._record(request, writer)
            restart = await self._exchange(request, record, writer)
            if restart:
                writer.close()
                with suppress(OSError, ssl.SSLError, TimeoutError):
                    async with asyncio.timeout(1.0):
                        await writer.wait_closed()
                return True
            if request.headers.get("connection", "").lower() == "close":
                return False

    async def _exchange(self, request: Request, record: RequestRecord, writer: asyncio.StreamWriter) -> bool:
        faults = self._device.faults
        if faults.answer is not None and request.target.startswith(faults.answer_on):
            await hostile.answer(faults.answer, writer, self._device.around.clock)
            raise Dropped
        try:
            response = await self._answer(request)
        except Dropped:
            if self._device.changed.is_set():  # the effect goes on without its answer
                writer.transport.abort()
                await self.restart()
            raise
        restart = self._device.changed.is_set()
        if restart and faults.answer_after_restart:
            writer.transport.abort()
            return True
        record.status = response.status
        close = restart or request.headers.get("connection", "").lower() == "close"
        lower_case = request.secure and self._device.profile.login.apache  # 401-https-headers.txt of the P3265-V
        writer.write(encode(response, self._common(request.secure), close=close, lower_case=lower_case))
        await writer.drain()
        return restart

    def _common(self, secure: bool) -> Headers:
        date = format_datetime(self._device.now(), usegmt=True)
        return (("Date", date), *self._headers(secure))

    def _record(self, request: Request, writer: asyncio.StreamWriter) -> RequestRecord:
        login = request.headers.get("authorization")
        scheme = None if login is None else login.partition(" ")[0].capitalize()
        secret = request.query.get("pwd", "") if request.path.endswith("/pwdgrp.cgi") else ""
        served = None
        if writer.get_extra_info("ssl_object") is not None:
            shown = self._shown()
            served = None if shown is None else certificates.fingerprint(shown.leaf)
        record = RequestRecord(
            at=self._device.around.clock.now(),
            method=request.method,
            target=_without_password(request.target),
            secure=request.secure,
            authorization=scheme,
            credential_bytes=len(login or "") + len(secret),
            body_bytes=len(request.body),
            served_sha256=served,
        )
        self.requests.append(record)
        return record


def _without_password(target: str) -> str:
    path, mark, query = target.partition("?")
    fields = ["pwd=*" if field.startswith("pwd=") else field for field in query.split("&")]
    return path + mark + "&".join(fields)
