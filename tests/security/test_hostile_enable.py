"""A device that turns hostile when HTTPS is to be enabled: the job fails, nothing is written, no credential is sent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleetseal.sim.fleet import SimulatedDevice
from tests.site import Site, site

PROFILES = pytest.mark.parametrize("profile", ["12.11", "9.10"])
HOSTILE: dict[str, dict[str, Any]] = {
    kind: {"answer": kind} for kind in ("endless", "huge", "deep-xml", "deep-json", "compressed", "many-headers")
}


@pytest.fixture
async def here(tmp_path: Path, profile: str) -> AsyncIterator[Site]:
    """The device, and another one that nobody is to be sent to."""
    async with site(tmp_path / "data", profile, "12.11") as one:
        await one.add(one.fleet.devices[0])
        yield one


async def assert_refused(here: Site, sentence: str) -> None:
    camera, other = here.fleet.devices
    sent, writes = camera.credential_bytes, dict(camera.effects)
    (outcome,) = await here.enable(camera)
    assert outcome["status"] == "Failed", outcome
    assert sentence in outcome["description"]
    assert (camera.credential_bytes - sent, dict(camera.effects)) == (0, writes)
    assert other.connections == 0


@PROFILES
async def test_a_redirect_is_not_followed(here: Site) -> None:
    camera, other = here.fleet.devices
    await camera.trouble(redirect_to=f"http://{other.address}:{other.http_port}/")
    await assert_refused(here, "Redirects are not followed")


@pytest.mark.parametrize("profile", ["12.11-self-signed", "9.10", "6.50"])
async def test_basic_is_not_given_to_who_asks_for_it(here: Site) -> None:
    await here.fleet.devices[0].trouble(basic_only=True)
    await assert_refused(here, "It was not sent.")


@PROFILES
@pytest.mark.parametrize("kind", HOSTILE)
async def test_answers_out_of_bounds_end_the_job(here: Site, kind: str) -> None:
    await here.fleet.devices[0].trouble(**HOSTILE[kind])
    await assert_refused(here, "")


async def hostile_from_the_key_on(here: Site, **faults: Any) -> tuple[SimulatedDevice, dict[str, Any]]:
    """The device makes its key, then turns hostile; the outcome."""
    camera, other = here.fleet.devices
    made = camera.device.create_key

    async def create_key(order: Any) -> Any:
        entry = await made(order)
        camera.faults.change(faults)
        return entry

    camera.device.create_key = create_key  # type: ignore[method-assign]  # of the simulated device, to time its fault
    (outcome,) = await here.enable(camera)
    assert other.connections == 0
    return camera, outcome


@PROFILES
async def test_a_redirect_in_the_middle_leads_nowhere_and_what_is_left_is_named(here: Site) -> None:
    other = here.fleet.devices[1]
    camera, outcome = await hostile_from_the_key_on(here, redirect_to=f"http://{other.address}:{other.http_port}/")
    assert outcome["status"] in ("Failed", "Rolled back")
    assert "Not everything could be put back" in outcome["description"], outcome
    assert "bind" not in camera.effects
