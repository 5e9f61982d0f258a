"""Getting in: signing in and out, sessions, the first administrator, and who a session or a token is.

Sessions and limits on guesses are rows of the database, so that they are exact across processes and end at once
(WEB-SHARED-LIMITS). Of what lets somebody in only a hash is kept.
"""

import base64
import hashlib
import hmac
import ipaddress
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from fleetseal.core import passwords
from fleetseal.core.access import Caller, Role
from fleetseal.core.errors import NotSignedIn, SignInRefused, TooManyAttempts
from fleetseal.core.secrets import Secret
from fleetseal.operations import accounts
from fleetseal.operations.recording import line
from fleetseal.operations.services import Services
from fleetseal.store import access as store
from fleetseal.store.database import Transaction

IDLE: Final = timedelta(minutes=30)  # after the last request, to the minute
MOST: Final = timedelta(hours=12)  # after signing in
CONFIRMED: Final = timedelta(minutes=5)  # after the password was given again
CODE_LIFE: Final = timedelta(hours=24)
CODE_GUESSES: Final = 10

_LONGEST_PAUSE: Final = timedelta(minutes=15)
_MEMORY: Final = timedelta(hours=24)  # wrong guesses count that long


def _pauses(free: int) -> dict[int, timedelta]:
    """So many wrong guesses in a row cost nothing; then 30 s, doubled each time, up to the longest pause."""
    growing = {free + step: timedelta(seconds=30 * 2**step) for step in range(5)}
    return {count: timedelta(0) for count in range(1, free)} | growing


_LIMITS: Final = {"name": _pauses(5), "address": _pauses(20), "session": _pauses(5)}
"""For each user, and for each address that guesses: many people may sit behind one. Where somebody is signed in, for
that session alone: nobody else can use its guesses up."""

_REFUSED: Final = "Name or password is wrong."
_CODE_REFUSED: Final = (
    "The setup code is wrong, or has ended: it is good for 24 hours and 10 guesses. "
    "On the computer of the server, make a new one: fleetseal user setup-code"
)
_SET_UP: Final = (
    "The first administrator was made already, with another name or password. Load this page anew to sign in."
)
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letter looks like another


@dataclass(frozen=True)
class Opened:
    """A new session. `value` is for the cookie; it is nowhere else."""

    value: Secret
    caller: Caller


# ---------------------------------------------------------------- who asks


async def by_session(services: Services, value: str, *, noting: bool = True) -> Caller | None:
    """Whose session this is; None when it has ended. Role and name are those of this moment. `noting`: a person asks,
    and the session is idle no longer."""
    now, sha256 = services.clock.now(), _sha256(value)
    async with services.database.reading() as tx:
        row = await store.find_session(tx, sha256, now=now, idle=IDLE, most=MOST)
    if row is None:
        return None
    if noting and store.worth_noting(row.seen, now):
        async with services.database.transaction() as tx:
            await store.note_session(tx, row, now=now)
    until = None if row.confirmed is None else row.confirmed + CONFIRMED
    valid = until if until is not None and now < until <= now + CONFIRMED else None
    return Caller(row.name, Role(row.role), account=row.account_id, session=row.id, confirmed_until=valid)


async def by_token(services: Services, value: str) -> Caller | None:
    """Whose API token this is; None when there is none, or it has ended."""
    now = services.clock.now()
    async with services.database.reading() as tx:
        row = await store.find_token(tx, _sha256(value), now=now)
    if row is None:
        return None
    if store.worth_noting(row.last_used, now):
        async with services.database.transaction() as tx:
            await store.note_token(tx, row.id, now=now)
    return Caller(f"token {row.name}", Role(row.scope), token=row.id)


async def opened(services: Services) -> tuple[int, ...]:
    """Not the same as before when a session or a token has ended since."""
    async with services.database.reading() as tx:
        return await store.opened(tx)


async def needs_setup(services: Services) -> bool:
    """Nobody can sign in yet."""
    async with services.database.reading() as tx:
        return not await store.any_user(tx)


# ---------------------------------------------------------------- signing in and out


