"""Devices whose certificate names only a host, issued by a CA that is trusted here: how each way of adding them treats
them, and that they are never believed on first contact."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from fleetseal.core.errors import Conflict, InvalidInput
from fleetseal.core.model import Anchored, Login, Selection, Serial, TrustLevel
from fleetseal.devices.discovery.sighting import Sighting
from fleetseal.operations import authorities, discover, inventory
from fleetseal.operations.contact import refresh_device
from fleetseal.operations.discover import Wanted
from fleetseal.operations.inventory import Changes
from fleetseal.operations.looking import Look
from fleetseal.pki import chain
from fleetseal.sim.fleet import PASSWORD, USERNAME, DeviceSpec, SimulatedDevice
from fleetseal.store import inventory as rows
from tests.devices import SiteAuthority
from tests.nights import Evening
from tests.site import Site, site

KEY = rsa.generate_private_key(65537, 2048)
PLANT = SiteAuthority("Plant")
GATE = "gate.plant.example"
LOGIN = Login(USERNAME, PASSWORD)


class Resolver:
    """Says what the test says, and counts who was asked for."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        return self.known.get(name, ())


@asynccontextmanager
async def plant(
    path: Path, *names: str, profile: str = "9.10", trusted: bool = True, days: int = 90
) -> AsyncIterator[tuple[Site, SimulatedDevice, Resolver]]:
    """A device that serves a certificate of the plant's CA for these names; that CA is trusted, but has no key here."""
    resolver = Resolver()
    async with site(path, profile, authority=False, resolver=resolver) as here:
        camera = here.fleet.devices[0]
        if names:
            await serve(camera, *names, days=days)
        if trusted:
            await trust(here)
        yield here, camera, resolver


async def trust(here: Site) -> None:
    await authorities.trust_only(here.services, actor="test", files=(chain.to_pem([PLANT.root]),))


async def serve(camera: SimulatedDevice, *names: str, days: int = 90) -> None:
    leaf = hold(camera, *names, days=days)
    camera.device.web = replace(
        camera.web, tls=True, bound="plant", policies=tuple((group, "HttpAndHttps") for group, _ in camera.web.policies)
    )
    await camera.restart()
    assert camera.served == leaf


def hold(camera: SimulatedDevice, *names: str, days: int = 90) -> bytes:
    leaf = PLANT.leaf(KEY.public_key(), *names, days=days, by_root=True)
    camera.device.install_key_pair("plant", x509.load_der_x509_certificate(leaf), KEY)
    return leaf


async def looked(here: Site, camera: SimulatedDevice, *, ranged: bool, **sighted: Any) -> dict[str, Any]:
    """The row of a search that sighted the device."""
    settings = await here.settings()
    look = Look(here.services, settings, here.services.connect(settings), Anchored((PLANT.root,)), ranged=ranged)
    row = await look.at(Sighting(camera.address, camera.http_port, camera.https_port, **sighted))
    assert row is not None
    assert camera.credential_bytes == 0
    return row


async def adopted(here: Site, row: dict[str, Any]) -> dict[str, Any]:
    wanted = Wanted(**{name: row[name] for name in ("address", "http_port", "https_port", "mac", "hostname")})
    (result,) = await discover.adopt(here.services, actor="test", wanted=[wanted], login=LOGIN)
    return result


async def typed(here: Site, camera: SimulatedDevice, host: str) -> dict[str, Any]:
    (result,) = await inventory.add(
        here.services,
        actor="test",
        targets=[host],
        http_port=camera.http_port,
        https_port=camera.https_port,
        login=LOGIN,
    )
    return result


async def test_automatic_discovery_needs_the_setting(tmp_path: Path) -> None:
    async with plant(tmp_path, GATE) as (here, camera, resolver):
        resolver.known[GATE] = (camera.address,)
        row = await looked(here, camera, ranged=False)
        assert (row["result"], row["trust"], row["hostname"]) == ("failed", "none", None)
        assert row["message"].startswith("Certificate not trusted: ")
        assert f"names {GATE}, not {camera.address}" in row["message"]
        assert "discovery.use-hostname" in row["message"]
        assert resolver.asked == []

        await here.set("discovery.use-hostname", "true")
        row = await looked(here, camera, ranged=False)
        assert (row["result"], row["trust"], row["hostname"]) == ("found", "verified", GATE)
        assert row["address"] == camera.address
        added = await adopted(here, row)
        assert (added["result"], added["trust"], added["message"]) == ("added", "verified", "")
        assert (added["device"]["address"], added["device"]["hostname"]) == (GATE, GATE)
        device = await here.device(camera)
        assert not device.host_name_typed
        assert device.trust_level is TrustLevel.ANCHORED


