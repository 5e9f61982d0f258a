"""The process is killed at every point at which a crash could matter, and another one continues.

The points are those of the source: each step of the procedure times each point of the journal.
"""

import ast
import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

import fleetseal.operations
from fleetseal.pki import chain
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import certificates, inventory
from tests.e2e.crash_child import Order, work
from tests.site import Site, site

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes cannot be killed this way here")

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.e2e.crash_child"])

MOST_POINTS = 120

DEVICE_POINTS = ("look", "before-undo-recorded", "undo-recorded", "acted", "recorded")
LOCAL_POINTS = ("before", "before-commit", "recorded")

# The steps of each scenario below: it dies at every point of each.
ENABLE_DEVICE = ("request", "install", "bind", "policy")
ENABLE_LOCAL = ("plan", "way-back", "reserve", "issue", "verify", "verify-again", "verify-policy", "record")
RENEWAL_DEVICE = ("request", "install", "bind", "cleanup")
OPENED_DEVICE = ("open-http", "policy")
FALLBACK_DEVICE = ("clock", "temporary-certificate", "temporary-bind", "manager-key")
FALLBACK_LOCAL = ("fallback",)


async def run(order: Order) -> int:
    """The exit code of a process that carries out the order; negative: the signal that ended it."""
    process = SERVER.Process(target=work, args=(order,))
    process.start()
    await asyncio.to_thread(process.join, 60)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the process did not end")
    return process.exitcode


@asynccontextmanager
async def scenario(
    path: Path, profile: str, *, durable: bool = False
) -> AsyncIterator[tuple[Site, SimulatedDevice, Order]]:
    """A device in the inventory, and an order to enable HTTPS on it."""
    async with site(path / "data", profile) as here:
        camera = here.fleet.devices[0]
        assert (await here.add(camera))["result"] == "added"
        roots = chain.parse_all(here.fleet.maker.roots_pem)
        yield here, camera, Order(path / "data", roots, {"policy": "https"}, log=path / "points", durable=durable)


async def survive(order: Order) -> list[str]:
    """One process after the other dies at the first point that none has died at before; the points."""
    assert order.log is not None
    wish, passed = order.wish, ["none"]
    while True:
        code = await run(replace(order, wish=wish, passed=tuple(passed)))
        wish = None
        if code == 0:
            return passed[1:]
        assert code == -signal.SIGKILL
        passed.append(order.log.read_text().splitlines()[-1])
        assert len(passed) < MOST_POINTS


async def assert_enabled_once(here: Site, camera: SimulatedDevice, *, earlier: str = "superseded") -> None:
    """One key, one alias, one recorded certificate beside `earlier` ones; and the device serves it."""
    ours = [alias for alias in camera.aliases if alias.startswith("fleetseal-")]
    assert ours == [camera.web.bound]
    device = await here.device(camera)
    async with here.services.database.reading() as tx:
        lineage = await certificates.of_device(tx, device.id)
    assert [record.state for record in lineage if record.state != earlier] == ["installed"]
    assert camera.served == lineage[-1].der == device.served_der
    assert device.trust_level == "verified"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("profile", ["12.11", "9.10"])
async def test_enable_survives_a_kill_at_every_point(tmp_path: Path, profile: str) -> None:
    async with scenario(tmp_path, profile, durable=profile == "12.11") as (here, camera, order):
        points = await survive(order)
        await assert_enabled_once(here, camera)
        assert camera.effects["create_key"] == 1
        assert camera.web.admin == "Https"
        async with here.services.database.reading() as tx:
            assert len(await certificates.of_device(tx, (await here.device(camera)).id)) == 1
        assert every_point(ENABLE_DEVICE, ENABLE_LOCAL) <= set(points)


