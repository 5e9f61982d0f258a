"""Certificates already on virtual devices: listed with what uses them, deleted only when nothing does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from fleetseal.core.model import Alias, KeySpec, Plaintext, Selection, Serial, TaskAction
from fleetseal.operations import certificates
from fleetseal.operations.run_job import run_job
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import audit
from fleetseal.store import tasks as store
from tests.devices import SiteAuthority, endpoint_of, login_of
from tests.site import Site, site
from tests.workflow.test_enable_faults import BOTH, camera_at

FOREIGN = Alias("plant-https-2025")
IDENTITY = "Axis device ID ECC-P256 (802.1AR)"
EVERYTHING = Selection(everything=True)
RECORDINGS = Path(__file__).parent.parent / "recordings"


async def put(here: Site, camera: SimulatedDevice, alias: Alias = FOREIGN) -> None:
    """An entry that another manager left there."""
    connector = here.services.connect(await here.settings())
    async with connector.open(
        endpoint_of(camera), Plaintext(), login_of(camera), serial=Serial(camera.serial)
    ) as connection:
        await connection.driver.create_self_signed(alias, KeySpec("192.0.2.9"))


async def delete(here: Site, camera: SimulatedDevice, alias: str = FOREIGN) -> dict[str, Any]:
    task_id = await certificates.delete(here.services, here.engine, actor="test", reference=camera.serial, alias=alias)
    (outcome,) = (await here.ended(task_id))["devices"]
    return dict(outcome)


async def listed(here: Site, *, public_roots: bool = False) -> dict[str, dict[str, Any]]:
    (device,) = await certificates.list_(here.services, EVERYTHING, actor="test", public_roots=public_roots)
    assert device["message"] == ""
    return {entry["alias"]: entry for entry in device["certificates"]}


@pytest.mark.parametrize("profile", ["12.11", "11.6", "10.12", "9.10", "7.30"])
async def test_every_entry_is_listed_with_its_use_and_source(tmp_path: Path, profile: str) -> None:
    async with site(tmp_path, profile) as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        assert (await here.enable(camera))[0]["status"] == "Finished"
        await put(here, camera)
        camera.device.cert_sets["mqtt_client"] = (FOREIGN,)
        shown = await listed(here, public_roots=True)
        assert [alias for alias, one in shown.items() if one["kind"] == "key"] == list(camera.aliases)
        assert [alias for alias, one in shown.items() if one["kind"] == "ca"] == list(camera.authority_aliases)
        bound = shown[camera.web.bound or ""]
        assert (bound["source"], bound["use"]) == ("ours", ["HTTPS"])
        assert camera.address in bound["names"]
        assert (await here.show(camera))["certificate"]["sha256"] == bound["sha256"]
        assert (shown[FOREIGN]["source"], shown[FOREIGN]["use"]) == ("default", ["MQTT"])
        ours = [one for alias, one in shown.items() if alias.startswith("fleetseal-ca-")]
        assert {one["source"] for one in ours} == {"ours"}
        if IDENTITY in shown:
            assert (shown[IDENTITY]["source"], shown[IDENTITY]["use"]) == ("factory", ["802.1X", "RTSPS"])


async def test_public_roots_of_the_factory_are_shown_on_request(tmp_path: Path) -> None:
    """All that the recording names, unless something uses them or they are something else."""
    recorded = json.loads((RECORDINGS / "p3265-v_12.11.77" / "rest-cert-v1.json").read_text())["data"]
    names = {item["alias"] for item in recorded["ca_certificates"]}
    makers, other = {name for name in names if name.startswith("Axis device ID ")}, "[CA]_cde32664935743c699b6bd14ca3"
    async with site(tmp_path, "12.11") as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        assert set(camera.authority_aliases) == names - {other}
        camera.device.cert_sets["mqtt_client"] = ("ISRG Root X1",)
        camera.device.store.remove("Amazon Root CA 1")
        plant = SiteAuthority("Plant")
        camera.device.install_authority("Amazon Root CA 1", x509.load_der_x509_certificate(plant.issuing))
        camera.device.install_authority(other, x509.load_der_x509_certificate(plant.root))
        (device,) = await certificates.list_(here.services, EVERYTHING, actor="test")
        shown = {one["alias"] for one in device["certificates"] if one["kind"] == "ca"}
        assert shown == makers | {"ISRG Root X1", "Amazon Root CA 1", other}
        assert device["hidden"] == len(names) - len(shown)
        (every,) = await certificates.list_(here.services, EVERYTHING, actor="test", public_roots=True)
        assert {one["alias"] for one in every["certificates"] if one["kind"] == "ca"} == names
        assert every["hidden"] == 0


async def test_a_device_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11", "9.10") as here:
        dead, alive = here.fleet.devices
        for camera in (dead, alive):
            await here.add(camera)
        await dead.trouble(unreachable=True)
        first, second = await certificates.list_(here.services, EVERYTHING, actor="test")
        assert (first["mac"], first["certificates"]) == ((await here.show(dead))["mac"], [])
        assert first["message"]
        assert (second["message"], len(second["certificates"])) == ("", len(alive.aliases))


@BOTH
async def test_an_unused_entry_is_deleted_and_recorded(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        before = camera.aliases
        await put(here, camera)
        outcome = await delete(here, camera)
        assert outcome["status"] == "Finished", outcome
        assert outcome["description"] == f"The entry {FOREIGN} was removed, and with it its key, if it had one."
        assert [step["name"] for step in outcome["steps"]] == ["plan", "remove", "record"]
        assert camera.aliases == before
        assert FOREIGN not in [entry["alias"] for entry in (await here.show(camera))["entries"]]
        async with here.services.database.reading() as tx:
            actions = [record.action for record in await audit.records(tx)]
        assert actions[0] == "certificate delete"


@BOTH
async def test_what_is_used_or_not_there_is_not_deleted(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await put(here, camera)
        assert (await here.enable(camera))[0]["status"] == "Finished"
        camera.device.cert_sets |= {"mqtt_client": (FOREIGN,), "EAPTLS_WIRED": (FOREIGN,)}
        kept, deletions = camera.aliases, camera.effects.get("delete", 0)
        for alias, code, words in (
            (camera.web.bound, "conflict", "is in use by HTTPS. Nothing was removed"),
            (FOREIGN, "conflict", "is in use by 802.1X, MQTT. Nothing was removed"),
            (IDENTITY, "invalid-input", "is part of the device's identity from the factory: it is never removed"),
            ("Axis device ID Root CA ECC", "invalid-input", "never removed"),
            ("no-such-entry", "not-found", "The device has no entry no-such-entry"),
        ):
            assert alias is not None
            outcome = await delete(here, camera, alias)
            assert (outcome["status"], outcome["error"]) == ("Failed", code), outcome
            assert words in outcome["description"]
        assert (camera.aliases, camera.effects.get("delete", 0)) == (kept, deletions)


@BOTH
@pytest.mark.parametrize("fault", ["lose_request_of", "lose_answer_of", "error_with_effect", "effect_twice"])
async def test_what_the_device_shows_decides_whether_it_is_deleted(tmp_path: Path, profile: str, fault: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await put(here, camera)
        await camera.trouble(**{fault: {"delete": 1}})
        outcome = await delete(here, camera)
        assert outcome["status"] == "Finished", outcome
        assert FOREIGN not in camera.aliases


@BOTH
async def test_a_deletion_without_effect_is_a_failure(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await put(here, camera)
        await camera.trouble(ok_without_effect={"delete": 9})
        outcome = await delete(here, camera)
        assert outcome["status"] == "Failed", outcome
        assert "shows no effect" in outcome["description"]
        assert FOREIGN in camera.aliases


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point", ["plan:recorded", "remove:undo-recorded", "remove:acted", "remove:recorded"])
async def test_a_killed_deletion_is_continued(tmp_path: Path, point: str) -> None:
    async with camera_at(tmp_path, "9.10") as (here, camera):
        await put(here, camera)

        def die(reached: str) -> None:
            if reached == point:
                raise Killed

        mortal = replace(here.services, failpoint=die)

        class Dying:
            async def submit(self, task_id: Any) -> None:
                async with mortal.database.reading() as tx:
                    (job,) = await store.jobs_of(tx, task_id)
                with pytest.raises(Killed):
                    await run_job(mortal, job.id)

        await Site(mortal, here.fleet, Dying()).request(  # type: ignore[arg-type]  # what `request` needs of an engine
            TaskAction.DELETE_CERTIFICATE, camera, alias=FOREIGN
        )
        async with here.services.database.reading() as tx:
            (task,) = await store.unfinished_tasks(tx)
        await here.engine.submit(task.id)
        (outcome,) = (await here.ended(task.id))["devices"]
        assert outcome["status"] == "Finished", outcome
        assert FOREIGN not in camera.aliases
        assert camera.effects["delete"] == 1