async def test_a_range_is_dialled_by_the_name_in_the_certificate_if_it_means_that_address(tmp_path: Path) -> None:
    async with plant(tmp_path, "other.plant.example", GATE) as (here, camera, resolver):
        for known in ((), ("127.0.0.2",)):
            resolver.known[GATE] = known
            row = await looked(here, camera, ranged=True)
            assert (row["result"], row["trust"]) == ("failed", "none")
            assert f"other.plant.example, {GATE}, not {camera.address}" in row["message"]
        resolver.known[GATE] = ("127.0.0.2", camera.address)
        assert (await looked(here, camera, ranged=True))["result"] == "failed"  # another device's address comes first
        resolver.known[GATE] = (camera.address, "127.0.0.2")
        row = await looked(here, camera, ranged=True)
        assert (row["result"], row["trust"], row["hostname"]) == ("found", "verified", GATE)

        for wrong in ({"mac": None}, {"address": "gate"}):
            with pytest.raises(InvalidInput, match="that nobody typed"):
                await adopted(here, row | wrong)
        resolver.known[GATE] = ("127.0.0.2",)
        moved = await adopted(here, row)
        assert (moved["result"], camera.credential_bytes) == ("failed", 0)
        assert f"does not mean {camera.address} any more" in moved["message"]
        resolver.known[GATE] = (camera.address,)
        assert (await adopted(here, row))["result"] == "added"
        assert camera.credential_bytes > 0


async def test_by_address_it_is_not_trusted_and_by_its_typed_name_it_is(tmp_path: Path) -> None:
    async with plant(tmp_path, GATE) as (here, camera, resolver):
        resolver.known[GATE] = (camera.address,)
        added = await here.add(camera)
        assert (added["result"], added["trust"], camera.credential_bytes) == ("added", "none", 0)
        assert added["message"].startswith("Certificate not trusted: ")
        assert f"names {GATE}, not {camera.address}" in added["message"]
        assert added["device"]["status"] == "Certificate not trusted"
        shown = (await here.enable(camera))[0]
        assert (shown["status"], camera.credential_bytes) == ("Failed", 0)
        assert f"names {GATE}" in shown["description"]

        one = Selection(refs=(camera.serial,))
        (row,) = await inventory.change(here.services, actor="test", selection=one, changes=Changes(address=GATE))
        assert (row["address"], row["hostname"]) == (GATE, GATE)
        device = await refresh_device(here.services, (await here.device(camera)).id)
        assert (device.trust_level, device.trust_problem, device.host_name_typed) == (TrustLevel.ANCHORED, None, True)

        await inventory.remove(here.services, actor="test", references=[camera.serial])
        again = await typed(here, camera, GATE)
        assert (again["result"], again["trust"]) == ("added", "verified")


@pytest.mark.parametrize("days", [90, 0])
async def test_it_is_never_first_use_though_plain_http_would_do_and_though_it_has_expired(
    tmp_path: Path, days: int
) -> None:
    async with plant(tmp_path, "127.0.0.9", days=days, profile="12.11") as (here, camera, _):
        assert "digest" in camera.device.schemes(secure=False)
        added = await here.add(camera)
        assert (added["trust"], added["device"]["status"]) == ("none", "Certificate not trusted")
        assert "names 127.0.0.9, not 127.0.0.1" in added["message"]
        assert camera.credential_bytes == 0


async def test_a_certificate_that_would_not_be_believed_is_not_bound(tmp_path: Path) -> None:
    async with plant(tmp_path) as (here, camera, _):
        assert (await here.add(camera))["trust"] == "first use"
        hold(camera, GATE)
        before = camera.served
        outcome = (await here.enable(camera))[0]
        assert (outcome["status"], outcome["error"]) == ("Failed", "no-certificate")
        assert camera.served == before