async def sign_in(services: Services, *, name: str, password: Secret, address: str, before: str | None) -> Opened:
    """A new session; `before`, the value of one that this browser had, ends.

    Raises SignInRefused, the same and after the same work whatever is wrong, and TooManyAttempts.
    """
    keys = {"name": name.casefold(), "address": _network(address)}
    user = await _checked(services, name.casefold(), password, keys, address=address, purpose="sign in")
    async with services.database.transaction() as tx:
        await _still(tx, user)
        if before is not None:
            await store.remove_session(tx, _sha256(before))
        return await _open(services, tx, user.id, action="sign in", address=address)


async def sign_out(services: Services, caller: Caller, value: str) -> None:
    """The session ends."""
    async with services.database.transaction() as tx:
        await store.remove_session(tx, _sha256(value))
        await line(services, tx, "sign out", caller.actor, actor=caller.actor)


async def confirm(services: Services, caller: Caller, password: Secret, *, address: str) -> Caller:
    """The password was given again: sensitive actions may be asked for, for some minutes. Raises as `sign_in`."""
    keys = {"session": str(_session(caller))}
    user = await _checked(services, caller.actor, password, keys, address=address, purpose="confirm")
    async with services.database.transaction() as tx:
        await _still(tx, user)
        now = services.clock.now()
        await store.confirm_session(tx, _session(caller), now=now)
        await line(services, tx, "password confirm", user.name, {"from": address}, actor=user.name)
    return replace(caller, confirmed_until=now + CONFIRMED)


async def change_password(services: Services, caller: Caller, *, old: Secret, new: Secret, address: str) -> Opened:
    """The new one counts from now on. Every session and token of this user ends; the session returned is a new one.

    Raises InvalidInput when the new one may not be a password, and as `sign_in`.
    """
    passwords.check(new, name=caller.actor)
    keys = {"session": str(_session(caller))}
    user = await _checked(services, caller.actor, old, keys, address=address, purpose="password change")
    kept = await services.passwords.hash(new)
    async with services.database.transaction() as tx:
        await _still(tx, user)
        await store.change_user(tx, user.id, password=kept)
        await store.end_access(tx, user.id)
        return await _open(services, tx, user.id, action="password change", address=address)


# ---------------------------------------------------------------- the first administrator


async def make_setup_code(services: Services, *, actor: str) -> Secret | None:
    """A new code, by which the first administrator is made, in place of any before it; None when there is a user.

    It is good for 24 hours and 10 guesses. Only its hash is kept: it must be shown now.
    """
    number = int.from_bytes(services.rng.bytes(10), "big")
    code = "".join(_ALPHABET[number >> 5 * place & 31] for place in range(16))
    async with services.database.transaction() as tx:
        if await store.any_user(tx):
            return None
        await store.put_setup_code(tx, sha256=_sha256(code), expires=services.clock.now() + CODE_LIFE)
        await line(services, tx, "user setup code", "first administrator", actor=actor)
    return Secret("-".join(code[place : place + 4] for place in range(0, 16, 4)))


async def set_up(services: Services, *, code: Secret, name: str, password: Secret, address: str) -> Opened:
    """The first administrator, made by the code, and a session of that one. The code is used up.

    Where users are already, it is no more than signing in: whoever lost the answer asks again, and is let in.

    Raises InvalidInput when name or password may not be, SignInRefused when the code is wrong or has ended, and
    TooManyAttempts.
    """
    accounts.check_name(name := name.casefold())
    passwords.check(password, name=name)
    if not await needs_setup(services):
        try:
            return await sign_in(services, name=name, password=password, address=address, before=None)
        except SignInRefused as error:
            raise SignInRefused(_SET_UP) from error
    given = _sha256(code.reveal().replace("-", "").strip().casefold())
    key = _key("address", _network(address))
    async with services.passwords.place():
        async with services.database.transaction() as tx:
            now = services.clock.now()
            await _count(services, tx, "address", key)
            kept = await store.guess_setup_code(tx, now=now, most=CODE_GUESSES, life=CODE_LIFE)
            right = kept is not None and hmac.compare_digest(kept, given)
            if right:
                await store.forgive_guess(tx, key, now=now)
            else:
                await line(services, tx, "sign in refused", "setup code", {"from": address}, actor="unknown")
        if not right:
            raise SignInRefused(_CODE_REFUSED)
        hashed = await services.passwords.hash(password)
    async with services.database.transaction() as tx:
        if await store.any_user(tx):
            raise SignInRefused(_SET_UP)
        if not await store.use_setup_code(tx, given):
            raise SignInRefused(_CODE_REFUSED)
        user = await store.add_user(tx, name=name, role=Role.ADMINISTRATOR, password=hashed, now=services.clock.now())
        await line(services, tx, "user add", name, {"role": Role.ADMINISTRATOR, "by": "setup code"}, actor=name)
        return await _open(services, tx, user, action="sign in", address=address)


