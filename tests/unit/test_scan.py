"""Range scan: what is a range, and which addresses of loopback accept connections."""

import asyncio
import ipaddress
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.core.runtime import SystemClock
from fleetseal.devices.discovery import neighbours, scan
from fleetseal.devices.discovery.scan import Progress, parse_ranges
from tests.support import FakeClock


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("10.0.0.9-10.0.0.11",), ["10.0.0.9", "10.0.0.10", "10.0.0.11"]),
        (("10.0.0.0/30",), ["10.0.0.1", "10.0.0.2"]),
        (("10.0.0.6/31",), ["10.0.0.6", "10.0.0.7"]),
        (("10.0.0.6/32", "10.0.0.5", "10.0.0.5-10.0.0.6"), ["10.0.0.6", "10.0.0.5"]),
        (("2001:db8::fe - 2001:db8::101",), ["2001:db8::fe", "2001:db8::ff", "2001:db8::100", "2001:db8::101"]),
        (("2001:db8::/127",), ["2001:db8::", "2001:db8::1"]),
        (("169.254.169.253-169.254.169.255",), ["169.254.169.253", "169.254.169.255"]),
        (("223.255.255.255-224.0.0.3",), ["223.255.255.255"]),
    ],
)
def test_ranges_are_read(texts: tuple[str, ...], expected: list[str]) -> None:
    assert [str(address) for address in parse_ranges(texts)] == expected


