"""One glance at every simulated generation, and at what is no device: what is told, and how little is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from fleetseal.core.errors import Busy, DeviceError, InvalidInput, ProtocolViolation, Unreachable
from fleetseal.core.model import Endpoint
from fleetseal.core.runtime import SystemClock
from fleetseal.devices import tls
from fleetseal.devices.glance import glance
from fleetseal.sim.faults import ANSWERS
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.devices import endpoint_of

TELLS_ITS_FIRMWARE = {"9.10": False, "10.12": True, "11.6": True, "12.11": True, "12.11-self-signed": True}


@asynccontextmanager
async def camera(profile: str = "12.11", **faults: object) -> AsyncIterator[SimulatedDevice]:
    async with Fleet([DeviceSpec(profile, faults=faults)]) as fleet:
        yield fleet.devices[0]


@asynccontextmanager
async def answering(answer: bytes, *, close: bool = True) -> AsyncIterator[Endpoint]:
    """A plain HTTP port that sends these bytes to whatever it is asked; nothing answers TLS."""

    opened: list[asyncio.StreamWriter] = []

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if not close:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], 1)
    for writer in opened:
        writer.transport.abort()
    await SystemClock().sleep(0.02)


@pytest.mark.parametrize("profile", TELLS_ITS_FIRMWARE)
async def test_a_device_tells_who_it_is_over_tls_in_one_request(profile: str) -> None:
    async with camera(profile) as device:
        seen = await glance(endpoint_of(device), device.served)
        assert (seen.leaf, seen.asked, seen.serial) == (device.served, True, device.serial)
        assert seen.firmware == (device.profile.product.firmware if TELLS_ITS_FIRMWARE[profile] else None)
        assert seen.date is not None
        assert (device.connections, len(device.requests), device.credential_bytes) == (1, 1, 0)
        assert device.requests[0].secure


@pytest.mark.parametrize("profile", ["5.51", "6.50", "12.11"])
async def test_a_device_without_a_certificate_on_record_is_asked_over_plain_http(profile: str) -> None:
    async with camera(profile) as device:
        seen = await glance(Endpoint(device.address, device.http_port, 1), None)
        assert (seen.leaf, seen.asked, seen.serial) == (None, True, device.serial)
        assert (len(device.requests), device.credential_bytes) == (1, 0)


async def test_another_certificate_than_that_on_record_is_sent_not_one_byte() -> None:
    async with camera() as device:
        for recorded in (b"another", None):
            seen = await glance(endpoint_of(device), recorded)
            assert (seen.leaf, seen.asked, seen.serial) == (device.served, False, None)
        await device.close()
        assert (device.requests, device.bytes_received) == ([], 0)


async def test_old_tls_only_where_a_person_allowed_it() -> None:
    async with camera("5.51") as device:
        old = await tls.handshake(endpoint_of(device, legacy_tls=True), device.address)
        seen = await glance(endpoint_of(device, legacy_tls=True), old.leaf)
        assert (seen.leaf, seen.serial) == (old.leaf, device.serial)
        with pytest.raises(tls.HandshakeFailed):
            await glance(endpoint_of(device, legacy_tls=False), old.leaf)


async def test_a_recorded_certificate_is_never_replaced_by_plain_http() -> None:
    async with camera() as device:
        with pytest.raises(Unreachable, match="refuses connections on port 1"):
            await glance(Endpoint(device.address, device.http_port, 1), device.served)
        assert device.requests == []


async def test_trouble_has_the_class_of_a_full_look() -> None:
    async with camera(busy=True) as device:
        with pytest.raises(Busy):
            await glance(endpoint_of(device), device.served)
    async with camera(redirect_to="http://192.0.2.66/x") as device:
        assert (await glance(endpoint_of(device), device.served)).serial is None
    with pytest.raises(InvalidInput, match="cannot be the address of a device"):
        await glance(Endpoint("169.254.169.254"), None)
    with pytest.raises(Unreachable, match="has no address"):
        await glance(Endpoint("camera.invalid"), None)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_out_of_bounds_ends_in_time(kind: str, recorded: bool) -> None:
    """What ends within the bounds and says nothing is a device that does not tell who it is."""
    async with camera(answer=kind) as device:
        started = SystemClock().monotonic()
        endpoint = endpoint_of(device) if recorded else Endpoint(device.address, device.http_port, 1)
        with suppress(ProtocolViolation, Unreachable):
            seen = await glance(endpoint, device.served if recorded else None, seconds=1.0)
            assert (seen.serial, seen.firmware) == (None, None)
        assert SystemClock().monotonic() - started < 2
        assert device.credential_bytes == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", Unreachable),
        (b"HTTP/1.1 200 OK\r\n", Unreachable),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ProtocolViolation),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 129 + b"\r\n", ProtocolViolation),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, ProtocolViolation),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 70_000, ProtocolViolation),
    ],
)
async def test_what_is_not_http_or_not_within_bounds_is_an_error(answer: bytes, error: type[DeviceError]) -> None:
    async with answering(answer) as endpoint:
        with pytest.raises(error):
            await glance(endpoint, None)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n<html>",
        b"HTTP/1.0 200\r\n\r\n\xff\xfe",
        b'HTTP/1.1 401 \r\nWWW-Authenticate: Basic realm="a door"\r\n\r\n',
    ],
)
async def test_what_answers_otherwise_tells_nothing(answer: bytes) -> None:
    async with answering(answer) as endpoint:
        seen = await glance(endpoint, None)
        assert (seen.leaf, seen.asked, seen.serial, seen.firmware) == (None, True, None, None)


async def test_a_port_that_never_answers_is_given_up() -> None:
    async with answering(b"", close=False) as endpoint:
        with pytest.raises(Unreachable, match="did not answer within"):
            await glance(endpoint, None, seconds=0.5)
