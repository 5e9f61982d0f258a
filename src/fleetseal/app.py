"""The composition root: the only place where things are wired, and the only owner of a data directory.

One process at a time owns a data directory: it holds `DATA/lock`. While it lives it serves the API on
`DATA/fleetseal.sock` (0600), or, on Windows and where that path is too long, on a loopback port with a token,
both kept in `DATA/fleetseal.port` (0600). Everybody else is its client.
"""

import asyncio
import getpass
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetseal.core import config
from fleetseal.core.config import WebWish
from fleetseal.core.errors import Conflict, FleetsealError, InUse, InvalidInput
from fleetseal.core.ownership import owned
from fleetseal.core.runtime import Clock, Rng, SystemClock, SystemRng, until_first

if TYPE_CHECKING:
    from fleetseal.core.config import Settings
    from fleetseal.core.passwords import Passwords
    from fleetseal.core.secrets import Secret
    from fleetseal.devices.driver import Connector
    from fleetseal.jobs.engine import Engine
    from fleetseal.operations.services import Services
    from fleetseal.web.entrance import Entrance
    from fleetseal.web.publication import PublicListener

_OWNER_PATIENCE = 8.0  # seconds: how long an owner that comes or goes is waited for
_SOCKET_DELAY = 0.3  # seconds: a command that ends sooner opens no socket; others wait for the lock that long

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reach:
    """How this process reaches the API: in-process (`application`), or at another process (`socket`, or `port`
    on loopback with `token`)."""

    application: "Application | None" = None
    socket: Path | None = None
    port: int | None = None
    token: str | None = None


@dataclass(frozen=True)
class Offered:
    """The web application. `code`: with it the first administrator is made; None when there are users."""

    address: str
    code: "Secret | None"


@asynccontextmanager
async def connect_or_open(data: Path) -> AsyncIterator[Reach]:
    """The API of whoever owns `data`; if nobody does, this process does until the block ends.

    Raises InUse when the owner does not answer, StoreError when the directory cannot be used.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + _OWNER_PATIENCE
    async with AsyncExitStack() as stack:
        while True:
            if (reach := await running_server(data)) is not None:
                break
            try:
                reach = Reach(application=await stack.enter_async_context(open_application(data)))
                break
            except InUse:
                if clock.monotonic() >= deadline:
                    raise
                await clock.sleep(0.1)
        yield reach


async def running_server(data: Path) -> Reach | None:
    """Where the owner of `data` serves the API; None when nobody does. Raises InUse when it does not answer."""
    from fleetseal.web.listener import answers, place_of

    place = place_of(data)
    if place is None or not await answers(place):
        return None
    return Reach(socket=place.socket, port=place.port, token=place.token)


async def serve(
    data: Path, stop: Callable[[Callable[[], None]], None], wish: WebWish, ready: Callable[[Offered | None], None]
) -> None:
    """The API, the web application and the jobs, until asked to stop; then no device is begun any more and those in
    work finish.

    `stop` is given the function that asks, `ready` what is offered to browsers, once it is. Raises Conflict when
    another process owns `data`, InUse when that one does not answer, and as `web.entrance.Entrance.open`.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + _OWNER_PATIENCE
    asked = asyncio.Event()
    stop(asked.set)
    async with AsyncExitStack() as stack:
        while True:
            try:
                application = await stack.enter_async_context(open_application(data, work=True, web=wish))
                break
            except InUse:
                if clock.monotonic() >= deadline:
                    if await running_server(data) is not None:
                        raise Conflict(f"Another server or command works on {data}. Stop it first.") from None
                    raise
                await clock.sleep(0.1)
        _log.info("Serving %s at %s", data, application.listener.shown)
        if application.public is not None:
            _log.info("CRLs and CA certificates for everybody at %s", application.public.shown)
        if application.address is not None:
            _log.info("The web application is at %s", application.address)
        ready(await application.offered())
        await asked.wait()
        _log.info("Stopping: devices in work finish, no new one is begun.")


async def restore(data: Path, source: Path, passphrase: "Secret") -> dict[str, Any]:
    """`data` holds what the backup `source` holds, as `operations.restore.restore` says; nobody else works on it.

    Raises Conflict when another process owns `data`, and as that function does.
    """
    if await running_server(data) is not None:
        raise Conflict(f"A server or another command works on {data}. Stop it first. Nothing was changed.")
    from fleetseal.operations.restore import restore

    with owned(data):
        return await restore(data, source, passphrase, clock=SystemClock(), actor=_user())


