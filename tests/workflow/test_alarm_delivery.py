"""Alarms on their way to people: told once, grouped, again before an end, and never held up by a dead server."""

import random  # noqa: TID251 - a life that a seed repeats
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from fleetseal.core.destinations import Destination, Email, Syslog, Webhook
from fleetseal.core.errors import DeliveryFailed, InvalidInput, NotFound, StoreError
from fleetseal.core.secrets import Secret
from fleetseal.notify.notice import Notice
from fleetseal.operations import alarm_delivery as delivery
from fleetseal.operations import alarm_pass, alarms, authorities, settings
from fleetseal.operations.services import Services
from fleetseal.store import alarms as store
from fleetseal.store import audit, messages
from tests.site import PASSPHRASE, make_services
from tests.support import FakeClock

TARGETS = {
    "email": "smtps://mail.example?from=fleetseal@site.example&to=ops@site.example",
    "webhook": "https://hooks.example/alarms",
    "syslog": "tls://log.example",
}
KINDS: dict[type[Destination], str] = {Email: "email", Webhook: "webhook", Syslog: "syslog"}


class Crash(BaseException):
    """The process ends here."""


@dataclass
class World:
    """A data directory, a clock, and servers that can be dead; the program on it can crash and start again."""

    data: Path
    clock: FakeClock = field(default_factory=FakeClock)
    dead: set[str] = field(default_factory=set)
    taken: dict[str, list[Notice]] = field(default_factory=lambda: {name: [] for name in TARGETS})
    secrets: list[str | None] = field(default_factory=list)
    crash_at: str | None = None
    _services: Services | None = None

    @property
    def services(self) -> Services:
        assert self._services is not None
        return self._services

    async def start(self) -> None:
        if self._services is not None:
            await self._services.database.close()
        self._services = await make_services(
            self.data, None, clock=self.clock, failpoint=self._failpoint, send=self._send
        )

    async def lead(self, *channels: str) -> None:
        """These channels, and no others, lead somewhere."""
        for name, target in TARGETS.items():
            await settings.set_(
                self.services, actor="test", key=f"alarm.{name}", value=target if name in channels else ""
            )

    async def open(self, cause: str, about: str, *, expires: datetime | None = None) -> None:
        async with self.services.database.transaction() as tx:
            await store.raise_alarm(
                tx, now=self.clock.now(), cause=cause, object=about, severity="warning", message="So.", expires=expires
            )

    async def close(self, cause: str, about: str) -> None:
        async with self.services.database.transaction() as tx:
            await store.close_alarm(tx, now=self.clock.now(), cause=cause, object=about)

    async def round(self) -> None:
        """One minute later: what a server does."""
        self.clock.advance(60)
        await delivery.send_waiting(self.services)

    async def causes(self) -> set[tuple[str, str]]:
        return {(one["cause"], one["object"]) for one in await alarms.list_(self.services)}

    def told(self, channel: str) -> list[tuple[str, str, list[str]]]:
        """And forget it."""
        found = [(one.event, one.cause, [item.object for item in one.items]) for one in self.taken[channel]]
        self.taken[channel].clear()
        return found

    async def _send(self, destination: Destination, notice: Notice, secret: Secret | None) -> None:
        name = KINDS[type(destination)]
        self.secrets.append(None if secret is None else secret.reveal())
        if name in self.dead:
            raise DeliveryFailed(f"The server of {name} cannot be reached.")
        self.taken[name].append(notice)

    def _failpoint(self, name: str) -> None:
        if name == self.crash_at:
            self.crash_at = None
            raise Crash


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "data")
    await made.start()
    yield made
    await made.services.database.close()


# ---------------------------------------------------------------- what is told