# ---------------------------------------------------------------- guesses


async def unlock(services: Services, number: int, *, actor: str) -> None:
    """Wrong guesses at this user's password are forgotten, and those of every address and session. Raises NotFound."""
    async with services.database.transaction() as tx:
        user = await store.user(tx, number)
        await store.forget_guesses(tx, _key("name", user.name))
        await store.forget_guesses_like(tx, "address:")
        await store.forget_guesses_like(tx, "session:")
        await line(services, tx, "user unlock", user.name, actor=actor)


async def _checked(
    services: Services, name: str, password: Secret, counted: dict[str, str], *, address: str, purpose: str
) -> Any:
    """The row of the user whose password this is. The guess is counted before it is looked at, for each kind of
    `_LIMITS` in `counted`, and a hash is computed for unknown names as well. Raises SignInRefused, TooManyAttempts."""
    keys = {kind: _key(kind, value) for kind, value in counted.items()}
    async with services.passwords.place():
        async with services.database.transaction() as tx:
            for kind, key in keys.items():
                await _count(services, tx, kind, key)
            user = await store.user_named(tx, name)
        right = await services.passwords.matches(password, None if user is None else user.password)
        again = None
        if right and user is not None and services.passwords.outdated(user.password):
            again = await services.passwords.hash(password)
    async with services.database.transaction() as tx:
        if right and user is not None:
            await store.forget_guesses(tx, *(key for kind, key in keys.items() if kind != "address"))
            if "address" in keys:
                await store.forgive_guess(tx, keys["address"], now=services.clock.now())
            if again is not None and (await _still(tx, user)):
                await store.change_user(tx, user.id, password=again)
                user = await store.user(tx, user.id)
        else:
            who = "unknown" if user is None else user.name
            await line(services, tx, "sign in refused", who, {"from": address, "for": purpose}, actor=who)
    if not right or user is None:
        raise SignInRefused(_REFUSED)
    return user


async def _count(services: Services, tx: Transaction, kind: str, key: str) -> None:
    """Raises TooManyAttempts, and with it the transaction counts nothing."""
    now = services.clock.now()
    until = await store.count_guess(tx, key, now=now, pauses=_LIMITS[kind], longest=_LONGEST_PAUSE, memory=_MEMORY)
    if until is not None:
        seconds = max(1, -int(-(until - now).total_seconds() // 1))
        raise TooManyAttempts(
            f"Too many wrong passwords were given. Try again in {_duration(seconds)}, or on the computer "
            "of the server: fleetseal user unlock",
            seconds=seconds,
        )


def _duration(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 100 else f"{-(-seconds // 60)} minutes"


def _key(kind: str, value: str) -> str:
    """A row's key: what was typed as a name may be a password."""
    return f"{kind}:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _network(address: str) -> str:
    """An IPv6 host has a whole /64 to guess from."""
    with suppress(ValueError):
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if parsed.version == 6:
            mapped = parsed.ipv4_mapped
            return str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return address


# ---------------------------------------------------------------- helpers


async def _still(tx: Transaction, user: Any) -> bool:
    """The user is as it was when the password was looked at. Raises SignInRefused."""
    now = await store.user_named(tx, user.name)
    if now is None or (now.id, now.password) != (user.id, user.password):
        raise SignInRefused(_REFUSED)
    return True


async def _open(services: Services, tx: Transaction, number: int, *, action: str, address: str) -> Opened:
    now, value = services.clock.now(), base64.urlsafe_b64encode(services.rng.bytes(32)).rstrip(b"=").decode()
    user = await store.user(tx, number)
    await store.forget_ended(tx, now=now, idle=IDLE, most=MOST)
    session = await store.add_session(tx, sha256=_sha256(value), user=number, address=address[:64], now=now)
    await line(services, tx, action, user.name, {"from": address}, actor=user.name)
    return Opened(Secret(value), Caller(user.name, Role(user.role), account=number, session=session))


def _session(caller: Caller) -> int:
    if caller.session is None:
        raise NotSignedIn("There is no session whose password could be asked for. Sign in, and repeat.")
    return caller.session


def _sha256(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
