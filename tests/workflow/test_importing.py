"""`device import` and `device export`: all rows or none, errors by row, and what a file may say of a host name."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Device, Login, TaskAction
from fleetseal.operations import importing, inventory
from fleetseal.sim.fleet import DeviceSpec
from fleetseal.store import audit
from fleetseal.store import inventory as rows
from tests.site import Site, site

LOGIN = Login("root", "c4n4ry for all")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path / "data", authority=False) as one:
        yield one


async def import_(here: Site, text: str, *, form: str = "csv", login: Login | None = None) -> list[dict[str, Any]]:
    return await importing.import_(here.services, actor="test", text=text, form=form, login=login, site="default")


async def every(here: Site) -> list[Device]:
    async with here.services.database.reading() as tx:
        return await rows.every(tx)


async def audited(here: Site) -> list[audit.Record]:
    async with here.services.database.reading() as tx:
        return [one for one in await audit.records(tx) if one.action == "device import"]


async def test_devices_are_stored_as_the_file_says(here: Site) -> None:
    text = (
        "address,http_port,https_port,hostname,mac,username,password,site,tags,tls\n"
        '10.0.0.1,81,8443,Cam1.Example.COM.,b8-a4-4f-00-00-01,admin,"own, secret",north,"b, a",legacy\n'
        "cam2.example.com,,,,,,,,,\n"
    )
    told = await import_(here, text, login=LOGIN)
    assert [(one["row"], one["result"]) for one in told] == [(2, "added"), (3, "added")]
    first, second = await every(here)
    assert [one["id"] for one in told] == [first.id, second.id]
    assert (first.address, first.http_port, first.https_port, first.legacy_tls) == ("10.0.0.1", 81, 8443, True)
    assert (first.host_name, first.host_name_typed) == ("cam1.example.com", True)
    assert (first.serial, first.site, first.tags) == ("B8A44F000001", "north", ("a", "b"))
    assert (second.host_name, second.host_name_typed, second.https_port) == ("cam2.example.com", True, 443)
    async with here.services.database.reading() as tx:
        logins = [await rows.login(tx, here.services.sealer, device.id) for device in (first, second)]
    assert logins == [Login("admin", "own, secret"), LOGIN]
    (record,) = await audited(here)
    assert record.detail == {"devices": ["B8:A4:4F:00:00:01", "cam2.example.com"]}
    assert "secret" not in repr(record)
    assert "c4n4ry" not in repr(record)


async def test_a_device_nobody_contacted_is_not_ok(here: Site) -> None:
    await import_(here, "address\n10.0.0.1\n", login=LOGIN)
    (listed,) = await inventory.list_(here.services)
    assert listed["status"] == "Unreachable"
    assert (await inventory.show(here.services, "10.0.0.1"))["statuses"][0]["reason"].startswith("It was imported")


async def test_one_wrong_row_keeps_all_others_out(here: Site) -> None:
    await import_(here, "address,hostname,mac\n10.9.9.9,known.example.com,B8A44F000009\n")
    wrong = {
        "not an address!,,,,,": "is neither an address nor a host name",
        ",cam.example.com,,,,": "It has no address.",
        "10.0.0.2,10.0.0.3,,,,": "is an address, not a host name",
        "10.0.0.2,a_b.example.com,,,,": "underscore",
        "10.0.0.2,,12345,,,": "is no MAC address",
        "10.0.0.2,,,70000,,": "is no port",
        "10.0.0.2,,,-1,,": "is no port",
        "10.0.0.2,,,,secret-canary,": "needs a user name",
        "10.0.0.2,,,,,old": "Allowed: normal or legacy",
        "10.0.0.1,,,,,": "Row 2 has the same",
        "10.0.0.2,cam1.example.com,,,,": "Row 2 has the same",
        "10.9.9.9,,B8A44F00000A,,,": "B8:A4:4F:00:00:09 is recorded",
        "10.0.0.5,known.example.com,,,,": "is the name of B8:A4:4F:00:00:09",
    }
    head = "address,hostname,mac,https_port,password,tls\n10.0.0.1,cam1.example.com,,,,\n"
    told = await import_(here, head + "\n".join(wrong) + "\n")
    assert (told[0]["result"], told[0]["message"]) == ("skipped", "Not imported, because other rows are wrong.")
    assert [one["row"] for one in told[1:]] == list(range(3, 3 + len(wrong)))
    for one, said in zip(told[1:], wrong.values(), strict=True):
        assert one["result"] == "failed"
        assert said in one["message"]
        assert "secret-canary" not in one["message"]
    assert [device.address for device in await every(here)] == ["10.9.9.9"]
    assert len(await audited(here)) == 1


async def test_what_is_there_already_stays_as_it_is(here: Site) -> None:
    await import_(here, "address,mac,site\n10.0.0.1,B8A44F000001,north\n10.0.0.2,,north\n")
    before = await every(here)
    told = await import_(here, "address,mac,site\n10.0.0.7,B8A44F000001,south\n10.0.0.2,,south\n", login=LOGIN)
    assert [one["result"] for one in told] == ["known", "known"]
    assert "at 10.0.0.1. To change that: fleetseal device set" in told[0]["message"]
    assert await every(here) == before
    assert len(await audited(here)) == 1


@pytest.mark.parametrize("form", ["csv", "json"])
async def test_an_export_is_taken_back_by_an_empty_inventory(here: Site, tmp_path: Path, form: str) -> None:
    text = "address,hostname,mac,username,password,site,tags,tls,https_port\n"
    text += '10.0.0.1,cam1.example.com,B8A44F000001,admin,c4n4ry,@north,"=a,b",legacy,8443\n2001:db8::1,,,,,,,,\n'
    await import_(here, text)
    exported = await importing.export(here.services, form=form)
    assert "c4n4ry" not in exported
    async with site(tmp_path / "other", authority=False) as other:
        told = await import_(other, exported, form=form)
        assert [one["result"] for one in told] == ["added", "added"]
        kept = ("address", "host_name", "host_name_typed", "serial", "site", "tags", "legacy_tls", "https_port")
        expected = [[getattr(device, name) for name in kept] for device in await every(here)]
        assert [[getattr(device, name) for name in kept] for device in await every(other)] == expected


async def test_a_name_that_only_the_device_tells_is_not_typed_by_way_of_a_file(here: Site) -> None:
    camera = await here.fleet.add("9.10")
    await here.add(camera)
    device = await here.device(camera)
    assert device.host_name is not None
    assert not device.host_name_typed
    (told,) = json.loads(await importing.export(here.services, form="json"))
    assert (told["hostname"], told["announced_name"]) == (None, device.host_name)
    await inventory.remove(here.services, actor="test", references=[device.address])
    await import_(here, json.dumps([told]), form="json")
    assert (await every(here))[0].host_name is None


async def test_an_export_is_of_what_passes_the_filters(here: Site) -> None:
    await import_(here, "address,tags\n10.0.0.1,roof\n10.0.0.2,\n")
    text = await importing.export(here.services, form="csv", filters=["tag:roof"])
    assert [one["address"] for one in csv.DictReader(io.StringIO(text))] == ["10.0.0.1"]
    with pytest.raises(InvalidInput):
        await importing.export(here.services, form="csv", filters=["colour:red"])


async def test_an_imported_device_is_contacted_by_refresh_and_must_be_the_one_of_its_row(here: Site) -> None:
    right, other = await here.fleet.add_all([DeviceSpec("9.10"), DeviceSpec("12.11")])
    lines = [
        f"{camera.address},{camera.http_port},{camera.https_port},{serial}"
        for camera, serial in ((right, right.serial), (other, "B8A44F00FFFF"))
    ]
    told = await import_(
        here,
        "address,http_port,https_port,mac\n" + "\n".join(lines) + "\n",
        login=Login(right.username, right.password),
    )
    assert [one["result"] for one in told] == ["added", "added"]
    await here.ended(await here.request(TaskAction.REFRESH))
    assert [one["status"] for one in await inventory.list_(here.services)] == ["OK", "Identity changed"]
    assert other.credential_bytes == 0


async def test_ten_thousand_rows(here: Site) -> None:
    lines = [f"10.{number // 250 // 250}.{number // 250 % 250}.{number % 250 + 1}" for number in range(10_000)]
    head = "address,username,password\n"
    text = head + "".join(f"{line},root,x\n" for line in lines)
    broken = await import_(here, text + "10.0.0.1,,\n")
    assert [one["row"] for one in broken if one["result"] == "failed"] == [10_002]
    assert await every(here) == []
    told = await import_(here, text)
    assert {one["result"] for one in told} == {"added"}
    assert len(await every(here)) == 10_000
    assert len(list(csv.reader(io.StringIO(await importing.export(here.services, form="csv"))))) == 10_001
