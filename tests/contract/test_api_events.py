"""Whoever follows what changes has what the lists tell; and costs little."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251 - a seed makes a run repeatable
from typing import Any, TypeVar

import httpx
import pytest

from fleetseal.app import Application, open_application
from fleetseal.core.access import Role
from fleetseal.core.errors import TooManyListeners
from fleetseal.core.model import DeviceId, JobStatus, TaskAction
from fleetseal.operations import accounts, listed
from fleetseal.store import alarms, inventory, positions, tasks
from fleetseal.web.events import EventStream, position_in
from fleetseal.web.feed import PULSE, Feeds
from tests import people
from tests.follower import Page, following, told
from tests.support import NOW, FastClock

pytestmark = pytest.mark.enable_socket  # the door of the application

T = TypeVar("T")

FACTOR = 20.0  # a look every 10 ms, a pulse every 0.6 s


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data", environment={}, clock=FastClock(NOW, factor=FACTOR)) as one:
        yield one


class World:
    """Writes as the product does, through the store."""

    def __init__(self, application: Application, seed: int) -> None:
        self._services = application.services
        self._random = Random(seed)
        self._serial = 0

    async def add_devices(self, number: int) -> None:
        serials = range(self._serial, self._serial + number)
        self._serial += number
        rows = [
            {
                "serial": f"B8A44F{serial:06X}",
                "address": f"10.0.{serial // 250}.{serial % 250}",
                "http_port": 80,
                "https_port": 443,
                "site": "default",
                "tags": [],
                "added": NOW,
            }
            for serial in serials
        ]
        async with self._services.database.transaction() as tx:
            await inventory.add_all(tx, self._services.sealer, [(row, None) for row in rows])
        await listed.freshen(self._services)  # the first listing of all counts as a change

    async def ids(self) -> list[DeviceId]:
        async with self._services.database.reading() as tx:
            return await inventory.ids(tx)

    async def step(self) -> None:
        """One transaction, or a few, of any kind."""
        acts = (self._add, self._change, self._change, self._remove, self._raise, self._close, self._task, self._job)
        await self._random.choice((*acts, self._job, self._finish, self._prune))()

    async def _add(self) -> None:
        await self.add_devices(self._random.randint(1, 3))

    async def _change(self) -> None:
        async with self._services.database.transaction() as tx:
            for device_id in self._some(await inventory.ids(tx), 3):
                await inventory.change(tx, device_id, firmware=f"{self._random.randint(6, 12)}.{self._random.random()}")

    async def _remove(self) -> None:
        async with self._services.database.transaction() as tx:
            busy = await inventory.active_tasks(tx)
            for device_id in self._some([one for one in await inventory.ids(tx) if one not in busy], 1):
                await inventory.remove(tx, device_id)

    async def _raise(self) -> None:
        async with self._services.database.transaction() as tx:
            await alarms.raise_alarm(
                tx,
                now=self._services.clock.now(),
                cause="ca-locked",
                object=f"ca {self._random.randint(1, 4)}",
                severity="warning",
                message=f"Locked {self._random.random()}.",
            )

    async def _close(self) -> None:
        async with self._services.database.transaction() as tx:
            for alarm in self._some(await alarms.open_alarms(tx), 1):
                if self._random.random() < 0.5:
                    await alarms.acknowledge(tx, alarm.id, now=self._services.clock.now())
                else:
                    await alarms.close_all(tx, now=self._services.clock.now(), object=alarm.object)

    async def _task(self) -> None:
        async with self._services.database.transaction() as tx:
            busy = await inventory.active_tasks(tx)
            free = [one for one in await inventory.ids(tx) if one not in busy]
            chosen = [(await inventory.get(tx, one), True) for one in self._some(free, 4)]
            if chosen:
                now = self._services.clock.now()
                await tasks.add_task(tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=chosen, now=now)

    async def _job(self) -> None:
        async with self._services.database.transaction() as tx:
            for job in self._some(await tasks.active_jobs(tx), 2):
                now = self._services.clock.now()
                record = await tasks.begin_run(tx, job.id, now=now)
                if self._random.random() < 0.6:
                    outcome = self._random.choice((JobStatus.FINISHED, JobStatus.FAILED))
                    await tasks.guarded_update(tx, record, status=outcome, active=False, finished=now)

    async def _finish(self) -> None:
        async with self._services.database.transaction() as tx:
            at_work = {job.task_id for job in await tasks.active_jobs(tx)}
            for task in await tasks.unfinished_tasks(tx):
                if task.id not in at_work:
                    await tasks.finish_task(tx, task.id, now=self._services.clock.now())

    async def _prune(self) -> None:
        async with self._services.database.transaction() as tx:
            await tasks.prune(tx, before=self._services.clock.now(), limit=1000)
            await alarms.prune(tx, before=self._services.clock.now())
            await positions.prune(tx, now=self._services.clock.now())

    def _some(self, of: Sequence[T], most: int) -> list[T]:
        return self._random.sample(of, min(len(of), self._random.randint(1, most)))


async def agrees(application: Application, page: Page) -> None:
    """The page has what the lists tell, as soon as it was told everything."""
    now_at = await position(application)
    await page.until(lambda: page.position is not None and int(page.position) >= now_at)
    assert page.rows == await told(application)


@pytest.mark.parametrize("seed", range(4))
async def test_a_page_that_is_cut_off_and_resumes_has_what_the_lists_tell(application: Application, seed: int) -> None:
    world, chance = World(application, seed), Random(seed)
    page = Page(application)
    await world.add_devices(5)
    for _ in range(12):
        async with following(page):
            for _ in range(chance.randint(0, 6)):
                await world.step()
                if chance.random() < 0.3:
                    await asyncio.sleep(0)  # noqa: TID251 - lets the stream run, or not
            if chance.random() < 0.5:
                await agrees(application, page)
        for _ in range(chance.randint(0, 4)):
            await world.step()
    async with following(page):
        await agrees(application, page)
    assert "resync" not in page.kinds  # all was told


async def test_whoever_begins_at_the_position_of_a_list_is_told_what_came_after(application: Application) -> None:
    world, page = World(application, 1), Page(application)
    await world.add_devices(3)
    at = await position(application)
    await page.load()
    await world.add_devices(1)
    async with following(page, query=f"after={at}"):
        await agrees(application, page)
    assert set(page.kinds) == {"device"}


async def test_the_position_of_the_last_event_counts_more_than_where_the_page_began(application: Application) -> None:
    world, page = World(application, 1), Page(application)
    await world.add_devices(3)
    async with following(page):
        await agrees(application, page)
    async with following(page, query="after=0"):
        await agrees(application, page)
        assert page.kinds == []


async def test_a_position_that_is_none_asks_for_the_lists(application: Application) -> None:
    await World(application, 1).add_devices(2)
    numbers = ("0x10", "-1", "+1", "1.5", "1e3", "٣", "1 ", "9" * 16, "9" * 400)
    for position in (*numbers, "1\x00", "a" * 4000, "1; DROP TABLE change"):
        page = Page(application)
        async with following(page, last=position.encode().decode("latin-1")):
            await agrees(application, page)
        assert (page.status, page.kinds) == (200, ["resync"])


def test_positions_are_plain_numbers() -> None:
    assert [position_in(text) for text in (None, "", "12", "٣", "-1", "1" * 17)] == [None, None, 12, -1, -1, -1]


async def test_a_position_before_what_is_kept_asks_for_the_lists(application: Application) -> None:
    world, page = World(application, 1), Page(application)
    await world.add_devices(2)
    async with following(page):
        await agrees(application, page)
    async with application.services.database.transaction() as tx:
        await positions.break_off(tx, now=NOW)
    await world.add_devices(2)
    async with following(page):
        await agrees(application, page)
    assert page.kinds == ["resync"]


async def test_more_than_is_told_one_by_one_asks_for_the_lists(application: Application) -> None:
    world, page = World(application, 1), Page(application)
    async with following(page):
        await agrees(application, page)
        await world.add_devices(2001)
        await agrees(application, page)
    assert page.kinds == ["resync"]


async def test_changes_are_told_at_most_five_times_a_second(application: Application) -> None:
    world, page = World(application, 1), Page(application)
    await world.add_devices(1)
    (device_id,) = await world.ids()
    async with following(page):
        await agrees(application, page)
        clock = application.services.clock
        began = clock.monotonic()
        for change in range(50):
            async with application.services.database.transaction() as tx:
                await inventory.change(tx, device_id, firmware=f"9.{change}")
        await agrees(application, page)
        lasted = clock.monotonic() - began
    assert 1 <= page.kinds.count("device") <= lasted * 5 + 2


async def test_two_hundred_pages_are_told_the_same(application: Application) -> None:
    """One reader serves all: what is read is the same for two hundred as for one."""
    world = World(application, 1)
    await world.add_devices(250)
    follow = streams(application, most_of_one=200)
    pages = [Page(application, follow) for _ in range(200)]
    ids, at = await world.ids(), await position(application)
    async with following(*pages, last=str(at)):
        await pages[-1].until(lambda: all(page.position for page in pages))
        async with application.services.database.transaction() as tx:
            await inventory.note_seen(tx, ids, now=NOW)
        end = await position(application)
        await pages[-1].until(lambda: all(int(page.position or 0) >= end for page in pages))
    truth = await told(application)
    assert all(page.rows["device"] == truth["device"] for page in pages)
    assert {kind for page in pages for kind in page.kinds} == {"device"}


async def test_a_page_that_takes_nothing_is_left_behind_and_costs_no_memory(application: Application) -> None:
    world, room = World(application, 1), 200_000
    feeds = feeds_of(application, room=room)
    slow, quick = (Page(application, partial(stream, feeds)) for _ in range(2))
    await world.add_devices(200)
    async with following(slow, quick), feeds.listening("test") as feed:
        await agrees(application, slow)
        await agrees(application, quick)
        slow.takes.clear()
        for number in range(8):
            told_before = quick.kinds.count("device")
            async with application.services.database.transaction() as tx:
                await inventory.note_seen(tx, await inventory.ids(tx), now=NOW + timedelta(hours=number))
            await quick.until(lambda before=told_before: quick.kinds.count("device") > before)  # type: ignore[misc]  # bound at once
            assert feed.size <= room
        slow.takes.set()
        await agrees(application, slow)
        await agrees(application, quick)
    assert slow.kinds.count("resync") == 1
    assert slow.kinds.count("device") < 8
    assert "resync" not in quick.kinds


async def test_a_page_that_takes_nothing_for_long_is_left(application: Application) -> None:
    """20 s in the product; here the deadline of the stream is that of the test."""
    feeds = feeds_of(application)
    page = Page(application, lambda after: EventStream(feeds, "test", after=after, allowed=always, patience=0.5))
    async with following(page, last=str(await position(application))):
        await page.until(lambda: page.position)
        page.takes.clear()
        await World(application, 1).add_devices(1)
        await page.until(page.aborted.is_set)
        await page.until(page.ended.is_set)


async def test_a_stream_says_at_each_pulse_that_it_lives(application: Application) -> None:
    """Not more often than that; and, where the machine keeps up, every 15 s at least."""
    page, clock = Page(application), application.services.clock
    async with following(page):
        began = clock.monotonic()
        await page.until(lambda: page.comments == 3)
    assert clock.monotonic() - began >= 3 * PULSE - 2


async def test_a_stream_ends_when_its_caller_may_not_ask_any_more(application: Application) -> None:
    allowed, feeds = True, feeds_of(application)

    async def asked() -> bool:
        return allowed

    page = Page(application, lambda after: EventStream(feeds, "test", after=after, allowed=asked))
    async with following(page):
        await page.until(lambda: page.comments == 1)
        assert not page.ended.is_set()
        allowed = False
        await page.until(page.ended.is_set)
    assert page.comments == 1


async def test_a_stream_ends_with_the_session_of_its_page(tmp_path: Path) -> None:
    async with people.application(tmp_path / "data", clock=FastClock(NOW, factor=FACTOR)) as application:
        await people.add_user(application, "anna", Role.VIEWER)
        browser = await people.signed_in(application, "anna")
        page = Page(application, cookie=_cookies(browser))
        async with following(page, last="0"):
            await page.until(lambda: page.comments == 1)
            assert (await browser.delete("/session")).status_code == 200
            await page.until(page.ended.is_set)
        async with following(page):
            await page.until(page.ended.is_set)
        assert page.status == 401


async def _lowered(application: Application, number: int) -> None:
    await accounts.change_user(application.services, number, actor="test", name=None, role=Role.VIEWER, password=None)


async def _removed(application: Application, number: int) -> None:
    await accounts.remove_user(application.services, number, actor="test")


async def _removed_elsewhere(application: Application, number: int) -> None:
    """By another process: no commit of this one is there to be seen."""
    with sqlite3.connect(application.services.data / "fleetseal.db") as connection:
        connection.execute("delete from session where account_id = ?", [number])
    connection.close()


class Timeless(FastClock):
    """Sleeps are as short; how long they were is not to be seen."""

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("end", [_lowered, _removed, _removed_elsewhere])
async def test_a_stream_ends_at_once_with_the_rights_of_its_user(tmp_path: Path, end: Any) -> None:
    """Not at the next pulse, which never comes here."""
    async with people.application(tmp_path / "data", clock=Timeless(NOW, factor=FACTOR)) as application:
        await people.add_user(application, "zoe")
        number = await people.add_user(application, "anna", Role.OPERATOR)
        anna, zoe = [await people.signed_in(application, name) for name in ("anna", "zoe")]
        pages = [Page(application, cookie=_cookies(one)) for one in (anna, zoe)]
        async with following(pages[0], last="0"), following(pages[1], last="0"):
            await pages[0].until(lambda: all(page.status == 200 for page in pages))
            await end(application, number)
            await pages[0].until(pages[0].ended.is_set)
            await pages[1].until(lambda: pages[1].comments == 1)
            assert not pages[1].ended.is_set()


def _cookies(browser: httpx.AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


async def test_a_client_that_takes_nothing_does_not_hold_up_the_end(application: Application) -> None:
    """By a real socket: what waits for it in memory would be waited for."""
    await World(application, 1).add_devices(1000)
    await Page(application).until(lambda: Path(application.listener.shown).is_socket())  # soon, by itself
    async with application.services.database.reading() as tx:
        ids = await inventory.ids(tx)
    reader, writer = await asyncio.open_unix_connection(application.listener.shown, limit=1000)
    try:
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        async with application.feeds.listening("test") as feed:
            for hour in range(1, 4):
                before = feed.newest
                async with application.services.database.transaction() as tx:
                    await inventory.note_seen(tx, ids, now=NOW + timedelta(hours=hour))
                async with asyncio.timeout(60):
                    while feed.newest == before:
                        await feed.happening().wait()
        async with asyncio.timeout(20):  # ten minutes, if it were waited for
            await application.leave()
    finally:
        writer.close()


async def test_so_many_pages_may_follow_and_no_more(application: Application) -> None:
    feeds = feeds_of(application, most=3, most_of_one=2)
    async with AsyncExitStack() as stack:
        for who in ("anna", "anna", "ben"):
            await stack.enter_async_context(feeds.listening(who))
        with pytest.raises(TooManyListeners, match="As many pages"):
            await stack.enter_async_context(feeds.listening("ben"))
    async with feeds.listening("anna"), feeds.listening("anna"):
        with pytest.raises(TooManyListeners, match="You have 2 pages open"):
            async with feeds.listening("anna"):
                pass
        async with feeds.listening("ben"):
            pass


async def test_too_many_pages_are_told_so(application: Application) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(16):
            await stack.enter_async_context(application.feeds.listening(people.here()))
        transport = httpx.ASGITransport(application.local)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            answer = await client.get("/events")
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-listeners")


async def test_nothing_reads_while_nobody_listens(application: Application) -> None:
    async with application.feeds.listening("test") as first:
        assert not first.over
    assert first.over
    async with application.feeds.listening("test") as second:
        assert second is not first


async def test_streams_end_when_the_application_leaves(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", environment={}) as application:
        pages = [Page(application) for _ in range(3)]
        async with following(*pages):
            await pages[-1].until(lambda: all(page.position for page in pages))
            await application.leave()
            for page in pages:
                await page.until(page.ended.is_set, seconds=0.5)
        late = Page(application)
        async with following(late):
            await late.until(late.ended.is_set, seconds=0.5)


async def test_a_task_is_told_anew_when_an_engine_starts(application: Application) -> None:
    """It was `Suspended`, and nothing of it was written."""
    world, working = World(application, 1), False
    await world.add_devices(1)
    async with application.services.database.transaction() as tx:
        device = await inventory.get(tx, DeviceId(1))
        await tasks.add_task(tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=[(device, True)], now=NOW)
    feeds = Feeds(application.services, working=lambda: working, spawn=application.spawn)
    page = Page(application, partial(stream, feeds))
    async with following(page):
        await agrees(application, page)
        assert page.rows["task"][1]["state"] == "Suspended"
        working = True
        await page.until(lambda: page.rows["task"][1]["state"] == "Queued")


async def position(application: Application) -> int:
    async with application.services.database.reading() as tx:
        return await positions.current(tx)


async def always() -> bool:
    return True


def feeds_of(application: Application, **bounds: int) -> Feeds:
    return Feeds(application.services, working=lambda: False, spawn=application.spawn, **bounds)


def stream(feeds: Feeds, after: int | None) -> EventStream:
    return EventStream(feeds, "test", after=after, allowed=always)


def streams(application: Application, **bounds: int) -> Callable[[int | None], EventStream]:
    return partial(stream, feeds_of(application, **bounds))