async def test_a_wildcard_names_every_host_below_it(tmp_path: Path) -> None:
    async with plant(tmp_path, "*.plant.example") as (here, camera, resolver):
        resolver.known[GATE] = (camera.address,)
        assert (await typed(here, camera, GATE))["trust"] == "verified"
        await inventory.remove(here.services, actor="test", references=[camera.serial])
        added = await here.add(camera)
        assert (added["trust"], added["device"]["status"]) == ("none", "Certificate not trusted")


async def test_an_expired_certificate_that_names_the_device_is_left_to_first_contact(tmp_path: Path) -> None:
    async with plant(tmp_path, "127.0.0.1", days=0) as (here, camera, _):
        assert (await here.add(camera))["trust"] == "first use"


async def test_what_was_believed_before_its_ca_was_trusted_is_not_any_more(tmp_path: Path) -> None:
    async with plant(tmp_path, GATE, trusted=False) as (here, camera, _):
        assert (await here.add(camera))["trust"] == "first use"
        await trust(here)
        sent = camera.credential_bytes
        outcome = (await here.enable(camera))[0]
        assert (outcome["status"], camera.credential_bytes) == ("Failed", sent)
        assert f"names {GATE}" in outcome["description"]
        shown = await here.show(camera)
        assert shown["status"] == "Certificate not trusted"
        assert camera.credential_bytes == sent


async def test_a_certificate_of_nobody_we_know_may_name_what_it_likes(tmp_path: Path) -> None:
    async with plant(tmp_path, GATE, trusted=False) as (here, camera, resolver):
        assert (await here.add(camera))["trust"] == "first use"
        assert resolver.asked == []


async def test_with_the_setting_an_announced_name_is_dialled_where_it_means_the_device(tmp_path: Path) -> None:
    resolver = Resolver()
    async with site(tmp_path, "12.11", resolver=resolver) as here:
        camera = here.fleet.devices[0]
        await here.set("discovery.use-hostname", "true")
        own = f"axis-{camera.serial.lower()}"
        resolver.known[f"{own}.local"] = (camera.address,)
        assert (await looked(here, camera, ranged=False))["hostname"] is None
        row = await looked(here, camera, ranged=False, host_name=f"{own}.local")
        assert (row["hostname"], row["trust"]) == (f"{own}.local", "factory")
        assert "by its host name" in row["message"]
        added = await adopted(here, row)
        assert added["device"]["address"] == f"{own}.local"

        outcome = (await here.enable(camera))[0]  # nobody typed that name, and no domain of ours holds it
        assert outcome["status"] == "Finished", outcome
        assert camera.served is not None
        assert chain.describe(camera.served).names == (camera.address,)
        assert (await here.enable(camera))[0]["status"] == "Unchanged"
        await here.set("certificate.domains", "local")
        assert (await here.enable(camera))[0]["status"] == "Finished"
        assert set(chain.describe(camera.served).names) == {camera.address, f"{own}.local"}
        resolver.known.clear()
        assert (await here.enable(camera))[0]["status"] == "Failed"


async def test_a_resolver_that_turns_its_answers_round_is_no_cause_to_renew(tmp_path: Path) -> None:
    resolver, second = Resolver(), "127.0.0.2"
    async with site(tmp_path, DeviceSpec("12.11", other_addresses=(second,)), resolver=resolver) as here:
        camera = here.fleet.devices[0]
        name = f"axis-{camera.serial.lower()}.plant.example"
        for key, value in {"discovery.use-hostname": "true", "certificate.domains": "plant.example"}.items():
            await here.set(key, value)
        resolver.known[name] = (camera.address, second)
        await adopted(here, await looked(here, camera, ranged=False, host_name=name))
        assert (await here.enable(camera))[0]["status"] == "Finished"
        assert await names_after_a_night(here, camera) == {name, camera.address}
        first = camera.served
        resolver.known[name] = (second, camera.address)
        assert await names_after_a_night(here, camera) == {name, camera.address}
        assert camera.served == first
        resolver.known[name] = (second,)
        assert await names_after_a_night(here, camera) == {name, second}


