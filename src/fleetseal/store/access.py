"""Users, sessions, API tokens and guesses, as rows. Every rule that several processes must share exactly is in a
statement here (WEB-SHARED-LIMITS)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, case, delete, func, insert, literal, select, update

from fleetseal.core.access import Role
from fleetseal.core.errors import NotFound
from fleetseal.store.accounts import account, api_token, guess, session, setup_code
from fleetseal.store.database import Transaction
from fleetseal.store.schema import Moment

_SEEN_EVERY: Final = timedelta(minutes=1)  # a row is not written at each request


# ---------------------------------------------------------------- users


async def users(tx: Transaction) -> list[Row[Any]]:
    """All but their passwords, by name."""
    columns = (account.c.id, account.c.name, account.c.role, account.c.created, account.c.last_seen)
    return list(await tx.execute(select(*columns).order_by(account.c.name)))


async def any_user(tx: Transaction) -> bool:
    return await tx.scalar(select(account.c.id).limit(1)) is not None


async def user_named(tx: Transaction, name: str) -> Row[Any] | None:
    return (await tx.execute(select(account).where(account.c.name == name))).first()


async def user(tx: Transaction, number: int) -> Row[Any]:
    """Raises NotFound."""
    row = (await tx.execute(select(account).where(account.c.id == number))).first()
    if row is None:
        raise NotFound(f"There is no user {number}.")
    return row


async def add_user(tx: Transaction, *, name: str, role: Role, password: str, now: datetime) -> int:
    """Its number. Raises Conflict when the name is taken."""
    values = {"name": name, "role": role, "password": password, "created": now}
    return int((await tx.execute(insert(account).values(values))).inserted_primary_key[0])  # type: ignore[index]  # one row has one


async def change_user(tx: Transaction, number: int, **values: Any) -> None:
    await tx.execute(update(account).where(account.c.id == number).values(**values))


async def remove_user(tx: Transaction, number: int) -> None:
    """With sessions and tokens."""
    await end_access(tx, number)
    await tx.execute(delete(account).where(account.c.id == number))


async def other_administrators(tx: Transaction, number: int) -> int:
    """How many administrators there are beside this user."""
    others = (account.c.role == Role.ADMINISTRATOR) & (account.c.id != number)
    return int(await tx.scalar(select(func.count()).select_from(account).where(others)) or 0)


async def end_access(tx: Transaction, number: int) -> None:
    """No session and no token of this user lets anybody in any more."""
    await tx.execute(delete(session).where(session.c.account_id == number))
    await tx.execute(delete(api_token).where(api_token.c.account_id == number))


async def opened(tx: Transaction) -> tuple[int, ...]:
    """Number and sum of the ids of sessions and of tokens. As ids are never used again, both stay only if none is gone
    and none was added."""
    columns = [
        select(what).scalar_subquery()
        for table in (session, api_token)
        for what in (func.count(table.c.id), func.coalesce(func.sum(table.c.id), 0))
    ]
    return tuple((await tx.execute(select(*columns))).one())


# ---------------------------------------------------------------- sessions


async def add_session(tx: Transaction, *, sha256: bytes, user: int, address: str, now: datetime) -> int:
    """Its number."""
    values = {"sha256": sha256, "account_id": user, "address": address, "created": now, "seen": now}
    number = (await tx.execute(insert(session).values(values))).inserted_primary_key[0]  # type: ignore[index]  # one row has one
    await change_user(tx, user, last_seen=now)
    return int(number)


async def find_session(
    tx: Transaction, sha256: bytes, *, now: datetime, idle: timedelta, most: timedelta
) -> Row[Any] | None:
    """The session with `name` and `role` of its user, as they are now; None when there is none, or it has ended. After
    the clock went back, one that was used later than now has ended."""
    found: Row[Any] | None = (await tx.execute(_open(now, idle, most).where(session.c.sha256 == sha256))).first()
    return found


async def sessions(tx: Transaction, *, now: datetime, idle: timedelta, most: timedelta) -> list[Row[Any]]:
    """Those that have not ended, as of `find_session`, the newest use first."""
    return list(await tx.execute(_open(now, idle, most).order_by(session.c.seen.desc(), session.c.id.desc())))


def _open(now: datetime, idle: timedelta, most: timedelta) -> Select[Any]:
    valid = (session.c.seen > now - idle) & (session.c.created > now - most) & (session.c.seen <= now)
    query = select(session, account.c.name, account.c.role).join(account, account.c.id == session.c.account_id)
    return query.where(valid)


async def note_session(tx: Transaction, row: Row[Any], *, now: datetime) -> None:
    """It was used."""
    await tx.execute(update(session).where(session.c.id == row.id).values(seen=now))
    await change_user(tx, row.account_id, last_seen=now)


async def confirm_session(tx: Transaction, number: int, *, now: datetime) -> None:
    await tx.execute(update(session).where(session.c.id == number).values(confirmed=now))


async def end_sessions(tx: Transaction, numbers: Sequence[int]) -> None:
    await tx.execute(delete(session).where(session.c.id.in_(numbers)))


async def remove_session(tx: Transaction, sha256: bytes) -> None:
    await tx.execute(delete(session).where(session.c.sha256 == sha256))


async def forget_ended(tx: Transaction, *, now: datetime, idle: timedelta, most: timedelta) -> None:
    """Sessions that let nobody in any more."""
    await tx.execute(delete(session).where((session.c.seen <= now - idle) | (session.c.created <= now - most)))


def worth_noting(last: datetime | None, now: datetime) -> bool:
    """The moment that is kept of the last use is old enough to be written again."""
    return last is None or abs(now - last) >= _SEEN_EVERY


# ---------------------------------------------------------------- API tokens


async def tokens(tx: Transaction) -> list[Row[Any]]:
    return list(await tx.execute(select(api_token).order_by(api_token.c.name)))


async def add_token(
    tx: Transaction, *, name: str, sha256: bytes, scope: Role, user: int | None, now: datetime, expires: datetime
) -> int:
    """Its number. Raises Conflict when the name is taken."""
    values = {"name": name, "sha256": sha256, "scope": scope, "account_id": user, "created": now, "expires": expires}
    return int((await tx.execute(insert(api_token).values(values))).inserted_primary_key[0])  # type: ignore[index]  # one row has one


async def find_token(tx: Transaction, sha256: bytes, *, now: datetime) -> Row[Any] | None:
    """None when there is none, or it has ended."""
    valid = (api_token.c.sha256 == sha256) & (api_token.c.expires > now)
    return (await tx.execute(select(api_token).where(valid))).first()


async def note_token(tx: Transaction, number: int, *, now: datetime) -> None:
    """It was used."""
    await tx.execute(update(api_token).where(api_token.c.id == number).values(last_used=now))


async def remove_token(tx: Transaction, number: int) -> str:
    """Its name. Raises NotFound."""
    name = await tx.scalar(delete(api_token).where(api_token.c.id == number).returning(api_token.c.name))
    if name is None:
        raise NotFound(f"There is no token {number}.")
    return str(name)


# ---------------------------------------------------------------- guesses


async def count_guess(
    tx: Transaction, key: str, *, now: datetime, pauses: dict[int, timedelta], longest: timedelta, memory: timedelta
) -> datetime | None:
    """One more guess is counted, as wrong until `forgive_guess` says otherwise, and may be looked at: None. Or it may
    not yet: from when on.

    `pauses` after so many wrong ones in a row, `longest` after more; after `memory` without one, counting begins anew.
    A pause that ends later than `longest` from now is of a clock that went back, and is over.
    """
    await tx.execute(delete(guess).where(guess.c.latest <= now - memory))
    ends = {count - 1: literal(now + pause, Moment()) for count, pause in pauses.items()}
    due = case(ends, value=guess.c.failures, else_=literal(now + longest, Moment()))
    free = (guess.c.next <= now) | (guess.c.next > now + longest)
    counted = update(guess).where(guess.c.key == key, free).values(failures=guess.c.failures + 1, latest=now, next=due)
    if await tx.scalar(counted.returning(guess.c.failures)) is not None:
        return None
    blocked: datetime | None = await tx.scalar(select(guess.c.next).where(guess.c.key == key))
    if blocked is None:
        await tx.execute(insert(guess).values(key=key, failures=1, latest=now, next=now + pauses[1]))
    return blocked


async def forgive_guess(tx: Transaction, key: str, *, now: datetime) -> None:
    """The last guess counted was right: those before it stay counted."""
    await tx.execute(update(guess).where(guess.c.key == key).values(failures=guess.c.failures - 1, next=now))
    await tx.execute(delete(guess).where(guess.c.key == key, guess.c.failures <= 0))


async def forget_guesses(tx: Transaction, *keys: str) -> None:
    await tx.execute(delete(guess).where(guess.c.key.in_(keys)))


async def forget_guesses_like(tx: Transaction, prefix: str) -> None:
    await tx.execute(delete(guess).where(guess.c.key.startswith(prefix, autoescape=True)))


# ---------------------------------------------------------------- the first administrator


async def put_setup_code(tx: Transaction, *, sha256: bytes, expires: datetime) -> None:
    """In place of any before it."""
    await tx.execute(delete(setup_code))
    await tx.execute(insert(setup_code).values(id=1, sha256=sha256, expires=expires, wrong=0))


async def guess_setup_code(tx: Transaction, *, now: datetime, most: int, life: timedelta) -> bytes | None:
    """One more guess is counted: the SHA-256 of the code. None when there is no code, or it has ended."""
    valid = (setup_code.c.wrong < most) & (setup_code.c.expires > now) & (setup_code.c.expires <= now + life)
    counted = update(setup_code).where(valid).values(wrong=setup_code.c.wrong + 1)
    found: bytes | None = await tx.scalar(counted.returning(setup_code.c.sha256))
    return found


async def use_setup_code(tx: Transaction, sha256: bytes) -> bool:
    """The code is gone; whether it was still there."""
    gone = delete(setup_code).where(setup_code.c.sha256 == sha256).returning(setup_code.c.id)
    return await tx.scalar(gone) is not None
