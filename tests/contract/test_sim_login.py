"""Who may ask what, and how the device wants to be told (device-api 4, 5; RFC 7616)."""

import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.simulator import browser, soap
from tests.support import FakeClock

TARGET = "/axis-cgi/param.cgi?action=list&group=Brand"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def digest(device: SimulatedDevice, challenge: str, *, count: int = 1, other: dict[str, str] | None = None) -> str:
    """The Authorization value for a GET of TARGET. `other` replaces single values."""
    other = other or {}
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    values = {"username": device.username, "realm": given["realm"], "nonce": given["nonce"], "uri": TARGET} | other
    secret = md5(f"{values['username']}:{values['realm']}:{other.get('password', device.password)}")
    what = md5(f"GET:{values['uri']}")
    if "qop" in given:
        middle = f"{values['nonce']}:{count:08x}:abcdef:auth"
        values |= {"qop": "auth", "nc": f"{count:08x}", "cnonce": "abcdef"}
    else:
        middle = values["nonce"]
    values["response"] = md5(f"{secret}:{middle}:{what}")
    values.pop("password", None)
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in values.items())


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet(clock=FakeClock()) as fleet:
        yield fleet


async def challenges(device: SimulatedDevice, *, secure: bool = False) -> list[str]:
    async with browser(device, secure=secure, login=False) as client:
        answer = await client.get(TARGET)
    assert answer.status_code == 401
    return answer.headers.get_list("www-authenticate")


async def get(device: SimulatedDevice, authorization: str, *, target: str = TARGET) -> httpx.Response:
    async with browser(device, login=False) as client:
        return await client.get(target, headers={"Authorization": authorization})


@pytest.mark.parametrize(
    ("profile", "plain", "encrypted"),
    [
        ("5.51", ["Digest", "Basic"], ["Digest", "Basic"]),
        ("7.30", ["Digest"], ["Digest"]),
        ("9.10", ["Digest"], ["Digest"]),
        ("10.12", ["Digest"], ["Digest"]),
        ("11.6", ["Digest"], ["Digest"]),
        ("12.11", ["Digest"], ["Basic"]),
    ],
)
async def test_schemes(fleet: Fleet, profile: str, plain: list[str], encrypted: list[str]) -> None:
    device = await fleet.add(profile)
    for secure, wanted in ((False, plain), (True, encrypted)):
        offered = await challenges(device, secure=secure)
        assert [challenge.split()[0] for challenge in offered] == wanted
        assert all(f'realm="AXIS_{device.serial}"' in challenge for challenge in offered)


@pytest.mark.parametrize("profile", ["5.51", "9.10", "12.11"])
async def test_digest_is_accepted_once_per_count(fleet: Fleet, profile: str) -> None:
    device = await fleet.add(profile)
    challenge = (await challenges(device))[0]
    assert ("qop" in challenge) is (profile != "5.51")
    first = digest(device, challenge)
    assert (await get(device, first)).status_code == 200
    again = await get(device, first)
    if profile == "5.51":  # RFC 2069 knows no counts
        assert again.status_code == 200
        return
    assert again.status_code == 401
    assert "stale=true" in again.headers["www-authenticate"]
    assert (await get(device, digest(device, challenge, count=2))).status_code == 200


async def test_an_old_nonce_is_stale_and_the_new_one_works(fleet: Fleet) -> None:
    device = await fleet.add("12.11")
    challenge = (await challenges(device))[0]
    clock = device.device.around.clock
    await clock.sleep(301)
    late = await get(device, digest(device, challenge))
    assert late.status_code == 401
    assert "stale=true" in late.headers["www-authenticate"]
    assert (await get(device, digest(device, late.headers["www-authenticate"]))).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [({"uri": "/axis-cgi/param.cgi"}, 400), ({"password": "wrong"}, 401), ({"username": "nobody"}, 401),
     ({"realm": "AXIS_000000000000"}, 401), ({"nonce": "invented"}, 401)],
)  # fmt: skip
async def test_wrong_digests_are_refused(fleet: Fleet, change: dict[str, str], status: int) -> None:
    device = await fleet.add("9.10")
    challenge = (await challenges(device))[0]
    refused = await get(device, digest(device, challenge, other=change))
    assert refused.status_code == status
    assert ("stale=true" in refused.headers.get("www-authenticate", "")) is ("nonce" in change)


async def test_basic_is_refused_where_digest_is_asked(fleet: Fleet) -> None:
    device = await fleet.add("12.11")
    assert (await get(device, "Basic cm9vdDpzaW11bGF0ZWQ=")).status_code == 401
    assert (await get(device, "Basic ???")).status_code == 401
    async with browser(device, secure=True) as client:
        assert (await client.get(TARGET)).status_code == 200