async def test_new_alarms_are_one_message_for_each_cause_and_their_end_another(world: World) -> None:
    await world.lead("email", "syslog")
    for about in ("a", "b"):
        await world.open("renewal-failed", about)
    await world.open("ca-locked", "Site")
    await world.round()
    expected = [("opened", "ca-locked", ["Site"]), ("opened", "renewal-failed", ["a", "b"])]
    assert world.told("email") == world.told("syslog") == expected
    assert world.taken["webhook"] == []
    await world.round()
    assert world.told("email") == []
    for about in ("a", "b"):
        await world.close("renewal-failed", about)
    await world.round()
    assert world.told("email") == [("closed", "renewal-failed", ["a", "b"])]
    await world.open("renewal-failed", "a")
    await world.round()
    assert world.told("email") == [("opened", "renewal-failed", ["a"])], "it is another alarm"


async def test_what_ended_before_it_was_told_is_not_told(world: World) -> None:
    await world.lead("email")
    await world.open("renewal-failed", "a")
    await world.close("renewal-failed", "a")
    await world.round()
    assert world.told("email") == []


async def test_people_are_reminded_as_an_end_comes_nearer(world: World) -> None:
    await world.lead("email")
    await world.open("ca-expiring", "Site", expires=world.clock.now() + timedelta(days=29, hours=1))
    reminded = []
    for day in range(30):
        await world.round()
        reminded += [(day, event) for event, _, _ in world.told("email")]
        world.clock.advance(86400 - 60)
    assert reminded == [(0, "opened"), (15, "reminder"), (23, "reminder"), (29, "reminder")]


async def test_reminders_that_passed_while_nothing_ran_are_one(world: World) -> None:
    await world.lead("email")
    await world.open("ca-expiring", "Site", expires=world.clock.now() + timedelta(days=40))
    await world.round()
    assert world.told("email") == [("opened", "ca-expiring", ["Site"])]
    world.clock.advance(timedelta(days=39, hours=12).total_seconds())
    await world.round()
    await world.round()
    assert world.told("email") == [("reminder", "ca-expiring", ["Site"])]


async def test_a_channel_that_is_switched_on_is_told_of_what_is_open(world: World) -> None:
    await world.open("ca-locked", "Site")
    await world.round()
    await world.lead("webhook")
    await world.round()
    assert world.told("webhook") == [("opened", "ca-locked", ["Site"])]
    world.dead.add("webhook")
    await world.close("ca-locked", "Site")
    await world.open("ca-expired", "Site")
    await world.round()
    await world.lead()
    await world.round()
    world.dead.clear()
    await world.lead("webhook")
    await world.round()
    assert world.told("webhook") == [("opened", "ca-expired", ["Site"])], "nothing old"


async def test_many_alarms_are_one_message_of_bounded_size(world: World) -> None:
    await world.lead("email")
    now = world.clock.now()
    async with world.services.database.transaction() as tx:
        for number in range(600):
            await store.raise_alarm(
                tx, now=now, cause="renewal-failed", object=f"d{number}", severity="warning", message="So."
            )
    await world.round()
    (notice,) = world.taken["email"]
    assert (notice.count, len(notice.items)) == (600, 50)
    await world.round()
    assert len(world.taken["email"]) == 1


# ---------------------------------------------------------------- dead servers


async def test_a_dead_server_holds_up_nobody_and_is_an_alarm_told_elsewhere(world: World) -> None:
    await world.lead("email", "webhook")
    world.dead.add("email")
    await world.open("ca-locked", "Site")
    for _ in range(10):
        await world.round()
    assert ("delivery-failing", "email") in await world.causes()
    assert world.told("webhook") == [("opened", "ca-locked", ["Site"]), ("opened", "delivery-failing", ["email"])]
    shown = {one["channel"]: one for one in await delivery.channels(world.services)}
    assert shown["email"]["error"] == "The server of email cannot be reached."
    assert (shown["email"]["waiting"], shown["webhook"]["waiting"]) == (1, 0)
    world.dead.clear()
    world.clock.advance(3600)
    await world.round()
    assert await world.causes() == {("ca-locked", "Site")}
    assert world.told("email") == [("opened", "ca-locked", ["Site"])], "and nothing of its own trouble"
    await world.round()
    assert world.told("webhook") == [("closed", "delivery-failing", ["email"])]
    assert world.told("email") == []


