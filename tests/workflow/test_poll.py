"""The background poll of a server, over virtual devices with real TLS: it sees what changes, and costs nothing else."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event

from fleetseal.app import open_application
from fleetseal.core.errors import StoreError
from fleetseal.core.model import DeviceId, Endpoint, Selection, TaskAction, TrustLevel
from fleetseal.core.runtime import SystemClock
from fleetseal.core.secrets import Secret
from fleetseal.devices.connect import AxisConnector
from fleetseal.devices.driver import Connector, Glance, Sight
from fleetseal.operations import contact, glances, inventory, poll, trusting
from fleetseal.operations.services import Services
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.sim.run import DEFAULT_SITE
from fleetseal.store import inventory as rows
from fleetseal.store import tasks
from fleetseal.store.database import Database
from tests.simulator import back, browser, configuration, create, soap
from tests.site import Site, site


class StepClock(SystemClock):
    """Sleepers wake when a test lets time pass, each at its moment. The time of day is the devices'."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = (self.elapsed + seconds, woken)
        self.sleepers.append(sleeper)
        try:
            await woken
        finally:
            if sleeper in self.sleepers:  # cancelled
                self.sleepers.remove(sleeper)

    async def pass_(self, seconds: float, quiet: Callable[[], bool] = lambda: True) -> None:
        """Goes on from one moment to the next when it is `quiet`: what was begun before is over, too."""
        end = self.elapsed + seconds
        await until(quiet)
        while due := [one for one in self.sleepers if one[0] <= end]:
            first = min(due, key=lambda one: one[0])
            self.sleepers.remove(first)
            self.elapsed = first[0]
            first[1].set_result(None)
            await settled()
            await until(quiet)
            await settled()
        self.elapsed = end


@dataclass
class Watcher:
    """A connector that counts, and lets a test do something in between."""

    inner: AxisConnector
    begun: int = 0  # glances
    ended: int = 0
    looks: int = 0
    before_look: list[Callable[[], Any]] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)  # HTTPS ports at which a glance meets a defect of ours
    hanging: set[int] = field(default_factory=set)  # and those at which it never ends

    async def glance(self, endpoint: Endpoint, leaf: bytes | None) -> Glance:
        self.begun += 1
        try:
            if endpoint.https_port in self.broken:
                raise ZeroDivisionError
            if endpoint.https_port in self.hanging:
                await asyncio.Event().wait()
            return await self.inner.glance(endpoint, leaf)
        finally:
            self.ended += 1

    async def look(self, endpoint: Endpoint) -> Sight:
        self.looks += 1
        for act in self.before_look:
            await act()
        return await self.inner.look(endpoint)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Polled:
    site: Site
    services: Services
    clock: StepClock
    watcher: Watcher
    written: list[str]  # statements that wrote, since the poll began

    async def pass_(self, seconds: float) -> None:
        """So much time passes, and the glances and reads of it end."""
        await self.clock.pass_(seconds, lambda: working() == len(self.clock.sleepers))

    async def round(self) -> None:
        """The rest of this round but half a second of it; the first begins at once."""
        left = poll.PERIOD - self.clock.elapsed % poll.PERIOD
        await self.pass_(left - 0.5 if left > 0.5 else poll.PERIOD)

    async def shows(self, device: SimulatedDevice, **columns: object) -> None:
        """Its row gets these values."""
        async with asyncio.timeout(60):
            while {name: getattr(await self.site.device(device), name) for name in columns} != columns:
                await settled()

    async def status(self, device: SimulatedDevice, status: str) -> None:
        async with asyncio.timeout(60):
            while (await self.site.show(device))["status"] != status:
                await settled()


def working() -> int:
    """How many tasks of the poll there are, asleep or not."""
    coroutines = [cast("Any", task.get_coro()) for task in asyncio.all_tasks()]
    return sum(one.cr_code.co_filename == poll.__file__ for one in coroutines)


async def settled() -> None:
    """What was begun has had a few turns."""
    await SystemClock().sleep(0.02)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await settled()


@asynccontextmanager
async def polled(one: Site, *, broken: Collection[int] = (), hanging: Collection[int] = ()) -> AsyncIterator[Polled]:
    """The poll runs, and has begun its first round. `broken` and `hanging`: as of the watcher, from the beginning."""
    clock = StepClock()
    inner = cast("AxisConnector", one.services.connect(await one.settings()))
    watcher = Watcher(inner, broken=set(broken), hanging=set(hanging))
    services = replace(one.services, clock=clock, connect=lambda settings: cast("Connector", watcher))
    written = writes(one.services.database)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(poll.poll(services))
        await until(lambda: bool(clock.sleepers))
        yield Polled(one, services, clock, watcher, written)
        running.cancel()


