"""Alarms on their way to people: what is new is queued in the outbox, and what waits there is sent.

Queueing is one transaction with the record of what was told (`store/messages.py`), sending is at least once. A dead
server stops nothing: its messages wait, with growing pauses, and it has an alarm of its own, told elsewhere only.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from fleetseal.core.errors import DeliveryFailed, FleetsealError, InvalidInput, NotFound, StoreError
from fleetseal.core.runtime import side_by_side
from fleetseal.core.secrets import Secret
from fleetseal.core.text import timestamp
from fleetseal.notify.notice import SHOWN, Item, Notice
from fleetseal.operations import alarm_pass
from fleetseal.operations.alarm_channels import CHANNELS, lead, targets
from fleetseal.operations.recording import OURSELVES, line
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current, in_force
from fleetseal.store import messages
from fleetseal.store.alarms import Alarm
from fleetseal.store.database import Transaction
from fleetseal.store.messages import Channel, Message

WITH_SECRET: Final = ("email", "webhook")

REMINDERS: Final = (30, 15, 7, 1)
"""Days before an end at which people are reminded of it."""
FAILING: Final = "delivery-failing"
FAILURES: Final = 3
"""After so many failures in a row, some minutes, a channel has its alarm."""
KEPT: Final = timedelta(days=7)
"""How long a message is tried."""
_LONGEST_PAUSE: Final = timedelta(hours=1)
_ROUND_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


async def keep(services: Services) -> None:
    """The server's part: alarms about the computer, and messages, once a minute. Never returns."""
    while True:
        for work in (alarm_pass.computer, send_waiting):
            try:
                await work(services)
            except FleetsealError as error:
                _log.warning("Alarms wait: %s They are tried again within a minute.", error.message)
            except Exception:  # whatever it is, it must not end the server
                _log.exception("Alarms met an unexpected error; they are tried again within a minute.")
        await services.clock.sleep(_ROUND_SECONDS)


async def send_waiting(services: Services) -> None:
    """What happened to alarms is queued, what waits was tried once where it is its time, and channels that fail have
    their alarm. Raises StoreError; what a server does is recorded, never raised."""
    async with services.sending:
        settings = await in_force(services)
        wanted = targets(settings)
        await _queue(services, wanted)
        await side_by_side([_drain(services, name, text) for name, text in wanted.items() if text], at_once=3)
        await _alarms(services)


def pause(failures: int) -> timedelta:
    """How long a channel is left alone after this many failures in a row: 1, 2, 4 … minutes, an hour at most."""
    return min(timedelta(minutes=2 ** min(failures - 1, 10)), _LONGEST_PAUSE)


# ---------------------------------------------------------------- what people ask for


async def channels(services: Services) -> list[dict[str, Any]]:
    """`{"channel","target","secret","waiting","last_sent","failing_since","next_try","error"}` of each."""
    async with services.database.reading() as tx:
        wanted, waiting = targets(await current(services, tx)), await messages.waiting(tx)
        known = [await messages.channel(tx, name) for name in CHANNELS]
    return [
        {
            "channel": one.name,
            "target": wanted[one.name] or None,
            "secret": one.has_secret,
            "waiting": waiting.get(one.name, 0),
            "last_sent": _shown(one.last_sent),
            "failing_since": _shown(one.failing_since),
            "next_try": _shown(one.next_try),
            "error": one.error or None,
        }
        for one in known
    ]


