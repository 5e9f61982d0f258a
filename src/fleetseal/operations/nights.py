"""When the nightly run runs: by a command, or by the server once in each window (REN-ONCE-A-NIGHT)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fleetseal.core.config import Settings
from fleetseal.core.errors import Conflict, FleetsealError
from fleetseal.core.text import timestamp
from fleetseal.operations import alarm_pass, authorities, nightly, signing, windows
from fleetseal.operations.nightly import NightRun
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current, in_force
from fleetseal.store import alarms as alarm_store
from fleetseal.store import authorities as authority_store
from fleetseal.store import nights as store
from fleetseal.store import renewals
from fleetseal.store.database import Transaction
from fleetseal.store.nights import NightId, NightRecord

if TYPE_CHECKING:
    from fleetseal.jobs.engine import Engine

_TICK_SECONDS = 60.0
_DEVICES_EVERY = 3600.0  # seconds between two passes over the certificates that devices serve

_log = logging.getLogger(__name__)


class Nights:
    """At most one nightly run at a time. `engine` starts the engine if need be, `spawn` runs beside the requests."""

    def __init__(
        self,
        services: Services,
        engine: "Callable[[], Awaitable[Engine]]",
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._services = services
        self._engine = engine
        self._spawn = spawn
        self._current: NightId | None = None
        self._turn = asyncio.Lock()  # two runs are not begun at once
        self._lock_for: str | None = None  # who opened the CA key for the current run; it is closed afterwards
        self._devices_at: float | None = None

    async def start(self, *, actor: str, opened: bool, clock_is_right: bool = False) -> NightId:
        """A run is under way, whatever the window: a new one, or the one that is at work already. `opened`: the CA key
        was opened for it, and is closed afterwards."""
        async with self._turn:
            if self._current is not None:
                self._lock_for = actor if opened else self._lock_for
                return self._current
            try:
                night_id = await self._begin()
            except BaseException:  # whatever it is: no run will close it
                if opened:
                    await authorities.lock(self._services, actor=actor)
                raise
            self._current, self._lock_for = night_id, actor if opened else None
        self._spawn(self._guarded(self._carry_out(night_id, None, clock_is_right=clock_is_right)))
        return night_id

    async def _begin(self) -> NightId:
        now = self._services.clock.now()
        async with self._services.database.transaction() as tx:
            for left in await store.unfinished(tx):  # of a process that is gone; its renewals go on in this run
                await store.change(tx, left.id, finished=now)
            return await store.begin(tx, window=None, now=now)

    async def keep(self) -> None:
        """The server's part: runs in their windows, and alarms that are true at any time of day. Never returns."""
        while True:
            await self._guarded(self.tick())
            await self._services.clock.sleep(_TICK_SECONDS)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What fails is logged: the row says that the run has not ended, and a server goes on with it."""
        try:
            await work
        except FleetsealError as error:
            _log.warning("The nightly run waits: %s A server tries again within a minute.", error.message)
        except Exception:  # whatever it is, it must not end the server: certificates would expire in silence
            _log.exception("The nightly run met an unexpected error; a server tries again within a minute.")

    async def tick(self) -> None:
        """What is to be done now was done: an interrupted run, the window's run, one that waited for the key."""
        async with self._turn:
            if self._current is not None:
                return
            found = await self._next(await in_force(self._services))
            self._current = None if found is None else found[0]
        if found is not None:
            await self._carry_out(*found)
            return
        await alarm_pass.authority(self._services)
        await alarm_pass.overdue(self._services)
        now = self._services.clock.monotonic()
        if self._devices_at is None or now - self._devices_at >= _DEVICES_EVERY:
            self._devices_at = now
            await alarm_pass.devices(self._services)

    async def _next(self, settings: Settings) -> tuple[NightId, datetime] | None:
        """The run that is due now, and its deadline."""
        services, now = self._services, self._services.clock.now()
        window = windows.latest(now, settings.renewal_window, services.zone)
        deadline = window.ends if now < window.ends else now + window.length
        locked = await signing.is_locked(services)
        try:
            async with services.database.transaction() as tx:
                night_id = await _due(tx, window, now=now, may_sign=settings.renewal_automatic and not locked)
        except Conflict:  # another process has begun it
            return None
        return None if night_id is None else (night_id, deadline)

    async def _carry_out(self, night_id: NightId, deadline: datetime | None, *, clock_is_right: bool = False) -> None:
        try:
            async with self._services.database.reading() as tx:
                settings, record = await current(self._services, tx), await store.get(tx, night_id)
            run = NightRun(
                self._services, await self._engine(), settings, night_id, record.begun, deadline, clock_is_right
            )
            await nightly.carry_out(run)
        finally:
            self._current = None
            if self._lock_for is not None:
                actor, self._lock_for = self._lock_for, None
                await authorities.lock(self._services, actor=actor)


async def _due(tx: Transaction, window: windows.Window, *, now: datetime, may_sign: bool) -> NightId | None:
    """The run to carry out now: an interrupted one, the window's own, or one that goes on after the key was locked."""
    left = await store.unfinished(tx)
    for old in left[:-1]:
        await store.change(tx, old.id, finished=now)
    if left:
        return left[-1].id
    made = [one.created for one in await authority_store.every(tx) if one.signs_leaves]
    if made and window.begins >= min(made) and await store.of_window(tx, window.name) is None:
        return await store.begin(tx, window=window.name, now=now)
    last = await store.latest(tx)
    if last is not None and last.waited and may_sign:
        return await store.begin(tx, window=f"after {last.id}", now=now)
    return None


# ---------------------------------------------------------------- reading


async def show(services: Services, night_id: int) -> dict[str, Any]:
    """One run: `{"id","state","window","begun","finished","task","report"}`; `report` is null until it has ended."""
    async with services.database.reading() as tx:
        record, open_alarms = await store.get(tx, NightId(night_id)), await alarm_store.count_open(tx)
    report = None if record.report is None else {**record.report, "alarms": open_alarms}
    return {**_summary(record), "task": record.task_id, "report": report}


async def status(services: Services, *, serving: bool) -> dict[str, Any]:
    """`{"automatic","window","renews","next","last","last_success","waits"}`.

    `renews`: certificates are renewed without a person, by this server or by a command that runs each day. `waits`: a
    sentence when renewal cannot sign; else null.
    """
    now = services.clock.now()
    async with services.database.reading() as tx:
        settings = await current(services, tx)
        last, success = await store.latest(tx), await store.last_success(tx)
        fleet = await renewals.fleet_size(tx)
    automatic = settings.renewal_automatic
    recent = success is not None and now - success <= timedelta(days=2)
    waits = automatic and fleet > 0 and await signing.is_locked(services)
    following = windows.following(now, settings.renewal_window, services.zone)
    return {
        "automatic": automatic,
        "window": settings.renewal_window,
        "renews": automatic and (serving or recent),
        "next": timestamp(following.begins) if serving else None,
        "last": None if last is None else _summary(last),
        "last_success": None if success is None else timestamp(success),
        "waits": alarm_pass.LOCKED if waits else None,
    }


def _summary(record: NightRecord) -> dict[str, Any]:
    ended = "succeeded" if record.succeeded else "failed" if record.report is not None else "interrupted"
    return {
        "id": record.id,
        "state": "running" if record.finished is None else ended,
        "window": record.window,
        "begun": timestamp(record.begun),
        "finished": None if record.finished is None else timestamp(record.finished),
    }
