"""Devices that were given another address: followed where they prove themselves, and nowhere else.

The page is docs/procedures/device-changed.md.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.model import Selection
from fleetseal.operations import contact, inventory
from fleetseal.operations.discover import Discovery, Search
from fleetseal.operations.following import may_follow
from fleetseal.operations.inventory import Changes
from fleetseal.sim.fate import Place
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.store import audit
from tests.site import Site, site
from tests.witness import bundle, openssl_says
from tests.workflow.test_device_changed import borrowed
from tests.workflow.test_discover import same_ports

ADDRESSES = tuple(f"127.0.8.{last}" for last in range(1, 6))
PROVING = ("9.10", "12.11")  # by the pin of first contact, and by the factory certificate


class Street:
    """Devices of one kind at the first addresses, on the same two ports everywhere."""

    def __init__(self, here: Site, ports: tuple[int, int]) -> None:
        self.here = here
        self.ports = ports
        self.devices: list[SimulatedDevice] = []

    async def build(self, *profiles: str, enabled: bool = False) -> list[SimulatedDevice]:
        http, https = self.ports
        specs = [
            DeviceSpec(profile, address=address, http_port=http, https_port=https)
            for profile, address in zip(profiles, ADDRESSES, strict=False)
        ]
        self.devices = await self.here.fleet.add_all(specs)
        for device in self.devices:
            assert (await self.here.add(device))["device"]["status"] == "OK"
        if enabled:
            for outcome in await self.here.enable(*self.devices):
                assert outcome["status"] == "Finished", outcome
        return self.devices

    async def move(self, *addresses: str | None) -> None:
        """Each device, in order, is there now; None: it is switched off."""
        places = {}
        for device, address in zip(self.devices, addresses, strict=True):
            if address is None:
                await device.close()
            else:
                places[device.serial] = Place(address, *self.ports)
        await self.here.fleet.place(places)

    async def search(self) -> list[dict[str, Any]]:
        """What a search of the street finds; it sends no credential."""
        sent = [device.credential_bytes for device in self.here.fleet.devices]
        asked = Search((f"{ADDRESSES[0]}-{ADDRESSES[-1]}",), http_port=self.ports[0], https_port=self.ports[1])
        found = await Discovery(self.here.services).search(asked)
        assert [device.credential_bytes for device in self.here.fleet.devices] == sent
        devices: list[dict[str, Any]] = found["devices"]
        return devices

    async def refresh(self, device: SimulatedDevice) -> dict[str, Any]:
        await contact.refresh_device(self.here.services, await self.here.id_of(device))
        return await self.here.show(device)

    async def recorded(self, devices: Sequence[SimulatedDevice] | None = None) -> list[str]:
        return [(await self.here.device(device)).address for device in devices or self.devices]

    async def set(self, device: SimulatedDevice, **changes: Any) -> None:
        chosen = Selection(refs=(device.serial,))
        await inventory.change(self.here.services, actor="test", selection=chosen, changes=Changes(**changes))


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with site(tmp_path / "data") as here:
        yield Street(here, same_ports(*ADDRESSES))


@pytest.mark.parametrize("profile", PROVING)
@pytest.mark.parametrize("enabled", [False, True])
async def test_a_search_follows_a_device_to_its_new_address(street: Street, profile: str, enabled: bool) -> None:
    (device,) = await street.build(profile, enabled=enabled)
    await street.move(ADDRESSES[3])
    (found,) = await street.search()
    assert (found["result"], found["device"]["address"]) == ("known", ADDRESSES[3])
    assert "proved itself" in found["message"]
    row = await street.refresh(device)
    assert (row["status"], row["address"]) == ("OK", ADDRESSES[3])
    assert (row["change"]["verdict"], row["change"]["decision"]) == ("address changed", False)
    assert ADDRESSES[0] in row["change"]["reason"]
    async with street.here.services.database.reading() as tx:
        assert (await audit.verify(tx)).broken is None
        (record,) = [one for one in await audit.records(tx) if one.action == "device set"]
    assert (record.actor, record.detail["address"], record.detail["before"]) == (
        "fleetseal", ADDRESSES[3], ADDRESSES[0],
    )  # fmt: skip


async def test_adding_the_new_address_is_enough(street: Street) -> None:
    (device,) = await street.build("9.10")
    await street.move(ADDRESSES[2])
    added = await street.here.add(device)
    assert (added["result"], added["device"]["address"]) == ("known", ADDRESSES[2])


async def test_plain_http_proves_nothing(street: Street) -> None:
    (device,) = await street.build("12.11-self-signed")
    sent = device.credential_bytes
    await street.move(ADDRESSES[3])
    (found,) = await street.search()
    assert (found["device"]["address"], "--address" in found["message"]) == (ADDRESSES[0], True)
    assert (await street.refresh(device))["status"] == "Unreachable"
    assert (await street.here.add(device))["device"]["address"] == ADDRESSES[0]
    assert device.credential_bytes == sent
    await street.set(device, address=ADDRESSES[3])
    assert (await street.refresh(device))["status"] == "OK"


async def test_another_key_of_the_same_serial_is_notmay_follow(street: Street) -> None:
    (device,) = await street.build("9.10")
    await street.move(ADDRESSES[3])
    impostor = await street.here.fleet.exchange(device)
    (found,) = await street.search()
    assert (found["result"], found["device"]["address"]) == ("known", ADDRESSES[0])
    await street.refresh(device)
    assert (await street.recorded(), impostor.credential_bytes) == ([ADDRESSES[0]], 0)


async def test_the_key_of_a_forgotten_device_proves_no_other(street: Street) -> None:
    """Its certificate leads to our CA and names the address; our record says for whom it was signed."""
    one, owner = await street.build("9.10", "9.10", enabled=True)
    await inventory.remove(street.here.services, actor="test", references=[one.serial, owner.serial])
    assert (await street.here.add(one))["device"]["trust"] == "verified"  # by the chain: the new row has no lineage
    await one.close()
    impostor = await street.here.fleet.exchange(owner)
    await impostor.trouble(serial=one.serial, realm=f"AXIS_{one.serial}")
    await borrowed(impostor, owner)
    await street.search()
    assert (await street.recorded([one]), impostor.credential_bytes) == ([ADDRESSES[0]], 0)


async def test_a_device_that_is_at_home_stays_there(street: Street) -> None:
    """It answers, and proves itself, at a second address as well."""
    (device,) = await street.build("12.11")
    http, https = street.ports
    second = DeviceSpec("12.11", serial=device.serial, address=ADDRESSES[3], http_port=http, https_port=https)
    await street.here.fleet.add(second)
    found = await street.search()
    assert [one["device"]["address"] for one in found] == [ADDRESSES[0]] * 2
    assert await street.recorded() == [ADDRESSES[0]]


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("profiles", [("9.10", "9.10"), ("12.11", "9.10")])
async def test_looking_at_one_of_two_exchanged_devices_untangles_both(
    street: Street, profiles: tuple[str, str], enabled: bool
) -> None:
    one, other = await street.build(*profiles, enabled=enabled)
    await street.move(ADDRESSES[1], ADDRESSES[0])
    row = await street.refresh(one)
    assert (row["status"], row["address"], row["change"]["verdict"]) == ("OK", ADDRESSES[1], "address changed")
    assert await street.recorded() == [ADDRESSES[1], ADDRESSES[0]]
    assert (await street.refresh(other))["status"] == "OK"


async def test_a_ring_and_a_row_of_devices_are_untangled(street: Street) -> None:
    await street.build("9.10", "12.11", "9.10", "9.10")
    await street.move(ADDRESSES[1], ADDRESSES[2], ADDRESSES[0], ADDRESSES[4])  # a ring of three, and one alone
    await street.refresh(street.devices[0])
    assert await street.recorded() == [ADDRESSES[1], ADDRESSES[2], ADDRESSES[0], ADDRESSES[3]]
    await street.move(ADDRESSES[2], ADDRESSES[0], ADDRESSES[3], ADDRESSES[4])  # each to a place left by the next
    assert [one["address"] for one in await street.search()] == [ADDRESSES[0], *ADDRESSES[2:]]
    assert await street.recorded() == [ADDRESSES[2], ADDRESSES[0], ADDRESSES[3], ADDRESSES[4]]


async def test_where_a_lost_device_is_on_record_nobody_else_is_put(street: Street) -> None:
    one, lost = await street.build("9.10", "9.10")
    await street.move(ADDRESSES[1], None)
    sent = one.credential_bytes
    (found,) = await street.search()
    assert found["device"]["address"] == ADDRESSES[0]
    row = await street.refresh(lost)
    assert (row["status"], row["change"]["verdict"]) == ("Identity changed", "address now another device's")
    assert f"{one.serial} itself is on record at {ADDRESSES[0]}" in row["change"]["reason"]
    assert await street.recorded() == [ADDRESSES[0], ADDRESSES[1]]
    assert one.credential_bytes == sent
    await inventory.remove(street.here.services, actor="test", references=[lost.serial])
    await street.search()
    assert await street.recorded([one]) == [ADDRESSES[1]]


async def test_one_that_proves_nothing_stands_in_the_way_of_one_that_does(street: Street) -> None:
    """A swap with a device known by plain HTTP waits for a person's word on that one."""
    one, plain = await street.build("9.10", "12.11-self-signed")
    sent = plain.credential_bytes
    await street.move(ADDRESSES[1], ADDRESSES[0])
    assert (await street.refresh(one))["status"] == "Identity changed"
    assert (await street.refresh(plain))["status"] == "Identity changed"
    assert await street.recorded() == [ADDRESSES[0], ADDRESSES[1]]
    assert plain.credential_bytes == sent


