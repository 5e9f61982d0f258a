"""`device setup`: the first administrator on devices in factory state, and every way in which that does not happen.

The virtual devices count every byte of credentials they are sent.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import NotFound
from fleetseal.core.model import Login, Selection
from fleetseal.operations import inventory, setting_up, trusting
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.store import audit
from fleetseal.store import inventory as rows
from tests.site import Site, site

LOGIN = Login("root", "C4n4ry &=+% pw 1")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path / "data", authority=False) as one:
        yield one


async def fresh(here: Site, profile: str = "12.11", **faults: Any) -> SimulatedDevice:
    """A device in factory state, in the inventory."""
    camera = await here.fleet.add(DeviceSpec(profile, setup_done=False, faults=faults))
    await inventory.add(
        here.services, actor="test", targets=[camera.address], http_port=camera.http_port, https_port=camera.https_port
    )
    assert (await here.show(camera))["status"] == "Setup needed"
    return camera


async def set_up(here: Site, camera: SimulatedDevice, login: Login = LOGIN, **options: bool) -> dict[str, Any]:
    references = [camera.serial]
    (told,) = await setting_up.set_up(here.services, actor="test", references=references, login=login, **options)
    return told


async def stored(here: Site, camera: SimulatedDevice) -> Login | None:
    async with here.services.database.reading() as tx:
        return await rows.login(tx, here.services.sealer, (await rows.find(tx, camera.serial)).id)


async def audited(here: Site) -> list[dict[str, Any]]:
    async with here.services.database.reading() as tx:
        return [one.detail for one in await audit.records(tx) if one.action == "device setup"]


def sent_in_clear(camera: SimulatedDevice) -> int:
    return sum(one.credential_bytes for one in camera.requests if "pwdgrp" in one.target and not one.secure)


@pytest.mark.parametrize("profile", ["7.30", "9.10", "10.12", "11.6", "12.11"])
async def test_a_fresh_device_gets_its_administrator_over_tls(here: Site, profile: str) -> None:
    camera = await fresh(here, profile)
    told = await set_up(here, camera)
    assert (told["result"], told["message"]) == ("set up", "Its administrator is root. The login is stored.")
    assert camera.device.users == {"root": LOGIN.password}
    assert camera.device.groups["root"][0] == "admin"
    assert sent_in_clear(camera) == 0
    assert await stored(here, camera) == LOGIN
    assert (await here.show(camera))["status"] == "OK"
    (detail,) = await audited(here)
    assert detail["username"] == "root"
    assert LOGIN.password not in repr(detail)


async def test_the_factory_certificate_is_preferred_to_first_use(here: Site) -> None:
    await set_up(here, await fresh(here, "12.11"))
    await set_up(here, await fresh(here, "9.10"))
    assert [one["over"] for one in await audited(here)] == ["Pinned", "Factory"]


async def test_another_name_than_root_from_11_6_on_only(here: Site) -> None:
    new, old, silent = await fresh(here, "12.11"), await fresh(here, "10.12"), await fresh(here, "9.10")
    login = Login("site.admin", LOGIN.password)
    assert (await set_up(here, new, login))["result"] == "set up"
    assert list(new.device.users) == ["site.admin"]
    told = await set_up(here, old, login)
    assert "the first administrator is always root" in told["message"]
    assert old.credential_bytes == 0
    told = await set_up(here, silent, login)  # this one does not tell strangers its firmware
    assert told["message"].endswith("Before AXIS OS 11.6 the first administrator is always root.")
    assert silent.device.users == {}


async def test_a_device_that_wants_a_get_has_it(here: Site) -> None:
    camera = await fresh(here, "12.11", setup_by_get=True)
    assert (await set_up(here, camera))["result"] == "set up"
    assert camera.device.users == {"root": LOGIN.password}
    asked = [(one.method, one.status) for one in camera.requests if "pwdgrp" in one.target]
    assert asked == [("POST", 401), ("GET", 200)]


@pytest.mark.parametrize(
    ("policy", "password", "said"),
    [
        ("none", "", "1 to 64 printable ASCII"),
        ("none", "x" * 65, "1 to 64 printable ASCII"),
        ("none", "pässword", "1 to 64 printable ASCII"),
        ("none", "tab\tchar", "1 to 64 printable ASCII"),
        ("length", "x" * 14, "at least 15"),
        ("complex", "Aa1!Aa1!Aa1", "at least 12"),
        ("complex", "aaaaaaaaaa1!", "at least 12"),
        ("complex", "AAAAAAAAAA1!", "at least 12"),
        ("complex", "AAAAAAAAAAa!", "at least 12"),
        ("complex", "AAAAAAAAAAa1", "at least 12"),
    ],
)
async def test_a_password_that_the_device_would_refuse_is_not_sent(
    here: Site, policy: str, password: str, said: str
) -> None:
    camera = await fresh(here, "12.11", passphrase_policy=policy)
    told = await set_up(here, camera, Login("root", password))
    assert told["result"] == "failed"
    assert said in told["message"]
    assert told["message"].endswith("Nothing was sent.")
    assert camera.credential_bytes == 0
    assert await stored(here, camera) is None


@pytest.mark.parametrize(("policy", "password"), [("length", "x" * 15), ("complex", "Aa1!Aa1!Aa1!"), ("none", " ")])
async def test_a_password_at_the_edge_of_the_policy_is_taken(here: Site, policy: str, password: str) -> None:
    camera = await fresh(here, "12.11", passphrase_policy=policy)
    assert (await set_up(here, camera, Login("root", password)))["result"] == "set up"


async def test_the_refusal_of_the_device_itself_is_told_without_the_password(here: Site) -> None:
    camera = await fresh(here, "10.12", passphrase_policy="length")  # this firmware does not tell its policy
    told = await set_up(here, camera, Login("root", "short"))
    assert told["result"] == "failed"
    assert "The device refused to take its first administrator: Error: the password does not" in told["message"]
    assert "short" not in told["message"]
    assert camera.device.users == {}
    assert await stored(here, camera) is None


@pytest.mark.parametrize("fault", ["lose_answer_of", "error_with_effect", "effect_twice"])
async def test_what_took_effect_counts_whatever_was_answered(here: Site, fault: str) -> None:
    camera = await fresh(here, "12.11", **{fault: {"create_user": 1}})
    assert (await set_up(here, camera))["result"] == "set up"
    assert await stored(here, camera) == LOGIN


@pytest.mark.parametrize("fault", ["lose_request_of", "ok_without_effect"])
async def test_what_took_no_effect_is_no_success(here: Site, fault: str) -> None:
    camera = await fresh(here, "12.11", **{fault: {"create_user": 1}})
    told = await set_up(here, camera)
    assert told["message"] == "It is in factory state as before: the administrator was not made. Try again."
    assert await stored(here, camera) is None
    assert (await set_up(here, camera))["result"] == "set up"


async def test_in_clear_only_at_a_persons_word(here: Site) -> None:
    camera = await here.fleet.add(DeviceSpec("9.10", setup_done=False))
    await camera.trouble(tls_dead_on_new_certificate=True)
    await inventory.add(here.services, actor="test", targets=[camera.address], http_port=camera.http_port, https_port=9)
    told = await set_up(here, camera)
    assert (told["result"], camera.credential_bytes) == ("failed", 0)
    assert "--plain-http" in told["message"]
    assert (await set_up(here, camera, plain_http=True))["result"] == "set up"
    assert sent_in_clear(camera) > 0


async def test_nothing_is_sent_to_a_device_that_has_an_administrator(here: Site) -> None:
    camera = await here.fleet.add(DeviceSpec("12.11"))
    await inventory.add(
        here.services, actor="test", targets=[camera.address], http_port=camera.http_port, https_port=camera.https_port
    )
    told = await set_up(here, camera)
    assert told["message"].startswith("It has an administrator already. Nothing was sent.")
    assert camera.credential_bytes == 0
    assert await audited(here) == []


async def test_nothing_is_sent_where_first_contact_is_not_allowed(here: Site) -> None:
    camera = await fresh(here, "9.10")
    await here.set("security.ignore-certificate-validation", "false")
    assert (await set_up(here, camera))["result"] == "failed"
    assert camera.credential_bytes == 0
    (shown,) = await trusting.preview(here.services, Selection(refs=(camera.serial,)))
    await trusting.accept(here.services, actor="test", accepted={shown["id"]: shown["shows"]["sha256"]})
    assert (await set_up(here, camera))["result"] == "set up"


async def test_nothing_is_sent_to_another_device_in_its_place(here: Site) -> None:
    camera = await fresh(here, "12.11")
    await camera.trouble(serial="B8A44F00FFFF")
    assert (await set_up(here, camera))["result"] == "failed"
    assert camera.credential_bytes == 0


async def test_an_unknown_device_is_not_found(here: Site) -> None:
    with pytest.raises(NotFound):
        await setting_up.set_up(here.services, actor="test", references=["B8A44F000000"], login=LOGIN)
