"""The first page's numbers are those of the devices."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from fleetseal.operations import inventory, overview
from fleetseal.sim.fleet import DeviceSpec
from fleetseal.store import alarms as alarm_store
from tests.site import Site, site
from tests.support import FakeClock


async def shown(here: Site) -> dict[str, Any]:
    found = await overview.overview(here.services, serving=True, working=True)
    json.dumps(found)
    return found


async def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    async with site(tmp_path / "data", authority=False) as here:
        found = await shown(here)
    assert not found["authority"]
    assert found["devices"] == {"total": 0, "status": [], "https": [], "trust": []}
    assert found["expiring"]["expired"] == 0
    assert [one["count"] for one in found["expiring"]["days"]] == [0, 0, 0]
    assert [one["count"] for one in found["expiring"]["months"]] == [0] * 13
    assert (found["alarms"], found["tasks"]) == ([], [])


async def test_the_numbers_are_those_of_the_devices(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11", "9.10", DeviceSpec("12.11")) as here:
        for device in here.fleet.devices:
            await here.add(device)
        await here.set("certificate.validity-days", "80")
        await here.enable(here.fleet.devices[0])
        await here.set("certificate.validity-days", "300")
        await here.enable(here.fleet.devices[1])
        async with here.services.database.transaction() as tx:
            await alarm_store.raise_alarm(
                tx, now=here.services.clock.now(), cause="ca-locked", object="Site", severity="warning", message="So."
            )
        found = await shown(here)
        rows = await inventory.list_(here.services)
    assert found["authority"]
    assert found["devices"]["total"] == len(rows) == 3
    for column in ("status", "https", "trust"):
        assert {one["value"]: one["count"] for one in found["devices"][column]} == Counter(row[column] for row in rows)
    assert [one["cause"] for one in found["alarms"]] == ["ca-locked"]
    ends = [row["certificate"]["not_after"] for row in rows if row["certificate"] is not None]
    assert found["expiring"]["days"][2] == {"days": 90, "count": 1}
    months = {one["month"]: one["count"] for one in found["expiring"]["months"]}
    expected = Counter(end[:7] for end in ends)
    assert months == {month: expected[month] for month in months}
    assert sum(months.values()) == 2
    assert found["failed"] is None


async def test_the_last_failure_is_told_for_a_week(tmp_path: Path) -> None:
    async with site(tmp_path / "data", DeviceSpec("12.11", faults={"store_full": True})) as here:
        await here.add(here.fleet.devices[0])
        await here.enable(here.fleet.devices[0])
        found = (await shown(here))["failed"]
        later = replace(here.services, clock=FakeClock(here.services.clock.now() + timedelta(days=8)))
        after = await overview.overview(later, serving=True, working=True)
    assert (found["action"], found["failed"], found["total"]) == ("Enable HTTPS", 1, 1)
    assert after["failed"] is None


async def test_what_has_ended_is_counted_apart(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11") as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        await here.set("certificate.validity-days", "1")
        await here.enable(camera)
        before = (await shown(here))["expiring"]
        assert (before["expired"], before["days"][0]["count"]) == (0, 1)
        later = FakeClock(here.services.clock.now() + timedelta(days=2))
        services = replace(here.services, clock=later)
        after = (await overview.overview(services, serving=True, working=True))["expiring"]
    assert (after["expired"], [one["count"] for one in after["days"]]) == (1, [0, 0, 0])
    assert sum(one["count"] for one in after["months"]) == 0
