"""The nightly run on virtual devices: real TLS, and a clock that the test moves for them and for us alike."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.errors import Conflict, StoreError
from fleetseal.core.model import EnableWish, JobStatus, Login, Selection, TaskAction, TaskId
from fleetseal.core.runtime import SystemClock
from fleetseal.core.secrets import Secret
from fleetseal.jobs.engine import Engine
from fleetseal.operations import (
    alarm_pass,
    audit_fleet,
    authorities,
    inventory,
    nightly,
    nights,
    observe,
    signing,
    trusting,
)
from fleetseal.operations.contact import refresh_device
from fleetseal.operations.inventory import Changes
from fleetseal.operations.plan import Skipped
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.sim.keystore import Entry
from fleetseal.store import certificates, tasks
from fleetseal.store import inventory as devices
from fleetseal.store import nights as night_store
from fleetseal.store.nights import NightId
from tests.nights import Evening, causes
from tests.site import PASSPHRASE, DeviceSpec, Site, site
from tests.support import FastClock

DUE = timedelta(days=365 - 30 - 3)
"""After this time a certificate of 365 days is due, and does not warn yet: 37 to 33.5 days before its end."""


@asynccontextmanager
async def secured(
    data: Path, *specs: str | DeviceSpec, factor: float = 20, ca: Callable[[Site], Awaitable[object]] | None = None
) -> AsyncIterator[tuple[Site, Evening, FastClock]]:
    """A site whose devices serve certificates of ours, and its evening. `ca` makes the CA, if not the usual one."""
    clock = FastClock(SystemClock().now(), factor=factor)
    async with site(data, *specs, clock=clock, authority=ca is None) as here:
        if ca is not None:
            await ca(here)
        await here.set("https.verify-seconds", "240")
        for camera in here.fleet.devices:
            assert (await here.add(camera))["result"] == "added"
        assert {one["status"] for one in await here.enable()} == {"Finished"}
        yield here, Evening(here), clock


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    assert report["problems"] == []
    return len(report["renewed"]), len(report["failed"]), len(report["skipped"])


async def test_a_certificate_is_renewed_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11", "9.10") as (here, evening, clock):
        before = [camera.served for camera in here.fleet.devices]
        assert counts(await evening.command()) == (0, 0, 0)
        assert [camera.served for camera in here.fleet.devices] == before
        clock.jump(DUE)
        report = await evening.command()
        assert counts(report) == (2, 0, 0)
        assert [one["mac"] for one in report["renewed"]] == [(await here.device(one)).mac for one in here.fleet.devices]
        assert not set(before) & {camera.served for camera in here.fleet.devices}
        assert report["alarms"] == 0
        assert counts(await evening.command()) == (0, 0, 0)


async def test_a_device_that_comes_back_after_its_certificate_expired_is_renewed(tmp_path: Path) -> None:
    """Its recorded key is its identity; meanwhile the alarm says so."""
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        camera, label = here.fleet.devices[0], str((await here.device(here.fleet.devices[0])).mac)
        camera.device.faults.unreachable = True
        await camera.restart()
        clock.jump(timedelta(days=366))
        assert counts(await evening.command(clock_is_right=True)) == (0, 1, 0)
        assert ("certificate-expired", label) in await causes(here)
        camera.device.faults.unreachable = False
        await camera.restart()
        assert counts(await evening.command(clock_is_right=True)) == (1, 0, 0)
        assert await causes(here) == {}
        assert (await here.show(camera))["status"] == "OK"


async def test_another_name_is_a_cause_to_issue_anew_once(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, _):
        camera = here.fleet.devices[0]
        await inventory.change(
            here.services,
            actor="test",
            selection=Selection(refs=(camera.serial,)),
            changes=Changes(host_name="door.plant.example"),
        )
        assert counts(await evening.command()) == (1, 0, 0)
        shown = (await here.show(camera))["certificate"]
        assert "door.plant.example" in shown["names"]
        assert counts(await evening.command()) == (0, 0, 0)


async def test_a_told_name_that_two_devices_have_is_wanted_by_neither(tmp_path: Path) -> None:
    """The audit wants the names that the plan would certify, so that no night asks for another one in vain."""
    async with secured(tmp_path, "12.11", "12.11") as (here, evening, _):
        one, other = here.fleet.devices
        name = f"axis-{one.serial.lower()}"

        async def tell() -> None:
            async with here.services.database.transaction() as tx:
                for camera in (one, other):
                    await devices.change(tx, await here.id_of(camera), host_name=name)

        await tell()
        await evening.command()
        await tell()
        await audit_fleet.audit_fleet(here.services, await here.settings())
        async with here.services.database.reading() as tx:
            assert await devices.shared_names(tx, {name, "door.plant.example"}) == {name}
            for camera in (one, other):
                record = await certificates.installed(tx, await here.id_of(camera))
                assert record is not None
                assert record.names == ((await here.device(camera)).address,)
                assert record.reissue is None


async def test_nothing_is_signed_twice_for_a_device_in_one_night(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        selection = Selection(refs=(here.fleet.devices[0].serial,))
        for name, expected in (("one.plant.example", (1, 0, 0)), ("two.plant.example", (0, 0, 1))):
            await inventory.change(here.services, actor="test", selection=selection, changes=Changes(host_name=name))
            assert counts(await evening.command()) == expected
        clock.jump(timedelta(days=1))
        assert counts(await evening.command()) == (1, 0, 0)


async def test_https_that_was_switched_off_stays_off(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        camera = here.fleet.devices[0]
        await here.disable(camera)
        clock.jump(DUE)
        writes = dict(camera.effects)
        report = await evening.command()
        assert counts(report) == (0, 0, 1)
        assert "HTTPS is off on it" in report["skipped"][0]["reason"]
        plan = await observe.plan_enable(
            here.services,
            await here.settings(),
            here.services.connect(await here.settings()),
            await here.device(camera),
            Login(camera.username, camera.password),
            wish=EnableWish(unattended=True),
            named=False,
            job_id=None,
        )
        assert isinstance(plan, Skipped)
        assert plan.error_code == "https-off"
        assert camera.effects == writes


async def test_a_refused_password_is_sent_once_in_30_nights(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        camera, label = here.fleet.devices[0], str((await here.device(here.fleet.devices[0])).mac)
        camera.device.users[camera.username] = "another"
        clock.jump(DUE - timedelta(days=1))
        refused = []
        for _ in range(30):
            clock.jump(timedelta(days=1))
            report = await evening.command()
            refused.append(len(report["failed"]))
        assert sum(refused) == 1
        assert "refused the stored login" in (await causes(here))["renewal-failed", label]
        await inventory.change(
            here.services,
            actor="test",
            selection=Selection(refs=(camera.serial,)),
            changes=Changes(password=Secret("another")),
        )
        assert counts(await evening.command()) == (1, 0, 0)
        assert await causes(here) == {}


async def test_renewal_can_be_switched_off(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        await here.set("renewal.automatic", "false")
        clock.jump(DUE)
        report = await evening.command()
        assert counts(report) == (0, 0, 1)
        assert report["skipped"][0]["reason"] == "renewal.automatic is off."
        assert (await nights.status(here.services, serving=True))["renews"] is False


# ---------------------------------------------------------------- the audit


async def test_a_device_that_shows_something_else_is_an_alarm_until_it_does_not(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, _):
        camera, label = here.fleet.devices[0], str((await here.device(here.fleet.devices[0])).mac)
        bound, logins = camera.web.bound, camera.requests
        camera.device.web = replace(camera.device.web, bound="Axis device ID ECC-P256 (802.1AR)")
        await camera.restart()
        await audit_fleet.audit_fleet(here.services, await here.settings())
        assert "was not issued to it here" in (await causes(here))["certificate-differs", label]
        assert camera.requests == logins, "a handshake, and not one request"
        camera.device.web = replace(camera.device.web, bound=bound)
        await camera.restart()
        await evening.command()
        assert await causes(here) == {}


async def test_what_a_person_accepts_is_no_alarm(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, _):
        camera = here.fleet.devices[0]
        camera.device.web = replace(camera.device.web, bound="Axis device ID ECC-P256 (802.1AR)")
        await camera.restart()
        await evening.command()
        assert await causes(here) != {}
        shown = await trusting.preview(here.services, Selection(refs=(camera.serial,)))
        await trusting.accept(here.services, actor="test", accepted={shown[0]["id"]: shown[0]["shows"]["sha256"]})
        assert await causes(here) == {}
        await evening.command()
        assert await causes(here) == {}


async def test_a_known_leaf_is_taken_back_into_the_records(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, _):
        camera = here.fleet.devices[0]
        async with here.services.database.transaction() as tx:
            record = await certificates.installed(tx, (await here.device(camera)).id)
            assert record is not None
            await certificates.change(tx, record.id, state="abandoned")  # as after an undo that did not reach it
        await evening.command()
        async with here.services.database.reading() as tx:
            assert (await certificates.get(tx, record.id)).state == "installed"


async def test_a_key_that_is_seen_on_another_device_is_replaced(tmp_path: Path) -> None:
    """A stolen store: the second device serves certificate and key of the first."""
    async with secured(tmp_path, "12.11", "12.11") as (here, evening, clock):
        robbed, thief = here.fleet.devices
        stolen = robbed.device.store.get(str(robbed.web.bound))
        thief.device.store.add(Entry("stolen", stolen.certificate, stolen.key))
        thief.device.web = replace(thief.device.web, bound="stolen")
        await thief.restart()
        before = robbed.served
        await audit_fleet.audit_fleet(here.services, await here.settings())
        report = await evening.command()
        assert [one["mac"] for one in report["renewed"]] == [(await here.device(robbed)).mac]
        assert robbed.served != before
        assert [cause for cause, _ in await causes(here)] == ["certificate-differs"]
        clock.jump(timedelta(days=1))
        assert counts(await evening.command()) == (0, 0, 0), "once"


# ---------------------------------------------------------------- the clock


@pytest.mark.parametrize("days", [366, 3653, 300])
async def test_a_clock_that_jumps_ahead_renews_nothing_without_a_person(tmp_path: Path, days: int) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        camera = here.fleet.devices[0]
        clock.jump(DUE if days == 300 else timedelta(days=days))
        camera.device.faults.clock_offset = -timedelta(days=days).total_seconds()
        before = dict(camera.effects)
        report = await evening.command()
        assert (report["renewed"], report["failed"]) == ([], [])
        assert "the clocks of the devices do not confirm it" in report["problems"][0]["reason"]
        assert ("clock-jumped", "this computer") in await causes(here)
        assert camera.effects == before
        clock.jump(-timedelta(days=days))
        camera.device.faults.clock_offset = 0.0
        await evening.command()
        assert ("clock-jumped", "this computer") not in await causes(here)


@pytest.mark.parametrize("days", [-1, -30, -3653])
async def test_a_clock_that_goes_back_behind_the_last_signature_signs_nothing(tmp_path: Path, days: int) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        clock.jump(timedelta(days=days))
        await inventory.change(
            here.services,
            actor="test",
            selection=Selection(refs=(here.fleet.devices[0].serial,)),
            changes=Changes(host_name="door.plant.example"),
        )
        before = dict(here.fleet.devices[0].effects)
        report = await evening.command()
        assert "the CA has signed later than that" in report["problems"][0]["reason"]
        assert here.fleet.devices[0].effects == before


# ---------------------------------------------------------------- the key


async def one_tier(here: Site) -> None:
    await authorities.create(here.services, actor="test", name="Single", key_type="ec", tiers=1, passphrase=PASSPHRASE)
    await authorities.unlock(here.services, actor="test", passphrase=PASSPHRASE)


async def test_renewal_waits_for_a_locked_key_says_so_and_goes_on(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11", ca=one_tier) as (here, evening, clock):
        await authorities.lock(here.services, actor="test")
        clock.jump(DUE)
        await evening.nights.tick()
        assert ("ca-locked", "Single") in await causes(here)
        status = await nights.status(here.services, serving=True)
        assert status["last"]["state"] == "succeeded"
        assert str(status["waits"]).startswith("Renewal waits: the CA key is locked.")
        before = here.fleet.devices[0].served
        await evening.nights.tick()
        assert here.fleet.devices[0].served == before
        await authorities.unlock(here.services, actor="test", passphrase=PASSPHRASE)
        await evening.nights.tick()
        assert here.fleet.devices[0].served != before
        assert await causes(here) == {}
        assert (await nights.status(here.services, serving=True))["waits"] is None


async def test_a_passphrase_opens_the_key_for_one_run(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11", ca=one_tier) as (here, evening, clock):
        clock.jump(DUE)
        assert counts(await evening.command(opened=True)) == (1, 0, 0)
        assert ("ca-locked", "Single") not in await causes(here)
        await evening.nights.tick()
        assert ("ca-locked", "Single") in await causes(here)


async def test_a_run_that_cannot_begin_leaves_no_key_open(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11", ca=one_tier) as (here, evening, _):
        file = sqlite3.connect(here.services.data / "fleetseal.db")
        file.execute("alter table night rename to gone")
        file.close()
        assert not await signing.is_locked(here.services)
        with pytest.raises(StoreError):
            await evening.command(opened=True)
        assert await signing.is_locked(here.services)


# ---------------------------------------------------------------- windows, restarts, time


async def runs(here: Site) -> list[str | None]:
    """The windows that had a run."""
    async with here.services.database.reading() as tx:
        last = await night_store.latest(tx)
        assert last is not None
        return [(await night_store.get(tx, NightId(number))).window for number in range(1, last.id + 1)]


async def test_the_server_runs_once_in_each_window(tmp_path: Path) -> None:
    """Every hour over three days, with a new process each time."""
    async with secured(tmp_path, "12.11") as (here, _, clock):
        for _ in range(3 * 24):
            await Evening(here).nights.tick()
            clock.jump(timedelta(hours=1))
        found = await runs(here)
        assert len(found) == 3
        assert len(set(found)) == 3


async def test_a_missed_window_is_caught_up_once(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        clock.jump(timedelta(days=10))
        await evening.nights.tick()
        await evening.nights.tick()
        assert len(await runs(here)) == 1
        with pytest.raises(Conflict):  # a second process, at the same moment
            async with here.services.database.transaction() as tx:
                await night_store.begin(tx, window=(await runs(here))[0], now=clock.now())


async def test_an_interrupted_run_goes_on_with_what_it_planned(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        clock.jump(DUE)

        class Died(BaseException):
            """The process ends."""

        class Dead:
            async def submit(self, task_id: TaskId) -> None:
                raise Died

        direct, here.engine = here.engine, cast("Engine", Dead())
        with pytest.raises(Died):
            await evening.nights.tick()
        before = here.fleet.devices[0].served
        here.engine = direct
        await Evening(here).nights.tick()
        assert here.fleet.devices[0].served != before
        async with here.services.database.reading() as tx:
            renewals = [one for one in await tasks.list_tasks(tx) if one.action is TaskAction.RENEW_CERTIFICATE]
            last = await night_store.latest(tx)
        assert len(renewals) == 1
        assert last is not None
        assert (last.id, last.succeeded) == (1, True)


async def test_after_the_window_no_device_is_begun(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, _, clock):
        clock.jump(DUE)

        class Slow:
            """An engine that has no place for the device all night."""

            async def submit(self, task_id: TaskId) -> None:
                clock.jump(timedelta(hours=2))
                async with here.services.database.transaction() as tx:
                    if not any(job.active for job in await tasks.jobs_of(tx, task_id)):
                        await tasks.finish_task(tx, task_id, now=clock.now())

            async def prune(self) -> None: ...

        writes = dict(here.fleet.devices[0].effects)
        here.engine = cast("Engine", Slow())
        async with here.services.database.transaction() as tx:
            night_id = await night_store.begin(tx, window="test", now=clock.now())
        run = nightly.NightRun(
            here.services,
            here.engine,
            await here.settings(),
            night_id,
            clock.now(),
            deadline=clock.now() + timedelta(hours=1),
        )
        await nightly.carry_out(run)
        report = (await nights.show(here.services, night_id))["report"]
        assert counts(report) == (0, 0, 1)
        assert report["skipped"][0]["reason"].startswith("The window ended before its turn")
        assert here.fleet.devices[0].effects == writes


async def test_old_tasks_are_forgotten_and_certificates_are_not(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        clock.jump(nightly.KEPT - timedelta(days=1))
        await evening.command()
        async with here.services.database.reading() as tx:
            assert len(await tasks.list_tasks(tx)) == 1
        clock.jump(timedelta(days=2))
        await evening.command()
        async with here.services.database.reading() as tx:
            assert await tasks.list_tasks(tx) == ()
            assert len(await certificates.of_device(tx, (await here.device(here.fleet.devices[0])).id)) == 1


async def test_a_part_that_fails_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        clock.jump(DUE)

        class Broken:
            submit = here.engine.submit

            async def prune(self) -> None:
                raise RuntimeError("a defect")

        here.engine = cast("Engine", Broken())
        report = await evening.command()
        assert len(report["renewed"]) == 1
        assert [one["part"] for one in report["problems"]] == ["pruning"]
        assert "incident" in report["problems"][0]["reason"]
        assert "a defect" in caplog.text
        assert (await nights.status(here.services, serving=False))["last"]["state"] == "failed"


# ---------------------------------------------------------------- alarms


async def test_a_renewal_that_failed_is_one_alarm_until_it_succeeds(tmp_path: Path) -> None:
    spec = DeviceSpec("12.11", serial="B8A44F00BEEF")
    async with secured(tmp_path, spec) as (here, evening, clock):
        camera: SimulatedDevice = here.fleet.devices[0]
        camera.device.faults.store_full = True
        clock.jump(DUE)
        assert counts(await evening.command()) == (0, 1, 0)
        label = str((await here.device(camera)).mac)
        assert list(await causes(here)) == [("renewal-failed", label)]
        clock.jump(timedelta(days=1))
        assert counts(await evening.command()) == (0, 1, 0)
        clock.jump(timedelta(days=1))
        assert counts(await evening.command()) == (0, 0, 1), "a device that says no is asked ever more rarely"
        assert list(await causes(here)) == [("renewal-failed", label)]
        camera.device.faults.store_full = False
        assert (await here.enable(camera))[0]["status"] == JobStatus.FINISHED
        assert await causes(here) == {}, "a person's success ends it as well"


async def test_alarms_of_a_device_follow_its_status(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        camera, label = here.fleet.devices[0], str((await here.device(here.fleet.devices[0])).mac)
        await here.set("renewal.automatic", "false")
        for days, cause in ((336, "certificate-expiring"), (30, "certificate-expired")):
            clock.jump(timedelta(days=days))
            await evening.command()
            assert [one for one in await causes(here) if one[1] == label] == [(cause, label)]
        await inventory.remove(here.services, actor="test", references=[camera.serial])
        assert not [one for one in await causes(here) if one[1] == label]


async def test_alarms_of_the_ca_and_of_the_night(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11") as (here, evening, clock):
        await evening.nights.tick()
        assert await causes(here) == {}

        async def after(days: int) -> set[str]:
            clock.jump(timedelta(days=days))
            await alarm_pass.authority(here.services)
            await alarm_pass.overdue(here.services)
            return {cause for cause, _ in await causes(here)}

        assert await after(3) == {"nightly-overdue"}
        await evening.command()
        assert await after(0) == set()
        years = 5 * 365
        assert "issuing-ca-needs-renewal" not in await after(years - 365 - 60 - 6)
        assert "issuing-ca-needs-renewal" in await after(5)
        assert "ca-expiring" not in await causes_of(here)
        assert "ca-expiring" in await after(395)
        assert "ca-expired" in await after(60)


async def causes_of(here: Site) -> set[str]:
    return {cause for cause, _ in await causes(here)}


async def test_a_refresh_after_renewal_finds_everything_in_order(tmp_path: Path) -> None:
    async with secured(tmp_path, "12.11-self-signed") as (here, evening, clock):
        clock.jump(DUE)
        await evening.command()
        await refresh_device(here.services, await here.id_of(here.fleet.devices[0]))
        assert (await here.show(here.fleet.devices[0]))["status"] == "OK"
