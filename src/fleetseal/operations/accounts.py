"""Users and API tokens: made, changed and removed by administrators. A change of rights ends what was opened before."""

import base64
import hashlib
import re
from datetime import timedelta
from typing import Any, Final

from fleetseal.core import passwords
from fleetseal.core.access import Caller, Role
from fleetseal.core.errors import Conflict, InvalidInput
from fleetseal.core.secrets import Secret
from fleetseal.core.text import timestamp
from fleetseal.operations.listing import Row
from fleetseal.operations.recording import OURSELVES, line
from fleetseal.operations.services import Services
from fleetseal.store import access as store
from fleetseal.store.database import Transaction

MOST_TOKEN_DAYS: Final = 825

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,47}")
_LAST: Final = "This is the last administrator: make another one first. Nothing was done."


def check_name(name: str) -> None:
    """It may be the name of a user or a token. Raises InvalidInput."""
    if not _NAME.fullmatch(name) or name in (OURSELVES, "unknown"):
        raise InvalidInput(
            "A name has 1 to 48 letters without accents, digits, and . _ @ -, begins with a letter or digit, and is "
            f"neither {OURSELVES} nor unknown. Nothing was done."
        )


# ---------------------------------------------------------------- users


async def users(services: Services) -> list[Row]:
    """`{"id","name","role","created","last_seen"}` of each, by name."""
    async with services.database.reading() as tx:
        return [_user(row) for row in await store.users(tx)]


async def add_user(services: Services, *, actor: str, name: str, role: Role, password: Secret) -> Row:
    """One more user. Raises InvalidInput, and Conflict when the name is taken."""
    check_name(name := name.casefold())
    passwords.check(password, name=name)
    kept = await _hashed(services, password)
    async with services.database.transaction() as tx:
        number = await store.add_user(tx, name=name, role=role, password=kept, now=services.clock.now())
        await line(services, tx, "user add", name, {"role": role}, actor=actor)
        return _user(await store.user(tx, number))


async def change_user(
    services: Services, number: int, *, actor: str, name: str | None, role: Role | None, password: Secret | None
) -> Row:
    """What is given counts from now on. With another role or password, every session and token of the user ends.

    Raises NotFound, InvalidInput, and Conflict when the name is taken or nobody would be administrator any more.
    """
    if name is None and role is None and password is None:
        raise InvalidInput("Nothing is to be changed: give a name, a role, or a password.")
    if name is not None:
        check_name(name := name.casefold())
    async with services.database.reading() as tx:
        before = await store.user(tx, number)
    if password is not None:
        passwords.check(password, name=name or before.name)
    kept = None if password is None else await _hashed(services, password)
    async with services.database.transaction() as tx:
        before = await store.user(tx, number)
        if role is not None and role is not Role.ADMINISTRATOR:
            await _keep_one(tx, before)
        changed = _differing(before, name=name, role=role)
        if kept is not None:
            await store.change_user(tx, number, password=kept)
        if changed:
            await store.change_user(tx, number, **changed)
        if "role" in changed or kept is not None:
            await store.end_access(tx, number)
        detail = changed | ({} if kept is None else {"password": "changed"})
        await line(services, tx, "user change", before.name, detail, actor=actor)
        return _user(await store.user(tx, number))


async def remove_user(services: Services, number: int, *, actor: str) -> list[Row]:
    """The user, with every session and token, is gone. Those that are left. Raises NotFound, and Conflict for the last
    administrator."""
    async with services.database.transaction() as tx:
        user = await store.user(tx, number)
        await _keep_one(tx, user)
        await store.remove_user(tx, number)
        await line(services, tx, "user remove", user.name, actor=actor)
    return await users(services)


# ---------------------------------------------------------------- API tokens


async def tokens(services: Services) -> list[Row]:
    """`{"id","name","scope","created","expires","last_used"}` of each, by name."""
    async with services.database.reading() as tx:
        return [_token(row) for row in await store.tokens(tx)]


async def add_token(services: Services, caller: Caller, *, name: str, scope: Role, days: int) -> Row:
    """A row with the member `token`, which is told this once. It ends with the user who made it, or whose role or
    password changes. Raises InvalidInput, and Conflict when the name is taken."""
    check_name(name := name.casefold())
    if not 1 <= days <= MOST_TOKEN_DAYS:
        raise InvalidInput(f"A token is good for 1 to {MOST_TOKEN_DAYS} days. Nothing was done.")
    value = "fst_" + base64.urlsafe_b64encode(services.rng.bytes(32)).rstrip(b"=").decode()
    now = services.clock.now()
    expires = now + timedelta(days=days)
    async with services.database.transaction() as tx:
        sha256 = hashlib.sha256(value.encode()).digest()
        number = await store.add_token(
            tx, name=name, sha256=sha256, scope=scope, user=caller.account, now=now, expires=expires
        )
        detail = {"scope": scope, "expires": timestamp(expires)}
        await line(services, tx, "token add", name, detail, actor=caller.actor)
    row = {"id": number, "name": name, "scope": scope, "created": timestamp(now), "expires": timestamp(expires)}
    return row | {"last_used": None, "token": value}


async def remove_token(services: Services, number: int, *, actor: str) -> list[Row]:
    """It lets nobody in any more. Those that are left. Raises NotFound."""
    async with services.database.transaction() as tx:
        name = await store.remove_token(tx, number)
        await line(services, tx, "token remove", name, actor=actor)
    return await tokens(services)


# ---------------------------------------------------------------- helpers


async def _hashed(services: Services, password: Secret) -> str:
    async with services.passwords.place():
        return await services.passwords.hash(password)


async def _keep_one(tx: Transaction, user: Any) -> None:
    """Raises Conflict when this is the last administrator."""
    if user.role == Role.ADMINISTRATOR and not await store.other_administrators(tx, user.id):
        raise Conflict(_LAST)


def _differing(before: Any, **wanted: str | None) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if value is not None and value != getattr(before, key)}


def _user(row: Any) -> Row:
    seen = None if row.last_seen is None else timestamp(row.last_seen)
    return {"id": row.id, "name": row.name, "role": row.role, "created": timestamp(row.created), "last_seen": seen}


def _token(row: Any) -> Row:
    used = None if row.last_used is None else timestamp(row.last_used)
    moments = {"created": timestamp(row.created), "expires": timestamp(row.expires), "last_used": used}
    return {"id": row.id, "name": row.name, "scope": row.scope} | moments