async def test_credentials_are_counted_and_never_kept(fleet: Fleet) -> None:
    device = await fleet.add("12.11")
    async with browser(device, login=False) as client:
        await client.get(TARGET)
    assert device.credential_bytes == 0
    async with browser(device) as client:
        await client.get(TARGET)
    record = device.requests[-1]
    assert (record.authorization, record.secure, record.status) == ("Digest", False, 200)
    assert device.credential_bytes == record.credential_bytes > 100
    assert device.password not in repr(device.requests)


async def test_lockout(fleet: Fleet) -> None:
    device = await fleet.add(DeviceSpec("9.10", faults={"lockout_after": 2}))
    for _ in range(2):
        challenge = (await challenges(device))[0]
        assert (await get(device, digest(device, challenge, other={"password": "wrong"}))).status_code == 401
    assert (await get(device, digest(device, challenge, count=2))).status_code == 403
    await device.device.around.clock.sleep(11)
    assert (await get(device, digest(device, challenge, count=3))).status_code == 200


async def test_a_viewer_reads_but_does_not_manage(fleet: Fleet) -> None:
    device = await fleet.add("12.11")
    device.device.add_user("guest", "guest", ("viewer",))
    async with browser(device, login=False) as client:
        client.auth = httpx.DigestAuth("guest", "guest")
        assert (await client.get("/axis-cgi/usergroup.cgi")).text == "guest\nviewer\n"
        assert (await client.get("/config/rest/cert/v1/settings")).status_code == 200
        created = await client.post("/config/rest/cert/v1/create_certificate", json={"data": {}})
        assert created.status_code == 401
        assert (await soap(client, "<tds:GetCertificates/>")).status_code == 403
        update = await client.get("/axis-cgi/param.cgi?action=update&Network.Bonjour.Enabled=no")
        assert update.status_code == 403


@pytest.mark.parametrize("profile", ["12.11", "11.6", "10.12"])
async def test_anonymous_calls(fleet: Fleet, profile: str) -> None:
    device = await fleet.add(profile)
    async with browser(device, login=False) as client:
        ready = await client.post("/axis-cgi/systemready.cgi", json={"apiVersion": "1.0", "method": "systemready"})
        assert ready.json()["data"]["needsetup"] == "no"
        call = {"apiVersion": "1.0", "method": "getAllUnrestrictedProperties"}
        told = (await client.post("/axis-cgi/basicdeviceinfo.cgi", json=call)).json()["data"]["propertyList"]
        assert told["SerialNumber"] == device.serial
        assert not {"Architecture", "Soc", "SocSerialNumber"} & set(told)
        assert (await soap(client, "<tds:GetSystemDateAndTime/>")).status_code == 200
        for refused in ("/config/discover", "/axis-cgi/usergroup.cgi", "/axis-cgi/pwdgrp.cgi?action=get", "/nothing"):
            assert (await client.get(refused)).status_code == 401
        assert (await soap(client, "<tds:GetCertificates/>")).status_code == 401


@pytest.mark.parametrize(("profile", "user"), [("12.11", "boss"), ("11.6", "boss"), ("9.10", "root"), ("5.51", "root")])
async def test_the_first_administrator(fleet: Fleet, profile: str, user: str) -> None:
    device = await fleet.add(DeviceSpec(profile, username=user, setup_done=False))
    form = {"action": "add", "user": user, "pwd": device.password, "grp": "root", "sgrp": "admin:operator:viewer:ptz"}
    if device.profile.login.root_exists:
        form["action"] = "update"
    async with browser(device, login=False) as client:
        if device.profile.login.root_exists:
            flag = await client.get("/axis-cgi/param.cgi?action=list&group=System.RootPwdSet")
            assert flag.text == "System.RootPwdSet=no\n"
            assert (await client.get("/axis-cgi/param.cgi?action=list")).status_code == 401
        else:
            ready = await client.post("/axis-cgi/systemready.cgi", json={"apiVersion": "1.0", "method": "systemready"})
            assert ready.json()["data"]["needsetup"] == "yes"
        assert (await client.get("/axis-cgi/usergroup.cgi")).status_code == 401
        viewer = await client.post(
            "/axis-cgi/pwdgrp.cgi", data=form | {"action": "add", "user": "eve", "sgrp": "viewer"}
        )
        assert viewer.text.startswith("Error:")
        made = await client.post("/axis-cgi/pwdgrp.cgi", data=form)
        assert (made.status_code, "Error" in made.text) == (200, False)
        assert (await client.post("/axis-cgi/pwdgrp.cgi", data=form)).status_code == 401
    async with browser(device) as client:
        assert (await client.get("/axis-cgi/usergroup.cgi")).text.splitlines()[0] == user
