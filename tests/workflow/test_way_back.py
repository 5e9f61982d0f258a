"""Putting back: a device whose job fails, is cancelled or is interrupted answers afterwards by a way that works."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.model import TaskAction, TaskId
from fleetseal.jobs.engine import Engine
from fleetseal.operations import alarms, tasks
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import tasks as store
from tests.site import Direct, Site
from tests.workflow.test_enable_faults import BOTH, camera_at, enable, state_of


class Killed(BaseException):
    """Stands for the end of the process: nothing that follows a failpoint happens."""


def watched(here: Site, failpoint: Callable[[str], None]) -> Site:
    """The same site, where `failpoint` is told every point of the journal."""
    services = replace(here.services, failpoint=failpoint)
    return Site(services, here.fleet, cast("Engine", Direct(services)))


def when(point: str, act: Callable[[], object]) -> Callable[[str], None]:
    def failpoint(name: str) -> None:
        if name == point:
            act()

    return failpoint


async def killed(here: Site, point: str, action: TaskAction, camera: SimulatedDevice, **wish: Any) -> TaskId:
    """The task, begun by a process that ended at this point."""

    def kill() -> None:
        raise Killed

    with pytest.raises(Killed):
        await watched(here, when(point, kill)).request(action, camera, **wish)
    return (await tasks.unfinished(here.services))[0]


async def go_on(here: Site, task_id: TaskId) -> dict[str, Any]:
    """The outcome, after another process has continued the task."""
    await here.engine.submit(task_id)
    outcome: dict[str, Any] = (await here.ended(task_id))["devices"][0]
    return outcome


def spare_what_is_bound(camera: SimulatedDevice) -> None:
    """Dead TLS on a new certificate means: newer than what the device holds now."""
    camera.device.first_bound = frozenset(camera.aliases)


@BOTH
@pytest.mark.parametrize("fault", ["tls_dead_on_new_certificate", "serves_wrong_leaf"])
async def test_an_https_only_device_gets_its_certificate_back_and_is_closed_again(
    tmp_path: Path, profile: str, fault: str
) -> None:
    """DEV-ROLLBACK, although HTTPS answers nobody, or a stranger, until the binding is back."""
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera, policy="https"))["status"] == "Finished"
        before = state_of(camera)
        spare_what_is_bound(camera)
        await camera.trouble(**{fault: True})
        outcome = await enable(here, camera, renew=True)
        assert outcome["status"] == "Rolled back", outcome
        assert "Not everything" not in outcome["description"]
        assert state_of(camera) == before
        assert await alarms.list_(here.services) == []


@BOTH
async def test_plain_http_stays_open_when_the_old_certificate_is_dead_too(tmp_path: Path, profile: str) -> None:
    """DEV-REACHABLE: nothing is closed before what replaces it has been proved, in a rollback neither."""
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera, policy="https"))["status"] == "Finished"
        old = camera.web.bound

        def dead() -> None:
            camera.device.first_bound = frozenset(alias for alias in camera.aliases if alias != old)
            camera.faults.tls_dead_on_new_certificate = True
            camera.faults.serves_wrong_leaf = False

        spare_what_is_bound(camera)
        await camera.trouble(serves_wrong_leaf=True)
        outcome = (await watched(here, when("unwind:recorded", dead)).enable(camera, renew=True))[0]
        assert "Not everything could be put back" in outcome["description"], outcome
        assert camera.web.admin == "HttpAndHttps"
        assert [alarm["cause"] for alarm in await alarms.list_(here.services)] == ["needs-hands"]


DISABLING = ("open-http:recorded", "way-back:recorded", "policy:undo-recorded", "policy:acted", "policy:recorded")


@BOTH
@pytest.mark.parametrize("point", [*DISABLING, "record:before-commit", "record:recorded"])
async def test_disable_of_an_https_only_device_survives_a_kill(tmp_path: Path, profile: str, point: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera, policy="https"))["status"] == "Finished"
        task_id = await killed(here, point, TaskAction.DISABLE_HTTPS, camera)
        restarts = camera.restarts
        outcome = await go_on(here, task_id)
        assert outcome["status"] == "Finished", outcome
        assert camera.web.admin == "Http"
        assert camera.restarts <= restarts + 1, "what was done is not done again"


@BOTH
@pytest.mark.parametrize("point", [*DISABLING, "record:before"])
async def test_a_cancelled_disable_puts_an_https_only_device_back(tmp_path: Path, profile: str, point: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera, policy="https"))["status"] == "Finished"
        before = state_of(camera)
        task_id = await killed(here, point, TaskAction.DISABLE_HTTPS, camera)
        await tasks.cancel(here.services, None, task_id, actor="test")
        outcome = await go_on(here, task_id)
        assert outcome["status"] == "Cancelled", outcome
        assert "Not everything" not in outcome["description"]
        assert state_of(camera) == before
        assert (await here.device(camera)).trust_level == "verified"


@pytest.mark.parametrize(
    ("action", "point"),
    [(TaskAction.ENABLE_HTTPS, "record:recorded"), (TaskAction.DISABLE_HTTPS, "record:recorded")],
)
async def test_cancelling_what_is_recorded_does_not_tell_a_lie(tmp_path: Path, action: TaskAction, point: str) -> None:
    """What was confirmed stays, is tidied up, and is called finished."""
    async with camera_at(tmp_path, "12.11") as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        wish = {"renew": True} if action is TaskAction.ENABLE_HTTPS else {}
        task_id = await killed(here, point, action, camera, **wish)
        await tasks.cancel(here.services, None, task_id, actor="test")
        outcome = await go_on(here, task_id)
        assert (outcome["status"], outcome["error"]) == ("Finished", None), outcome


async def test_a_kill_does_not_shorten_the_soak_time(tmp_path: Path) -> None:
    """DEV-VERIFY-FIRST: the second look follows after the soak time, whoever takes it."""
    async with camera_at(tmp_path, "12.11") as (here, camera):
        await here.set("https.soak-seconds", "3")
        task_id = await killed(here, "verify:recorded", TaskAction.ENABLE_HTTPS, camera)
        assert (await go_on(here, task_id))["status"] == "Finished"
        async with here.services.database.reading() as tx:
            job = (await store.jobs_of(tx, task_id))[0]
            at = {step.name: step.at for step in await store.steps_of(tx, job.id)}
        assert (at["verify-again"] - at["verify"]).total_seconds() >= 3


async def test_https_that_was_dead_before_is_not_harmed_by_a_rollback(tmp_path: Path) -> None:
    """DEV-WAVES counts devices left worse than before; ALM-TRUE."""
    async with camera_at(tmp_path, "9.10") as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        assert (await here.disable(camera))[0]["status"] == "Finished"
        camera.device.web = replace(
            camera.device.web, policies=tuple((g, "HttpAndHttps") for g, _ in camera.web.policies)
        )
        await camera.trouble(tls_dead_on_new_certificate=True)
        await camera.restart()
        before = state_of(camera)
        outcome = await enable(here, camera, renew=True)
        assert outcome["status"] == "Rolled back", outcome
        assert "Not everything" not in outcome["description"], outcome["description"]
        assert state_of(camera) == before
        assert await alarms.list_(here.services) == []