async def names_after_a_night(here: Site, camera: SimulatedDevice) -> set[str]:
    await Evening(here).command()
    assert camera.served is not None
    return set(chain.describe(camera.served).names)


async def test_another_serial_than_announced_is_told(tmp_path: Path) -> None:
    async with site(tmp_path, "12.11", authority=False) as here:
        camera = here.fleet.devices[0]
        row = await looked(here, camera, ranged=False, serial=Serial("B8A44F000009"))
        assert row["mac"].replace(":", "") == camera.serial
        assert f"announced as B8A44F000009; it says itself that it is {camera.serial}" in row["message"]


async def test_no_two_devices_hold_one_name(tmp_path: Path) -> None:
    resolver = Resolver()
    resolver.known[GATE] = ("127.0.0.1",)
    async with site(tmp_path, "9.10", "12.11", authority=False, resolver=resolver) as here:
        first, second = here.fleet.devices
        assert (await typed(here, first, GATE))["result"] == "added"
        refused = await typed(here, second, GATE)
        assert (refused["result"], second.credential_bytes) == ("failed", 0)
        assert f"{GATE} is the name of {(await here.device(first)).label} already" in refused["message"]
        assert (await here.add(second))["result"] == "added"

        for changes in (Changes(host_name=GATE), Changes(address=GATE)):
            with pytest.raises(Conflict, match="is the name of"):
                await change(here, second, changes)
        for changes in (Changes(host_name="door.plant.example"), Changes(host_name="")):
            with pytest.raises(InvalidInput, match="dialled by its host name"):
                await change(here, first, changes)
        async with here.services.database.transaction() as tx:
            with pytest.raises(Conflict, match="has this host name"):
                await rows.change(tx, (await here.device(second)).id, host_name=GATE, host_name_typed=True)


async def test_a_name_that_another_device_tells_is_free_to_be_typed(tmp_path: Path) -> None:
    async with site(tmp_path, "9.10", "12.11", authority=False) as here:
        liar, honest = here.fleet.devices
        for camera in (liar, honest):
            await here.add(camera)
        async with here.services.database.transaction() as tx:
            await rows.change(tx, (await here.device(liar)).id, host_name=GATE)
        assert (await change(here, honest, Changes(host_name=GATE)))["hostname"] == GATE


async def change(here: Site, camera: SimulatedDevice, changes: Changes) -> dict[str, Any]:
    one = Selection(refs=(camera.serial,))
    (row,) = await inventory.change(here.services, actor="test", selection=one, changes=changes)
    return row


async def test_the_ports_of_an_announced_device_are_found_on_it(tmp_path: Path) -> None:
    """Only its HTTP port is announced; the other is read from its parameters after the login."""
    async with site(tmp_path, DeviceSpec("12.11"), authority=False) as here:
        camera = here.fleet.devices[0]
        settings = await here.settings()
        look = Look(here.services, settings, here.services.connect(settings), Anchored(()), ranged=False)
        row = await look.at(Sighting(camera.address, camera.http_port, 443))
        assert row is not None
        assert (row["result"], row["trust"]) == ("found", "plain")
        added = await adopted(here, row)
        assert (added["result"], added["trust"], added["device"]["https_port"]) == (
            "added",
            "factory",
            camera.https_port,
        )


async def test_behind_one_address_the_announced_port_tells_which_device_it_is(tmp_path: Path) -> None:
    """The usual HTTPS port is another device's; after the login the device tells its own."""
    async with site(tmp_path, "12.11", "9.10", authority=False) as here:
        first, second = here.fleet.devices
        settings = await here.settings()
        sighting = Sighting(second.address, second.http_port, first.https_port, Serial(second.serial))
        look = Look(here.services, settings, here.services.connect(settings), Anchored(()), ranged=False)
        row = await look.at(sighting)
        assert row is not None
        assert (row["result"], row["mac"].replace(":", ""), row["https_port"]) == ("found", second.serial, None)
        added = await adopted(here, row)
        assert (added["result"], added["device"]["status"]) == ("added", "OK")
        assert added["device"]["https_port"] == second.https_port
        assert first.credential_bytes == 0
        failed = await replace(look, ranged=True).at(sighting)
        assert failed is not None
        assert "Give the ports of one device" in failed["message"]