@pytest.mark.parametrize(
    "text",
    ["", "camera", "10.0.0.9-10.0.0.1", "10.0.0.1-2001:db8::1", "10.0.0.0/33", "10.0.0.1-", "fe80::1%eth0", "1-2-3"],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no range"):
        parse_ranges([text])


def test_no_more_than_a_slash_16_is_scanned() -> None:
    assert len(parse_ranges(["10.1.0.0/16"])) == 65_534
    for texts in (["10.0.0.0/15"], ["10.1.0.0/16", "10.2.0.0/24"], ["2001:db8::/64"]):
        with pytest.raises(InvalidInput, match="too many") as refused:
            parse_ranges(texts)
        assert "Scan in parts" in refused.value.message


@pytest.fixture
def listeners() -> Iterator[tuple[int, list[str]]]:
    """One port, open on some addresses of 127.0.9.0/24 and on ::1."""
    open_sockets = [socket.create_server(("127.0.9.1", 0))]
    port = open_sockets[0].getsockname()[1]
    open_sockets += [socket.create_server((f"127.0.9.{number}", port)) for number in (2, 77, 254)]
    try:
        yield port, [one.getsockname()[0] for one in open_sockets]
    finally:
        for one in open_sockets:
            one.close()


async def sweep(port: int, *ranges: str, rate: float = scan.ROUTED_RATE) -> tuple[tuple[str, ...], Progress]:
    progress = Progress()
    found = await scan.scan(
        parse_ranges(ranges), ports=(port,), seconds=1, clock=SystemClock(), progress=progress, rate=rate
    )
    return found, progress


async def test_every_open_address_is_found(listeners: tuple[int, list[str]]) -> None:
    port, expected = listeners
    found, progress = await sweep(port, "127.0.9.0/24", "127.0.10.0/28")
    assert list(found) == expected
    assert (progress.total, progress.done, progress.found) == (254 + 14, 254 + 14, 4)
    assert progress.seconds_left == 0


async def test_any_of_several_ports_counts_once(listeners: tuple[int, list[str]]) -> None:
    port, expected = listeners
    progress = Progress()
    found = await scan.scan(
        parse_ranges(["127.0.9.0/29"]), ports=(1, port, port), seconds=1, clock=SystemClock(), progress=progress
    )
    assert (list(found), progress.found, progress.done) == (expected[:2], 2, 6)


async def test_ipv6_is_scanned() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        found, _ = await sweep(listener.getsockname()[1], "::1-::2")
    assert found == ("::1",)


async def test_the_rate_is_kept(listeners: tuple[int, list[str]]) -> None:
    port, expected = listeners
    clock = SystemClock()
    began = clock.monotonic()
    found, _ = await sweep(port, "127.0.9.0/24", rate=1000)
    assert list(found) == expected
    assert clock.monotonic() - began >= 0.2


async def test_networks_of_this_computer_have_a_pace_of_their_own(listeners: tuple[int, list[str]]) -> None:
    port, expected = listeners
    clock = SystemClock()
    began = clock.monotonic()
    found = await scan.scan(
        parse_ranges(["127.0.9.0/25", "127.0.9.254"]),
        ports=(port,),
        seconds=1,
        clock=clock,
        on_link=[ipaddress.ip_network("127.0.9.0/25")],
        neighbour_rate=300,
    )
    assert list(found) == expected
    assert clock.monotonic() - began >= 126 / 300 * 0.9


async def test_silent_addresses_end_with_the_timeout() -> None:
    """A listener whose queue is full drops what comes: its address answers neither yes nor no."""
    with socket.socket() as listener:
        listener.bind(("127.0.11.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        clock = SystemClock()
        began = clock.monotonic()
        found = await scan.scan(parse_ranges(["127.0.11.1"]), ports=(address[1],), seconds=0.3, clock=clock)
        for one in waiting:
            one.close()
    assert found == ()
    assert 0.3 <= clock.monotonic() - began < 2


async def test_a_cancelled_scan_leaves_no_socket_open(listeners: tuple[int, list[str]]) -> None:
    """An open socket would fail this test: its warning is an error."""
    port, _ = listeners
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sweep(port, "127.0.9.0/24", rate=100)


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on open files is one of POSIX systems")
def test_a_small_limit_on_open_files_makes_the_scan_slow_and_not_blind(listeners: tuple[int, list[str]]) -> None:
    """In a process of its own, whose limit nobody can raise."""
    port, expected = listeners
    program = f"""
import asyncio, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from fleetseal.core.runtime import SystemClock
from fleetseal.devices.discovery.scan import parse_ranges, scan
ranges = parse_ranges(["127.0.9.0/24"])
print(*asyncio.run(scan(ranges, ports=({port}, 1), seconds=1, clock=SystemClock())))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == expected, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on open files is one of POSIX systems")
@pytest.mark.parametrize("near", ["127.0.9.0/24", "10.0.0.0/24"])
def test_a_system_that_grants_no_socket_at_all_is_told(near: str) -> None:
    """In a process of its own, which has as many files open as it may; its clock takes no real time."""
    program = f"""
import asyncio, ipaddress, os, resource
from fleetseal.core.errors import InvalidInput
from fleetseal.devices.discovery.scan import parse_ranges, scan
from tests.support import FakeClock
async def main():
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, free + 1))
    on_link = [ipaddress.ip_network("{near}")]
    try:
        await scan(parse_ranges(["127.0.9.1"]), ports=(1,), seconds=1, clock=FakeClock(), on_link=on_link)
    except InvalidInput as error:
        print(error.message)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "grants no more connections" in done.stdout, done.stderr
    assert "gc_thresh3" in done.stdout


async def test_a_place_in_the_neighbour_table_is_there_for_any_address_of_loopback() -> None:
    clock = FakeClock()
    for text in ("127.0.9.1", "::1"):
        await neighbours.place_for(ipaddress.ip_address(text), clock)
    assert clock.monotonic() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on open files is one of POSIX systems")
def test_a_full_table_is_not_waited_for_without_end() -> None:
    program = """
import asyncio, ipaddress, resource
from fleetseal.devices.discovery import neighbours
from tests.support import FakeClock
clock = FakeClock()
async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    await neighbours.place_for(ipaddress.ip_address("127.0.9.1"), clock)
    print(round(clock.monotonic()))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "90", done.stderr
