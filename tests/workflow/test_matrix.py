"""The rare corners of the matrix as a person meets them: products without certificates, IPv6, two interfaces, several
sensors in one housing, ports at a person's word, old TLS."""

import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Device, Login, Selection, Serial
from fleetseal.core.secrets import Secret
from fleetseal.devices.discovery.interfaces import interfaces
from fleetseal.operations import certificates, clocks, contact, inventory, preview
from fleetseal.operations.inventory import Changes
from fleetseal.operations.naming import Names, certificate_names
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from tests.site import Site, site
from tests.unit.test_states import HEALTHY
from tests.witness import bundle, openssl_says

COMPANION = "9.80-companion"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path / "data") as one:
        yield one


async def change(one: Site, device: SimulatedDevice, **changes: Any) -> None:
    selection = Selection(refs=(device.serial,))
    await inventory.change(one.services, actor="test", selection=selection, changes=Changes(**changes))


def names_of(shown: dict[str, Any]) -> list[str]:
    names: list[str] = shown["certificate"]["names"]
    return names


# ---------------------------------------------------------------- products without certificates


async def test_a_companion_is_unsupported_with_the_reason_and_nothing_is_written(here: Site) -> None:
    companion, camera = await here.fleet.add_all([COMPANION, "9.10"])
    added = await here.add(companion)
    assert added["message"].startswith("This product has no certificate interface (neither SOAP nor REST)")
    await here.add(camera)
    shown = await here.show(companion)
    assert (shown["https"], shown["policy"], shown["model"]) == ("Unsupported device", "both", "C Bullet LE")
    before = companion.web
    (named,) = await here.enable(companion)
    assert named["status"] == "Failed"
    assert "no certificate can be installed on it" in named["description"]
    met = {one["mac"]: one["status"] for one in await here.enable()}
    assert met == {shown["mac"]: "Skipped", (await here.device(camera)).mac: "Finished"}
    assert (companion.web, dict(companion.effects)) == (before, {})
    (listed,) = await certificates.list_(here.services, Selection(refs=(companion.serial,)), actor="test")
    assert "no certificate interface" in listed["message"]


async def test_a_companion_that_was_never_read_is_found_out_by_the_task(here: Site) -> None:
    companion = await here.fleet.add(COMPANION)
    await inventory.add(
        here.services,
        actor="test",
        targets=[companion.address],
        http_port=companion.http_port,
        https_port=companion.https_port,
    )
    await change(here, companion, username=companion.username, password=Secret(companion.password))
    assert (await here.device(companion)).generation is None
    everyone = Selection(everything=True)
    (planned,) = await preview.plan(here.services, actor="test", selection=everyone, wish={})
    assert (planned["plan"], "no certificate interface" in planned["description"]) == ("Skipped", True)
    assert (await here.enable())[0]["status"] == "Skipped"
    (planned,) = await preview.plan(here.services, actor="test", selection=everyone, wish={})
    assert planned["plan"] == "Skipped", "also now that it is on record"
    named = Selection(refs=(companion.address,))
    (planned,) = await preview.plan(here.services, actor="test", selection=named, wish={})
    assert planned["plan"] == "Failed", "named explicitly"
    assert dict(companion.effects) == {}


async def test_https_of_a_companion_can_be_switched_off(here: Site) -> None:
    companion = await here.fleet.add(COMPANION)
    await here.add(companion)
    (done,) = await here.disable(companion)
    assert (done["status"], companion.served) == ("Finished", None)
    assert {policy for _, policy in companion.web.policies} == {"Http"}
    assert (await here.disable(companion))[0]["status"] == "Unchanged"
    shown = await here.show(companion)
    assert (shown["policy"], shown["trust"], shown["https"]) == ("http", "plain", "Unsupported device")


async def test_a_companion_with_https_only_opens_its_way_back_first(here: Site) -> None:
    companion = await here.fleet.add(COMPANION)
    await here.add(companion)
    groups = ("admin", "operator", "viewer")
    companion.device.set_parameters({f"System.BoaGroupPolicy.{group}": "https" for group in groups})
    await companion.restart()
    (done,) = await here.disable(companion)
    assert [step["name"] for step in done["steps"]] == ["plan", "open-http", "way-back", "policy", "record"]
    assert (done["status"], {policy for _, policy in companion.web.policies}) == ("Finished", {"Http"})


