"""The journal: look, act, look; undo before act; exactly once where it is promised (JOB-*)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import OutcomeUnknown, Rejected, StandDown, Unreachable
from fleetseal.core.model import JobId, JobStatus, TaskAction
from fleetseal.jobs.run import Cancelled, NoEffect, Run, Undo
from fleetseal.store import inventory, tasks
from fleetseal.store.database import Database, Transaction
from tests.support import NOW, FakeClock, open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "fleetseal.sqlite")
    yield database
    await database.close()


@pytest.fixture
async def job_id(database: Database) -> JobId:
    async with database.transaction() as tx:
        device = await inventory.add(
            tx, serial="B8A44F000001", address="127.0.0.1", http_port=80, https_port=443, site="default", added=NOW
        )
        task = await tasks.add_task(
            tx, action=TaskAction.ENABLE_HTTPS, wish={}, actor="test", devices=[(device, True)], now=NOW
        )
        return (await tasks.jobs_of(tx, task))[0].id


@dataclass
class Thing:
    """A device with one switch, and a log of what was done to it."""

    on: bool = False
    log: list[str] = field(default_factory=list)
    fails_with: Exception | None = None
    has_effect: bool = True

    async def look(self) -> bool | None:
        self.log.append("look")
        return self.on or None

    async def act(self) -> None:
        self.log.append("act")
        self.on = self.on or self.has_effect
        if self.fails_with is not None:
            raise self.fails_with


async def begin(database: Database, job_id: JobId) -> Run:
    return await Run.begin(database, FakeClock(), job_id)


async def test_a_device_step_looks_acts_and_looks_again(database: Database, job_id: JobId) -> None:
    thing = Thing()
    run = await begin(database, job_id)
    assert await run.device("switch", look=thing.look, act=thing.act) is True
    assert thing.log == ["look", "act", "look"]


async def test_a_device_step_that_finds_it_done_does_not_act(database: Database, job_id: JobId) -> None:
    thing = Thing(on=True)
    run = await begin(database, job_id)
    await run.device("switch", look=thing.look, act=thing.act)
    assert thing.log == ["look"]


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), Rejected("500, with effect")])
async def test_what_the_device_shows_counts_not_what_it_answered(
    database: Database, job_id: JobId, error: Exception
) -> None:
    thing = Thing(fails_with=error)
    run = await begin(database, job_id)
    assert await run.device("switch", look=thing.look, act=thing.act) is True


async def test_an_answer_without_effect_is_a_failure(database: Database, job_id: JobId) -> None:
    thing = Thing(has_effect=False)
    run = await begin(database, job_id)
    with pytest.raises(NoEffect):
        await run.device("switch", look=thing.look, act=thing.act)


async def test_a_refusal_without_effect_is_that_refusal(database: Database, job_id: JobId) -> None:
    thing = Thing(has_effect=False, fails_with=Rejected("store full", vendor_code="MaxNumberOfCertificatesFault"))
    run = await begin(database, job_id)
    with pytest.raises(Rejected, match="store full"):
        await run.device("switch", look=thing.look, act=thing.act)


async def test_the_undo_is_committed_before_the_act(database: Database, job_id: JobId) -> None:
    seen: list[Any] = []
    thing = Thing()

    async def act() -> None:
        async with database.reading() as tx:
            seen.extend(step.undo for step in await tasks.steps_of(tx, job_id))
        thing.on = True

    run = await begin(database, job_id)
    await run.device("switch", look=thing.look, act=act, undo={"verb": "off"})
    assert seen == [{"verb": "off"}]


async def test_an_undo_stays_as_first_recorded(database: Database, job_id: JobId) -> None:
    """After a crash the step runs again on a device that is changed already: its first undo knew it untouched."""
    run = await begin(database, job_id)
    with pytest.raises(Unreachable):
        await run.device(
            "switch", look=Thing().look, act=Thing(fails_with=Unreachable("gone")).act, undo={"verb": "first"}
        )
    again = await begin(database, job_id)
    await again.device("switch", look=Thing(on=True).look, act=Thing().act, undo={"verb": "second"})
    undone: list[Undo] = []

    async def execute(undo: Undo) -> str:
        undone.append(undo)
        return "done"

    await (await begin(database, job_id)).unwind(execute)
    assert undone == [{"verb": "first"}]


async def test_a_local_step_happens_once(database: Database, job_id: JobId) -> None:
    calls: list[int] = []

    async def act(_: Transaction) -> int:
        calls.append(1)
        return len(calls)

    assert await (await begin(database, job_id)).local("count", act) == 1
    assert await (await begin(database, job_id)).local("count", act) == 1


async def test_a_local_step_that_fails_leaves_nothing(database: Database, job_id: JobId) -> None:
    async def act(tx: Transaction) -> None:
        await tasks.stop_task(tx, (await tasks.get_job(tx, job_id)).task_id, reason="half done")
        raise Rejected("no")

    run = await begin(database, job_id)
    with pytest.raises(Rejected):
        await run.local("count", act)
    async with database.reading() as tx:
        assert (await tasks.get_task(tx, run.job.task_id)).stopped is None
        assert await tasks.steps_of(tx, job_id) == ()


async def test_a_run_that_slept_writes_nothing_more(database: Database, job_id: JobId) -> None:
    """JOB-ONE-WRITER: at most the one write already in flight."""
    slept = await begin(database, job_id)
    await begin(database, job_id)
    thing = Thing()
    with pytest.raises(StandDown):
        await slept.device("switch", look=thing.look, act=thing.act)
    assert thing.log == ["look"]
    with pytest.raises(StandDown):
        await slept.end(JobStatus.FINISHED, "never")


async def test_undos_run_last_first_and_a_failing_one_stops_no_other(database: Database, job_id: JobId) -> None:
    run = await begin(database, job_id)
    for name in ("one", "two", "three"):
        thing = Thing()
        await run.device(name, look=thing.look, act=thing.act, undo={"verb": name})
    order: list[str] = []

    async def execute(undo: Undo) -> str:
        order.append(undo["verb"])
        if undo["verb"] == "two":
            raise Unreachable("two could not be put back")
        return "done"

    await run.begin_unwinding("because", error_code="x")
    assert await run.unwind(execute) == ("two could not be put back",)
    assert order == ["three", "two", "one"]


async def test_after_confirmation_nothing_is_undone_or_cancelled(database: Database, job_id: JobId) -> None:
    run = await begin(database, job_id)
    thing = Thing()
    await run.device("switch", look=thing.look, act=thing.act, undo={"verb": "off"})
    await run.local("record", run.confirm)
    async with database.transaction() as tx:
        await tasks.cancel_task(tx, run.job.task_id)
    later = Thing()
    await run.device("cleanup", look=later.look, act=later.act)
    again = await begin(database, job_id)
    assert all(step.undo is None for step in again.steps())


async def test_cancelling_is_read_between_steps(database: Database, job_id: JobId) -> None:
    run = await begin(database, job_id)
    async with database.transaction() as tx:
        await tasks.cancel_task(tx, run.job.task_id)
    thing = Thing()
    with pytest.raises(Cancelled):
        await run.device("switch", look=thing.look, act=thing.act)
    assert thing.log == []


async def test_a_device_has_one_active_job(database: Database, job_id: JobId) -> None:
    from fleetseal.core.errors import Conflict

    async with database.reading() as tx:
        device = await inventory.get(tx, (await tasks.get_job(tx, job_id)).device_id)
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await tasks.add_task(
                tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=[(device, True)], now=NOW
            )
