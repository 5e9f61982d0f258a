"""A process that works on a data directory and may be killed at a named point. Forked from a clean server process."""

import asyncio
import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from fleetseal.core.config import Settings, read_sources
from fleetseal.core.model import Selection, TaskAction
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.core.secrets import Sealer, load_or_create_key
from fleetseal.devices.connect import AxisConnector
from fleetseal.jobs.engine import Engine, running
from fleetseal.operations import tasks
from fleetseal.operations.run_job import run_job
from fleetseal.operations.services import Services
from fleetseal.pki.issuer import Vault
from fleetseal.store.database import Database
from tests.site import Direct


@dataclass(frozen=True)
class Order:
    """What a process is to do: begin a task (`wish`), or continue what is there; and where it dies."""

    data: Path
    maker_roots: tuple[bytes, ...]
    wish: dict[str, Any] | None
    die_at: str | None = None
    passed: tuple[str, ...] = ()  # with `die_at` None: die at the first point that is not among these
    log: Path | None = None  # every point that is reached goes here
    durable: bool = False  # with the engine, as `task resume` does; otherwise the same runs without its start-up time


def work(order: Order) -> None:
    """The body of the process: ends by itself with 0 when every task has ended."""
    asyncio.run(_work(order))
    os._exit(0)


async def _work(order: Order) -> None:
    clock, rng = SystemClock(), SystemRng()

    def failpoint(name: str) -> None:
        if order.log is not None:
            with order.log.open("a") as log:
                log.write(name + "\n")
        if name == order.die_at or (order.passed and name not in order.passed):
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(_: Settings) -> AxisConnector:
        return AxisConnector(clock, rng, extra_maker_roots=order.maker_roots)

    services = Services(
        data=order.data,
        database=await Database.open(order.data / "fleetseal.db"),
        clock=clock,
        rng=rng,
        sealer=Sealer(load_or_create_key(order.data / "secrets.key", rng), rng),
        vault=Vault(order.data, rng),
        connect=connect,
        sources=read_sources(order.data, {}),
        failpoint=failpoint,
    )
    if order.durable:
        async with running(
            services.database, clock, partial(run_job, services), jobs_file=order.data / "jobs.db", concurrency=10
        ) as engine:
            await _request(order, services, engine)
            while await tasks.unfinished(services):
                await clock.sleep(0.05)
            os._exit(0)
    direct = cast("Engine", Direct(services))
    await _request(order, services, direct)
    for task_id in await tasks.unfinished(services):
        await direct.submit(task_id)
    os._exit(0)


async def _request(order: Order, services: Services, engine: Engine) -> None:
    if order.wish is not None:
        await tasks.request(
            services,
            engine,
            actor="test",
            action=TaskAction.ENABLE_HTTPS,
            selection=Selection(everything=True),
            wish=order.wish,
        )
