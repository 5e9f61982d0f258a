"""Enable HTTPS, end to end on virtual devices: real TLS, real logins, keys of the device; openssl is the witness."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.model import Selection, TrustLevel
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.devices.connect import AxisConnector, OpenConnection
from fleetseal.jobs.engine import Engine
from fleetseal.operations import inventory, preview
from fleetseal.operations.contact import refresh_device
from fleetseal.operations.inventory import Changes
from fleetseal.pki import chain
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import inventory as rows
from tests.site import Direct, Site, site
from tests.witness import bundle, openssl_says


async def allow_old_tls(here: Site, camera: SimulatedDevice) -> None:
    """`device set --tls legacy`."""
    selection = Selection(refs=(camera.serial,))
    await inventory.change(here.services, actor="test", selection=selection, changes=Changes(tls="legacy"))


@pytest.mark.parametrize(
    "profile",
    ["12.11", "12.11-self-signed", "12.9-audio", "11.6", "10.12", "9.10", "7.30", "6.50", "1.84", "5.75"],
)
async def test_enable_on_every_generation(tmp_path: Path, profile: str) -> None:
    async with site(tmp_path, profile) as here:
        camera = here.fleet.devices[0]
        added = await here.add(camera)
        assert added["result"] == "added", added
        if camera.profile.tls.highest == "TLSv1":
            await allow_old_tls(here, camera)
        outcome = (await here.enable(camera))[0]
        assert outcome["status"] == "Finished", outcome
        device = await here.device(camera)
        assert device.trust_level == "verified"
        assert camera.served == device.served_der
        anchors = await bundle(here, tmp_path)
        assert await openssl_says(camera, anchors) == "0 (ok)"
        assert await openssl_says(camera, anchors, name="other.example") == "62 (hostname mismatch)"
        row = (await inventory.list_(here.services))[0]
        assert (row["status"], row["https"], row["trust"]) == ("OK", "Enabled", "verified")


async def test_a_device_with_old_tls_is_put_back_at_once_with_the_way_out(tmp_path: Path) -> None:
    """Waiting for its web server would change nothing, so nobody waits for `https.verify-seconds`."""
    async with site(tmp_path, "6.50") as here:
        await here.set("https.verify-seconds", "600")
        camera = here.fleet.devices[0]
        await here.add(camera)
        assert "may speak TLS 1.0 only" in await planned(here, camera)
        before = (camera.aliases, camera.authority_aliases, camera.web)
        outcome = (await here.enable(camera, seconds=45))[0]
        assert (outcome["status"], outcome["error"]) == ("Rolled back", "tls-too-old")
        assert "offers only TLS 1.0, which is refused" in outcome["description"]
        assert f'"fleetseal device set {camera.address} --tls legacy" allows it' in outcome["description"]
        assert outcome["description"].endswith("The device is as it was before.")
        assert (camera.aliases, camera.authority_aliases, camera.web) == before
        await allow_old_tls(here, camera)
        assert "TLS 1.0" not in await planned(here, camera)
        assert (await here.enable(camera))[0]["status"] == "Finished"


async def planned(here: Site, camera: SimulatedDevice) -> str:
    (row,) = await preview.plan(here.services, actor="test", selection=Selection(refs=(camera.serial,)), wish={})
    return str(row["description"])


async def test_a_device_whose_https_has_old_tls_is_not_begun(tmp_path: Path) -> None:
    async with site(tmp_path, "6.50") as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        await allow_old_tls(here, camera)
        assert (await here.enable(camera))[0]["status"] == "Finished"
        assert (await here.disable(camera))[0]["status"] == "Finished"
        camera.device.set_parameters({"HTTPS.Enabled": "yes", "System.BoaGroupPolicy.admin": "both"})
        await camera.restart()
        selection = Selection(refs=(camera.serial,))
        await inventory.change(here.services, actor="test", selection=selection, changes=Changes(tls="normal"))
        writes = dict(camera.effects)
        outcome = (await here.enable(camera, renew=True))[0]
        assert (outcome["status"], outcome["error"]) == ("Failed", "tls-too-old")
        assert camera.effects == writes


class Slow(AxisConnector):
    """Comes late to the first connection after the binding: the web server has restarted since it was looked at."""

    camera: SimulatedDevice
    late = 0

    @asynccontextmanager
    async def open(self, *arguments: Any, **options: Any) -> AsyncIterator[OpenConnection]:
        before = self.camera.served
        if self.camera.effects.get("bind") and not self.late:
            self.late += 1
            while self.camera.served in (None, before):
                await SystemClock().sleep(0.01)
        async with super().open(*arguments, **options) as connection:
            yield connection


async def test_a_web_server_that_restarts_between_look_and_connection_is_looked_at_again(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11") as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        await camera.trouble(restart_seconds=0.5)
        slow = Slow(SystemClock(), SystemRng(), extra_maker_roots=chain.parse_all(here.fleet.maker.roots_pem))
        slow.camera = camera
        services = replace(here.services, connect=lambda settings: slow)
        late = Site(services, here.fleet, cast("Engine", Direct(services)))
        assert (await late.device(camera)).trust_level == "factory"
        outcome = (await late.enable(camera))[0]
        assert slow.late == 1
        assert outcome["status"] == "Finished", outcome


class Late(AxisConnector):
    """Opens connections after the web server has gone back to the factory certificate."""

    camera: SimulatedDevice

    @asynccontextmanager
    async def open(self, *arguments: Any, **options: Any) -> AsyncIterator[OpenConnection]:
        self.camera.device.web = replace(self.camera.web, bound="Axis device ID ECC-P256 (802.1AR)")
        await self.camera.restart()
        async with super().open(*arguments, **options) as connection:
            yield connection


async def test_a_restart_during_a_look_is_no_change_of_identity(tmp_path: Path) -> None:
    """As right after a rollback: our certificate at the look, the one of before at the connection."""
    async with site(tmp_path, "12.11") as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        assert (await here.enable(camera))[0]["status"] == "Finished"
        async with here.services.database.transaction() as tx:
            await rows.change(tx, (await here.device(camera)).id, trust_level=TrustLevel.FACTORY, ever_anchored=False)
        late = Late(SystemClock(), SystemRng(), extra_maker_roots=chain.parse_all(here.fleet.maker.roots_pem))
        late.camera = camera
        seen = await refresh_device(replace(here.services, connect=lambda settings: late), await here.id_of(camera))
        assert seen.identity_problem is None
        assert seen.unreachable_reason == "It changed its certificate while it was being asked. Look at it again."
        again = await refresh_device(here.services, seen.id)
        assert (again.reachable, again.identity_problem, again.trust_level) == (True, None, "factory")
