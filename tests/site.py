"""A site for workflow tests: virtual devices with real TLS, a data directory, and everything in between."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from fleetseal.core.config import Settings, read_sources
from fleetseal.core.model import Device, DeviceId, JobId, Login, Selection, TaskAction, TaskId
from fleetseal.core.runtime import Clock, SystemClock, SystemRng
from fleetseal.core.secrets import Sealer, Secret, load_or_create_key
from fleetseal.devices.connect import AxisConnector
from fleetseal.devices.target import Resolver, addresses
from fleetseal.jobs.engine import Engine, running
from fleetseal.notify.sender import Send, Sender
from fleetseal.operations import authorities, inventory, settings, tasks
from fleetseal.operations.run_job import run_job
from fleetseal.operations.services import Services
from fleetseal.pki import chain
from fleetseal.pki.issuer import Vault
from fleetseal.sim.fleet import PASSWORD, USERNAME, DeviceSpec, Fleet, SimulatedDevice
from fleetseal.store import inventory as rows
from fleetseal.store import tasks as store
from tests.support import open_database

PASSPHRASE = Secret("correct horse battery staple")

QUICK = {"https.soak-seconds": "0", "https.verify-seconds": "5"}
"""Virtual web servers restart in a tenth of a second; tests need no more patience than this."""


AT_ONCE = 20
"""Jobs that run side by side; more would only wait for each other, until a device seems not to answer."""


class Direct:
    """Runs jobs here and now instead of an engine: the same `run_job`, waves aside."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._places = asyncio.Semaphore(AT_ONCE)

    async def submit(self, task_id: TaskId) -> None:
        async with self._services.database.reading() as tx:
            jobs = await store.jobs_of(tx, task_id)
        await asyncio.gather(*(self._run(job.id) for job in jobs if job.active))
        async with self._services.database.transaction() as tx:
            await store.finish_task(tx, task_id, now=self._services.clock.now())

    async def prune(self) -> None:
        """There is no file of an engine."""

    async def _run(self, job_id: JobId) -> None:
        clock = self._services.clock
        while True:
            async with self._places:
                await run_job(self._services, job_id)
            async with self._services.database.reading() as tx:
                job = await store.get_job(tx, job_id)
            if not job.active:
                return
            assert job.run_after is not None
            await clock.sleep(max(0.0, (job.run_after - clock.now()).total_seconds()))


@dataclass
class Site:
    services: Services
    fleet: Fleet
    engine: Engine

    async def add(self, device: SimulatedDevice, *, login: Login | None = None) -> dict[str, Any]:
        """The result of `device add` for one virtual device."""
        login = login or Login(device.username, device.password)
        found = await inventory.add(
            self.services,
            actor="test",
            targets=[device.address],
            http_port=device.http_port,
            https_port=device.https_port,
            login=login,
        )
        return found[0]

    async def device(self, device: SimulatedDevice) -> Device:
        """The row of a virtual device."""
        async with self.services.database.reading() as tx:
            return await rows.find(tx, device.serial)

    async def show(self, device: SimulatedDevice) -> dict[str, Any]:
        """`device show` of a virtual device."""
        return await inventory.show(self.services, device.serial)

    async def settings(self) -> Settings:
        async with self.services.database.reading() as tx:
            return await settings.current(self.services, tx)

    async def set(self, key: str, value: str) -> None:
        await settings.set_(self.services, actor="test", key=key, value=value)

    async def request(self, action: TaskAction, *devices: SimulatedDevice, **wish: Any) -> TaskId:
        return await tasks.request(
            self.services,
            self.engine,
            actor="test",
            action=action,
            selection=Selection(refs=tuple(device.serial for device in devices), everything=not devices),
            wish=wish,
        )

    async def ended(self, task_id: TaskId, *, seconds: float = 60) -> dict[str, Any]:
        """The task's result once it has ended."""
        async with asyncio.timeout(seconds):
            while True:
                shown = await tasks.show(self.services, task_id, working=True)
                if shown["finished"] is not None:
                    return shown
                await self.services.clock.sleep(0.05)

    async def enable(self, *devices: SimulatedDevice, seconds: float = 60, **wish: Any) -> list[dict[str, Any]]:
        """The outcome of "Enable HTTPS" on each of these devices (all, when none is named)."""
        task_id = await self.request(TaskAction.ENABLE_HTTPS, *devices, **wish)
        outcome: list[dict[str, Any]] = (await self.ended(task_id, seconds=seconds))["devices"]
        return outcome

    async def disable(self, *devices: SimulatedDevice) -> list[dict[str, Any]]:
        outcome: list[dict[str, Any]] = (await self.ended(await self.request(TaskAction.DISABLE_HTTPS, *devices)))[
            "devices"
        ]
        return outcome

    async def id_of(self, device: SimulatedDevice) -> DeviceId:
        return (await self.device(device)).id