class Application:
    """What the API works with, while this process owns the data directory."""

    def __init__(self, services: "Services", group: asyncio.TaskGroup, *, serving: bool) -> None:
        from fleetseal.operations.nights import Nights
        from fleetseal.web.api import build
        from fleetseal.web.auth import local
        from fleetseal.web.feed import Feeds
        from fleetseal.web.listener import Listener

        self.services = services
        self.serving = serving
        self.nights = Nights(services, self.engine, self.spawn)
        self.feeds = Feeds(services, working=lambda: self.working, spawn=self.spawn)
        self.api = build(self)  # each request must say who asks
        self.local = local(self.api, _user())  # for ways that only this user of the computer has
        self.listener = Listener(self.local, services.data, services.rng)
        self.entrance: Entrance | None = None
        self.public: PublicListener | None = None
        self._group = group
        self._engine: asyncio.Future[Engine] | None = None
        self._leaving = asyncio.Event()

    @property
    def working(self) -> bool:
        """An engine runs, or is being started."""
        return self._engine is not None

    @property
    def address(self) -> str | None:
        """Of the web application, for browsers; None where it is not offered."""
        return None if self.entrance is None else self.entrance.address

    async def engine(self) -> "Engine":
        """The engine; started when it is first needed: until then nothing continues by itself."""
        if self._engine is None:
            self._engine = asyncio.get_running_loop().create_future()
            self._group.create_task(self._run_engine(self._engine))
        return await asyncio.shield(self._engine)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs beside the requests; cancelled when the application leaves."""
        self._group.create_task(self._until_leaving(work))

    def drain(self) -> None:
        """No new device is begun from now on; devices in work finish or roll back."""
        if self._engine is not None and self._engine.done() and self._engine.exception() is None:
            self._engine.result().drain()

    async def open_door(self) -> None:
        """Other processes of this user reach the API. Raises StoreError when no socket can be made."""
        await self.listener.open(self._group)

    async def publish(self) -> None:
        """CRLs and CA certificates are served to everybody, if `publish.listen` says where. Raises InvalidInput."""
        from fleetseal.operations.settings import in_force

        settings = await in_force(self.services)
        if settings.publish_listen:
            from fleetseal.web.publication import PublicListener

            public = PublicListener(self.services.data, settings)
            await public.open(self._group)
            self.public = public

    async def enter(self, wish: WebWish) -> None:
        """Browsers reach the web application, if there is a place for it. Raises as `Entrance.open`."""
        from fleetseal.operations.settings import in_force
        from fleetseal.web.entrance import Entrance

        self.entrance = Entrance(self.services, self.api)
        await self.entrance.open(self._group, await in_force(self.services), wish)

    async def offered(self) -> Offered | None:
        """What to tell whoever began to serve; None where browsers are not served. A new code each time."""
        from fleetseal.operations.access import make_setup_code
        from fleetseal.operations.recording import OURSELVES

        if self.address is None:
            return None
        return Offered(self.address, await make_setup_code(self.services, actor=OURSELVES))

    async def leave(self) -> None:
        """Requests in progress are answered, devices in work finish, nothing runs any more."""
        self.drain()
        self.feeds.close()
        self._leaving.set()
        if self.entrance is not None:
            await self.entrance.close()
        if self.public is not None:
            await self.public.close()
        await self.listener.close()

    async def _run_engine(self, ready: "asyncio.Future[Engine]") -> None:
        from fleetseal.jobs.engine import running
        from fleetseal.operations.run_job import run_job
        from fleetseal.operations.settings import in_force

        services = self.services
        try:
            settings = await in_force(services)
            async with running(
                services.database,
                services.clock,
                partial(run_job, services),
                jobs_file=services.data / "jobs.db",
                concurrency=settings.jobs_concurrency,
            ) as engine:
                ready.set_result(engine)
                await self._leaving.wait()
                engine.drain()
        except Exception as error:
            if ready.done():
                raise
            self._engine = None
            ready.set_exception(error)

    async def _until_leaving(self, work: Coroutine[Any, Any, None]) -> None:
        await until_first(work, self._leaving.wait())


@asynccontextmanager
async def open_application(
    data: Path,
    *,
    work: bool = False,
    web: WebWish | None = None,
    clock: Clock | None = None,
    rng: Rng | None = None,
    environment: Mapping[str, str] | None = None,
    passwords: "Passwords | None" = None,
) -> AsyncIterator[Application]:
    """This process owns `data` until the block ends. `work`: jobs run and the socket is open from the start, and with
    `web` the web application is offered; otherwise jobs run from the first request that needs them. `passwords`:
    hashes of another cost than the system's.

    Raises InUse at once when another process owns it, StoreError when it cannot be used, Conflict when a restore into
    it was interrupted.
    """
    from fleetseal.operations import anchors
    from fleetseal.operations.restore import require_finished

    clock, rng = clock or SystemClock(), rng or SystemRng()
    failure: BaseException | None = None
    with owned(data):
        require_finished(data)
        services = await _services(data, clock, rng, config.environment() if environment is None else environment)
        services = services if passwords is None else replace(services, passwords=passwords)
        try:
            async with asyncio.TaskGroup() as group:
                application = Application(services, group, serving=work)
                try:
                    if work:
                        from fleetseal.operations import alarm_delivery
                        from fleetseal.operations.poll import recorded_poll

                        await application.open_door()
                        await application.publish()
                        if web is not None:
                            await application.enter(web)
                        await application.engine()
                        application.spawn(recorded_poll(services))
                        application.spawn(anchors.hourly(services))
                        application.spawn(application.nights.keep())
                        application.spawn(alarm_delivery.keep(services))
                    else:
                        application.spawn(_open_later(application, clock))
                    yield application
                except (Exception, asyncio.CancelledError) as error:  # raised below as it is, not in a group
                    failure = error
                await application.leave()
        finally:
            await services.database.close()
    if failure is not None:
        raise failure


def simulated_profiles() -> tuple[str, ...]:
    """One virtual device of each supported firmware."""
    from fleetseal.sim.run import DEFAULT_SITE

    return DEFAULT_SITE


async def simulate(
    *,
    profiles: Sequence[str],
    count: int | None,
    port: int,
    configuration: Path | None,
    ready: Callable[[dict[str, Any]], None],
    spread: bool = False,
) -> None:
    """Virtual devices on loopback, until cancelled; `ready` gets `{"devices","control","maker_roots"}`.

    Raises ValueError on a wrong profile, fault, port or file, OSError when it cannot be read or a port is taken.
    """
    from fleetseal.sim.run import run

    await run(profiles, count, port, configuration, lambda started: ready(asdict(started)), spread=spread)


async def _services(data: Path, clock: Clock, rng: Rng, environment: Mapping[str, str]) -> "Services":
    from fleetseal.core.secrets import Sealer, load_or_create_key
    from fleetseal.notify.sender import Sender
    from fleetseal.operations.services import Services
    from fleetseal.pki.issuer import Vault
    from fleetseal.store.database import Database

    def connect(settings: "Settings") -> "Connector":
        from fleetseal.devices.connect import AxisConnector

        return AxisConnector(clock, rng, extra_maker_roots=_maker_roots(settings))

    sources = config.read_sources(data, environment)
    sealer = Sealer(load_or_create_key(data / "secrets.key", rng), rng)
    return Services(
        data=data,
        database=await Database.open(data / "fleetseal.db"),
        clock=clock,
        rng=rng,
        sealer=sealer,
        vault=Vault(data, rng, credential=config.credential(environment)),
        connect=connect,
        send=Sender(clock),
        sources=sources,
    )


def _maker_roots(settings: "Settings") -> tuple[bytes, ...]:
    """DER of `devices.maker-roots`. Raises InvalidInput when the file cannot be read or holds no certificate."""
    if not settings.devices_maker_roots:
        return ()
    from fleetseal.pki.chain import parse_all

    path = Path(settings.devices_maker_roots).expanduser()
    try:
        return parse_all(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"The file {path} of devices.maker-roots cannot be read: {error.strerror}.") from error


async def _open_later(application: Application, clock: Clock) -> None:
    await clock.sleep(_SOCKET_DELAY)
    try:
        await application.open_door()
    except FleetsealError as error:
        _log.warning("%s Other commands wait until this one has ended.", error.message)


def _user() -> str:
    """How the audit trail names this user; the API is reachable to this user only. No account has such a name."""
    try:
        return f"{getpass.getuser()} (local)"
    except (KeyError, ImportError, OSError):
        return "(local)"