@pytest.mark.parametrize(
    ("recorded", "seen", "followed"),
    [
        ("192.0.2.1", "192.0.2.9", True),
        ("2001:db8::1", "2001:db8::9", True),
        ("192.0.2.1", "2001:db8::9", False),
        ("192.0.2.1", "169.254.0.9", False),
        ("2001:db8::1", "fe80::9%2", False),
        ("camera.example", "192.0.2.9", False),
        ("192.0.2.1", "camera.example", False),
    ],
)
def test_which_addresses_aremay_follow(recorded: str, seen: str, followed: bool) -> None:
    assert may_follow(recorded, seen) is followed


# ---------------------------------------------------------------- names that no longer fit


async def findings(street: Street, device: SimulatedDevice) -> list[str]:
    return [one["reason"] for one in (await street.here.show(device))["findings"]]


@pytest.mark.parametrize("common_name", ["address", "hostname"])
async def test_after_an_address_change_https_enable_issues_anew(
    street: Street, common_name: str, tmp_path: Path
) -> None:
    (device,) = await street.build("12.11")
    await street.set(device, host_name="gate.example.org")
    await street.here.set("certificate.common-name", common_name)
    (outcome,) = await street.here.enable(device)
    assert outcome["status"] == "Finished", outcome
    assert await findings(street, device) == []
    await street.move(ADDRESSES[3])
    await street.search()
    (reason,) = await findings(street, device)
    assert f"does not name {ADDRESSES[3]}" in reason
    assert f"and names {ADDRESSES[0]}, which no longer holds" in reason
    (outcome,) = await street.here.enable(device)
    assert outcome["status"] == "Finished", outcome
    row = await street.refresh(device)
    assert (row["status"], row["findings"], row["change"]) == ("OK", [], None)
    order = (ADDRESSES[3], "gate.example.org")
    wanted = order if common_name == "address" else order[::-1]
    assert f"CN={wanted[0]}" in row["certificate"]["subject"]
    anchors = await bundle(street.here, tmp_path)
    for name in (None, "gate.example.org"):
        assert await openssl_says(device, anchors, name=name) == "0 (ok)"


async def test_a_host_name_that_was_changed_or_taken_away_is_a_finding(street: Street) -> None:
    (device,) = await street.build("9.10")
    await street.set(device, host_name="gate.example.org")
    (outcome,) = await street.here.enable(device)
    assert outcome["status"] == "Finished", outcome
    await street.set(device, host_name="door.example.org")
    (reason,) = await findings(street, device)
    assert "does not name door.example.org, and names gate.example.org" in reason
    await street.here.set("certificate.common-name", "hostname")
    await street.set(device, host_name="")
    (reason,) = await findings(street, device)
    assert "no host name is known" in reason
    (outcome,) = await street.here.enable(device)
    assert (outcome["status"], "no host name is known" in outcome["description"]) == ("Failed", True)
    await street.here.set("certificate.common-name", "address")
    (outcome,) = await street.here.enable(device)
    assert outcome["status"] == "Finished", outcome
    row = await street.here.show(device)
    assert (row["findings"], row["certificate"]["names"]) == ([], [ADDRESSES[0]])
