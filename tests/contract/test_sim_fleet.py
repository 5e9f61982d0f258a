"""Many devices at once, their configuration, and the control API."""

import asyncio
import socket
import time
from pathlib import Path

import httpx
import pytest

from fleetseal.sim.fleet import DeviceSpec, Fleet
from fleetseal.sim.http import MAX_BODY, MAX_LINE
from fleetseal.sim.profiles import PROFILES
from fleetseal.sim.run import DEFAULT_SITE, Started, read_config, run, site
from tests.simulator import browser, handshake


async def test_a_site_starts_quickly() -> None:
    begun = time.monotonic()
    async with Fleet(DEFAULT_SITE) as fleet:
        assert time.monotonic() - begun < 10  # 2 s on an idle machine
        serials = {device.serial for device in fleet.devices}
        ports = {port for device in fleet.devices for port in (device.http_port, device.https_port)}
    assert (len(serials), len(ports)) == (7, 14)


async def test_nothing_is_left_behind() -> None:
    async with Fleet(["9.10", "12.11"]) as fleet:
        ports = [port for device in fleet.devices for port in (device.http_port, device.https_port)]
        clients = [browser(device) for device in fleet.devices]
        for client in clients:
            await client.get("/axis-cgi/usergroup.cgi")  # connections stay open
    for client in clients:
        await client.aclose()
    for port in ports:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))


async def test_own_addresses_and_ports() -> None:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            pytest.skip("This system has 127.0.0.1 only; ports tell devices apart there.")
    async with Fleet([DeviceSpec("12.11", address="127.0.0.2", serial="B8A44F000001")]) as fleet:
        device = fleet["B8A44F000001"]
        assert (device.address, (await handshake(device)).leaf) == ("127.0.0.2", device.served)
        async with browser(device) as client:
            told = await client.get("/axis-cgi/param.cgi?action=list&group=Network.eth0.IPAddress")
        assert told.text == "Network.eth0.IPAddress=127.0.0.2\n"
        with pytest.raises(OSError):  # noqa: PT011 - the text is the operating system's
            await fleet.add(DeviceSpec("9.10", address="127.0.0.2", http_port=device.http_port))


@pytest.mark.parametrize("spec", ["13.0", DeviceSpec("9.10", serial="abc"), DeviceSpec("9.10", faults={"x": 1})])
async def test_what_does_not_exist(spec: str | DeviceSpec) -> None:
    async with Fleet() as fleet:
        with pytest.raises(ValueError, match=r"no profile|serial is|no fault"):
            await fleet.add(spec)
        with pytest.raises(KeyError):
            fleet["000000000000"]


def test_inferred_profiles_say_so() -> None:
    recorded = {"5.51", "9.10", "10.12", "12.11", "12.11-self-signed"}
    assert {name for name, profile in PROFILES.items() if not profile.inferred} == recorded
    partly = {"10.12", "12.11-self-signed"}
    assert {name for name, profile in PROFILES.items() if profile.certainty == "recorded in part"} == partly
    assert {profile.certainty for profile in PROFILES.values()} <= {
        "recorded", "recorded in part", "documented", "inferred",
    }  # fmt: skip


def test_sites() -> None:
    assert [spec.profile for spec in site((), count=None, port=0)] == list(DEFAULT_SITE)
    two = site(["9.10", "12.11"], count=3, port=20000)
    assert [(spec.profile, spec.http_port, spec.https_port) for spec in two] == [
        ("9.10", 20000, 20001), ("12.11", 20002, 20003), ("9.10", 20004, 20005),
    ]  # fmt: skip
    assert {spec.profile for spec in site(["all"], count=None, port=0)} == set(PROFILES)
    spread = site(["9.10"], count=300, port=0, spread=True)
    assert {(spec.http_port, spec.https_port) for spec in spread} == {(8080, 8081)}
    assert (spread[0].address, spread[-1].address, len({spec.address for spec in spread})) == (
        "127.1.0.1", "127.1.1.44", 300,
    )  # fmt: skip
    for count, port in ((0, 0), (1, 65535), (2, -1), (30_001, 0)):
        with pytest.raises(ValueError, match="ports"):
            site((), count=count, port=port)


def test_configuration() -> None:
    specs = read_config('[[device]]\nprofile = "9.10"\nserial = "ACCC8E000001"\n[device.faults]\nstore_full = true\n')
    assert specs == [DeviceSpec("9.10", serial="ACCC8E000001", faults={"store_full": True})]
    for wrong in ("", "[[device]]\n", '[[device]]\nprofile="9.10"\ncolour=1\n', 'x = 1\n[[device]]\nprofile="9.10"\n'):
        with pytest.raises(ValueError, match=r"\[\[device\]\]"):
            read_config(wrong)


async def test_run_and_control(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text('[[device]]\nprofile = "9.10"\n[[device]]\nprofile = "6.50"\nserial = "00408C000001"\n')
    ready: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run((), None, 0, config, ready.set_result, restart_seconds=0.01))
        started = await ready
        assert [(row["profile"], row["inferred"]) for row in started.devices] == [("9.10", False), ("6.50", True)]
        assert started.maker_roots.count("BEGIN CERTIFICATE") == 2
        async with httpx.AsyncClient(base_url=started.control) as client:
            serial = started.devices[0]["serial"]
            assert (await client.get("/devices")).json() == started.devices
            state = (await client.get(f"/devices/{serial}")).json()
            assert (state["serving"], state["web"]["bound"]) == (True, "Default self-signed")
            changed = await client.patch(f"/devices/{serial}/faults", json={"unreachable": True})
            assert changed.json()["unreachable"] is True
            assert (await client.get(f"/devices/{serial}")).json()["serving"] is False
            for wrong in ('{"nothing": 1}', '{"answer": "x"}', "[]", "{"):
                assert (await client.patch(f"/devices/{serial}/faults", content=wrong)).status_code == 400
            assert (await client.post("/devices/00408C000001/restart")).json() == {"restarts": 1}
            assert (await client.get("/devices/00408C000001/requests")).json() == []
            assert (await client.get("/maker-roots.pem")).text == started.maker_roots
            assert (await client.get("/devices/000000000000")).status_code == 404
            page = {"Origin": "http://example.test"}
            assert (await client.get("/devices", headers=page)).status_code == 403
        task.cancel()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"GET /" + b"x" * (3 * MAX_LINE) + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
    ],
)
async def test_requests_out_of_bounds(request_bytes: bytes, status: bytes) -> None:
    async with Fleet(["9.10"]) as fleet:
        device = fleet.devices[0]
        reader, writer = await asyncio.open_connection(device.address, device.http_port)
        writer.write(request_bytes)
        first = await reader.readline()
        writer.transport.abort()
        assert first.split()[1] == status
        assert device.requests == []


async def test_a_silent_visitor_leaves_no_byte() -> None:
    async with Fleet(["12.11"]) as fleet:
        device = fleet.devices[0]
        await handshake(device)
        async with asyncio.timeout(5):
            while device.connections == 0:
                await asyncio.sleep(0.01)  # noqa: TID251 - waits for a real socket
    assert (device.bytes_received, device.credential_bytes, device.requests) == (0, 0, [])
