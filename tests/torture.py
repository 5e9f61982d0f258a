"""Years without a person, in small: nights over virtual devices that fail now and then, and a manager that dies each
night. `make torture` runs it larger.

The clock is ours and that of the devices; it jumps from night to night and runs fast in between. Everything else is
real: sockets, TLS, logins, signatures, the database.
"""

import argparse
import asyncio
import random  # noqa: TID251 - the same trouble in each run of a test
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from fleetseal.core.runtime import SystemClock
from fleetseal.operations import alarm_pass, inventory, windows
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import nights as store
from fleetseal.store import renewals
from tests.nights import Evening, causes
from tests.site import DeviceSpec, Site, site
from tests.support import FastClock

VALIDITY_DAYS, BEGINS = 90, timedelta(days=50)
"""The shortest life with the whole lead of seven days: due after 60 to 63 days, warning after 67. The nights begin
after 50, so that a month of them sees every renewal."""

_TROUBLES = ("lose_request_of", "lose_answer_of", "ok_without_effect", "error_with_effect", "effect_twice")
_VERBS = ("create_key", "get_csr", "install", "install_ca", "delete", "bind")
_TROUBLED = 0.3  # of the devices have one bad answer in the night: 5 % of the six writes of a renewal
_FACTOR = 10.0
_WORKING = 0.7  # of the nights with something to renew are interrupted while devices are worked on


@dataclass
class Outcome:
    """What a run of many nights found."""

    warned: list[str] = field(default_factory=list)  # healthy devices that warned or expired
    renewed: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    alarms: set[tuple[str, str]] = field(default_factory=set)  # at the end
    killed: int = 0
    succeeded: int = 0
    interrupted: int = 0


def _break(devices: list[SimulatedDevice]) -> None:
    """One of each kind: silent, full, with a dead clock, with another password, with dead TLS."""
    silent, full, clock, password, dead = devices
    silent.device.faults.unreachable = True
    full.device.faults.store_full = True
    clock.device.faults.clock_offset = timedelta(days=4000).total_seconds()
    password.device.users[password.username] = "changed"
    dead.device.faults.tls_dead_on_new_certificate = True


async def torture(
    data: Path, *, nights: int, devices: int, seed: int = 1, progress: Callable[[str], object] = str
) -> Outcome:
    """So many nights; every fiftieth device of each kind is broken on the third. `progress` is told of each."""
    chance, clock, found = random.Random(seed), FastClock(SystemClock().now(), factor=_FACTOR), Outcome()
    working = asyncio.Event()  # something is done with a device
    specs = [DeviceSpec("9.10" if number % 15 == 14 else "12.11") for number in range(devices)]
    async with site(data, *specs, clock=clock, failpoint=lambda _: working.set()) as here:
        await here.set("certificate.validity-days", str(VALIDITY_DAYS))
        await here.set("https.verify-seconds", "60")
        for camera in here.fleet.devices:
            assert (await here.add(camera))["result"] == "added"
        assert {one["status"] for one in await here.enable(seconds=36000)} == {"Finished"}
        labels = {camera.serial: str((await here.device(camera)).mac) for camera in here.fleet.devices}
        first = {labels[camera.serial]: camera.served for camera in here.fleet.devices}
        kinds = max(1, devices // 50)
        clock.jump(BEGINS)
        for number in range(nights):
            if number == 3:
                for kind in range(kinds):
                    broken = here.fleet.devices[kind * 5 : kind * 5 + 5]
                    _break(broken)
                    await asyncio.gather(*(one.restart() for one in broken))
                    found.broken |= {labels[one.serial] for one in broken}
            await _night(here, clock, chance, found, working)
            progress(f"night {number + 1}: {len(found.warned)} warned, killed {found.killed} times")
        await alarm_pass.devices(here.services)
        found.alarms = set(await causes(here))
        found.renewed = {labels[one.serial] for one in here.fleet.devices if one.served != first[labels[one.serial]]}
    return found


async def _night(here: Site, clock: FastClock, chance: random.Random, found: Outcome, working: asyncio.Event) -> None:
    """One window: looked at just before, troubled, killed once in the middle, and carried to its end."""
    window = windows.following(clock.now(), (await here.settings()).renewal_window, here.services.zone)
    clock.go_to(window.begins - timedelta(minutes=1))
    for row in await inventory.list_(here.services):
        if row["status"].startswith("Certificate") and row["mac"] not in found.broken:
            found.warned.append(f"{row['mac']} {row['status']} {clock.now():%Y-%m-%d}")
    for camera in here.fleet.devices:
        if chance.random() < _TROUBLED:
            camera.device.faults.change({chance.choice(_TROUBLES): {chance.choice(_VERBS): 1}})
    clock.go_to(window.begins + timedelta(minutes=1))
    async with here.services.database.reading() as tx:
        late = bool(await renewals.due(tx, clock.now())) and chance.random() < _WORKING
    working.clear()
    first = asyncio.create_task(Evening(here).nights.tick())  # noqa: TID251 - it is to die by itself
    if late:
        begun = asyncio.create_task(working.wait())  # noqa: TID251 - it waits beside the other
        await asyncio.wait((first, begun), return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
    done, _ = await asyncio.wait((first,), timeout=chance.uniform(0.02, 2.0 if late else 0.6))
    if not done:
        first.cancel()
        found.killed += 1
        with suppress(asyncio.CancelledError):
            await first
    await Evening(here).nights.tick()
    async with here.services.database.reading() as tx:
        last = await store.latest(tx)
    assert last is not None
    assert last.finished is not None
    found.succeeded += last.succeeded


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, default=90)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(
            torture(Path(directory), nights=asked.nights, devices=asked.devices, seed=asked.seed, progress=_tell)
        )
    check(found, nights=asked.nights, devices=asked.devices)
    sys.stdout.write(
        f"{asked.nights} nights, {asked.devices} devices: {len(found.renewed)} renewed, {len(found.warned)} warned, "
        f"{len(found.broken)} broken with an alarm each, killed {found.killed} times.\n"
    )


def _tell(line: str) -> None:
    sys.stdout.write(f"{SystemClock().now():%H:%M:%S} {line}\n")
    sys.stdout.flush()


def check(found: Outcome, *, nights: int, devices: int) -> None:
    """No healthy device ever warned, each was renewed; each broken one has its alarm, and nothing else has one."""
    assert found.warned == []
    assert len(found.renewed - found.broken) == devices - len(found.broken)
    assert {name for cause, name in found.alarms if cause == "renewal-failed"} == found.broken
    assert {name for _, name in found.alarms} == found.broken, found.alarms
    assert found.succeeded == nights
    assert found.killed > nights / 2


if __name__ == "__main__":
    main()
