"""The classic and JSON CGIs: echo rules, errors in the answer, the clock (device-api 2, 3, 13)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.simulator import back, browser, handshake, soap
from tests.support import FakeClock

SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
WINTER = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
async def device(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedDevice]:
    async with Fleet([request.param], restart_seconds=0.01) as fleet:
        yield fleet.devices[0]


def profiles(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("device", names, indirect=True)


async def param(device: SimulatedDevice, query: str) -> str:
    async with browser(device) as client:
        answer = await client.get(f"/axis-cgi/param.cgi?{query}")
    assert answer.status_code == 200
    return answer.text


@profiles("9.10")
async def test_a_single_parameter_is_echoed_as_written(device: SimulatedDevice) -> None:
    listed = await param(device, "action=list&group=Brand.Brand,root.Brand.Brand,Network.HTTP,Nothing,Brand.Prod*Name")
    assert listed.splitlines() == [
        "Brand.Brand=AXIS",
        "root.Brand.Brand=AXIS",
        "root.Network.HTTP.AuthenticationPolicy=digest",
        "root.Network.HTTP.AuthenticationPolicySet=yes",
        "root.Network.HTTP.AuthenticationWithQop=no",
        "# Error: Error -1 getting param in group 'Nothing'",
        "root.Brand.ProdFullName=AXIS M1065-LW Network Camera",
        "root.Brand.ProdShortName=AXIS M1065-LW",
    ]


@profiles("9.10")
async def test_updates(device: SimulatedDevice) -> None:
    assert await param(device, "action=update&Network.Bonjour.Enabled=no") == "OK\n"
    assert await param(device, "action=list&group=Network.Bonjour.Enabled") == "Network.Bonjour.Enabled=no\n"
    assert (await param(device, "action=update&No.Such=1")).startswith("# Error:")
    assert (await param(device, "group=Brand")).startswith("# Error:")


@profiles("5.51", "9.10")
async def test_https_by_parameters(device: SimulatedDevice) -> None:
    groups = "&".join(f"System.BoaGroupPolicy.{group}=https" for group in ("admin", "operator", "viewer"))
    assert await param(device, f"action=update&{groups}") == "OK\n"
    await back(device, 1)
    assert {policy for _, policy in device.web.policies} == {"Https"}
    async with browser(device, secure=True) as client:
        listed = await client.get("/axis-cgi/param.cgi?action=list&group=System.BoaGroupPolicy.admin")
        assert listed.text == "System.BoaGroupPolicy.admin=https\n"
        await client.get("/axis-cgi/param.cgi?action=update&System.BoaGroupPolicy.admin=both&HTTPS.Enabled=no")
    await back(device, 2)
    assert device.served is None
    assert await param(device, "action=list&group=HTTPS.Enabled") == "HTTPS.Enabled=no\n"


@profiles("12.11")
async def test_the_https_port_moves(device: SimulatedDevice) -> None:
    before = device.https_port
    async with Fleet(["t85"]) as other:
        free = other.devices[0].https_port  # free again once that fleet is gone
    assert await param(device, f"action=update&HTTPS.Port={free}") == "OK\n"
    await back(device, 1)
    assert device.https_port == free != before
    assert (await handshake(device)).leaf == device.served
    async with Fleet(["t85"]) as other:  # a port that is taken: the server stays where it was
        await param(device, f"action=update&HTTPS.Port={other.devices[0].https_port}")
        await back(device, 2)
    assert await param(device, "action=list&group=HTTPS.Port") == f"HTTPS.Port={free}\n"
    assert (await handshake(device)).leaf == device.served


@profiles("9.10", "10.12")
async def test_what_a_generation_lacks_is_404(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        call = {"apiVersion": "1.0", "method": "systemready"}
        ready = await client.post("/axis-cgi/systemready.cgi", json=call)
        assert ready.status_code == (404 if device.profile.name == "9.10" else 200)
        assert (await client.get("/axis-cgi/nothing.cgi")).status_code == 404


@profiles("12.11")
@pytest.mark.parametrize(
    ("path", "call", "code"),
    [
        ("time.cgi", {"apiVersion": "1.0", "method": "nothing"}, 4000),
        ("time.cgi", {"apiVersion": "2.0", "method": "getDateTimeInfo"}, 4001),
        ("network_settings.cgi", {"apiVersion": "1.37", "method": "getNetworkInfo"}, 4001),
        ("firmwaremanagement.cgi", {"apiVersion": "1.10", "method": "upgrade"}, 405),
        ("basicdeviceinfo.cgi", {"apiVersion": "1.0", "method": "nothing"}, 2004),
        ("basicdeviceinfo.cgi", None, 2002),
        ("apidiscovery.cgi", [], 4000),
    ],
)
async def test_json_errors_come_with_200(device: SimulatedDevice, path: str, call: Any, code: int) -> None:
    async with browser(device) as client:
        url = f"/axis-cgi/{path}"
        answer = await client.get(url) if call is None else await client.post(url, json=call)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)


@profiles("9.10", "12.11")
async def test_context_comes_back(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        call = {"apiVersion": "1.0", "context": "mine", "method": "getSupportedVersions"}
        answer = await client.post("/axis-cgi/basicdeviceinfo.cgi", json=call)
    assert answer.json()["context"] == "mine"
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(("moment", "hours"), [(SUMMER, 2), (WINTER, 1)])
async def test_local_time(moment: datetime, hours: int) -> None:
    async with Fleet(["12.11"], clock=FakeClock(moment)) as fleet, browser(fleet.devices[0]) as client:
        info = (await client.post("/axis-cgi/time.cgi", json={"apiVersion": "1.0", "method": "getDateTimeInfo"})).json()
        local = await client.get("/axis-cgi/date.cgi?action=get")
    assert info["data"]["dateTime"] == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    assert info["data"]["localDateTime"] == f"{moment + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}+0{hours}:00"
    assert local.text == f"{moment + timedelta(hours=hours):%b %d, %Y %H:%M:%S}\n"


@pytest.mark.parametrize("profile", ["5.51", "9.10", "12.11"])
async def test_date_cgi_sets_local_time(profile: str) -> None:
    async with Fleet([profile], clock=FakeClock(SUMMER)) as fleet:
        device = fleet.devices[0]
        await device.trouble(clock_offset=-1e9)
        async with browser(device) as client:
            query = "action=set&year=2026&month=7&day=1&hour=14&minute=30&second=5"
            assert (await client.get(f"/axis-cgi/date.cgi?{query}")).text == "OK\n"
            assert (await client.get("/axis-cgi/date.cgi?action=get")).text == "Jul 01, 2026 14:30:05\n"
            assert (await client.get("/axis-cgi/date.cgi?action=set&month=13")).text.startswith("Request failed")
        behind = {"5.51": 0, "9.10": 1, "12.11": 2}[profile]  # London without, Berlin without and with summer time
        assert device.device.now() == datetime(2026, 7, 1, 14 - behind, 30, 5, tzinfo=UTC)


async def test_time_cgi_sets_the_clock_that_everything_shows() -> None:
    async with Fleet(["12.11"], clock=FakeClock(WINTER)) as fleet:
        device = fleet.devices[0]
        await device.trouble(clock_offset=-86400.0)
        async with browser(device) as client:
            call = {"apiVersion": "1.0", "method": "setDateTime", "params": {"dateTime": "2026-11-23T12:00:30Z"}}
            wrong = call | {"params": {"dateTime": "yesterday"}}
            assert "error" in (await client.post("/axis-cgi/time.cgi", json=wrong)).json()
            answer = await client.post("/axis-cgi/time.cgi", json=call)
            assert answer.json()["data"] == {}
            assert answer.headers["date"] == "Mon, 23 Nov 2026 12:00:30 GMT"
            told = await soap(client, "<tds:GetSystemDateAndTime/>")
    assert device.faults.clock_offset == 30.0
    assert "<tt:Second>30</tt:Second>" in told.text


@profiles("12.11", "9.10")
async def test_onvif_says_who_it_is(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        told = (await soap(client, "<tds:GetDeviceInformation/>")).text
    for fact in (device.serial, device.profile.product.model, device.profile.product.firmware):
        assert f">{fact}<" in told


async def test_a_switch_has_no_vapix() -> None:
    async with Fleet(["t85"]) as fleet, browser(fleet.devices[0], login=False) as client:
        assert "<form" in (await client.get("/")).text
        for path in ("/axis-cgi/param.cgi", "/axis-cgi/basicdeviceinfo.cgi", "/vapix/services", "/config/discover"):
            answer = await client.post(path)
            assert (answer.status_code, "www-authenticate" in answer.headers) == (404, False)


async def make_root(device: SimulatedDevice, method: str, password: str) -> tuple[int, str]:
    fields = {"action": "add", "user": "root", "pwd": password, "grp": "root", "sgrp": "admin"}
    place = {"data": fields} if method == "POST" else {"params": fields}
    async with browser(device, login=False) as client:
        answer = await client.request(method, "/axis-cgi/pwdgrp.cgi", **place)  # type: ignore[arg-type]  # one of two
    return answer.status_code, answer.text


async def test_some_firmware_takes_the_first_administrator_by_get_only() -> None:
    async with Fleet([DeviceSpec("12.11", setup_done=False, faults={"setup_by_get": True})]) as fleet:
        assert (await make_root(fleet.devices[0], "POST", "x"))[0] == 401
        assert fleet.devices[0].device.users == {}
        assert (await make_root(fleet.devices[0], "GET", "x")) == (200, "Created account root.\n")
        assert (await make_root(fleet.devices[0], "GET", "y"))[0] == 401


@pytest.mark.parametrize(("policy", "weak", "strong"), [("length", "x" * 14, "x" * 15), ("complex", "Aa1", "Aa1!" * 3)])
async def test_a_password_policy_is_told_and_kept(policy: str, weak: str, strong: str) -> None:
    async with Fleet([DeviceSpec("12.11", setup_done=False, faults={"passphrase_policy": policy})]) as fleet:
        (device,) = fleet.devices
        async with browser(device, login=False) as client:
            answer = await client.post("/axis-cgi/systemready.cgi", json={"apiVersion": "1.0", "method": "systemready"})
        assert answer.json()["data"]["passphrasepolicy"] == policy
        assert (await make_root(device, "POST", weak))[1].startswith("Error:")
        assert (await make_root(device, "POST", strong))[1].startswith("Created")