async def test_tries_come_further_and_further_apart_and_end(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.lead("email")
    world.dead.add("email")
    await world.open("ca-locked", "Site")
    await world.round()
    first, tries = world.clock.now(), [world.clock.now()]
    while (shown := (await delivery.channels(world.services))[0])["waiting"]:
        left = datetime.fromisoformat(shown["next_try"]) - world.clock.now()
        world.clock.advance(left.total_seconds() - 1 - 60)
        await world.round()
        assert len(world.secrets) == len(tries), "a second too early"
        world.clock.advance(1 - 60)
        await world.round()
        tries.append(world.clock.now())
        world.clock.advance(6.7 * 86400 if len(tries) == 9 else 0)
    pauses = [(later - earlier) / timedelta(minutes=1) for earlier, later in pairwise(tries)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(pauses[9:]) == {60}
    assert timedelta(days=7) < tries[-1] - first < timedelta(days=7, hours=1)
    assert "are given up" in caplog.text
    assert ("delivery-failing", "email") in await world.causes(), "nobody knows that it works again"


async def test_a_pause_set_by_a_wrong_clock_is_none(world: World) -> None:
    await world.lead("email")
    world.dead.add("email")
    await world.open("ca-locked", "Site")
    world.clock.advance(timedelta(days=3653).total_seconds())
    await world.round()
    world.clock.advance(-timedelta(days=3653).total_seconds())
    world.dead.clear()
    await world.round()
    assert world.told("email") == [("opened", "ca-locked", ["Site"])]


async def test_a_message_that_is_refused_for_ever_stops_no_other(world: World) -> None:
    await world.lead("email")
    await world.open("ca-locked", "Site")
    taking = world._send

    async def picky(destination: Destination, notice: Notice, secret: Secret | None) -> None:
        if notice.cause == "ca-locked":
            raise DeliveryFailed("The mail server said no: 554 spam")
        await taking(destination, notice, secret)

    world._services = replace(world.services, send=picky)
    await world.round()
    await world.open("ca-expired", "Site")
    for _ in range(12):
        world.clock.advance(3600)
        await world.round()
    assert world.told("email") == [("opened", "ca-expired", ["Site"])]


async def test_a_changed_setting_is_tried_at_once(world: World) -> None:
    await world.lead("email")
    world.dead.add("email")
    await world.open("ca-locked", "Site")
    for _ in range(8):
        await world.round()
    world.dead.clear()
    await settings.set_(world.services, actor="test", key="alarm.email", value=TARGETS["email"].replace("ops", "it"))
    await world.round()
    assert world.told("email") == [("opened", "ca-locked", ["Site"])]
    assert await world.causes() == {("ca-locked", "Site")}


# ---------------------------------------------------------------- crashes and restarts


@pytest.mark.parametrize(("where", "times"), [("before sending", 1), ("after sending", 2)])
async def test_a_crash_loses_nothing_and_repeats_with_the_same_id(world: World, where: str, times: int) -> None:
    await world.lead("email")
    await world.open("ca-locked", "Site")
    world.crash_at = where
    with pytest.raises(Crash):
        await world.round()
    await world.start()
    await world.round()
    await world.round()
    assert len(world.taken["email"]) == times
    assert len({one.id for one in world.taken["email"]}) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_each_channel_is_told_what_is_true(world: World, seed: int) -> None:
    """A random life of alarms, servers and crashes, compared with what should have been told."""
    chance = random.Random(seed)
    await world.lead(*TARGETS)
    crashes = 0
    for _ in range(40):
        cause, about = chance.choice(["renewal-failed", "needs-hands"]), chance.choice("abc")
        match chance.randrange(7):
            case 0 | 1:
                await world.open(cause, about)
            case 2:
                await world.close(cause, about)
            case 3:
                world.dead ^= {chance.choice(sorted(TARGETS))}
            case 4:
                world.clock.advance(chance.randrange(4000))
            case 5:
                world.crash_at = chance.choice(["before sending", "after sending"])
            case 6:
                await world.start()
        try:
            await world.round()
        except Crash:
            crashes += 1
            await world.start()
    world.dead.clear()
    world.crash_at = None
    for _ in range(4):
        world.clock.advance(3600)
        await world.round()
    open_now = {(one["id"], one["cause"]) for one in await alarms.list_(world.services)}
    assert not {cause for _, cause in open_now} & {"delivery-failing"}
    for channel, notices in world.taken.items():
        told = Counter((item.alarm, one.event) for one in notices for item in one.items)
        assert max(told.values(), default=1) <= 1 + crashes
        assert len({one.id for one in notices}) >= len(notices) - crashes, "only a crash repeats"
        begun, ended = ({alarm for alarm, event in told if event == which} for which in ("opened", "closed"))
        assert begun - ended == {number for number, _ in open_now}, "told and not ended is what is open"
        assert ended <= begun
        own = [item.object for one in notices if one.cause == "delivery-failing" for item in one.items]
        assert channel not in own


async def test_a_full_disk_is_no_message_and_no_loss(world: World) -> None:
    await world.lead("email")
    await world.open("ca-locked", "Site")
    async with world.services.database.transaction() as tx:
        await tx.exec_driver_sql(
            "create trigger full before insert on alarm_notice begin select raise(abort, 'full'); end"
        )
    with pytest.raises(StoreError):
        await world.round()
    assert world.told("email") == []
    async with world.services.database.transaction() as tx:
        await tx.exec_driver_sql("drop trigger full")
    await world.round()
    assert world.told("email") == [("opened", "ca-locked", ["Site"])]


async def test_ended_messages_are_forgotten_and_waiting_ones_are_not(world: World) -> None:
    await world.lead("email", "syslog")
    world.dead.add("syslog")
    await world.open("ca-locked", "Site")
    await world.round()
    async with world.services.database.transaction() as tx:
        await messages.prune(tx, before=world.clock.now() + timedelta(days=1))
        left = await tx.exec_driver_sql("select channel from alarm_message")
        assert [row.channel for row in left] == ["syslog"]


# ---------------------------------------------------------------- secrets and tests


async def test_a_secret_is_sealed_audited_and_used(world: World) -> None:
    secret = "c4n4ry mail password"
    await world.lead("email")
    shown = await delivery.set_secret(world.services, actor="anna", channel="email", secret=Secret(secret))
    assert [one["secret"] for one in shown] == [True, False, False]
    assert await delivery.test(world.services, actor="anna", channel="email") == {
        "channel": "email",
        "target": TARGETS["email"],
        "sent": True,
    }
    assert world.secrets == [secret]
    assert [(one.event, one.cause) for one in world.taken["email"]] == [("test", "test")]
    async with world.services.database.reading() as tx:
        records = await audit.records(tx)
    assert [(one.actor, one.action, one.object) for one in records[:2]] == [
        ("anna", "alarm test", "email"),
        ("anna", "alarm secret set", "email"),
    ]
    assert secret not in repr((shown, records))
    for path in world.data.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path.name
    await delivery.set_secret(world.services, actor="anna", channel="email", secret=None)
    await delivery.test(world.services, actor="anna", channel="email")
    assert world.secrets == [secret, None]


MAIL = "smtps://fleet@mail.example:465?from=fleetseal@site.example&to=ops@site.example"


@pytest.mark.parametrize(
    ("channel", "before", "after", "kept"),
    [
        ("email", MAIL, MAIL.replace("mail.example", "mail.evil.example"), False),
        ("email", MAIL, MAIL.replace(":465", ":2465"), False),
        ("email", MAIL, MAIL.replace("fleet@", "eve@"), False),
        ("email", MAIL, MAIL.replace("fleet@", ""), False),
        ("email", MAIL, MAIL.replace("smtps", "smtp"), False),
        ("email", MAIL, "", False),
        ("email", MAIL, MAIL.replace("to=ops", "to=night,ops").replace("night", "night@site.example"), True),
        ("email", MAIL, MAIL.replace(":465", ""), True),
        ("webhook", "https://hooks.example/a", "https://hooks.evil.example/a", False),
        ("webhook", "https://hooks.example/a", "https://hooks.example:8443/a", False),
        ("webhook", "https://hooks.example/a", "https://hooks.example/b", True),
    ],
)
async def test_a_secret_is_for_where_its_channel_leads(
    world: World, channel: str, before: str, after: str, *, kept: bool
) -> None:
    """Led elsewhere, and back, by a change of the setting, the channel has none; and it is on record who did that."""
    services, key = world.services, f"alarm.{channel}"
    await settings.set_(services, actor="anna", key=key, value=before)
    await delivery.set_secret(services, actor="anna", channel=channel, secret=Secret("password"))
    await settings.set_(services, actor="eve", key=key, value=after)
    assert [one["secret"] for one in await delivery.channels(services) if one["channel"] == channel] == [kept]
    await settings.set_(services, actor="eve", key=key, value=before)
    await delivery.test(services, actor="anna", channel=channel)
    assert world.secrets == ["password" if kept else None]
    async with services.database.reading() as tx:
        forgotten = [one.actor for one in await audit.records(tx) if one.action == "alarm secret removed"]
    assert forgotten == ([] if kept else ["eve"])


@pytest.mark.parametrize("first", ["round", "test"])
async def test_a_secret_stays_behind_when_the_file_of_settings_leads_elsewhere(world: World, first: str) -> None:
    """What nobody sets through us is seen when it is used."""
    services = world.services
    services = replace(services, sources=replace(services.sources, file={"alarm.email": MAIL}))
    await delivery.set_secret(services, actor="anna", channel="email", secret=Secret("password"))
    evil = {"alarm.email": MAIL.replace("mail.example", "mail.evil.example")}
    services = replace(services, sources=replace(services.sources, file=evil))
    if first == "round":
        await delivery.send_waiting(services)
    await delivery.test(services, actor="anna", channel="email")
    assert world.secrets == [None]


async def test_a_secret_that_is_given_in_a_round_does_not_go_where_that_round_leads(world: World) -> None:
    """While the first message is on its way to another server, a person leads the channel back."""
    services, evil = world.services, MAIL.replace("mail.example", "mail.evil.example")
    await settings.set_(services, actor="eve", key="alarm.email", value=evil)
    given: list[str | None] = []

    async def slow(destination: Destination, notice: Notice, secret: Secret | None) -> None:
        given.append(None if secret is None else secret.reveal())
        await settings.set_(services, actor="anna", key="alarm.email", value=MAIL)
        await delivery.set_secret(services, actor="anna", channel="email", secret=Secret("password"))

    await world.open("ca-locked", "Site")
    await world.open("ca-expiring", "Site")
    await delivery.send_waiting(replace(services, send=slow))
    assert given == [None]


async def test_a_channel_that_leads_nowhere_takes_no_secret(world: World) -> None:
    with pytest.raises(InvalidInput, match=r"settings set alarm\.email"):
        await delivery.set_secret(world.services, actor="anna", channel="email", secret=Secret("password"))


async def test_a_secret_of_one_channel_does_not_open_as_that_of_another(world: World) -> None:
    await world.lead("email", "webhook", "syslog")
    await delivery.set_secret(world.services, actor="anna", channel="webhook", secret=Secret("key"))
    await delivery.set_secret(world.services, actor="anna", channel="email", secret=Secret("password"))
    async with world.services.database.transaction() as tx:
        await tx.exec_driver_sql(
            "update alarm_channel set secret_sealed = "
            "(select secret_sealed from alarm_channel where name = 'webhook') where name = 'email'"
        )
    await world.open("ca-locked", "Site")
    for _ in range(4):
        await world.round()
    assert world.told("email") == []
    assert world.told("syslog")[0] == ("opened", "ca-locked", ["Site"]), "the others go on"
    assert "cannot be opened" in (await delivery.channels(world.services))[0]["error"]


@pytest.mark.parametrize("secret", ["", "two\nlines", "x" * 1001])
async def test_what_is_no_secret_is_refused(world: World, secret: str) -> None:
    with pytest.raises(InvalidInput):
        await delivery.set_secret(world.services, actor="anna", channel="email", secret=Secret(secret))


async def test_a_channel_that_does_not_exist_or_leads_nowhere_is_said_to(world: World) -> None:
    with pytest.raises(InvalidInput, match="needs no secret"):
        await delivery.set_secret(world.services, actor="anna", channel="syslog", secret=Secret("x"))
    with pytest.raises(NotFound, match="email, webhook, syslog"):
        await delivery.set_secret(world.services, actor="anna", channel="pager", secret=Secret("x"))
    with pytest.raises(NotFound, match="email, webhook, syslog"):
        await delivery.test(world.services, actor="anna", channel="pager")
    with pytest.raises(InvalidInput, match=r"settings set alarm\.email"):
        await delivery.test(world.services, actor="anna", channel="email")


async def test_a_test_that_fails_says_why_and_one_that_works_ends_the_alarm(world: World) -> None:
    await world.lead("email")
    world.dead.add("email")
    with pytest.raises(DeliveryFailed, match="cannot be reached"):
        await delivery.test(world.services, actor="anna", channel="email")
    await world.open("ca-locked", "Site")
    for _ in range(10):
        await world.round()
    assert ("delivery-failing", "email") in await world.causes()
    world.dead.clear()
    await delivery.test(world.services, actor="anna", channel="email")
    assert await world.causes() == {("ca-locked", "Site")}
    await world.round()
    assert world.told("email") == [("test", "test", ["this channel"]), ("opened", "ca-locked", ["Site"])]


# ---------------------------------------------------------------- the computer


async def test_a_disk_that_fills_is_an_alarm_that_does_not_come_and_go(world: World) -> None:
    total, seen = 100 * 2**30, []
    for free in (50.0, 1.01, 0.99, 1.01, 1.19, 0.05, 0.5, 1.21, 1.01):

        def disk(_: Path, free: int = int(free * 2**30)) -> tuple[int, int]:
            return total, free

        await alarm_pass.computer(replace(world.services, disk=disk))
        seen.append([one["severity"] for one in await alarms.list_(world.services)])
    assert seen == [[], [], ["warning"], ["warning"], ["warning"], ["critical"], ["warning"], [], []]


async def test_a_small_disk_has_a_smaller_bound(world: World) -> None:
    await alarm_pass.computer(replace(world.services, disk=lambda _: (2**30, 2**30 // 5)))
    assert await world.causes() == set()
    await alarm_pass.computer(replace(world.services, disk=lambda _: (2**30, 2**30 // 11)))
    assert await world.causes() == {("disk-nearly-full", "data directory")}


async def test_a_clock_behind_the_last_signature_is_an_alarm_until_it_is_right(world: World) -> None:
    await authorities.create(world.services, actor="test", name="Site", key_type="ec", passphrase=PASSPHRASE)
    await alarm_pass.computer(world.services)
    assert await world.causes() == set()
    world.clock.advance(-86400)
    await alarm_pass.computer(world.services)
    ((cause, about),) = await world.causes()
    assert cause == "clock-jumped"
    assert "Site" in about
    world.clock.advance(86401)
    await alarm_pass.computer(world.services)
    assert await world.causes() == set()
