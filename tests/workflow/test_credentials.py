"""Named credentials: in order, at most one failed login a credential, device and day, and none where trust forbids.

The virtual devices count every byte of credentials they are sent, and every login.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fleetseal.core.errors import Conflict, InvalidInput, NotFound, StoreError
from fleetseal.core.model import Login
from fleetseal.core.runtime import SystemClock
from fleetseal.operations import contact, credentials, inventory
from fleetseal.sim.fleet import PASSWORD, DeviceSpec, SimulatedDevice
from fleetseal.store import audit
from fleetseal.store import credentials as store
from fleetseal.store import inventory as rows
from tests.site import Site, site

RIGHT = Login("root", PASSWORD)


CHANGES = ("credential add", "credential remove")


class Tomorrow(SystemClock):
    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path / "data", authority=False) as one:
        yield one


async def offer(here: Site, **logins: Login) -> None:
    for name, login in logins.items():
        await credentials.add(here.services, actor="test", name=name, login=login)


async def added(here: Site, profile: str = "9.10", **faults: Any) -> SimulatedDevice:
    camera = await here.fleet.add(DeviceSpec(profile, faults=faults))
    await inventory.add(
        here.services, actor="test", targets=[camera.address], http_port=camera.http_port, https_port=camera.https_port
    )
    return camera


async def refresh(here: Site, camera: SimulatedDevice) -> str:
    await contact.refresh_device(here.services, await here.id_of(camera))
    return str((await here.show(camera))["status"])


async def login_of(here: Site, camera: SimulatedDevice) -> Login | None:
    async with here.services.database.reading() as tx:
        return await rows.login(tx, here.services.sealer, (await rows.find(tx, camera.serial)).id)


def refused(camera: SimulatedDevice) -> int:
    """Logins that failed."""
    return sum(one.authorization is not None and one.status == 401 for one in camera.requests)


async def test_the_first_that_works_becomes_the_login_of_the_device(here: Site) -> None:
    await offer(here, old=Login("root", "old"), site=RIGHT, other=Login("root", "other"))
    camera = await added(here)
    assert (await here.show(camera))["status"] == "OK"
    assert await login_of(here, camera) == RIGHT
    assert refused(camera) == 1, "the one before it, and not the one behind it"


async def test_each_fails_once_a_day_and_a_device(here: Site) -> None:
    await offer(here, one=Login("root", "one"), two=Login("admin", "two"))
    first, second = await added(here), await added(here)
    assert (refused(first), refused(second)) == (2, 2)
    for _ in range(3):
        assert await refresh(here, first) == "Credentials needed"
    assert refused(first) == 2
    await offer(here, three=Login("root", "three"))
    await refresh(here, first)
    assert refused(first) == 3, "a new one is another one"
    tomorrow = replace(here.services, clock=Tomorrow())
    await contact.refresh_device(tomorrow, await here.id_of(first))
    assert refused(first) == 6
    await contact.refresh_device(tomorrow, await here.id_of(first))
    assert refused(first) == 6
    assert await login_of(here, first) is None


async def test_a_try_that_nobody_judged_is_not_made_again(here: Site) -> None:
    """A process that dies between the record and the device's answer leaves the record."""
    camera = await added(here)
    await offer(here, one=RIGHT)
    now, device_id = here.services.clock.now(), await here.id_of(camera)
    async with here.services.database.transaction() as tx:
        (one,) = await store.untried(tx, here.services.sealer, device_id, now=now)
        assert await store.note_try(tx, one.id, device_id, now=now)
        assert not await store.note_try(tx, one.id, device_id, now=now)
    assert await refresh(here, camera) == "Credentials needed"
    assert camera.credential_bytes == 0


async def test_a_login_that_could_not_be_judged_counts_as_none(here: Site) -> None:
    camera = await added(here)
    await offer(here, one=RIGHT)
    await camera.trouble(answer="wrong-length", answer_on="/axis-cgi/param.cgi")
    assert await refresh(here, camera) == "Unreachable"
    await camera.trouble(answer=None)
    assert await refresh(here, camera) == "OK"


async def test_nobody_who_has_a_login_is_asked_with_another(here: Site) -> None:
    await offer(here, site=RIGHT)
    camera = await here.fleet.add("9.10")
    await here.add(camera, login=Login("root", "wrong"))
    assert await refresh(here, camera) == "Wrong credentials"
    assert refused(camera) == 1