async def set_secret(services: Services, *, actor: str, channel: str, secret: Secret | None) -> list[dict[str, Any]]:
    """The channel's password or signing key is sealed, for where the channel leads, or forgotten (None). Audited. All
    channels.

    Raises NotFound, and InvalidInput for a channel that needs none or leads nowhere, or a secret that is empty or no
    line of text.
    """
    _known(channel)
    if channel not in WITH_SECRET:
        raise InvalidInput(f"The channel {channel} needs no secret.")
    if secret is not None and not (1 <= len(secret.reveal()) <= 1000 and secret.reveal().isprintable()):
        raise InvalidInput("A secret has 1 to 1000 printable characters.")
    async with services.database.transaction() as tx:
        wanted = targets(await current(services, tx))
        if secret is not None:
            _leading(channel, wanted)
        await lead(services, tx, wanted, actor=OURSELVES)
        await messages.set_secret(tx, services.sealer, channel, secret)
        action = "alarm secret set" if secret is not None else "alarm secret removed"
        await line(services, tx, action, channel, actor=actor)
    return await channels(services)


async def test(services: Services, *, actor: str, channel: str) -> dict[str, Any]:
    """A test message was taken by the channel's server: `{"channel","target","sent"}`. Waiting messages follow. Audited
    before it is sent.

    Raises NotFound, InvalidInput when the channel leads nowhere, DeliveryFailed.
    """
    _known(channel)
    now = services.clock.now()
    async with services.database.transaction() as tx:
        wanted = targets(await current(services, tx))
        text = _leading(channel, wanted)
        await lead(services, tx, wanted, actor=OURSELVES)
        secret = await messages.secret(tx, services.sealer, channel)
        await line(services, tx, "alarm test", channel, {"target": text}, actor=actor)
    message = "Alarms of Fleetseal arrive here."
    item = Item.of(0, about="this channel", severity="information", message=message, since=now)
    notice = Notice(_new_id(services), "test", "test", now, 1, (item,))
    await services.send(CHANNELS[channel](text), notice, secret)
    async with services.database.transaction() as tx:
        await messages.well(tx, channel, now=services.clock.now())
    await _alarms(services)
    return {"channel": channel, "target": text, "sent": True}


# ---------------------------------------------------------------- queueing

Told = list[tuple[Alarm, list[str]]]
"""Alarms, each with the events that count as told by one message."""


async def _queue(services: Services, wanted: Mapping[str, str]) -> None:
    """Each channel that leads somewhere has a message for each cause of which something is to be told."""
    now = services.clock.now()
    async with services.database.reading() as tx:
        moved = [name for name, text in wanted.items() if (await messages.channel(tx, name)).target != text]
        if not moved and not any([text and await _to_tell(tx, name, now) for name, text in wanted.items()]):
            return
    async with services.database.transaction() as tx:
        await lead(services, tx, wanted, actor=OURSELVES)
        for name in filter(wanted.get, wanted):
            for event, cause, told in await _to_tell(tx, name, now):
                content = {"id": _new_id(services), **_content(event, cause, [one for one, _ in told])}
                events = [(one.id, as_told) for one, all_told in told for as_told in all_told]
                await messages.queue(tx, name, content=content, told=events, now=now)


async def _to_tell(tx: Transaction, name: str, now: datetime) -> list[tuple[str, str, Told]]:
    """(event, cause, alarms) of each message. What a dead channel itself has its alarm for is not told through it."""
    opened = [(one, [messages.OPENED, *_passed(one, now)]) for one in await messages.newly_open(tx, name)]
    nearer = [(one, _passed(one, now, told)) for one, told in await messages.expiring(tx, name)]
    closed = [(one, [messages.CLOSED]) for one in await messages.newly_closed(tx, name)]
    found: list[tuple[str, str, Told]] = []
    for event, told in (("opened", opened), ("reminder", nearer), ("closed", closed)):
        meant = [(one, events) for one, events in told if events and (one.cause, one.object) != (FAILING, name)]
        meant.sort(key=lambda pair: pair[0].cause)
        found += [(event, cause, list(group)) for cause, group in groupby(meant, key=lambda pair: pair[0].cause)]
    return found


def _passed(alarm: Alarm, now: datetime, told: Collection[str] = ()) -> list[str]:
    """The reminders whose day has come and that were not told."""
    if alarm.expires is None:
        return []
    left = alarm.expires - now
    return [str(days) for days in REMINDERS if left <= timedelta(days=days) and str(days) not in told]


