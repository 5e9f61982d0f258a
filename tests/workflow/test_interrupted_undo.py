"""When even putting back goes wrong: the job ends, says so, sends no refused login again, and the device stays ours."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.errors import StoreError
from fleetseal.core.model import JobId, Selection
from fleetseal.devices.driver import Connection, Connector
from fleetseal.jobs.engine import Engine
from fleetseal.jobs.run import Run, Undo
from fleetseal.operations import alarms, clocks, preview, trusting
from fleetseal.operations.contact import refresh_device
from fleetseal.store import alarms as open_alarms
from fleetseal.store import inventory as rows
from fleetseal.store.database import Database
from tests.site import Direct, Site, make_services
from tests.support import FakeClock
from tests.workflow.test_enable_faults import BOTH, camera_at, enable, state_of
from tests.workflow.test_run import Thing, begin, database, job_id
from tests.workflow.test_way_back import watched, when

__all__ = ["database", "job_id"]  # fixtures


async def causes(here: Site) -> list[str]:
    return [alarm["cause"] for alarm in await alarms.list_(here.services)]


@BOTH
@pytest.mark.parametrize("used", [False, True])
async def test_what_a_job_had_to_leave_is_tidied_by_the_next(tmp_path: Path, profile: str, used: bool) -> None:
    """A key with the device's own certificate, known by its recorded alias; not while another service uses it."""
    async with camera_at(tmp_path, profile) as (here, camera):
        before = camera.aliases

        def change_password() -> None:
            camera.device.users[camera.username] = "changed by somebody"

        outcome = (await watched(here, when("request:acted", change_password)).enable(camera))[0]
        assert "Not put back" in outcome["description"], outcome
        (left,) = set(camera.aliases) - set(before)
        camera.device.users[camera.username] = camera.password
        if used:
            camera.device.cert_sets["EAPTLS_WIRED"] = (left,)
        async with here.services.database.transaction() as tx:
            await rows.change(tx, await here.id_of(camera), password_refused_version=None)
        assert (await enable(here, camera))["status"] == "Finished"
        assert set(camera.aliases) - set(before) == {camera.web.bound} | ({left} if used else set())
        camera.device.cert_sets["EAPTLS_WIRED"] = ()
        assert (await here.enable(camera, renew=True))[0]["status"] == "Finished"
        assert set(camera.aliases) - set(before) == {camera.web.bound}


@BOTH
async def test_a_login_refused_in_the_middle_is_sent_once(tmp_path: Path, profile: str) -> None:
    """JOB-RETRY-CLASS: not again by the undos, and never in clear because it was refused over TLS."""
    async with camera_at(tmp_path, profile) as (here, camera):
        before = len(camera.requests)

        def change_password() -> None:
            nonlocal before
            before = len(camera.requests)
            camera.device.users[camera.username] = "changed by somebody"

        outcome = (await watched(here, when("bind:acted", change_password)).enable(camera))[0]
        refused = [r for r in camera.requests[before:] if r.status == 401 and r.authorization is not None]
        assert outcome["error"] == "authentication-failed", outcome
        assert len(refused) == 1
        assert await causes(here) == ["needs-hands"]
        assert (await here.show(camera))["status"] == "Wrong credentials"
        camera.device.users[camera.username] = camera.password
        async with here.services.database.transaction() as tx:
            await rows.change(tx, await here.id_of(camera), password_refused_version=None)
        again = await enable(here, camera)
        assert again["status"] == "Finished", again["description"]
        assert await causes(here) == []


async def shown(here: Site) -> dict[int, str | None]:
    """What a person accepts who has looked at what the devices show."""
    found = await trusting.preview(here.services, Selection(everything=True))
    return {row["id"]: row["shows"]["sha256"] for row in found}


@pytest.mark.parametrize("question", ["clock", "plan"])
async def test_a_login_refused_to_a_question_is_not_sent_again(tmp_path: Path, question: str) -> None:
    """JOB-RETRY-CLASS holds for commands, too."""
    async with camera_at(tmp_path, "12.11") as (here, camera):
        camera.device.users[camera.username] = "changed by somebody"
        before = len(camera.requests)
        everything = Selection(everything=True)
        for _ in range(2):
            if question == "clock":
                await clocks.clock(here.services, actor="test", selection=everything)
            else:
                await preview.plan(here.services, actor="test", selection=everything, wish={"policy": "keep"})
        assert len([r for r in camera.requests[before:] if r.authorization is not None]) == 1
        camera.device.users[camera.username] = camera.password


class Breaking:
    """A connector that a defect of ours breaks from some moment on."""

    def __init__(self, inner: Connector) -> None:
        self.inner = inner
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @asynccontextmanager
    async def open(self, *args: Any, **kwargs: Any) -> AsyncIterator[Connection]:
        if self.broken:
            raise ZeroDivisionError("nobody foresaw this")
        async with self.inner.open(*args, **kwargs) as connection:
            yield connection


