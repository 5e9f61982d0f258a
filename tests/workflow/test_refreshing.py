"""`device refresh`: named devices are read in full, the others where a glance shows that they must be."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.model import Login, TaskAction, TaskId
from fleetseal.jobs.engine import Engine
from fleetseal.operations import refreshing, tasks
from fleetseal.store import tasks as store
from fleetseal.store.database import Database
from tests.site import DeviceSpec, Site, site
from tests.workflow.test_poll import FailingOnce, update


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """With the real engine: it is what waits for the glances."""
    async with site(tmp_path / "data", "12.11", "9.10", "10.12", authority=False, durable=True) as one:
        for device in one.fleet.devices:
            assert (await one.add(device))["result"] == "added"
        yield one


async def refreshed(one: Site, *named: Any) -> dict[str, tuple[str, str]]:
    """(status, description) of each device by its serial; begun as the API does it."""
    task_id = await one.request(TaskAction.REFRESH, *named)
    await refreshing.settle(one.services, one.engine, task_id)
    return by_mac(await one.ended(task_id))


def by_mac(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["mac"].replace(":", ""): (one["status"], one["description"]) for one in result["devices"]}


async def test_only_what_has_changed_is_read_and_named_devices_are_always(here: Site) -> None:
    updated, second, third = here.fleet.devices
    update(updated, "12.12.3")
    before = [device.credential_bytes for device in (updated, second, third)]
    told = await refreshed(here)
    unchanged = ("Unchanged", "It is as when last read.")
    assert told == {updated.serial: ("Finished", "Read."), second.serial: unchanged, third.serial: unchanged}
    assert (await here.device(updated)).firmware == "12.12.3"
    after = [device.credential_bytes for device in (updated, second, third)]
    assert (after[0] > before[0], after[1:]) == (True, before[1:])
    assert await refreshed(here, second) == {second.serial: ("Finished", "Read.")}
    assert second.credential_bytes > before[1]


async def test_what_stands_against_a_device_is_said_again(here: Site) -> None:
    gone, wrong, expired = here.fleet.devices
    await gone.trouble(unreachable=True)
    fresh = await here.fleet.add(DeviceSpec("12.11"))
    await here.add(fresh, login=Login("root", "wrong"))
    sent = fresh.credential_bytes
    told = await refreshed(here)
    assert told[gone.serial][0] == "Failed"
    assert told[gone.serial][1].startswith("Unreachable: ")
    assert told[fresh.serial][1].startswith("Wrong credentials: ")
    assert (told[wrong.serial][0], told[expired.serial][0], fresh.credential_bytes) == ("Unchanged", "Unchanged", sent)


async def test_a_warning_is_said_of_unchanged_devices_too(here: Site) -> None:
    (camera, *_) = here.fleet.devices
    camera.faults.change({"clock_offset": 4000.0})
    assert (await refreshed(here))[camera.serial][1].startswith("Read. Clock is wrong: It is ")
    status, description = (await refreshed(here))[camera.serial]
    assert (status, description.startswith("It is as when last read. Clock is wrong: It is ")) == ("Unchanged", True)


async def test_no_job_begins_while_the_glances_go_on_and_a_cancelled_task_ends(here: Site) -> None:
    task_id = await here.request(TaskAction.REFRESH)
    with here.engine.holding(task_id):
        await tasks.cancel(here.services, here.engine, task_id, actor="test")
        await refreshing.settle(here.services, cast("Engine", Unheld()), task_id)
        assert (await tasks.show(here.services, task_id, working=True))["finished"] is None
    told = by_mac(await here.ended(task_id))
    assert set(told.values()) == {("Cancelled", "Cancelled before it began.")}


class Unheld:
    """An engine whose task is held by somebody else."""

    def holding(self, _: TaskId) -> Any:
        return nullcontext()


async def test_a_task_whose_glances_never_began_ends_the_same(here: Site) -> None:
    """After a crash, or while the store refuses: each job takes its own glance."""
    told = by_mac(await here.ended(await here.request(TaskAction.REFRESH)))
    assert {status for status, _ in told.values()} == {"Unchanged"}


async def test_a_store_that_refuses_leaves_the_devices_to_their_jobs(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = await here.request(TaskAction.REFRESH)
    services = replace(here.services, database=cast("Database", FailingOnce(here.services.database)))
    await refreshing.settle(services, here.engine, task_id)
    assert f"Each device of task {task_id} is looked at by itself: The disk is full." in caplog.text
    assert {status for status, _ in by_mac(await here.ended(task_id)).values()} == {"Unchanged"}


async def test_a_job_that_was_begun_keeps_its_own_outcome(here: Site) -> None:
    task_id = await here.request(TaskAction.REFRESH)
    ended = await here.ended(task_id)
    async with here.services.database.transaction() as tx:
        ids = [job.id for job in await store.jobs_of(tx, task_id)]
        await store.end_unchanged(tx, ids, description="late", now=here.services.clock.now())
    assert await tasks.show(here.services, task_id, working=True) == ended