async def test_enable_tries_them_on_a_device_without_a_login(tmp_path: Path) -> None:
    async with site(tmp_path / "data") as here:
        camera = await added(here)
        (outcome,) = await here.enable(camera)
        assert (outcome["status"], refused(camera)) == ("Failed", 0)
        assert "It asks for a login and none is stored." in outcome["description"]
        await offer(here, old=Login("root", "old"))
        for _ in range(2):
            (outcome,) = await here.enable(camera)
            assert outcome["status"] == "Failed"
            assert refused(camera) == 1, "once a day"
        await offer(here, site=RIGHT)
        (outcome,) = await here.enable(camera)
        assert outcome["status"] == "Finished", outcome
        assert refused(camera) == 1
        assert await login_of(here, camera) == RIGHT


async def test_enable_tries_none_before_the_trust_allows_it(tmp_path: Path) -> None:
    async with site(tmp_path / "data") as here:
        camera = await added(here)
        await here.set("security.ignore-certificate-validation", "false")
        await offer(here, site=RIGHT)
        (outcome,) = await here.enable(camera)
        assert (outcome["status"], camera.credential_bytes) == ("Failed", 0)
        assert "device trust" in outcome["description"]


@pytest.mark.parametrize("trouble", ["not allowed", "Basic in clear", "another device", "factory state"])
async def test_no_byte_leaves_where_trust_forbids_it(here: Site, trouble: str) -> None:
    setup_done = trouble != "factory state"
    camera = await here.fleet.add(DeviceSpec("9.10", setup_done=setup_done))
    if trouble == "not allowed":
        await here.set("security.ignore-certificate-validation", "false")
    if trouble == "Basic in clear":
        await camera.trouble(basic_only=True)
    await inventory.add(
        here.services, actor="test", targets=[camera.address], http_port=camera.http_port, https_port=camera.https_port
    )
    await offer(here, site=RIGHT)
    if trouble == "another device":
        await camera.trouble(serial="B8A44F00FFFF", realm="AXIS_B8A44F00FFFF")
    await refresh(here, camera)
    assert camera.credential_bytes == 0
    assert await login_of(here, camera) is None


async def test_they_are_added_listed_and_removed_and_never_shown(here: Site) -> None:
    await offer(here, b=Login("root", "c4n4ry one"), a=Login("admin", "c4n4ry two"))
    shown = await credentials.list_(here.services)
    assert [(one["name"], one["username"]) for one in shown] == [("b", "root"), ("a", "admin")]
    with pytest.raises(Conflict):
        await offer(here, a=RIGHT)
    for name, login in (("", RIGHT), ("c", Login("", "x")), ("c", Login("root", ""))):
        with pytest.raises(InvalidInput):
            await credentials.add(here.services, actor="test", name=name, login=login)
    camera = await added(here)
    left = await credentials.remove(here.services, actor="test", name="b")
    assert [one["name"] for one in left] == ["a"]
    with pytest.raises(NotFound):
        await credentials.remove(here.services, actor="test", name="b")
    async with here.services.database.reading() as tx:
        records = [(one.action, one.object) for one in await audit.records(tx) if one.action in CHANGES]
        assert records == [("credential remove", "b"), ("credential add", "a"), ("credential add", "b")]
        assert "c4n4ry" not in repr(await audit.records(tx))
    assert "c4n4ry" not in repr((shown, await here.show(camera)))
    kept = b"".join(path.read_bytes() for path in here.services.data.glob("fleetseal.db*"))
    assert b"c4n4ry" not in kept


async def test_sealed_passwords_swapped_between_rows_do_not_open(here: Site) -> None:
    await offer(here, a=Login("root", "one"), b=Login("root", "two"))
    camera = await here.fleet.add("9.10")
    await here.add(camera)
    async with here.services.database.transaction() as tx:
        other = "select password_sealed from credential where name = 'a'"
        await tx.execute(text(f"update credential set password_sealed = ({other}) where name = 'b'"))
        with pytest.raises(StoreError):
            await store.untried(tx, here.services.sealer, (await rows.every(tx))[0].id, now=here.services.clock.now())