def writes(database: Database) -> list[str]:
    """The statements that write, as they are executed."""
    said: list[str] = []

    def executed(_: object, __: object, statement: str, *___: object) -> None:
        if statement.split(None, 1)[0] in ("INSERT", "UPDATE", "DELETE"):
            said.append(statement)

    event.listen(database._engine.sync_engine, "before_cursor_execute", executed)
    return said


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A site without devices and without a CA."""
    async with site(tmp_path / "data", authority=False) as one:
        yield one


async def added(one: Site, *specs: str | DeviceSpec) -> list[SimulatedDevice]:
    devices = await one.fleet.add_all(specs)
    for device in devices:
        assert (await one.add(device))["result"] == "added"
    return devices


def update(device: SimulatedDevice, firmware: str) -> None:
    """Its firmware is another one."""
    profile = device.device.profile
    device.device.profile = replace(profile, product=replace(profile.product, firmware=firmware))
    device.device.parameters.put("Properties.Firmware.Version", firmware)


async def renew_elsewhere(device: SimulatedDevice) -> None:
    """Another manager makes a certificate and binds it."""
    restarts = device.restarts
    async with browser(device) as client:
        for operation in (create("elsewhere"), configuration(device, alias="elsewhere")):
            assert (await soap(client, operation)).status_code == 200
    await back(device, restarts + 1)


# ---------------------------------------------------------------- nothing has changed


async def test_an_unchanged_device_costs_one_request_no_login_and_no_write(here: Site) -> None:
    devices = await added(here, *DEFAULT_SITE)
    before = [(device.connections, len(device.requests), device.credential_bytes) for device in devices]
    async with polled(here) as run:
        await run.round()
        assert run.written == []
        assert run.watcher.looks == 0
    after = [(device.connections, len(device.requests), device.credential_bytes) for device in devices]
    for device, old, new in zip(devices, before, after, strict=True):
        assert new == (old[0] + 1, old[1] + 1, old[2]), device.profile.name


async def test_last_seen_is_written_once_an_hour_in_one_statement(here: Site) -> None:
    first, second = await added(here, "12.11", "9.10")
    ids = [await here.id_of(first), await here.id_of(second)]
    seen = (await here.device(first)).last_seen
    assert seen is not None
    async with here.services.database.transaction() as tx:
        await rows.note_seen(tx, ids, now=seen - timedelta(minutes=61))
    written = writes(here.services.database)
    for _ in range(2):
        swept = await sweep(here)
        assert [one.id for one in swept.unchanged] == ids
        assert [statement.split(" WHERE ")[0] for statement in written] == ["UPDATE device SET last_seen=?"]
    for device in (first, second):
        assert ((await here.device(device)).last_seen or seen) > seen


async def sweep(one: Site) -> glances.Swept:
    async with one.services.database.reading() as tx:
        devices = await rows.every(tx)
    return await glances.sweep(one.services, one.services.connect(await one.settings()), devices, at_once=10)


async def test_a_full_read_is_due_after_a_day(here: Site) -> None:
    (device,) = await added(here, "12.11")
    device.device.parameters.put("Network.VolatileHostName.HostName", "gate")
    async with polled(here) as run:
        await run.round()
        assert (run.watcher.looks, (await here.device(device)).host_name) == (0, f"axis-{device.serial.lower()}")
        async with here.services.database.transaction() as tx:
            yesterday = SystemClock().now() - glances.READ_EVERY
            await rows.change(tx, await here.id_of(device), last_read=yesterday)
        await run.round()
        await run.shows(device, host_name="gate")
        await run.round()
        assert run.watcher.looks == 1


# ---------------------------------------------------------------- something has changed


async def test_a_firmware_update_is_seen(here: Site) -> None:
    updated, other = await added(here, "12.11", "12.11")
    update(updated, "12.12.3")
    before = other.credential_bytes
    async with polled(here) as run:
        await run.round()
        await run.shows(updated, firmware="12.12.3")
        assert (run.watcher.looks, other.credential_bytes) == (1, before)
        assert (await here.show(updated))["status"] == "OK"


async def test_a_certificate_renewed_elsewhere_is_seen_and_the_device_then_left_alone(here: Site) -> None:
    """It was kept from first use: who shows another certificate gets nothing until a person decides."""
    (device,) = await added(here, "9.10")
    sent = device.credential_bytes
    await renew_elsewhere(device)
    elsewhere = device.credential_bytes
    assert elsewhere > sent, "the other manager logged in"
    async with polled(here) as run:
        await run.status(device, "Identity changed")
        connections = device.connections
        await run.round()
        await run.round()
        assert (device.connections, device.credential_bytes) == (connections, elsewhere)
    fingerprint = hashlib.sha256(device.served or b"").hexdigest()
    await trusting.accept(here.services, actor="test", accepted={await here.id_of(device): fingerprint})
    async with polled(here) as run:
        await run.status(device, "OK")


async def test_another_device_at_the_address_is_sent_no_login(here: Site) -> None:
    (device,) = await added(here, "6.50")  # plain HTTP
    sent = device.credential_bytes
    device.faults.change({"serial": "00408C000001", "realm": "AXIS_00408C000001"})
    async with polled(here) as run:
        await run.status(device, "Identity changed")
    assert device.credential_bytes == sent


async def test_https_that_was_switched_on_is_seen(here: Site) -> None:
    (device,) = await added(here, "9.10")
    async with here.services.database.transaction() as tx:
        await rows.change(tx, await here.id_of(device), served_der=None)
    async with polled(here) as run:
        await run.shows(device, served_der=device.served)


# ---------------------------------------------------------------- no answer


async def test_unreachable_needs_two_misses_and_ends_with_an_answer(here: Site) -> None:
    (device,) = await added(here, "12.11")
    async with polled(here) as run:
        await run.round()
        await device.trouble(unreachable=True)
        await run.pass_(poll.AGAIN)
        await until(lambda: run.watcher.ended == 2)
        assert ((await here.show(device))["status"], run.watcher.ended, run.written) == ("OK", 2, [])
        await run.pass_(10)
        await run.status(device, "Unreachable")
        assert (run.watcher.ended, run.watcher.looks) == (3, 1)
        run.written.clear()
        await run.round()
        await run.round()
        assert (run.written, run.watcher.looks) == ([], 1), "it is unreachable as before"
        await device.trouble(unreachable=False)
        await run.round()
        await run.status(device, "OK")


async def test_a_restart_of_the_web_server_is_no_news(here: Site) -> None:
    (device,) = await added(here, "12.11")
    async with polled(here) as run:
        await run.round()
        await device.trouble(unreachable=True)
        await run.pass_(poll.AGAIN)
        await device.trouble(unreachable=False)
        await run.round()
        assert (run.written, run.watcher.ended, run.watcher.looks) == ([], 3, 0)


# ---------------------------------------------------------------- others are at work, or in trouble


async def test_a_device_is_left_alone_while_a_task_is_at_work_on_it(here: Site) -> None:
    busy, free = await added(here, "12.11", "9.10")
    await begin_task(here, busy)
    connections = busy.connections, free.connections
    async with polled(here) as run:
        await run.round()
    assert (busy.connections, free.connections) == (connections[0], connections[1] + 1)


async def begin_task(one: Site, device: SimulatedDevice) -> None:
    row = await one.device(device)
    async with one.services.database.transaction() as tx:
        now = one.services.clock.now()
        await tasks.add_task(tx, action=TaskAction.ENABLE_HTTPS, wish={}, actor="test", devices=[(row, True)], now=now)


async def change_row(one: Site, device: SimulatedDevice) -> None:
    row = await one.device(device)
    async with one.services.database.transaction() as tx:
        await rows.change(tx, row.id, tags=["mine"])


@pytest.mark.parametrize("meanwhile", [begin_task, change_row])
async def test_what_was_seen_while_something_else_changed_is_not_stored(here: Site, meanwhile: Any) -> None:
    (device,) = await added(here, "12.11")
    update(device, "12.12.3")
    watcher = Watcher(cast("AxisConnector", here.services.connect(await here.settings())))

    async def now() -> None:
        await meanwhile(here, device)

    watcher.before_look.append(now)
    services = replace(here.services, connect=lambda settings: cast("Connector", watcher))
    await contact.look_unattended(services, await here.id_of(device))
    assert (watcher.looks, (await here.device(device)).firmware) == (1, "12.11.77")
    if meanwhile is begin_task:
        await contact.look_unattended(services, await here.id_of(device))
        assert watcher.looks == 1, "nor is it looked at"


async def test_trust_that_was_decided_during_a_look_is_not_undone_by_it(here: Site) -> None:
    """A look that began before a task had verified the device tells of the time before."""
    (device,) = await added(here, "12.11")
    assert device.served is not None
    device_id, kept = await here.id_of(device), hashlib.sha256(device.served).digest()
    assert (await here.device(device)).trust_level is not TrustLevel.ANCHORED
    watcher = Watcher(cast("AxisConnector", here.services.connect(await here.settings())))

    async def verified() -> None:
        if watcher.looks == 1:
            async with here.services.database.transaction() as tx:
                await rows.change(tx, device_id, trust_level=TrustLevel.ANCHORED, trust_pin=kept, ever_anchored=True)

    watcher.before_look.append(verified)
    services = replace(here.services, connect=lambda settings: cast("Connector", watcher))
    await contact.refresh_device(services, device_id)
    after = await here.device(device)
    assert (after.trust_level, after.trust_pin, after.ever_anchored) == (TrustLevel.ANCHORED, kept, True)
    assert watcher.looks == 2


@pytest.mark.parametrize("meanwhile", [begin_task, change_row])
async def test_a_login_that_was_refused_while_something_else_changed_is_not_sent_again(
    here: Site, meanwhile: Any
) -> None:
    (device,) = await added(here, "12.11")
    changes = inventory.Changes(password=Secret("not the one"))
    selection = Selection(refs=(device.serial,))
    await inventory.change(here.services, actor="test", selection=selection, changes=changes)
    watcher = Watcher(cast("AxisConnector", here.services.connect(await here.settings())))

    async def now() -> None:
        if watcher.looks == 1:
            await meanwhile(here, device)

    watcher.before_look.append(now)
    services = replace(here.services, connect=lambda settings: cast("Connector", watcher))
    before = device.credential_bytes
    await contact.look_unattended(services, await here.id_of(device))
    sent = device.credential_bytes
    assert sent > before, "the login was tried"
    await contact.refresh_device(services, await here.id_of(device))
    assert (watcher.looks, device.credential_bytes) == (2, sent)
    assert (await here.device(device)).login_refused


async def test_devices_that_hang_or_meet_a_defect_cost_only_themselves(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    hanging, broken, updated = await added(here, "12.11", "12.11", "12.11")
    update(updated, "12.12.3")
    async with polled(here, broken=[broken.https_port], hanging=[hanging.https_port]) as run:
        await run.clock.pass_(poll.PERIOD - 1)
        await run.shows(updated, firmware="12.12.3")
        assert run.watcher.begun == run.watcher.ended + 1
    assert "The poll failed at devices; it goes on with the others." in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_device_that_is_forgotten_in_between_is_no_trouble(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (device,) = await added(here, "12.11")
    update(device, "12.12.3")

    async def forget() -> None:
        async with here.services.database.transaction() as tx:
            await rows.remove(tx, DeviceId(1))

    async with polled(here) as run:
        run.watcher.before_look.append(forget)
        await run.round()
        await until(lambda: run.watcher.looks == 1)
        await run.round()
    assert await known(here) == []
    assert caplog.text == ""


async def known(one: Site) -> list[DeviceId]:
    async with one.services.database.reading() as tx:
        return await rows.ids(tx)


async def test_the_poll_outlives_a_store_that_refuses(here: Site, caplog: pytest.LogCaptureFixture) -> None:
    (device,) = await added(here, "12.11")
    update(device, "12.12.3")
    refused = FailingOnce(here.services.database)
    async with polled(replace(here, services=replace(here.services, database=cast("Database", refused)))) as run:
        await run.round()
        await until(lambda: "The disk is full." in caplog.text)
        await run.round()
        await run.shows(device, firmware="12.12.3")


class FailingOnce:
    """A database whose first transaction finds no room."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self._failed = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._inner.transaction() as tx:
            yield tx
            if not self._failed:
                self._failed = True
                raise StoreError("The disk is full.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


# ---------------------------------------------------------------- in the server


class FastClock(SystemClock):
    """Ten minutes take a fifth of a second."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.2))


async def test_a_server_polls_and_a_command_does_not(here: Site) -> None:
    (device,) = await added(here, "12.11")
    await here.services.database.close()
    connections = device.connections
    async with open_application(here.services.data, clock=FastClock(), environment={}):
        await SystemClock().sleep(0.5)
    assert device.connections == connections
    async with open_application(here.services.data, work=True, clock=FastClock(), environment={}):
        await until(lambda: device.connections > connections + 2)
    ended = device.connections
    await SystemClock().sleep(0.5)
    assert device.connections == ended