@pytest.mark.parametrize(
    ("fault", "status", "off"),
    [
        ({"lose_answer_of": {"set_params": 1}}, "Finished", True),
        ({"error_with_effect": {"set_params": 1}}, "Finished", True),
        ({"lose_request_of": {"set_params": 1}}, "Finished", True),
        ({"ok_without_effect": {"set_params": 9}}, "Rolled back", False),
    ],
)
async def test_a_companion_that_answers_falsely(here: Site, fault: dict[str, Any], status: str, off: bool) -> None:
    """What counts is what it shows afterwards (DEV-READ-BACK)."""
    companion = await here.fleet.add(COMPANION)
    await here.add(companion)
    before = companion.web
    await companion.trouble(**fault)
    (outcome,) = await here.disable(companion)
    assert outcome["status"] == status, outcome
    assert ({policy for _, policy in companion.web.policies} == {"Http"}) is off
    assert off or companion.web == before


async def test_a_companion_stays_what_it_is_without_a_login(here: Site) -> None:
    companion = await here.fleet.add(COMPANION)
    await here.add(companion)
    await change(here, companion, password=Secret("wrong"))
    for _ in range(2):
        device = await contact.refresh_device(here.services, await here.id_of(companion))
        assert device.support == "product"
    assert [one["status"] for one in (await here.show(companion))["statuses"]] == ["Wrong credentials"]


async def test_a_locked_door_controller_has_no_wrong_credentials(here: Site) -> None:
    """It takes the login and refuses SOAP by 401 all the same."""
    door = await here.fleet.add("11.8-locked")
    added = await here.add(door)
    assert added["message"].startswith("127.0.0.1 takes the login and refuses an interface that certificates need")
    (outcome,) = await here.enable(door)
    assert (outcome["status"], outcome["error"]) == ("Failed", "not-supported")
    shown = await here.show(door)
    assert (shown["https"], shown["status"]) == ("Unknown", "OK")
    assert dict(door.effects) == {}


@pytest.mark.parametrize("profile", ["t85", "t85-page", "t86"])
async def test_network_gear_is_never_sent_a_login(here: Site, profile: str) -> None:
    gear = await here.fleet.add(profile)
    added = await here.add(gear)
    assert re.fullmatch(r"AXIS T8\d{3} is (a )?network \w+ without a certificate interface\.", added["message"])
    device_id = added["device"]["id"]
    assert (await contact.refresh_device(here.services, device_id)).support == "product"
    (clock,) = await clocks.clock(here.services, actor="test", selection=Selection(everything=True))
    assert clock["message"] == added["message"]
    assert [one["status"] for one in await here.enable()] == ["Skipped"]
    assert gear.credential_bytes == 0


# ---------------------------------------------------------------- addresses and ports


async def test_ipv6_from_the_target_to_the_certificate(here: Site, tmp_path: Path) -> None:
    camera = await here.fleet.add(DeviceSpec("12.11", address="::1"))
    login = Login(camera.username, camera.password)
    (added,) = await inventory.add(
        here.services, actor="test", targets=[f"[0:0:0:0:0:0:0:1]:{camera.https_port}"], login=login
    )
    assert (added["result"], added["device"]["address"]) == ("added", "::1")
    assert added["address"] == f"[::1]:{camera.https_port}"
    assert (await here.enable(camera))[0]["status"] == "Finished"
    shown = await inventory.show(here.services, f"[::1]:{camera.https_port}")
    assert names_of(shown) == ["::1", f"axis-{camera.serial.lower()}"]
    assert shown["certificate"]["subject"] == "CN=::1"
    assert await openssl_says(camera, await bundle(here, tmp_path)) == "0 (ok)"


def a_link_local_address() -> str:
    """Of this computer, with its scope."""
    for one in interfaces():
        if one.address.startswith("fe80:"):
            return f"{one.address}%{one.name}"
    pytest.skip("no interface of this computer has a link-local IPv6 address")


async def test_a_link_local_address_is_dialled_and_never_certified(here: Site) -> None:
    camera = await here.fleet.add(DeviceSpec("12.11", address=a_link_local_address()))
    assert (await here.add(camera))["result"] == "added"
    (outcome,) = await here.enable(camera)
    name = f"axis-{camera.serial.lower()}"
    assert outcome["status"] == "Finished", outcome
    assert (
        f"A link-local address is never in a certificate: clients must call the device {name}."
        in (outcome["description"])
    )
    shown = await here.show(camera)
    assert (shown["address"], names_of(shown), shown["status"]) == (camera.address, [name], "OK")
    assert (await here.enable(camera))[0]["status"] == "Unchanged"


async def test_a_link_local_address_without_a_name_is_not_enough(here: Site) -> None:
    camera = await here.fleet.add(DeviceSpec("12.11", address=a_link_local_address()))
    for name in ("Network.HostName", "Network.VolatileHostName.HostName"):
        camera.device.parameters.put(name, "")
    await here.add(camera)
    (outcome,) = await here.enable(camera)
    assert (outcome["status"], outcome["error"]) == ("Failed", "no-host-name")
    assert outcome["description"].startswith("It is dialled by a link-local address, which means something on one")
    assert dict(camera.effects) == {}


