"""Enable HTTPS without a CA: the one usable entry of a virtual device serves it, or nothing is changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from fleetseal.core.model import TrustLevel
from fleetseal.operations import authorities, preview
from fleetseal.operations.contact import refresh_device
from fleetseal.sim.fleet import SimulatedDevice
from tests.devices import SiteAuthority
from tests.site import Site, site
from tests.workflow.test_certificates import EVERYTHING
from tests.workflow.test_enable_faults import BOTH, assert_invariants, state_of

KEY = rsa.generate_private_key(65537, 2048)
WISH = {"policy": "keep"}


@asynccontextmanager
async def camera_at(path: Path, profile: str) -> AsyncIterator[tuple[Site, SimulatedDevice]]:
    """Without a CA."""
    async with site(path, profile, authority=False) as here:
        camera = here.fleet.devices[0]
        assert (await here.add(camera))["result"] == "added"
        yield here, camera
        await assert_invariants(here)


def give(camera: SimulatedDevice, alias: str, *, days: int = 90) -> bytes:
    """The device holds a certificate of another manager."""
    leaf = SiteAuthority("Plant").leaf(KEY.public_key(), camera.address, days=days)
    camera.device.install_key_pair(alias, x509.load_der_x509_certificate(leaf), KEY)
    return leaf


@BOTH
async def test_the_one_usable_entry_serves_https(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        leaf, proved = give(camera, "plant"), (await here.device(camera)).trust_level is TrustLevel.FACTORY
        entries = camera.aliases
        (shown,) = await preview.plan(here.services, actor="test", selection=EVERYTHING, wish=WISH)
        assert shown["plan"] == "Enable"
        assert "serve plant by HTTPS, which is on the device" in shown["description"]
        outcome = (await here.enable(camera))[0]
        assert outcome["status"] == "Finished", outcome
        assert "its issuer was not verified" in outcome["description"]
        assert {"way-back", "bind", "verify", "verify-again", "record"} <= {step["name"] for step in outcome["steps"]}
        assert (camera.web.bound, camera.served, camera.aliases) == ("plant", leaf, entries)
        device = await here.device(camera)
        assert device.trust_level is (TrustLevel.PINNED if proved else TrustLevel.FIRST_USE)
        again = await refresh_device(here.services, device.id)
        assert (again.identity_problem, again.trust_problem, again.reachable) == (None, None, True)
        row = await here.show(camera)
        assert (row["https"], row["status"]) == ("Enabled", "OK")
        assert (await here.enable(camera))[0]["status"] == "Unchanged"


@BOTH
async def test_none_and_several_are_told_and_nothing_is_changed(tmp_path: Path, profile: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        for aliases, code, words in (
            ((), "no-certificate", "the device holds no certificate that HTTPS could serve"),
            (("plant-1", "plant-2"), "several-certificates", "2 certificates that HTTPS could serve: plant-1, plant-2"),
        ):
            for alias in aliases:
                give(camera, alias)
            before = state_of(camera)
            outcome = (await here.enable(camera))[0]
            assert (outcome["status"], outcome["error"]) == ("Failed", code), outcome
            assert words in outcome["description"]
            assert state_of(camera) == before
        renewed = (await here.enable(camera, renew=True))[0]
        assert (renewed["status"], renewed["error"]) == ("Failed", "not-found")


@BOTH
@pytest.mark.parametrize("fault", ["tls_dead_on_new_certificate", "serves_wrong_leaf"])
async def test_what_cannot_be_proved_is_put_back(tmp_path: Path, profile: str, fault: str) -> None:
    async with camera_at(tmp_path, profile) as (here, camera):
        give(camera, "plant")
        before, trust = state_of(camera), (await here.device(camera)).trust_level
        await camera.trouble(**{fault: True})
        outcome = (await here.enable(camera))[0]
        assert outcome["status"] == "Rolled back", outcome
        assert state_of(camera) == before
        assert (await here.device(camera)).trust_level is trust


async def test_https_only_closes_plain_http_last(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "12.11") as (here, camera):
        give(camera, "plant")
        outcome = (await here.enable(camera, policy="https"))[0]
        assert outcome["status"] == "Finished", outcome
        assert [step["name"] for step in outcome["steps"]][-3:] == ["policy", "verify-policy", "record"]
        assert "Plain HTTP is closed." in outcome["description"]


async def test_a_device_whose_clock_is_wrong_is_not_begun(tmp_path: Path) -> None:
    async with camera_at(tmp_path, "9.10") as (here, camera):
        give(camera, "plant")
        await camera.trouble(clock_offset=-400 * 86400.0)
        before = state_of(camera)
        outcome = (await here.enable(camera))[0]
        assert (outcome["status"], outcome["error"]) == ("Failed", "clock-is-wrong"), outcome
        assert state_of(camera) == before
        assert (await here.enable(camera, set_clock=True))[0]["status"] == "Finished"


@BOTH
async def test_a_verified_device_stays_verified(tmp_path: Path, profile: str) -> None:
    """By an anchor that is only trusted; and it is not given up for a certificate that no anchor vouches for."""
    async with camera_at(tmp_path, profile) as (here, camera):
        plant = SiteAuthority("Plant")
        await authorities.trust_only(here.services, actor="test", files=(plant.root,))
        leaf = plant.leaf(KEY.public_key(), camera.address)
        camera.device.install_key_pair("plant", x509.load_der_x509_certificate(leaf), KEY)
        camera.device.install_authority("plant-ca", x509.load_der_x509_certificate(plant.issuing))
        outcome = (await here.enable(camera))[0]
        assert outcome["status"] == "Finished", outcome
        assert "it was verified by a CA that is trusted here" in outcome["description"]
        device = await refresh_device(here.services, await here.id_of(camera))
        assert (device.trust_level, device.ever_anchored) == (TrustLevel.ANCHORED, True)
        assert (device.identity_problem, device.trust_problem) == (None, None)
        give(camera, "stranger")
        served = camera.device.store.get("plant")
        camera.device.store.remove("plant")
        before = state_of(camera)
        refused = (await here.enable(camera))[0]
        assert (refused["status"], refused["error"]) == ("Failed", "not-verified"), refused
        assert "it would be trusted less. Nothing was changed." in refused["description"]
        assert state_of(camera) == before
        assert (await here.device(camera)).trust_level is TrustLevel.ANCHORED
        camera.device.store.add(served)
