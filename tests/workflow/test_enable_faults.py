"""Enable HTTPS on devices that misbehave: it ends enabled, or as it was before, and never in between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.model import Login, Plaintext, Serial
from fleetseal.operations.trust import peer_trust
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import inventory as rows
from fleetseal.store import tasks
from tests.nights import causes
from tests.site import Site, site

REST, SOAP = "12.11", "9.10"
BOTH = pytest.mark.parametrize("profile", [REST, SOAP])


def state_of(camera: SimulatedDevice) -> tuple[object, ...]:
    """What must be again as before after a rollback: store, binding and policy."""
    return (camera.aliases, camera.authority_aliases, camera.web.tls, camera.web.policies, camera.web.bound)


async def assert_invariants(here: Site) -> None:
    """What holds after every job, whatever it was about (teardown of the invariants)."""
    async with here.services.database.reading() as tx:
        devices = await rows.every(tx)
        assert await rows.active_tasks(tx) == {}, "JOB-ENDS"
    for device in devices:
        assert device.serial is not None
        camera = here.fleet[device.serial]
        unused = [alias for alias in camera.aliases if alias.startswith("fleetseal-") and alias != camera.web.bound]
        assert unused == [], "DEV-NO-LEFTOVERS"
        await camera.trouble(unreachable=False, http_closed=False)
        await log_in(here, camera)


async def log_in(here: Site, camera: SimulatedDevice) -> None:
    """DEV-REACHABLE: by at least one route that we know."""
    device = await here.device(camera)
    async with here.services.database.reading() as tx:
        trust = await peer_trust(here.services, tx, device)
    connector = here.services.connect(await here.settings())
    login = Login(camera.username, camera.password)
    try:
        async with connector.open(device.endpoint, trust, login, serial=Serial(camera.serial)):
            return
    except Exception:
        async with connector.open(device.endpoint, Plaintext(), login, serial=Serial(camera.serial)):
            return


@asynccontextmanager
async def camera_at(path: Path, profile: str) -> AsyncIterator[tuple[Site, SimulatedDevice]]:
    async with site(path, profile) as here:
        camera = here.fleet.devices[0]
        assert (await here.add(camera))["result"] == "added"
        yield here, camera
        await assert_invariants(here)


async def enable(here: Site, camera: SimulatedDevice, **wish: Any) -> dict[str, Any]:
    return (await here.enable(camera, **wish))[0]


@BOTH
@pytest.mark.parametrize("verb", ["create_key", "get_csr", "install", "install_ca", "bind"])
@pytest.mark.parametrize("fault", ["lose_answer_of", "error_with_effect", "effect_twice", "lose_request_of"])
async def test_a_lost_doubled_or_false_answer_changes_nothing(
    tmp_path: Path, profile: str, verb: str, fault: str
) -> None:
    """DEV-READ-BACK: the outcome is what the device shows afterwards."""
    async with camera_at(tmp_path, profile) as (here, camera):
        await camera.trouble(**{fault: {verb: 1}})
        outcome = await enable(here, camera)
        assert outcome["status"] == "Finished", outcome
        assert camera.served == (await here.device(camera)).served_der
        assert len([alias for alias in camera.aliases if alias.startswith("fleetseal-")]) == 1


@BOTH
@pytest.mark.parametrize(
    "faults",
    [
        {"tls_dead_on_new_certificate": True},
        {"serves_old_certificate": True},
        {"serves_wrong_leaf": True},
        {"ok_without_effect": {"bind": 9}},
    ],
    ids=lambda faults: next(iter(faults)),
)
async def test_what_cannot_be_proved_from_outside_is_put_back(
    tmp_path: Path, profile: str, faults: dict[str, Any]
) -> None:
    """DEV-ROLLBACK."""
    async with camera_at(tmp_path, profile) as (here, camera):
        await here.set("https.verify-seconds", "5")
        before = state_of(camera)
        await camera.trouble(**faults)
        outcome = await enable(here, camera)
        assert outcome["status"] == "Rolled back", outcome
        await camera.trouble(serves_wrong_leaf=False)
        assert state_of(camera) == before
        assert (await here.device(camera)).trust_level != "verified"


async def test_an_undo_that_is_refused_and_takes_effect_is_done(tmp_path: Path) -> None:
    """DEV-READ-BACK."""
    async with camera_at(tmp_path, REST) as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        before = state_of(camera)
        await camera.trouble(ok_without_effect={"bind": 9}, error_with_effect={"delete": 9})
        outcome = await enable(here, camera, renew=True)
        assert outcome["status"] == "Rolled back", outcome
        assert outcome["description"].endswith("The device is as it was before.")
        assert state_of(camera) == before


async def test_an_entry_that_cannot_be_removed_is_no_harm_and_goes_with_the_next_job(tmp_path: Path) -> None:
    """DEV-WAVES: what nothing uses closes no way to the device, and stops no other. It is an alarm all the same."""
    async with camera_at(tmp_path, REST) as (here, camera):
        bound = camera.web.bound
        await camera.trouble(serves_wrong_leaf=True, ok_without_effect={"delete": 99})
        outcome = await enable(here, camera)
        assert "Not everything could be put back: The entry fleetseal-" in outcome["description"]
        assert camera.web.bound == bound
        async with here.services.database.reading() as tx:
            (task,) = await tasks.list_tasks(tx)
            (job,) = await tasks.jobs_of(tx, task.id)
        assert (job.status, job.harmed) == ("Rolled back", False)
        assert [cause for cause, _ in await causes(here)] == ["needs-hands"]
        camera.device.faults.change({"serves_wrong_leaf": False, "ok_without_effect": {}})
        assert (await enable(here, camera))["status"] == "Finished"
        assert await causes(here) == {}


@BOTH
async def test_tls_that_breaks_minutes_later_is_put_back(tmp_path: Path, profile: str) -> None:
    """DEV-VERIFY-FIRST: a second look after the soak time."""
    async with camera_at(tmp_path, profile) as (here, camera):
        await here.set("https.soak-seconds", "3")
        before = state_of(camera)
        await camera.trouble(tls_dies_after=2.0)
        outcome = await enable(here, camera)
        assert [step["name"] for step in outcome["steps"] if step["name"] == "verify"] == ["verify"], outcome
        assert outcome["status"] == "Rolled back", outcome
        assert state_of(camera) == before


@BOTH
async def test_a_slow_restart_is_waited_for(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await here.set("https.verify-seconds", "20")
        await camera.trouble(restart_seconds=3.0, answer_after_restart=True)
        assert (await enable(here, camera))["status"] == "Finished"


@BOTH
@pytest.mark.parametrize(
    ("faults", "why"),
    [({"key_generation_refused": True}, "key"), ({"ok_without_effect": {"install": 9}}, "effect")],
    ids=["refused", "no-effect"],
)
async def test_a_device_that_cannot_gets_a_key_made_here(
    tmp_path: Path, profile: str, faults: dict[str, Any], why: str
) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await camera.trouble(**faults)
        outcome = await enable(here, camera)
        assert outcome["status"] == "Finished", outcome
        assert "made here" in outcome["description"]
        assert why in outcome["description"]
        shown = await here.show(camera)
        assert shown["certificate"]["key_origin"] == "manager"


@pytest.mark.parametrize(
    "faults", [{"load_certificates": "keys-not-matching"}, {"load_certificates": "no-effect"}, {"rsa_1024": True}]
)
async def test_soap_devices_that_refuse_or_make_weak_keys(tmp_path: Path, faults: dict[str, Any]) -> None:
    async with camera_at(tmp_path, SOAP) as (here, camera):
        await camera.trouble(**faults)
        outcome = await enable(here, camera)
        assert outcome["status"] == "Finished", outcome
        assert (await here.show(camera))["certificate"]["key_origin"] == "manager"


@BOTH
async def test_a_full_store_is_a_refusal_and_nothing_is_left(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        before = state_of(camera)
        await camera.trouble(store_full=True)
        outcome = await enable(here, camera)
        assert outcome["status"] == "Failed", outcome
        assert state_of(camera) == before
        assert (await here.show(camera))["certificate"] is None or not (await here.show(camera))["certificate"][
            "issued_by_us"
        ]


@BOTH
@pytest.mark.parametrize("offset", [-50 * 365 * 86_400.0, -30 * 3_600.0, 10 * 365 * 86_400.0])
async def test_a_wrong_clock_stops_the_job(tmp_path: Path, profile: str, offset: float) -> None:
    """DEV-CLOCK."""
    async with camera_at(tmp_path, profile) as (here, camera):
        await camera.trouble(clock_offset=offset)
        before = state_of(camera)
        outcome = await enable(here, camera)
        assert outcome["status"] == "Failed", outcome
        assert "clock" in outcome["description"]
        assert state_of(camera) == before
        outcome = await enable(here, camera, set_clock=True)
        assert outcome["status"] == "Finished", outcome


@BOTH
async def test_no_way_back_no_change(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        await camera.trouble(http_closed=True)
        before = state_of(camera)
        outcome = await enable(here, camera)
        assert outcome["status"] == "Failed", outcome
        assert "No way back" in outcome["description"]
        assert state_of(camera) == before
        await here.set("https.escape-route", "none")
        assert (await enable(here, camera))["status"] == "Finished"


@BOTH
async def test_https_only_is_closed_last_and_a_renewal_opens_its_way_back(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        outcome = await enable(here, camera, policy="https")
        assert outcome["status"] == "Finished", outcome
        names = [step["name"] for step in outcome["steps"]]
        assert names.index("verify-again") < names.index("policy") < names.index("verify-policy")
        assert camera.web.admin == "Https"
        assert (await enable(here, camera))["status"] == "Unchanged"
        again = await enable(here, camera, renew=True)
        assert again["status"] == "Finished", again
        assert "open-http" in [step["name"] for step in again["steps"]]
        assert camera.web.admin == "Https"


@BOTH
async def test_disable_and_enable_again_uses_the_certificate_that_is_there(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        served = camera.served
        outcome = (await here.disable(camera))[0]
        assert outcome["status"] == "Finished", outcome
        assert camera.served is None
        assert (await here.device(camera)).trust_level == "plain"
        assert (await here.disable(camera))[0]["status"] == "Unchanged"
        outcome = await enable(here, camera)
        assert outcome["status"] == "Finished", outcome
        assert camera.served == served


@BOTH
async def test_a_renewal_supersedes_and_leaves_one_certificate(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        assert (await enable(here, camera))["status"] == "Finished"
        first = camera.served
        assert (await enable(here, camera))["status"] == "Unchanged"
        outcome = await enable(here, camera, renew=True)
        assert outcome["status"] == "Finished", outcome
        assert camera.served != first
        assert len([alias for alias in camera.aliases if alias.startswith("fleetseal-")]) == 1