async def test_a_link_local_address_needs_its_interface(here: Site) -> None:
    with pytest.raises(InvalidInput, match=r"fe80::1 is link-local: say on which interface .+ fe80::1%eth0"):
        await inventory.add(here.services, actor="test", targets=["fe80::1"])


@pytest.mark.parametrize(
    ("address", "host_name", "names"),
    [
        ("fe80::1%eth0", "axis-b8a44f000001", ("axis-b8a44f000001",)),
        ("fe80::1%eth0", None, None),
        ("2001:db8::1%eth0", None, ("2001:db8::1",)),
        ("2001:db8::1", "axis-b8a44f000001", ("2001:db8::1", "axis-b8a44f000001")),
        ("169.254.1.2", None, ("169.254.1.2",)),
    ],
)
def test_names_by_address(address: str, host_name: str | None, names: tuple[str, ...] | None) -> None:
    device: Device = replace(HEALTHY, address=address, host_name=host_name, serial=Serial("B8A44F000001"))
    found = certificate_names(device, common_name="address", domains=(), resolved=())
    assert found == (None if names is None else Names(names[0], names))


async def test_two_interfaces_are_one_device_certified_for_the_dialled_address(here: Site) -> None:
    camera = await here.fleet.add(DeviceSpec("9.10", other_addresses=("::1",)))
    await here.add(camera)
    assert (await here.enable(camera))[0]["status"] == "Finished"
    assert names_of(await here.show(camera))[0] == "127.0.0.1"
    login = Login(camera.username, camera.password)
    (other,) = await inventory.add(
        here.services, actor="test", targets=["::1"], http_port=camera.http_port, https_port=camera.https_port,
        login=login,
    )  # fmt: skip
    assert (other["result"], other["message"]) == (
        "known",
        "It is in the inventory already, at 127.0.0.1. To use the new address: fleetseal device set DEVICE --address.",
    )
    await change(here, camera, address="::1")
    assert (await here.enable(camera))[0]["status"] == "Finished"
    assert names_of(await here.show(camera))[0] == "::1"
    assert len([alias for alias in camera.aliases if alias.startswith("fleetseal-")]) == 1


async def test_sensors_in_one_housing_are_devices_of_their_own(here: Site) -> None:
    specs = [DeviceSpec("5.75", serial=f"ACCC8E00010{index}") for index in range(1, 5)]
    sensors = await here.fleet.add_all(specs)
    for sensor in sensors:
        assert (await here.add(sensor))["result"] == "added"
        await change(here, sensor, tls="legacy")
    outcomes = await here.enable(*sensors)
    assert [one["status"] for one in outcomes] == ["Finished"] * 4
    shown = [await here.show(sensor) for sensor in sensors]
    assert {one["address"] for one in shown} == {"127.0.0.1"}
    assert len({one["mac"] for one in shown}) == len({one["certificate"]["sha256"] for one in shown}) == 4
    assert len({one["https_port"] for one in shown}) == 4


async def test_a_typed_port_wins_over_what_the_device_says(here: Site) -> None:
    """Behind a router that maps its ports."""
    camera, other = await here.fleet.add_all(["9.10", "9.10"])
    await camera.trouble(told_https_port=other.https_port)
    assert (await here.add(camera))["result"] == "added"
    assert (await here.device(camera)).https_port == camera.https_port
    assert (await here.enable(camera))[0]["status"] == "Finished"
    await contact.refresh_device(here.services, await here.id_of(camera))
    assert (await here.device(camera)).https_port == camera.https_port


# ---------------------------------------------------------------- old TLS


async def test_old_tls_is_never_given_a_password_in_clear(here: Site) -> None:
    camera = await here.fleet.add("5.75")
    await here.add(camera)
    await change(here, camera, tls="legacy")
    assert (await here.enable(camera))[0]["status"] == "Finished"
    await camera.trouble(basic_only=True)
    await contact.refresh_device(here.services, await here.id_of(camera))
    (outcome,) = await here.enable(camera, renew=True)
    assert outcome["status"] == "Failed"
    assert [record for record in camera.requests if record.authorization == "Basic"] == []


async def test_a_second_address_is_the_same_port(here: Site) -> None:
    """The simulator's own: what listens on one address listens on the other."""
    camera = await here.fleet.add(DeviceSpec("9.10", other_addresses=("::1",)))
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, camera.https_port), timeout=5):
            pass