async def test_an_unforeseen_error_in_an_undo_ends_the_job(tmp_path: Path) -> None:
    """JOB-ENDS; the other undos are tried all the same, and the alarm carries an incident id."""
    async with camera_at(tmp_path, "12.11") as (here, camera):
        before = camera.served
        connector = Breaking(here.services.connect(await here.settings()))

        def break_down() -> None:
            connector.broken = True

        services = replace(
            here.services,
            connect=lambda _: cast(Connector, connector),
            failpoint=when("bind:acted", break_down),
        )
        outcome = (await Site(services, here.fleet, cast("Engine", Direct(services))).enable(camera))[0]
        assert "incident" in outcome["description"], outcome
        assert await causes(here) == ["needs-hands"]
        await camera.restart()
        assert camera.served != before
        again = await enable(here, camera)  # nobody has seen since that it serves the leaf of that job
        assert again["status"] == "Finished", again["description"]


async def test_a_busy_store_interrupts_the_undos_and_loses_none(database: Database, job_id: JobId) -> None:
    """STO-FULL-SAFE: what the store refuses for now says nothing about the device."""
    thing = Thing()
    run = await begin(database, job_id)
    await run.device("switch", look=thing.look, act=thing.act, undo={"verb": "off"})

    async def refuse(_: Undo) -> str:
        raise StoreError("The database is locked.")

    async def put_back(_: Undo) -> str:
        thing.on = False
        return "off again"

    with pytest.raises(StoreError):
        await run.unwind(refuse)
    again = await Run.begin(database, FakeClock(), job_id)
    assert await again.unwind(put_back) == ()
    assert not thing.on


@BOTH
async def test_a_device_that_could_not_be_put_back_is_still_known(tmp_path: Path, profile: str) -> None:
    """DEV-REACHABLE: it was left with the leaf of a failed job, which we signed for it: no change of identity."""
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        loop = asyncio.get_running_loop()
        pending: list[asyncio.Task[None]] = []

        def vanish() -> None:
            pending.append(loop.create_task(camera.trouble(unreachable=True)))

        outcome = (await watched(here, when("bind:acted", vanish)).enable(camera, renew=True))[0]
        assert "Not everything could be put back" in outcome["description"], outcome
        assert await causes(here) == ["needs-hands"]
        await camera.trouble(unreachable=False)
        device = await refresh_device(here.services, await here.id_of(camera))
        assert device.identity_problem is None
        assert (await enable(here, camera))["status"] == "Finished"
        assert await causes(here) == []


async def test_a_setting_that_forbids_first_contact_does_not_forbid_the_undo(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "12.11") as (here, camera):
        before = state_of(camera)
        await camera.trouble(tls_dead_on_new_certificate=True)

        def forbid() -> None:
            data = sqlite3.connect(tmp_path / "fleetseal.db")
            with data:
                data.execute(
                    "INSERT INTO setting VALUES ('security.ignore-certificate-validation', 'false', ?)",
                    ("2026-01-01T00:00:00.000000Z",),
                )
            data.close()

        outcome = (await watched(here, when("bind:acted", forbid)).enable(camera))[0]
        assert outcome["status"] == "Rolled back", outcome
        assert "Not everything" not in outcome["description"]
        assert state_of(camera) == before
        await here.set("security.ignore-certificate-validation", "true")


@BOTH
async def test_a_job_number_used_again_touches_no_entry_of_the_first(tmp_path: Path, profile: str) -> None:
    """After the restore of a backup jobs have the numbers of forgotten ones, whose entry may serve the device now."""
    (tmp_path / "now").mkdir()
    async with camera_at(tmp_path / "now", profile) as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        shutil.copytree(tmp_path / "now", tmp_path / "old", ignore=shutil.ignore_patterns("*.db*"))
        source = sqlite3.connect(tmp_path / "now" / "fleetseal.db")
        source.execute("VACUUM INTO ?", (str(tmp_path / "old" / "fleetseal.db"),))
        source.close()
        assert (await enable(here, camera, renew=True))["status"] == "Finished"
        served, bound = camera.served, camera.web.bound
        services = await make_services(tmp_path / "old", here.fleet)
        try:
            restored = Site(services, here.fleet, cast("Engine", Direct(services)))
            await trusting.accept(services, actor="test", accepted=await shown(restored))
            seen: list[bytes | None] = []
            watch = watched(restored, when("install:recorded", lambda: seen.append(camera.served)))
            outcome = (await watch.enable(camera))[0]
            assert outcome["status"] == "Finished", outcome
            assert seen == [served], "nothing served is overwritten"
            assert camera.web.bound != bound
            camera.device.remove(cast(str, bound))  # forgotten by the restored records: no longer theirs to remove
        finally:
            await services.database.close()
        await trusting.accept(here.services, actor="test", accepted=await shown(here))


async def test_disabling_closes_the_alarm_of_what_could_not_be_put_back(tmp_path: Path) -> None:
    """ALM-TRUE: a person chose plain HTTP, it works, nothing needs hands."""
    async with camera_at(tmp_path, "12.11") as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        device = await here.device(camera)
        async with here.services.database.transaction() as tx:
            await open_alarms.raise_alarm(
                tx,
                now=here.services.clock.now(),
                cause="needs-hands",
                object=device.mac or device.address,
                severity="critical",
                message="Needs hands.",
            )
        assert (await here.disable(camera))[0]["status"] == "Finished"
        assert await causes(here) == []
