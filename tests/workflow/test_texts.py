"""Every text of the columns `https` and `status` of the contract, each shown by a simulated device."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from fleetseal.core.model import Login, TaskAction
from fleetseal.core.runtime import SystemClock
from fleetseal.jobs.engine import Engine
from fleetseal.operations import authorities, contact, inventory
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from tests.site import PASSPHRASE, Site, make_services, site

Show = Callable[[Site], Awaitable[SimulatedDevice]]
WRONG = Login("root", "wrong")


class Shifted(SystemClock):
    """The system's time, and some."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return super().now() + self._shift


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A site without devices and without a CA."""
    async with site(tmp_path / "data", authority=False) as one:
        yield one


async def added(here: Site, profile: str = "9.10", *, login: Login | None = None, **spec: Any) -> SimulatedDevice:
    camera = await here.fleet.add(DeviceSpec(profile, **spec))
    await here.add(camera, login=login)
    return camera


async def authority(here: Site) -> None:
    await authorities.create(here.services, actor="test", name="Test", key_type="ec", passphrase=PASSPHRASE)


async def enabled(here: Site) -> SimulatedDevice:
    await authority(here)
    camera = await added(here)
    assert (await here.enable(camera))[0]["status"] == "Finished"
    return camera


async def looked_at(here: Site, camera: SimulatedDevice) -> SimulatedDevice:
    await contact.refresh_device(here.services, await here.id_of(camera))
    return camera


async def without_login(here: Site) -> SimulatedDevice:
    camera = await here.fleet.add("9.10")
    await inventory.add(
        here.services, actor="test", targets=[camera.address], http_port=camera.http_port, https_port=camera.https_port
    )
    return camera


async def with_authority(here: Site) -> SimulatedDevice:
    await authority(here)
    return await added(here)


async def identity_changed(here: Site) -> SimulatedDevice:
    camera = await enabled(here)
    await camera.trouble(serves_wrong_leaf=True)
    return await looked_at(here, camera)


async def unreachable(here: Site) -> SimulatedDevice:
    camera = await added(here)
    await camera.trouble(unreachable=True)
    return await looked_at(here, camera)


async def not_trusted(here: Site) -> SimulatedDevice:
    camera = await added(here)
    await here.set("security.ignore-certificate-validation", "false")
    return await looked_at(here, camera)


async def clock_is_wrong(here: Site) -> SimulatedDevice:
    return await added(here, faults={"clock_offset": 7200.0})


async def busy(here: Site) -> SimulatedDevice:
    """A task has begun and waits: its engine does nothing."""
    camera = await added(here)

    class Idle:
        async def submit(self, task_id: int) -> None:
            pass

    idle = replace(here, engine=cast("Engine", Idle()))
    await idle.request(TaskAction.REFRESH, camera)
    return camera


HTTPS: dict[str, Show] = {
    "Unsupported device": lambda here: added(here, "t85"),
    "Unsupported firmware": lambda here: added(here, "5.51"),
    "Unknown": without_login,
    "Enabled": enabled,
    "Disabled": with_authority,
    "Disabled (Missing server certificate)": added,
}
STATUS: dict[str, Show] = {
    "Identity changed": identity_changed,
    "Unreachable": unreachable,
    "Setup needed": lambda here: added(here, "12.11", setup_done=False),
    "Credentials needed": without_login,
    "Wrong credentials": lambda here: added(here, login=WRONG),
    "Certificate not trusted": not_trusted,
    "Clock is wrong": clock_is_wrong,
    "Busy": busy,
    "OK": added,
}
LATER = {  # days after "Enable HTTPS", of 365
    "Certificate has expired": 366,
    "Certificate about to expire": 340,
}


async def listed(here: Site, camera: SimulatedDevice) -> dict[str, Any]:
    rows = await inventory.list_(here.services)
    (row,) = [row for row in rows if row["https_port"] == camera.https_port]
    return row


@pytest.mark.parametrize("text", HTTPS)
async def test_https(here: Site, text: str) -> None:
    camera = await HTTPS[text](here)
    assert (await listed(here, camera))["https"] == text


@pytest.mark.parametrize("text", STATUS)
async def test_status(here: Site, text: str) -> None:
    camera = await STATUS[text](here)
    assert (await listed(here, camera))["status"] == text
    first = (await inventory.show(here.services, str((await listed(here, camera))["id"])))["statuses"][0]
    assert first["status"] == text
    assert (first["reason"] == "") is (text == "OK")


@pytest.mark.parametrize("text", LATER)
async def test_status_later(here: Site, text: str) -> None:
    """The device is looked at again then: the recorded key still proves it."""
    camera = await enabled(here)
    days = timedelta(days=LATER[text])
    await camera.trouble(clock_offset=days.total_seconds())
    services = await make_services(here.services.data, here.fleet, clock=Shifted(days))
    try:
        later = replace(here, services=services)
        row = await listed(later, await looked_at(later, camera))
    finally:
        await services.database.close()
    assert (row["status"], row["https"], row["trust"]) == (text, "Enabled", "verified")


def test_the_texts_are_those_of_the_contract() -> None:
    """In its order; none is missing."""
    https = (
        "Unsupported device, Unsupported firmware, Unknown, Enabled, Disabled, Disabled (Missing server certificate)"
    )
    status = (
        "Identity changed, Unreachable, Setup needed, Credentials needed, Wrong credentials, Certificate not trusted, "
        "Certificate has expired, Clock is wrong, Certificate about to expire, Busy, OK"
    )
    assert ", ".join(HTTPS) == https
    assert {*STATUS, *LATER} == set(status.split(", "))
