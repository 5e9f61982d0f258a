"""A job's hold on its device: how it connects, waits, and puts back what it changed.

Each step opens its own connection, and opening proves identity anew. While the job is active the device is also
recognised by the exact leaf that this job issued.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import chain, repeat
from typing import Any, TypeVar

from fleetseal.core.config import Settings
from fleetseal.core.errors import (
    AuthenticationFailed,
    Busy,
    DeviceError,
    IdentityMismatch,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TlsTooOld,
    TrustFailure,
    Unreachable,
    VerificationFailed,
)
from fleetseal.core.model import (
    Alias,
    Anchored,
    ConnectionPolicy,
    Device,
    HttpsState,
    JobStatus,
    Login,
    PeerTrust,
    Pinned,
    Plaintext,
    Serial,
)
from fleetseal.devices.driver import Connection, Connector
from fleetseal.jobs.run import Run, Undo
from fleetseal.operations import issuing
from fleetseal.operations.plan import https_from_json, with_policy
from fleetseal.operations.services import Services
from fleetseal.operations.trust import peer_trust
from fleetseal.store import tasks
from fleetseal.store.database import Transaction

T = TypeVar("T")

_PAUSES = (0.2, 0.4, 0.8, 1.5, 3.0)
"""Seconds between two looks at a device whose web server may be restarting; the last one repeats (device-api 6.4)."""
NOT_ANSWERING = (Unreachable, Busy, OutcomeUnknown)


class Ended(Exception):
    """The job's outcome is recorded; the run returns."""


@dataclass(frozen=True)
class Work:
    """One run of one job on one device."""

    services: Services
    settings: Settings
    connector: Connector
    run: Run
    device: Device
    login: Login
    wish: dict[str, Any]

    @property
    def serial(self) -> Serial:
        """The device's; a device that has been logged into has told it."""
        if self.device.serial is None:
            raise IdentityMismatch("The device has not told its serial number: look at it again with `device refresh`.")
        return self.device.serial

    @property
    def actor(self) -> str:
        return f"task {self.run.job.task_id}"

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """An open connection to this very device, by the trust it has or by this job's leaf.

        Raises Unreachable when its web server went from one to the other in the meantime: nothing was sent to it
        under the wrong one, and the next look knows better.
        """
        trust = await self.trust()
        try:
            async with self.connector.open(self.device.endpoint, trust, self.login, serial=self.serial) as connection:
                yield connection
        except IdentityMismatch as error:
            if await self.trust() == trust:
                raise
            raise Unreachable("The device changed its certificate while it was being asked.") from error

    @asynccontextmanager
    async def plain_connection(self) -> AsyncIterator[Connection]:
        """The way back: plain HTTP, digest, the realm of this serial. For proving it, and for undos."""
        async with self.connector.open(self.device.endpoint, Plaintext(), self.login, serial=self.serial) as connection:
            yield connection

    async def trust(self) -> PeerTrust:
        """What the inventory says of this device; or this job's own leaf, if the device serves that now."""
        own: PeerTrust | TrustFailure
        async with self.services.database.reading() as tx:
            leaves = await _leaves(self.run, tx)
            try:
                own = await peer_trust(self.services, tx, self.device)
            except TrustFailure as error:  # of what it showed before: this job's leaf is believed all the same
                own = error
        bound = adopted(self.run)
        served = await self._served() if leaves or bound else None
        if served is not None and served in leaves:
            return Anchored(anchors=(), leaves=frozenset({hashlib.sha256(served).digest()}))
        if served is not None and bound and served == bound[0]:
            return Pinned(hashlib.sha256(served).digest(), accepted=bound[1])
        if isinstance(own, TrustFailure):
            raise own
        return own

    async def _served(self) -> bytes | None:
        """The leaf that the device shows now; None when it shows none."""
        try:
            return (await self.connector.served(self.device.endpoint)).leaf
        except Unreachable:
            return None

    async def patiently(
        self,
        act: Callable[[], Awaitable[T]],
        *,
        seconds: float,
        while_: tuple[type[DeviceError], ...] = NOT_ANSWERING,
    ) -> T:
        """What `act` returns once the device answers; its last error after this many seconds.

        For the gap in which a web server restarts: only the errors `while_` are waited out.
        """
        clock = self.services.clock
        deadline = clock.monotonic() + seconds
        for pause in pauses():
            try:
                return await act()
            except while_ as error:
                if isinstance(error, TlsTooOld) or clock.monotonic() >= deadline:
                    raise
            await clock.sleep(pause)
        raise AssertionError("pauses never end")

    async def until(self, look: Callable[[], Awaitable[T | None]], *, seconds: float) -> T | None:
        """What `look` finds, waiting for the device to answer and to show it; None when the time is over."""
        clock = self.services.clock
        deadline = clock.monotonic() + seconds
        for pause in pauses():
            found = await self.patiently(look, seconds=max(0.0, deadline - clock.monotonic()))
            if found is not None or clock.monotonic() >= deadline:
                return found
            await clock.sleep(pause)
        raise AssertionError("pauses never end")

    async def wait(self, seconds: float, why: str) -> None:
        """The run ends here and keeps no place in the queue; the engine starts the job again after this time."""
        at = self.services.clock.now() + timedelta(seconds=seconds)
        async with self.run.transaction() as tx:
            await tasks.guarded_update(
                tx,
                self.run.job,
                run_after=at,
                status=JobStatus.WAITING,
                description=why,
                attempts=0,
                first_failure=None,
            )


