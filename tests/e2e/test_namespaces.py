"""Finding devices on a network of this computer: between network namespaces, with another process that answers."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.beyond import NOTIFIED, SERIAL
from tests.namespaces import NEAR, Cable, cable, needs_namespaces

pytestmark = [needs_namespaces, pytest.mark.timeout(300)]

GLOBAL, LOCAL = "2001:db8:20::2", f"fe80::2%{NEAR}"
HEARD = """
import asyncio, json, sys
from dataclasses import astuple
from fleetseal.core.runtime import SystemRng
from fleetseal.devices.discovery import automatic, interfaces
from tests.support import Turns
heard = asyncio.run(automatic.listen(interfaces.chosen(["near0"]), seconds=2, clock=Turns(), rng=SystemRng(),
    http_port=81, https_port=444))
print(json.dumps([(one.address, one.serial, one.seen_by) for one in heard]))
"""
MANAGED = f"""
import asyncio, json, sys
from dataclasses import replace
from pathlib import Path
from fleetseal.core.model import Login
from fleetseal.operations import inventory
from fleetseal.operations.discover import Discovery, Search
from tests.site import PASSWORD, USERNAME, site
from tests.support import Turns
async def main():
    async with site(Path(sys.argv[1])) as here:
        await here.set("https.verify-seconds", "60")
        discovery = Discovery(replace(here.services, clock=Turns()))
        search = await discovery.search(Search(interfaces=("{NEAR}",), seconds=2))
        (added,) = await inventory.add(
            here.services, actor="test", targets=["{LOCAL}"], login=Login(USERNAME, PASSWORD))
        (outcome,) = await here.enable()
        device = await inventory.show(here.services, "{LOCAL}")
    print(json.dumps(dict(found=search["devices"], added=added, outcome=outcome, device=device)))
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wire() -> Iterator[Cable]:
    with cable() as made:
        yield made


def beyond(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.e2e.beyond", *arguments]


def test_every_live_device_of_an_own_slash_20_is_found(wire: Cable, tmp_path: Path) -> None:
    """1,536 of 4,094 addresses live: more than the neighbour table holds, which forgets them within seconds here and
    within a minute elsewhere."""
    for network in ("10.20.4.0/22", "10.20.8.0/23"):
        wire.run(wire.far, "ip", "route", "add", "local", network, "dev", "lo")
    for name, value in (("base_reachable_time_ms", 1000), ("delay_first_probe_time", 0)):
        try:
            wire.run(wire.near, "sh", "-c", f"echo {value} > /proc/sys/net/ipv4/neigh/{NEAR}/{name}")
        except AssertionError:
            pytest.skip("the kernel's neighbour table cannot be tuned here: without that this test takes minutes")
    program = """
import asyncio, json, time
from fleetseal.core.runtime import SystemClock
from fleetseal.devices.discovery.interfaces import on_link
from fleetseal.devices.discovery.scan import parse_ranges, scan
found = asyncio.run(scan(parse_ranges(["10.20.0.0/20"]), ports=(443, 80), seconds=1, clock=SystemClock(),
    on_link=on_link()))
print(json.dumps(found))
"""
    with wire.running(wire.far, *beyond("listen")):
        found = json.loads(wire.run(wire.near, sys.executable, "-c", program))
    expected = [f"10.20.{third}.{last}" for third in range(4, 10) for last in range(256)]
    assert found == [*expected, "10.20.15.254"]


def test_devices_are_heard_by_every_way_over_both_versions(wire: Cable) -> None:
    with wire.running(wire.far, *beyond("announce", "::", "yes,yes,Yes")):
        heard = json.loads(wire.run(wire.near, sys.executable, "-c", HEARD))
    ways = ["SSDP", "WS-Discovery", "mDNS"]
    assert heard == [
        ["10.20.15.254", SERIAL, ways],
        ["10.20.15.254", NOTIFIED, ["SSDP"]],  # unasked
        [GLOBAL, SERIAL, ways],
        [LOCAL, SERIAL, ways],
    ]


def test_a_device_is_found_once_and_managed_at_its_link_local_address(wire: Cable, tmp_path: Path) -> None:
    with wire.running(wire.far, *beyond("announce", "::", "yes,no,No")):
        told = json.loads(wire.run(wire.near, sys.executable, "-c", MANAGED, str(tmp_path / "data")))
    (found,) = told["found"]
    assert (found["address"], found["mac"].replace(":", "")) == ("10.20.15.254", SERIAL)
    assert found["also_at"] == [GLOBAL, LOCAL]
    added = told["added"]
    assert (added["result"], added["device"]["address"], added["device"]["status"]) == ("added", LOCAL, "OK")
    assert told["outcome"]["status"] == "Finished", told["outcome"]
    device = told["device"]
    assert device["certificate"]["names"] == [f"axis-{SERIAL.lower()}"]
    assert (device["trust"], device["status"]) == ("verified", "OK")
