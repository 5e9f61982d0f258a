"""From "an entry is in the device's store" to "it serves HTTPS, and that is proved", for every procedure.

The way back is opened and proved first, plain HTTP closed last, and each step has its undo recorded before it acts.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from fleetseal.core.errors import TlsTooOld, TrustFailure, VerificationFailed
from fleetseal.core.model import Alias, ConnectionPolicy, HttpsState
from fleetseal.core.text import clean
from fleetseal.devices.driver import Verification
from fleetseal.operations.plan import Switch, with_policy
from fleetseal.operations.work import NOT_ANSWERING, Work, restore_https, switch_https
from fleetseal.store.database import Transaction


@dataclass(frozen=True)
class Target:
    """The entry that is to serve HTTPS, and what a stranger must find there."""

    alias: Alias
    leaf: bytes
    anchors: tuple[bytes, ...] | None  # None: no CA is known here that vouches for it; this very leaf is the proof
    intermediates: tuple[bytes, ...]
    name: str


async def carry_through(
    work: Work,
    switch: Switch,
    *,
    place: Callable[[], Awaitable[Target]],
    again: Callable[[], Awaitable[Target]],
    record: Callable[[Target, Transaction], Awaitable[Any]],
) -> bool:
    """The target serves HTTPS by the wished policy, proved twice and recorded; False: the run ends here, and the
    second look follows in a later one. `place` puts the target into the device's store, `again` only names it."""
    if work.run.recorded("record") is not None:
        return True
    if work.run.recorded("verify") is None:
        await _prepare(work, switch)
        target = await place()
        await switch_https(
            work,
            "bind",
            bound(switch, target.alias),
            undo=restore_https(switch.previous, dead=switch.dead_before),
            detail=f"HTTPS serves the entry {clean(target.alias)}.",
        )
        await verify(work, "verify", target)
    if work.run.recorded("verify-again") is None and await _soaks(work):
        return False
    target = await again()
    await verify(work, "verify-again", target)
    await _apply_policy(work, switch, target)
    await work.run.local("record", partial(record, target), detail="The inventory is up to date.")
    return True


async def constant(value: Any, _: Transaction) -> Any:
    """A local step that only records `value`."""
    return value


async def _prepare(work: Work, switch: Switch) -> None:
    if switch.set_clock:
        await set_clock(work)
    if switch.open_http and work.run.step("bind") is None:
        await open_http(work, switch.previous)
    if work.settings.https_escape_route != "none":
        await prove_way_back(work)


def bound(switch: Switch, alias: Alias) -> HttpsState:
    """Our entry serves HTTPS; plain HTTP is as open as it was, or as the way back needs it."""
    still_closed = switch.previous.policy is ConnectionPolicy.HTTPS and not switch.open_http
    policy = ConnectionPolicy.HTTPS if still_closed else ConnectionPolicy.HTTP_AND_HTTPS
    return replace(with_policy(switch.previous, policy), tls=True, alias=alias)


async def set_clock(work: Work) -> None:
    """DEV-CLOCK: by the device's clock, too, the certificate is valid before the switch."""

    async def look() -> bool | None:
        async with work.connection() as connection:
            offset = (await connection.driver.clock() - work.services.clock.now()).total_seconds()
        return abs(offset) < timedelta(minutes=5).total_seconds() or None

    async def act() -> None:
        async with work.connection() as connection:
            await connection.driver.set_clock(work.services.clock.now())

    await work.run.device("clock", look=look, act=act, detail="The device's clock is right.")


async def open_http(work: Work, previous: HttpsState) -> None:
    """The way back of a device that allows HTTPS only: plain HTTP is open beside it until all is verified."""
    target = with_policy(previous, ConnectionPolicy.HTTP_AND_HTTPS)
    await switch_https(
        work,
        "open-http",
        target,
        undo=restore_https(previous),
        detail="Plain HTTP is open beside HTTPS, as the way back.",
    )


async def prove_way_back(work: Work) -> None:
    """A login over plain HTTP worked and is recorded: from now on an undo may use it. Ends in TrustFailure
    or VerificationFailed when there is none."""
    if work.run.recorded("way-back") is not None:
        return

    async def log_in() -> bool:
        async with work.plain_connection():
            return True

    try:
        await work.patiently(log_in, seconds=patience(work, "open-http"))
    except NOT_ANSWERING as error:
        raise VerificationFailed(f"No way back: {error.message}") from error
    except TrustFailure as error:
        raise TrustFailure(f"No way back: {error.message}") from error
    await work.run.local("way-back", partial(constant, True), detail="A login over plain HTTP works.")


def patience(work: Work, step: str) -> float:
    """Long while the web server may be restarting from that step; otherwise the retry ladder waits, not we."""
    return float(work.settings.https_verify_seconds) if work.run.step(step) is not None else 0.0


# ---------------------------------------------------------------- proof


async def verify(work: Work, name: str, target: Target) -> None:
    """A new connection, made like a stranger's, proved chain, name, this very leaf and a login (DEV-VERIFY-FIRST);
    without anchors this very leaf and a login."""
    if work.run.recorded(name) is not None:
        return
    check = partial(
        work.connector.verify,
        work.device.endpoint,
        work.login,
        anchors=target.anchors,
        intermediates=target.intermediates,
        leaf_sha256=hashlib.sha256(target.leaf).digest(),
        name=target.name,
        serial=work.serial,
    )
    found = await _until_verified(work, check)
    proved = "chain, name, this very certificate" if target.anchors is not None else "this very certificate"
    await work.run.local(
        name,
        partial(constant, {"chain_sent": found.chain_sent}),
        detail=f"{found.served.tls_version}: {proved} and a login were proved from outside.",
    )


async def _soaks(work: Work) -> bool:
    """Whether the run ends here, and the second look follows later; it follows now where the clock went back."""
    first, soak = work.run.step("verify"), work.settings.https_soak_seconds
    assert first is not None
    elapsed = (work.services.clock.now() - first.at).total_seconds()
    if not 0 <= elapsed < soak:
        return False
    await work.wait(soak - elapsed, f"HTTPS works; a second look follows after {soak} s.")
    return True


async def _until_verified(work: Work, check: Callable[[], Awaitable[Verification]]) -> Verification:
    """The verification, waiting for a web server that restarts or still serves the old certificate."""
    try:
        return await work.patiently(
            check, seconds=work.settings.https_verify_seconds, while_=(*NOT_ANSWERING, VerificationFailed)
        )
    except TlsTooOld:
        raise
    except NOT_ANSWERING as error:
        raise VerificationFailed(
            f"The device stopped answering HTTPS with the new certificate. {error.message}"
        ) from error


async def _apply_policy(work: Work, switch: Switch, target: Target) -> None:
    """HTTPS only, if that was wished, and only now; verified again."""
    open_state = bound(switch, target.alias)
    if switch.policy is open_state.policy:
        return
    await switch_https(
        work,
        "policy",
        with_policy(open_state, switch.policy),
        undo=restore_https(open_state),
        detail="The device accepts HTTPS only."
        if switch.policy is ConnectionPolicy.HTTPS
        else "The device accepts HTTP and HTTPS.",
    )
    await verify(work, "verify-policy", target)