@pytest.mark.timeout(300)
async def test_a_renewal_of_an_https_only_device_survives_too(tmp_path: Path) -> None:
    async with scenario(tmp_path, "12.11") as (here, camera, order):
        assert (await here.enable(camera, policy="https"))[0]["status"] == "Finished"
        points = await survive(replace(order, wish={"policy": "keep", "renew": True}))
        assert every_point(OPENED_DEVICE) <= set(points)
        await assert_enabled_once(here, camera)
        assert camera.web.admin == "Https"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("profile", ["12.11", "9.10"])
async def test_a_rollback_survives_a_kill_at_every_point(tmp_path: Path, profile: str) -> None:
    async with scenario(tmp_path, profile) as (_, camera, order):
        await camera.trouble(tls_dead_on_new_certificate=True)
        before = (camera.aliases, camera.authority_aliases, camera.web)
        points = await survive(order)
        undone = [f"{step}:{point}" for step in ("bind", "request") for point in ("before-undo", "undo-recorded-done")]
        assert {"unwind:recorded", *undone} <= set(points)
        assert (camera.aliases, camera.authority_aliases, camera.web) == before


@pytest.mark.timeout(300)
async def test_the_fallback_to_a_key_made_here_survives_too(tmp_path: Path) -> None:
    """On a device that serves no TLS yet, and whose clock is wrong."""
    async with scenario(tmp_path, "6.50") as (here, camera, order):
        async with here.services.database.transaction() as tx:
            await inventory.change(tx, (await here.device(camera)).id, legacy_tls=True)
        await camera.trouble(load_certificates="keys-not-matching", clock_offset=-400_000.0)
        points = await survive(replace(order, wish={"policy": "https", "set_clock": True}))
        bound = {"temporary-bind:recorded"}  # after a kill before it, HTTPS is there already
        assert every_point(FALLBACK_DEVICE, FALLBACK_LOCAL) - bound <= set(points)
        await assert_enabled_once(here, camera, earlier="abandoned")


def every_point(device: Iterable[str], local: Iterable[str] = ()) -> set[str]:
    """All points of these steps."""
    points = {f"{step}:{point}" for step in device for point in DEVICE_POINTS}
    return points | {f"{step}:{point}" for step in local for point in LOCAL_POINTS}


def steps_of(module: str) -> set[str]:
    """The names of steps that the source of a module gives to `device`, `local` and `switch_https`."""
    path = Path(next(iter(fleetseal.operations.__path__))) / f"{module}.py"
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("device", "local", "switch_https", "verify"):
            names |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return names


PARTS = 2
SINGLY = ("12.11", "9.10")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("profile", SINGLY)
async def test_each_single_kill_ends_enabled(
    tmp_path: Path, profile: str, part: int, request: pytest.FixtureRequest
) -> None:
    """One kill alone, at each point, on a renewal: what a chain of kills might hide.

    Each point on one of the profiles (the chains above die at every point on both); with `--every-kill` on both."""
    async with scenario(tmp_path, profile) as (here, camera, order):
        assert (await here.enable(camera))[0]["status"] == "Finished"
        wish: dict[str, Any] = {"policy": "keep", "renew": True}
        assert await run(replace(order, wish=wish)) == 0
        assert order.log is not None
        points = list(dict.fromkeys(order.log.read_text().splitlines()))
        assert every_point(RENEWAL_DEVICE) <= set(points)
        if not request.config.getoption("--every-kill"):
            points = [point for point in points if SINGLY[crc32(point.encode()) % len(SINGLY)] == profile]
        for point in points[part::PARTS]:
            assert await run(replace(order, wish=wish, die_at=point)) == -signal.SIGKILL, point
            assert await run(replace(order, wish=None)) == 0, point
            await assert_enabled_once(here, camera)


def test_the_scenarios_reach_the_steps_of_the_source() -> None:
    """A step that is new in the source belongs into a scenario."""
    device = {*ENABLE_DEVICE, *RENEWAL_DEVICE, *OPENED_DEVICE, *FALLBACK_DEVICE}
    named = set().union(*map(steps_of, ("https", "switch", "enrolment", "delivery", "settling")))
    assert named == device | {*ENABLE_LOCAL, *FALLBACK_LOCAL}