async def _leaves(run: Run, tx: Transaction) -> frozenset[bytes]:
    """The leaves of ours that this job has served: signed for it, or the one that was there and is bound again."""
    signed = await issuing.leaves_of_job(tx, run.job.id)
    if (run.recorded("plan") or {}).get("issue", True):
        return signed
    there = await issuing.installed(tx, run.job.device_id)
    return signed if there.der is None else signed | {there.der}


def adopted(run: Run) -> tuple[bytes, bool] | None:
    """The certificate of another issuer that this job binds, and whether its key is on a device that had proved its
    identity."""
    plan = run.recorded("plan") or {}
    if "leaf" not in plan:
        return None
    return bytes.fromhex(plan["leaf"]), bool(plan["proved"] or run.recorded("proved"))


def pauses() -> Iterator[float]:
    """Seconds to wait before each further look, for ever."""
    return chain(_PAUSES, repeat(_PAUSES[-1]))


async def execute_undo(work: Work, undo: Undo) -> str:
    """The device is again as the undo says; returns what was done, for people. Raises when it could not be.

    Safe to run twice: each verb looks first.
    """
    return await _UNDOS[undo["verb"]](work, undo)


async def switch_https(work: Work, name: str, target: HttpsState, *, undo: Undo | None, detail: str) -> None:
    """The web server is configured as `target`, read back after its restart; recorded as step `name`.

    Raises VerificationFailed when the device cannot be reached any more: what follows is the rollback.
    """
    switched = work.run.step(name) is not None

    async def read() -> bool | None:
        async with work.connection() as connection:
            return same_https(await connection.driver.https(), target) or None

    async def look() -> bool | None:
        if not switched:
            return await read()
        try:
            return await work.until(read, seconds=work.settings.https_verify_seconds)
        except NOT_ANSWERING as error:
            raise VerificationFailed(
                "The device stopped answering HTTPS after its web server was reconfigured."
            ) from error

    async def act() -> None:
        nonlocal switched
        async with work.connection() as connection:
            switched = True
            await connection.driver.set_https(target)

    await work.run.device(name, look=look, act=act, undo=undo, detail=detail)


def restore_https(state: HttpsState, *, dead: bool = False) -> Undo:
    """`dead`: HTTPS answered nobody in that state, and need not answer when it is back."""
    return {"verb": "restore-https", "state": asdict(state), "dead": dead}


def remove_alias(alias: Alias) -> Undo:
    return {"verb": "remove-alias", "alias": alias}


@asynccontextmanager
async def _any_connection(work: Work) -> AsyncIterator[Connection]:
    """By the usual trust; if that does not let us in, by the way back that this job proved (an undo, and nothing
    else)."""
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(work.connection())
        except AuthenticationFailed:
            raise  # a refused login is not sent again, and not in clear
        except (DeviceError, TrustFailure):
            if not work.run.recorded("way-back"):
                raise
            connection = await stack.enter_async_context(work.plain_connection())
        yield connection


