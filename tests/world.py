"""Random writes to the store, each by a function that the product writes with; a seed repeats them."""

import random  # noqa: TID251 - repeatable: seeded
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ClassVar

from fleetseal.core.model import DeviceId, JobStatus, Login, TaskAction
from fleetseal.core.secrets import Sealer
from fleetseal.store import alarms, inventory, tasks
from fleetseal.store.database import Transaction
from fleetseal.store.tasks import JobRecord
from tests.support import NOW, FakeRng

SEALER = Sealer(bytes(32), FakeRng())


async def add(tx: Transaction, number: int) -> DeviceId:
    columns = {"http_port": 80, "https_port": 443, "site": "default", "added": NOW}
    return (await inventory.add(tx, address=f"192.0.2.{number}", **columns)).id


class World:
    """Random writes, each by a function of the store that the product writes with."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.next = 0

    async def write(self, tx: Transaction) -> None:
        await self.random.choice(self.acts)(self, tx)

    async def some_device(self, tx: Transaction) -> DeviceId:
        known = await inventory.ids(tx)
        return self.random.choice(known) if known else await self.new_device(tx)

    async def some_job(self, tx: Transaction) -> JobRecord | None:
        active = await tasks.active_jobs(tx)
        return self.random.choice(active) if active else None

    async def new_device(self, tx: Transaction) -> DeviceId:
        self.next += 1
        return await add(tx, self.next)

    async def change_device(self, tx: Transaction) -> None:
        columns: dict[str, Any] = self.random.choice(
            [{"firmware": f"12.{self.random.randrange(99)}"}, {"reachable": False}]
        )
        await inventory.change(tx, await self.some_device(tx), **columns)

    async def see_devices(self, tx: Transaction) -> None:
        await inventory.note_seen(tx, [await self.some_device(tx)], now=NOW + timedelta(self.random.randrange(9)))

    async def set_login(self, tx: Transaction) -> None:
        await inventory.set_login(tx, SEALER, await self.some_device(tx), Login("root", "pass"))

    async def remove_device(self, tx: Transaction) -> None:
        await inventory.remove(tx, await self.some_device(tx))

    async def new_task(self, tx: Transaction) -> None:
        busy = await inventory.active_tasks(tx)
        free = [one for one in await inventory.every(tx) if one.id not in busy]
        chosen = [(one, True) for one in self.random.sample(free, min(2, len(free)))]
        await tasks.add_task(tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=chosen, now=NOW)

    async def run_job(self, tx: Transaction) -> None:
        if (found := await self.some_job(tx)) is not None:
            await tasks.begin_run(tx, found.id, now=NOW)

    async def end_job(self, tx: Transaction) -> None:
        if (found := await self.some_job(tx)) is not None:
            await tasks.guarded_update(tx, found, active=False, status=JobStatus.FINISHED, finished=NOW)

    async def skip_jobs(self, tx: Transaction) -> None:
        if (found := await self.some_job(tx)) is not None:
            await tasks.skip_unbegun(tx, found.task_id, description="", now=NOW)

    async def end_tasks(self, tx: Transaction) -> None:
        for one in await tasks.unfinished_tasks(tx):
            await tasks.finish_task(tx, one.id, now=NOW)

    async def forget_tasks(self, tx: Transaction) -> None:
        await tasks.prune(tx, before=NOW + timedelta(1), limit=1)

    async def raise_alarm(self, tx: Transaction) -> None:
        message, which = str(self.random.randrange(2)), str(self.random.randrange(4))
        await alarms.raise_alarm(tx, now=NOW, cause="unreachable", object=which, severity="warning", message=message)

    async def close_alarm(self, tx: Transaction) -> None:
        await alarms.close_all(tx, now=NOW, object=str(self.random.randrange(4)))

    async def acknowledge(self, tx: Transaction) -> None:
        for one in (await alarms.open_alarms(tx))[:1]:
            await alarms.acknowledge(tx, one.id, now=NOW)

    async def forget_alarms(self, tx: Transaction) -> None:
        await alarms.prune(tx, before=NOW + timedelta(1))

    acts: ClassVar[tuple[Callable[[Any, Transaction], Awaitable[Any]], ...]] = (
        *(new_device, change_device, see_devices, set_login, remove_device, new_task, run_job, end_job, skip_jobs),
        *(end_tasks, forget_tasks, raise_alarm, close_alarm, acknowledge, forget_alarms),
    )
