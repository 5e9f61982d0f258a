"""The outbox of alarms: what was told to which channel, what waits to be sent, and how each channel fares.

That an event of an alarm is told once to a channel is a primary key (`alarm_notice`); that what is told is not lost is
the transaction in which its message is queued. A message is sent at least once: a crash between the sending and its
record repeats it, with the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, exists, func, insert, select, update

from fleetseal.core.secrets import Sealer, Secret
from fleetseal.store.alarms import Alarm, alarm_of
from fleetseal.store.database import Transaction
from fleetseal.store.outbox import alarm_channel, alarm_message, alarm_notice
from fleetseal.store.schema import alarm

OPENED, CLOSED = "opened", "closed"
_BATCH = 500
_OFTEN = 10  # tries: some hours


@dataclass(frozen=True)
class Message:
    id: int
    content: dict[str, Any]
    created: datetime


@dataclass(frozen=True)
class Channel:
    name: str
    has_secret: bool
    target: str
    failures: int
    failing_since: datetime | None
    next_try: datetime | None
    error: str
    last_sent: datetime | None


# ---------------------------------------------------------------- what is to be told


async def newly_open(tx: Transaction, channel: str) -> list[Alarm]:
    """Open alarms of which this channel has not been told, oldest first."""
    query = select(alarm).where(alarm.c.closed.is_(None), ~_told(channel, OPENED)).order_by(alarm.c.since, alarm.c.id)
    return [alarm_of(row) for row in await tx.execute(query)]


async def newly_closed(tx: Transaction, channel: str) -> list[Alarm]:
    """Closed alarms of whose beginning this channel was told, and not of their end."""
    query = select(alarm).where(alarm.c.closed.is_not(None), _told(channel, OPENED), ~_told(channel, CLOSED))
    return [alarm_of(row) for row in await tx.execute(query.order_by(alarm.c.closed, alarm.c.id))]


async def expiring(tx: Transaction, channel: str) -> list[tuple[Alarm, frozenset[str]]]:
    """Open alarms about an end, of which this channel was told, each with the events that were told."""
    query = (
        select(alarm, alarm_notice.c.event)
        .join(alarm_notice, and_(alarm_notice.c.alarm_id == alarm.c.id, alarm_notice.c.channel == channel))
        .where(alarm.c.closed.is_(None), alarm.c.expires.is_not(None))
        .order_by(alarm.c.expires, alarm.c.id)
    )
    found: dict[int, tuple[Alarm, set[str]]] = {}
    for row in await tx.execute(query):
        found.setdefault(row.id, (alarm_of(row), set()))[1].add(row.event)
    return [(one, frozenset(events)) for one, events in found.values()]


async def queue(
    tx: Transaction, channel: str, *, content: Mapping[str, Any], told: Sequence[tuple[int, str]], now: datetime
) -> None:
    """One more message waits, and these (alarm, event) count as told. Raises Conflict when one of them was told."""
    inserted = await tx.execute(insert(alarm_message).values(channel=channel, content=dict(content), created=now))
    number = inserted.inserted_primary_key[0]  # type: ignore[index]  # one row was inserted
    rows = [{"alarm_id": one, "channel": channel, "event": event, "message_id": number} for one, event in told]
    for first in range(0, len(rows), _BATCH):
        await tx.execute(insert(alarm_notice), rows[first : first + _BATCH])


def _told(channel: str, event: str) -> Any:
    return exists().where(
        alarm_notice.c.alarm_id == alarm.c.id, alarm_notice.c.channel == channel, alarm_notice.c.event == event
    )


# ---------------------------------------------------------------- what waits


async def next_waiting(tx: Transaction, channel: str) -> Message | None:
    """The oldest; those that were tried often come last, so that one that is refused for ever stops no other."""
    query = select(alarm_message).where(alarm_message.c.channel == channel, _waiting())
    often = case((alarm_message.c.attempts < _OFTEN, 0), else_=alarm_message.c.attempts)
    row = (await tx.execute(query.order_by(often, alarm_message.c.id).limit(1))).first()
    return None if row is None else Message(row.id, row.content, row.created)


async def note_sent(tx: Transaction, channel: str, message_id: int, *, now: datetime) -> None:
    row = alarm_message.c.id == message_id
    attempts = alarm_message.c.attempts + 1
    await tx.execute(update(alarm_message).where(row).values(sent=now, attempts=attempts, error=""))
    await well(tx, channel, now=now)


async def note_failed(
    tx: Transaction, name: str, message_id: int, *, error: str, now: datetime, next_try: datetime, too_old: datetime
) -> int:
    """An attempt failed; those that wait from before `too_old` are given up. How many that are."""
    row = alarm_message.c.id == message_id
    attempts = alarm_message.c.attempts + 1
    await tx.execute(update(alarm_message).where(row).values(attempts=attempts, error=error))
    before = await channel(tx, name)
    since = before.failing_since or now
    await _change(tx, name, failures=before.failures + 1, failing_since=since, next_try=next_try, error=error)
    old = (alarm_message.c.channel == name) & _waiting() & (alarm_message.c.created < too_old)
    return int((await tx.execute(update(alarm_message).where(old).values(abandoned=now))).rowcount)


async def waiting(tx: Transaction) -> dict[str, int]:
    """How many wait in each channel."""
    query = select(alarm_message.c.channel, func.count().label("number")).where(_waiting())
    return {row.channel: row.number for row in await tx.execute(query.group_by(alarm_message.c.channel))}


async def prune(tx: Transaction, *, before: datetime) -> None:
    """Messages that ended before this time are forgotten."""
    ended = (alarm_message.c.sent < before) | (alarm_message.c.abandoned < before)
    await tx.execute(delete(alarm_message).where(ended))


def _waiting() -> Any:
    return and_(alarm_message.c.sent.is_(None), alarm_message.c.abandoned.is_(None))


# ---------------------------------------------------------------- channels


async def channel(tx: Transaction, name: str) -> Channel:
    """As it is recorded; a channel without a record has never been used."""
    row = (await tx.execute(select(alarm_channel).where(alarm_channel.c.name == name))).first()
    if row is None:
        return Channel(name, False, "", 0, None, None, "", None)
    return Channel(
        name,
        row.secret_sealed is not None,
        row.target,
        row.failures,
        row.failing_since,
        row.next_try,
        row.error,
        row.last_sent,
    )


async def aim(tx: Transaction, name: str, target: str) -> None:
    """From now on the channel leads to `target`: what failed elsewhere is forgotten. `""`: it is off, and what was told
    to it too, so that it is told of all open alarms when it is on again."""
    await _change(tx, name, target=target, failures=0, failing_since=None, next_try=None, error="")
    if not target:
        await tx.execute(delete(alarm_message).where(alarm_message.c.channel == name, _waiting()))
        await tx.execute(delete(alarm_notice).where(alarm_notice.c.channel == name))


async def well(tx: Transaction, name: str, *, now: datetime) -> None:
    """Something was taken there just now."""
    await _change(tx, name, failures=0, failing_since=None, next_try=None, error="", last_sent=now)


async def set_secret(tx: Transaction, sealer: Sealer, name: str, secret: Secret | None) -> None:
    """The channel has this password or signing key, or none; a channel that failed is tried again at once."""
    row = alarm_channel.c.name == name
    version = int(await tx.scalar(select(alarm_channel.c.secret_version).where(row)) or 0) + 1
    sealed = None
    if secret is not None:
        sealed = sealer.seal(
            secret.reveal().encode(), table="alarm_channel", row=name, column="secret", version=version
        )
    await _change(tx, name, secret_sealed=sealed, secret_version=version, next_try=None)


async def secret(tx: Transaction, sealer: Sealer, name: str) -> Secret | None:
    """Raises StoreError when it cannot be opened."""
    row = (await tx.execute(select(alarm_channel).where(alarm_channel.c.name == name))).first()
    if row is None or row.secret_sealed is None:
        return None
    opened = sealer.open(
        row.secret_sealed, table="alarm_channel", row=name, column="secret", version=row.secret_version
    )
    return Secret(opened.decode())


async def _change(tx: Transaction, name: str, **columns: Any) -> None:
    if (await tx.execute(update(alarm_channel).where(alarm_channel.c.name == name).values(**columns))).rowcount == 0:
        await tx.execute(insert(alarm_channel).values(name=name, **columns))