async def make_services(
    data: Path,
    fleet: Fleet | None,
    *,
    clock: Clock | None = None,
    failpoint: Callable[[str], None] | None = None,
    resolver: Resolver = addresses,
    send: Send | None = None,
) -> Services:
    """Everything but the engine, on a data directory; the fleet's maker counts as a maker."""
    clock, rng = clock or SystemClock(), SystemRng()
    data.mkdir(mode=0o700, exist_ok=True)
    roots: tuple[bytes, ...] = ()
    if fleet is not None:
        await fleet.maker.open()
        roots = chain.parse_all(fleet.maker.roots_pem)

    def connect(_: Settings) -> AxisConnector:
        return AxisConnector(clock, rng, extra_maker_roots=roots, resolver=resolver)

    return Services(
        data=data,
        database=await open_database(data / "fleetseal.db"),
        clock=clock,
        rng=rng,
        sealer=Sealer(load_or_create_key(data / "secrets.key", rng), rng),
        vault=Vault(data, rng, scrypt_p=1),
        connect=connect,
        send=send or Sender(clock),
        sources=read_sources(data, {}),
        failpoint=failpoint or (lambda _: None),
    )


@asynccontextmanager
async def site(
    data: Path,
    *specs: str | DeviceSpec,
    authority: bool = True,
    durable: bool = False,
    clock: Clock | None = None,
    failpoint: Callable[[str], None] | None = None,
    resolver: Resolver = addresses,
) -> AsyncIterator[Site]:
    """A running site with a two-tier EC CA (unless not wanted), whose devices are not in the inventory yet.

    `durable`: with the real engine; otherwise jobs run directly, which takes seconds less. `clock`: ours and that of
    the devices.
    """
    shutil.copytree(await template(authority=authority), data, dirs_exist_ok=True)
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(specs, clock=clock))
        services = await make_services(data, fleet, clock=clock, failpoint=failpoint, resolver=resolver)
        stack.push_async_callback(services.database.close)
        yield Site(services, fleet, await _engine(stack, services) if durable else cast("Engine", Direct(services)))


_templates: dict[bool, Path] = {}


async def template(*, authority: bool) -> Path:
    """A data directory with the quick settings, and a CA if wanted: made once, since sealing a root key takes time."""
    if authority not in _templates:
        data = Path(tempfile.mkdtemp(prefix="fleetseal-test-"))
        atexit.register(shutil.rmtree, data, ignore_errors=True)
        services = await make_services(data, None)
        for key, value in QUICK.items():
            await settings.set_(services, actor="test", key=key, value=value)
        if authority:
            await authorities.create(services, actor="test", name="Test", key_type="ec", passphrase=PASSPHRASE)
        await services.database.close()
        _templates[authority] = data
    return _templates[authority]


async def _engine(stack: AsyncExitStack, services: Services) -> Engine:
    return await stack.enter_async_context(
        running(
            services.database,
            services.clock,
            partial(run_job, services),
            jobs_file=services.data / "jobs.db",
            concurrency=50,
        )
    )


__all__ = ["PASSWORD", "USERNAME", "DeviceSpec", "Site", "make_services", "site"]
