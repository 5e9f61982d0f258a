"""What can happen to simulated devices: factory default, another firmware, another unit, another place."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from fleetseal.sim.control import Control
from fleetseal.sim.device import DEFAULT_ALIAS
from fleetseal.sim.fleet import Fleet, SimulatedDevice
from tests.simulator import back, browser, create, handshake, soap


async def prepared(device: SimulatedDevice) -> None:
    """It has two keys of ours, one of which 802.1X uses, and another policy than at first."""
    async with browser(device) as client:
        for alias in ("ours", "wired"):
            assert (await soap(client, create(alias))).status_code == 200
    device.device.cert_sets["EAPTLS_WIRED"] = ("wired",)
    device.device.cert_sets["mqtt_client"] = ("ours",)


async def is_fresh(device: SimulatedDevice) -> bool:
    """No login works, and the first administrator can be made without one."""
    async with browser(device) as client:
        if (await client.get("/axis-cgi/usergroup.cgi")).status_code != 401:
            return False
    async with browser(device, login=False) as client:
        made = await client.get("/axis-cgi/pwdgrp.cgi?action=add&user=root&pwd=new&grp=root&sgrp=admin:operator:viewer")
        changed = await client.get("/axis-cgi/pwdgrp.cgi?action=update&user=root&pwd=new")
    return "Error" not in made.text or "Error" not in changed.text


@pytest.mark.parametrize(
    ("profile", "path", "hard"),
    [
        ("9.10", "/axis-cgi/factorydefault.cgi", False),
        ("9.10", "/axis-cgi/hardfactorydefault.cgi", True),
        ("12.11", "/axis-cgi/firmwaremanagement.cgi", False),
        ("12.11", "/axis-cgi/firmwaremanagement.cgi", True),
    ],
)
async def test_a_factory_default_takes_everything_but_what_it_keeps(profile: str, path: str, hard: bool) -> None:
    """device-api 10.3 and 13.1."""
    async with Fleet([profile]) as fleet:
        device = fleet.devices[0]
        await prepared(device)
        before, place = await handshake(device), device.place
        factory = {alias: device.certificate(alias) for alias in device.aliases if "802.1AR" in alias}
        async with browser(device) as client:
            if path.endswith("firmwaremanagement.cgi"):
                mode = "hard" if hard else "soft"
                call = {"apiVersion": "1.0", "method": "factoryDefault", "params": {"factoryDefaultMode": mode}}
                answer = await client.post(path, content=json.dumps(call))
            else:
                answer = await client.get(path)
        assert answer.status_code == 200
        await back(device, 1)
        own = [alias for alias in device.aliases if alias not in factory]
        default = [DEFAULT_ALIAS] if profile == "9.10" else []
        assert sorted(own) == sorted(default if hard else [*default, "wired"])
        assert device.device.cert_sets == ({} if hard else {"EAPTLS_WIRED": ("wired",)})
        assert {alias: device.certificate(alias) for alias in factory} == factory
        assert ((await handshake(device)).leaf == before.leaf) is (profile == "12.11")
        assert device.place == place
        assert await is_fresh(device)


async def test_a_factory_default_needs_an_administrator_and_a_known_mode() -> None:
    async with Fleet(["12.11"]) as fleet:
        device = fleet.devices[0]
        async with browser(device, login=False) as client:
            assert (await client.get("/axis-cgi/hardfactorydefault.cgi")).status_code == 401
        async with browser(device) as client:
            call = {"apiVersion": "1.0", "method": "factoryDefault", "params": {"factoryDefaultMode": "both"}}
            answer = await client.post("/axis-cgi/firmwaremanagement.cgi", content=json.dumps(call))
        assert answer.json()["error"]["code"] == 1000
        assert (device.restarts, device.device.needs_setup) == (0, False)


@pytest.mark.parametrize("new_certificate", [False, True])
async def test_an_update_keeps_login_and_certificates(new_certificate: bool) -> None:
    async with Fleet(["9.10"]) as fleet:
        device = fleet.devices[0]
        await prepared(device)
        before = await handshake(device)
        await device.update("10.12", new_certificate=new_certificate)
        assert device.aliases == ((DEFAULT_ALIAS, "ours", "wired") if not new_certificate else device.aliases)
        assert set(device.aliases) == {DEFAULT_ALIAS, "ours", "wired"}
        assert ((await handshake(device)).leaf == before.leaf) is not new_certificate
        async with browser(device) as client:
            told = await client.get("/axis-cgi/param.cgi?action=list&group=Properties.Firmware.Version")
        assert "10.12.200" in told.text
        with pytest.raises(ValueError, match="no profile"):
            await device.update("13.0")


@pytest.mark.parametrize("serial", [None, "ACCC8E000001"])
async def test_another_unit_stands_in_the_place(serial: str | None) -> None:
    async with Fleet(["9.10"]) as fleet:
        device = fleet.devices[0]
        before, place = device.served, device.place
        other = await fleet.exchange(device, serial=serial)
        assert (other.place, other.serial, fleet.devices) == (place, serial or device.serial, [other])
        assert (await handshake(other)).leaf not in (before, None)


async def test_two_devices_exchange_their_places() -> None:
    async with Fleet(["9.10", "12.11"]) as fleet:
        one, other = fleet.devices
        places, leaves = (one.place, other.place), (one.served, other.served)
        await fleet.place({one.serial: places[1], other.serial: places[0]})
        assert (one.place, other.place) == (places[1], places[0])
        assert ((await handshake(one)).leaf, (await handshake(other)).leaf) == leaves
        with pytest.raises(KeyError):
            await fleet.place({one.serial: places[0], "000000000000": places[1]})
        assert (await handshake(one)).leaf == leaves[0]


async def test_the_control_api_does_all_of_it() -> None:
    async with Fleet(["9.10", "9.10"]) as fleet, Control(fleet) as control:
        one, other = fleet.devices
        place: dict[str, Any] = {"address": "127.0.0.1", "http_port": one.http_port, "https_port": one.https_port}
        there: dict[str, Any] = {"address": "127.0.0.1", "http_port": other.http_port, "https_port": other.https_port}
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=control.url) as client:
            base = f"/devices/{one.serial}"
            assert (await client.post(f"{base}/factory-default", json={"hard": True})).json()["restarts"] == 1
            assert one.device.needs_setup
            updated = await client.post(f"{base}/firmware", json={"profile": "10.12", "new_certificate": True})
            assert updated.json()["firmware"] == "10.12.200"
            swapped = await client.put("/places", json={one.serial: there, other.serial: place})
            assert [row["https_port"] for row in swapped.json()] == [there["https_port"], place["https_port"]]
            exchanged = await client.post(f"{base}/exchange", json={"serial": "ACCC8E000001"})
            assert (exchanged.json()["serial"], fleet.devices[0].serial) == ("ACCC8E000001", "ACCC8E000001")
            for path, body, status in (
                (f"/devices/{other.serial}/factory-default", {"soft": True}, 400),
                (f"/devices/{other.serial}/firmware", {"profile": "13.0"}, 400),
                (f"/devices/{other.serial}/exchange", {"serial": "x"}, 400),
                (f"{base}/exchange", {}, 404),
            ):
                assert (await client.post(path, json=body)).status_code == status
            for places, status in (({other.serial: {}}, 400), ({"000000000000": place}, 404), ([], 400)):
                assert (await client.put("/places", json=places)).status_code == status
