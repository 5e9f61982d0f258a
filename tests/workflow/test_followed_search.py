"""A search that is followed: what it tells while it runs, single targets, and its end by a person."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import Conflict, InvalidInput
from fleetseal.core.model import Login
from fleetseal.operations import discover
from fleetseal.operations.discover import Discovery, Search, Wanted
from fleetseal.operations.followed_search import FollowedSearch
from tests.site import PASSWORD, USERNAME, DeviceSpec, Site, site


def followed(place: Site) -> FollowedSearch:
    return FollowedSearch(Discovery(place.services), place.services.clock)


def row(search: FollowedSearch, after: int = 0) -> dict[str, Any]:
    shown = search.shown(after)
    assert shown is not None
    return shown


async def test_targets_are_looked_at_one_by_one_and_adopted_where_they_were_seen(tmp_path: Path) -> None:
    specs = (DeviceSpec("12.11"), DeviceSpec("9.10"), DeviceSpec("12.11", setup_done=False))
    async with site(tmp_path / "data", *specs, authority=False) as place:
        by_https, by_http, fresh = place.fleet.devices
        targets = (
            f"127.0.0.1:{by_https.https_port}",
            f"localhost:{by_http.http_port}",
            f"127.0.0.1:{fresh.https_port}",
        )
        search = followed(place)
        assert search.shown() is None
        await search.begin(Search(targets=targets))
        told = row(search)
        assert (told["state"], told["count"], told["problem"], told["progress"]) == ("finished", 3, None, None)
        rows = told["devices"]
        parts = [search.shown(0, 2), search.shown(2, 2)]
        assert [(part["devices"], part["next"]) for part in parts if part] == [(rows[:2], 2), (rows[2:], None)]
        with pytest.raises(InvalidInput):
            search.shown(-1)
        assert [one["mac"].replace(":", "") for one in rows] == [one.serial for one in place.fleet.devices]
        assert [one["result"] for one in rows] == ["found"] * 3
        assert [one["trust"] for one in rows] == ["factory", "plain", "factory"]
        assert [one["needs_setup"] for one in rows] == [False, False, True]
        assert [len(one["sha256"] or "") for one in rows] == [64, 0, 64]
        assert all(one.credential_bytes == 0 for one in place.fleet.devices)

        members = ("address", "http_port", "https_port", "mac", "hostname")
        wanted = [Wanted(**{name: one[name] for name in members}) for one in rows]
        login = Login(USERNAME, PASSWORD)
        added = await discover.adopt(place.services, actor="test", wanted=wanted, login=login)
        assert [one["result"] for one in added] == ["added"] * 3, added
        assert [one["device"]["status"] for one in added] == ["OK", "OK", "Setup needed"]
        await search.begin(Search(targets=targets[:1]))
        (known,) = row(search)["devices"]
        assert (known["result"], known["device"]["mac"]) == ("known", rows[0]["mac"])


async def test_a_target_that_is_none_says_why(tmp_path: Path) -> None:
    async with site(tmp_path / "data", authority=False) as place:
        search = followed(place)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        await search.begin(Search(targets=(f"127.0.0.1:{port}", "nowhere.invalid")))
        told = row(search)
        assert [one["result"] for one in told["devices"]] == ["failed", "failed"]
        assert all(one["message"] for one in told["devices"])
        for wrong in (
            Search(targets=("not an address",)),
            Search(ranges=("10.0.0.0/8",)),
            Search(ranges=("127.0.0.1",), targets=("127.0.0.1",)),
            Search(targets=("127.0.0.1",), interfaces=("lo",)),
            Search(interfaces=("no such interface",)),
            Search(ranges=("127.0.0.1",), seconds=0),
            Search(ranges=("127.0.0.1",), http_port=0),
        ):
            with pytest.raises(InvalidInput):
                await search.begin(wrong)
        assert row(search) == told


async def test_a_search_is_followed_while_it_runs_and_can_be_stopped(tmp_path: Path) -> None:
    async with site(tmp_path / "data", DeviceSpec("12.11"), authority=False) as place:
        (device,) = place.fleet.devices
        with socket.create_server(("127.0.0.1", 0)) as mute:
            search = followed(place)
            targets = (f"127.0.0.1:{device.https_port}", f"127.0.0.1:{mute.getsockname()[1]}")
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                running = group.create_task(search.begin(Search(targets=targets)))
                with pytest.raises(Conflict):
                    await search.begin(Search(targets=targets))
                while not row(search)["count"]:
                    await asyncio.sleep(0.02)  # noqa: TID251 - a real device answers
                told = row(search)
                progress = told["progress"]
                assert (told["state"], progress["stage"], progress["total"]) == ("running", "Identify", 2)
                assert row(search, after=1)["devices"] == []
                await search.stop()
                await running
            assert (row(search)["state"], row(search)["count"]) == ("stopped", 1)
            await search.stop()
            assert row(search)["devices"][0]["mac"].replace(":", "") == device.serial
        await search.begin(Search(targets=targets[:1]))
        assert row(search)["state"] == "finished"


async def test_stopped_before_its_first_step(tmp_path: Path) -> None:
    async with site(tmp_path / "data", authority=False) as place:
        search = followed(place)
        kept = search.begin(Search(targets=("127.0.0.1:9",)))
        await search.stop()
        await kept
        assert row(search)["state"] == "stopped"