def _content(event: str, cause: str, told: Sequence[Alarm]) -> dict[str, Any]:
    items = [
        Item.of(one.id, about=one.object, severity=one.severity, message=one.message, since=one.since)
        for one in told[:SHOWN]
    ]
    return {"event": event, "cause": cause, "count": len(told), "items": [asdict(item) for item in items]}


# ---------------------------------------------------------------- sending


async def _drain(services: Services, name: str, text: str) -> None:
    """What waits in a channel was sent, until one was not taken. A channel that failed lately is left alone."""
    destination = CHANNELS[name](text)
    async with services.database.reading() as tx:
        channel = await messages.channel(tx, name)
    if not _is_due(channel, services.clock.now()):
        return
    while True:
        async with services.database.reading() as tx:
            message = await messages.next_waiting(tx, name)
        if message is None:
            return
        try:
            async with services.database.reading() as tx:
                if (await messages.channel(tx, name)).target != text:
                    return  # it leads elsewhere by now, and so does its secret
                secret = await messages.secret(tx, services.sealer, name)
            services.failpoint("before sending")
            await services.send(destination, _notice(message), secret)
            services.failpoint("after sending")
        except (DeliveryFailed, StoreError) as error:  # a secret that cannot be opened is one channel's trouble
            await _failed(services, name, message, error)
            return
        async with services.database.transaction() as tx:
            await messages.note_sent(tx, name, message.id, now=services.clock.now())


async def _failed(services: Services, name: str, message: Message, error: FleetsealError) -> None:
    now = services.clock.now()
    async with services.database.transaction() as tx:
        failures = (await messages.channel(tx, name)).failures + 1
        given_up = await messages.note_failed(
            tx,
            name,
            message.id,
            error=error.message,
            now=now,
            next_try=now + pause(failures),
            too_old=now - KEPT,
        )
    _log.warning("Alarms wait in the channel %s: %s", name, error.message)
    if given_up:
        _log.error("%d messages of the channel %s waited %d days and are given up.", given_up, name, KEPT.days)


def _is_due(channel: Channel, now: datetime) -> bool:
    """A pause that is longer than any was set by a clock that was wrong."""
    return channel.next_try is None or now >= channel.next_try or channel.next_try - now > _LONGEST_PAUSE


def _new_id(services: Services) -> str:
    """By which receivers know a message again, whichever installation sent it."""
    return f"fleetseal-{services.rng.bytes(8).hex()}"


def _notice(message: Message) -> Notice:
    content = message.content
    items = tuple(Item(**item) for item in content["items"])
    return Notice(content["id"], content["event"], content["cause"], message.created, content["count"], items)


async def _alarms(services: Services) -> None:
    """A channel that fails has its alarm, exactly then."""
    async with services.database.reading() as tx:
        known = [await messages.channel(tx, name) for name in CHANNELS]
    wanted = {
        (FAILING, one.name): alarm_pass.Condition(
            "warning",
            f"Alarms have not been taken there since {one.failing_since:%Y-%m-%d %H:%M} UTC: {one.error} They are "
            f"tried for {KEPT.days} days. Try it: fleetseal alarm test {one.name}.",
        )
        for one in known
        if one.failures >= FAILURES and one.failing_since is not None
    }
    await alarm_pass.settle(services, (FAILING,), wanted)


def _leading(channel: str, wanted: Mapping[str, str]) -> str:
    """Raises InvalidInput when it leads nowhere."""
    if not wanted[channel]:
        raise InvalidInput(f"The channel {channel} leads nowhere. Set it: fleetseal settings set alarm.{channel}.")
    return wanted[channel]


def _known(channel: str) -> None:
    if channel not in CHANNELS:
        raise NotFound(f"There is no channel {channel!r}. The channels are: {', '.join(CHANNELS)}.")


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