async def _restore_https(work: Work, undo: Undo) -> str:
    """Binding and policy are as before, read back. Plain HTTP is closed last, once HTTPS lets us in again by the old
    binding: where it does not, the device keeps the way back open (DEV-REACHABLE)."""
    before = https_from_json(undo["state"])
    patience = work.settings.https_verify_seconds
    now = await work.patiently(lambda: _read_https(work), seconds=patience)
    if before.policy is ConnectionPolicy.HTTPS and now.policy is not ConnectionPolicy.HTTPS:
        await _put_https(work, with_policy(before, ConnectionPolicy.HTTP_AND_HTTPS))
        await work.patiently(lambda: _prove_login(work), seconds=patience, while_=(*NOT_ANSWERING, IdentityMismatch))
    await _put_https(work, before)
    if undo.get("dead"):
        return "HTTPS is configured as before; it answered nobody before, either."
    if before.tls and before.policy is not ConnectionPolicy.HTTP:
        await work.patiently(lambda: _prove_tls(work), seconds=patience)
        return "The previous certificate serves HTTPS again."
    return "HTTPS is off again, as before."


async def _read_https(work: Work) -> HttpsState:
    async with _any_connection(work) as connection:
        return await connection.driver.https()


async def _put_https(work: Work, target: HttpsState) -> None:
    """The web server is configured as `target`, read back."""

    async def look() -> bool | None:
        return same_https(await _read_https(work), target) or None

    async def act() -> None:
        async with _any_connection(work) as connection:
            await connection.driver.set_https(target)

    patience = work.settings.https_verify_seconds
    if await work.patiently(look, seconds=patience):
        return
    with suppress(OutcomeUnknown, Rejected):  # never repeated blindly: the look below decides what happened
        await work.patiently(act, seconds=patience, while_=(Unreachable, Busy))
    if not await work.until(look, seconds=patience):
        raise Rejected("The previous HTTPS configuration could not be put back: the device does not take it.")


async def _prove_login(work: Work) -> None:
    """HTTPS completes a handshake, and the usual way in, which is by HTTPS where the device was anchored, works."""
    await _prove_tls(work)
    async with work.connection():
        return


async def _prove_tls(work: Work) -> None:
    """HTTPS completes a handshake, in whatever version of TLS. Raises Unreachable when it does not."""
    with suppress(TlsTooOld):
        await work.connector.served(work.device.endpoint)


def same_https(now: HttpsState, before: HttpsState) -> bool:
    return (now.tls, now.policy, now.alias, now.other_policies) == (
        before.tls,
        before.policy,
        before.alias,
        before.other_policies,
    )


async def _remove_alias(work: Work, undo: Undo) -> str:
    alias = Alias(undo["alias"])

    async def remove() -> None:
        async with _any_connection(work) as connection:
            if await holds(connection, alias):
                refusal = None
                try:
                    await connection.driver.remove(alias)
                except (NotFound, OutcomeUnknown):
                    pass
                except Rejected as error:  # it may have done it all the same (DEV-READ-BACK)
                    refusal = error
                if await holds(connection, alias):
                    raise refusal or Rejected(f"The entry {alias} could not be removed from the device.")

    await work.patiently(remove, seconds=work.settings.https_verify_seconds)
    return f"The entry {alias} was removed."


async def holds(connection: Connection, alias: Alias) -> bool:
    """Whether the device's store has an entry of this name, with a key or as a CA."""
    entries = [entry.alias for entry in await connection.driver.certificates()]
    return alias in entries or alias in [entry.alias for entry in await connection.driver.authorities()]


def store_is_full(error: Rejected) -> bool:
    """Whether the device refused an entry because its store holds no more (device-api 7.7, 8.6; by its text, which is
    inferred, where it speaks REST)."""
    words = f"{error.vendor_code} {error.vendor_text}"
    return any(full in words for full in ("MaxNumberOfCertificates", "MaxCertificates", "store is full"))


def is_harm(undo: Undo) -> bool:
    """A device on which this was not undone is worse than before (DEV-WAVES). An entry too many, which nothing uses,
    closes no way to it: that is an alarm, and the next job removes it (DEV-NO-LEFTOVERS)."""
    return bool(undo["verb"] != "remove-alias")


_UNDOS: dict[str, Callable[[Work, Undo], Awaitable[str]]] = {
    "restore-https": _restore_https,
    "remove-alias": _remove_alias,
}
