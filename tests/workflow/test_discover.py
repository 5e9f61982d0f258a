"""Finding devices: what a search shows, that it sends no credential, and how a person adopts from it."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import Conflict, InvalidInput
from fleetseal.core.model import Anchored, Login
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.devices.connect import AxisConnector
from fleetseal.devices.discovery.sighting import Sighting
from fleetseal.operations import credentials, discover, inventory
from fleetseal.operations.discover import Discovery, Search, Wanted
from fleetseal.operations.looking import Look
from tests.site import PASSWORD, USERNAME, DeviceSpec, Site, site


def same_ports(*addresses: str) -> tuple[int, int]:
    """Two ports that are free on all these addresses."""
    for _ in range(50):
        made: list[socket.socket] = []
        try:
            ports = []
            for _ in range(2):
                first = socket.create_server((addresses[0], 0))
                made.append(first)
                ports.append(first.getsockname()[1])
                made += [socket.create_server((address, ports[-1])) for address in addresses[1:]]
        except OSError:
            continue
        else:
            return ports[0], ports[1]
        finally:
            for one in made:
                one.close()
    raise AssertionError("no two ports are free on all these addresses")


LOGIN = Login(USERNAME, PASSWORD)
ADDRESSES = ("127.0.7.1", "127.0.7.20", "127.0.7.30")


def specs(http: int, https: int) -> list[DeviceSpec]:
    profiles = ("12.11", "9.10", "12.11")
    return [
        DeviceSpec(profile, address=address, http_port=http, https_port=https, setup_done=address != ADDRESSES[2])
        for profile, address in zip(profiles, ADDRESSES, strict=True)
    ]


def searched(http: int, https: int, *ranges: str) -> Search:
    return Search(ranges or ("127.0.7.0/26",), http_port=http, https_port=https)


async def adopt(
    place: Site, found: list[dict[str, object]], *, login: Login | None = LOGIN, **changed: object
) -> list[dict[str, object]]:
    members = ("address", "http_port", "https_port", "mac")
    wanted = [Wanted(**{name: one[name] for name in members} | changed) for one in found]  # type: ignore[arg-type]  # rows hold any value
    return await discover.adopt(place.services, actor="test", wanted=wanted, login=login)


async def test_a_range_is_searched_without_credentials_and_adopted_by_a_person(tmp_path: Path) -> None:
    http, https = same_ports(*ADDRESSES)
    async with site(tmp_path / "data", *specs(http, https), authority=False) as place:
        discovery = Discovery(place.services)
        answer = await discovery.search(searched(http, https))
        found = answer["devices"]
        assert [one["address"] for one in found] == list(ADDRESSES)
        assert [one["result"] for one in found] == ["found"] * 3
        assert [one["mac"].replace(":", "") for one in found] == [device.serial for device in place.fleet.devices]
        assert [one["trust"] for one in found] == ["factory", "first use", "factory"]
        assert found[0]["model"] == place.fleet.devices[0].profile.product.model
        assert "factory state" in found[2]["message"]
        assert discovery.progress is None
        assert all(device.requests and device.credential_bytes == 0 for device in place.fleet.devices)

        added = await adopt(place, found[:2])
        assert [one["result"] for one in added] == ["added", "added"]
        assert [one["trust"] for one in added] == [one["trust"] for one in found[:2]]
        assert [one["device"]["status"] for one in added] == ["OK", "OK"]  # type: ignore[index]  # a row
        again = (await discovery.search(searched(http, https)))["devices"]
        assert [one["result"] for one in again] == ["known", "known", "found"]
        assert again[0]["device"]["mac"] == found[0]["mac"]
        assert place.fleet.devices[2].credential_bytes == 0


async def test_a_factory_certificate_of_an_unknown_maker_is_said_to_prove_nothing(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11", "9.10", authority=False) as place:
        strict = replace(place.services, connect=lambda _: AxisConnector(SystemClock(), SystemRng()))
        targets = tuple(f"{device.address}:{device.https_port}" for device in place.fleet.devices)
        rows = (await Discovery(strict).search(Search(targets=targets)))["devices"]
    told = {row["mac"].replace(":", ""): row["message"] for row in rows}
    assert "is not known as a maker here" in told[place.fleet.devices[0].serial]
    assert "maker" not in told[place.fleet.devices[1].serial]


async def test_a_device_that_is_removed_during_a_search_fails_nothing(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11", authority=False) as place:
        [camera] = place.fleet.devices
        await place.add(camera)
        settings = await place.settings()
        look = Look(place.services, settings, place.services.connect(settings), Anchored(()), ranged=True)
        row = await look.at(Sighting(camera.address, camera.http_port, camera.https_port, seen_by=("range",)))
        assert row is not None
        assert row["result"] == "known"
        await inventory.remove(place.services, actor="test", references=(camera.serial,))
        await look.follow_known()
        assert (row["result"], row["device"]) == ("found", None)


async def test_another_device_than_the_one_found_is_not_adopted(tmp_path: Path) -> None:
    http, https = same_ports(*ADDRESSES)
    async with site(tmp_path / "data", specs(http, https)[0], authority=False) as place:
        found = (await Discovery(place.services).search(searched(http, https)))["devices"]
        taken = await adopt(place, found, mac="B8:A4:4F:00:00:01")
        assert [one["result"] for one in taken] == ["failed"]
        assert "not B8A44F000001" in str(taken[0]["message"])
        assert place.fleet.devices[0].credential_bytes == 0
        with pytest.raises(InvalidInput):
            await adopt(place, found, mac="nonsense")


@pytest.mark.parametrize(
    "rogue",
    [
        {"realm": "AXIS_ACCC8E000001"},
        {"realm": "Please log in"},
        {"basic_only": True},
        {"serial": "ACCC8E000001"},
        {"redirect_to": "http://192.0.2.1/"},
        {"answer": "endless"},
    ],
    ids=lambda fault: "-".join(fault),
)
@pytest.mark.parametrize("turns", ["before the search", "after it"])
async def test_a_rogue_in_the_range_gets_no_credential(tmp_path: Path, rogue: dict[str, Any], turns: str) -> None:
    """Neither the login that is given for all that is found, nor a named one. What it says does not fit together, or
    no longer what it said; a consistent liar is what a person adopts at their own word."""
    http, https = same_ports(*ADDRESSES)
    spec = replace(specs(http, https)[0], profile="12.11-self-signed")
    async with site(tmp_path / "data", spec, authority=False) as place:
        (device,) = place.fleet.devices
        await credentials.add(place.services, actor="test", name="named", login=Login(USERNAME, PASSWORD))
        if turns == "before the search":
            await device.trouble(**rogue)
        found = (await Discovery(place.services).search(searched(http, https)))["devices"]
        await device.trouble(**rogue)
        await adopt(place, found)
        await adopt(place, found, login=None)
        assert (device.credential_bytes, device.connections > 0) == (0, True)


async def test_what_accepts_connections_and_says_nothing_is_told(tmp_path: Path) -> None:
    http, https = same_ports(*ADDRESSES)
    async with site(tmp_path / "data", authority=False) as place:
        with socket.create_server((ADDRESSES[0], http)) as mute:
            mute.settimeout(1)
            found = await Discovery(place.services).search(searched(http, https, "127.0.7.1-127.0.7.3"))
    assert [one["result"] for one in found["devices"]] == ["failed"]
    assert "answers neither HTTPS nor HTTP" in found["devices"][0]["message"]


async def test_what_is_no_axis_device_is_only_counted(tmp_path: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1000):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\na printer")
        writer.close()

    async with await asyncio.start_server(page, ADDRESSES[0], 0) as printer:
        port = printer.sockets[0].getsockname()[1]
        async with site(tmp_path / "data", authority=False) as place:
            found = await Discovery(place.services).search(Search((ADDRESSES[0],), http_port=port, https_port=1))
    assert found == {"devices": [], "others": 1}


@pytest.mark.parametrize(
    "search",
    [
        Search(("10.0.0.0/8",)),
        Search(("127.0.7.1",), seconds=0),
        Search(("127.0.7.1",), seconds=61),
        Search(("127.0.7.1",), http_port=70_000),
        Search(("nowhere",)),
    ],
)
async def test_what_cannot_be_searched_is_refused(tmp_path: Path, search: Search) -> None:
    async with site(tmp_path / "data", authority=False) as place:
        discovery = Discovery(place.services)
        for _ in range(2):  # a refused search leaves nothing running
            with pytest.raises(InvalidInput):
                await discovery.search(search)


async def test_one_search_at_a_time(tmp_path: Path) -> None:
    async with site(tmp_path / "data", authority=False) as place:
        discovery = Discovery(place.services)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(discovery.search(Search(("127.0.7.0/24",), http_port=1, https_port=2)))
            await place.services.clock.sleep(0)
            assert discovery.progress is not None
            with pytest.raises(Conflict):
                await discovery.search(Search(("127.0.7.1",)))
        assert first.result() == {"devices": [], "others": 0}
