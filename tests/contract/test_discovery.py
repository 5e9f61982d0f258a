"""Announcements over real multicast on loopback: virtual devices are found, and a burst is kept."""

import os
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Serial
from fleetseal.core.runtime import SystemClock, SystemRng
from fleetseal.devices.discovery import automatic, datagrams, interfaces
from fleetseal.devices.discovery.announced import Announced
from fleetseal.devices.discovery.datagrams import Question
from fleetseal.devices.discovery.sighting import Sighting
from fleetseal.operations.discover import Discovery, Search
from fleetseal.sim.announce import Announcer
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.site import site
from tests.support import Turns

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="multicast on loopback, and all of 127.0.0.0/8, are there on Linux"
)

_OWN = (64 << 16) + (os.getpid() & 0x3FFFFF)
ADDRESSES = tuple(f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in (_OWN, (64 << 16) + _OWN))
SERIALS = tuple(f"{maker}{os.getpid() & 0xFFFFFF:06X}" for maker in ("B8A44F", "ACCC8E"))
"""Of this process alone: virtual devices of other tests announce themselves at the same time."""


def specs() -> list[DeviceSpec]:
    made = zip(("12.11", "9.10"), ADDRESSES, SERIALS, strict=True)
    return [DeviceSpec(profile, serial, address) for profile, address, serial in made]


async def listen(fleet: Fleet, *, seconds: float = 1.5) -> list[Sighting]:
    """What is heard of the devices of this fleet."""
    heard = await automatic.listen(
        interfaces.chosen(["127.0.0.1"]),
        seconds=seconds,
        clock=Turns(),
        rng=SystemRng(),
        http_port=80,
        https_port=443,
    )
    return [one for one in heard if one.serial in {device.serial for device in fleet.devices}]


def switch(device: SimulatedDevice, **switches: str) -> None:
    names = {
        "bonjour": "Network.Bonjour.Enabled",
        "upnp": "Network.UPnP.Enabled",
        "ws": "WebService.DiscoveryMode.Discoverable",
    }
    for name, value in switches.items():
        device.device.parameters.put(names[name], value)


async def test_devices_are_heard_as_their_switches_say() -> None:
    async with Fleet(specs()) as fleet, Announcer(fleet.devices):
        first, second = fleet.devices
        switch(first, bonjour="yes", upnp="yes", ws="Yes")
        switch(second, bonjour="no", upnp="yes", ws="No")
        assert await listen(fleet) == [
            Sighting(
                first.address,
                first.http_port,
                443,
                Serial(first.serial),
                ("SSDP", "WS-Discovery", "mDNS"),
                f"axis-{first.serial.lower()}.local",
            ),
            Sighting(second.address, 80, 443, Serial(second.serial), ("SSDP",)),
        ]
        switch(first, upnp="no", ws="No")
        switch(second, upnp="no", ws="Yes")
        assert [(one.serial, one.seen_by) for one in await listen(fleet)] == [
            (first.serial, ("mDNS",)),
            (second.serial, ("WS-Discovery",)),
        ]
        switch(first, bonjour="no")
        switch(second, ws="No")
        assert await listen(fleet) == []


async def test_a_search_without_a_range_identifies_who_announces_itself(tmp_path: Path) -> None:
    async with site(tmp_path / "data", specs()[0], authority=False) as place, Announcer(place.fleet.devices):
        device = place.fleet.devices[0]
        switch(device, bonjour="no", ws="Yes")
        search = Search(interfaces=("127.0.0.1",), seconds=1.5, https_port=device.https_port)
        answer = await Discovery(replace(place.services, clock=Turns())).search(search)
        (found,) = [one for one in answer["devices"] if one["address"] == device.address]
        assert (found["result"], found["mac"].replace(":", "")) == ("found", device.serial)
        assert (found["trust"], found["also_at"], found["seen_by"]) == ("factory", [], ["WS-Discovery"])
        assert device.credential_bytes == 0


def answers(number: int) -> list[tuple[str, bytes]]:
    """Of that many devices, each at an address of its own."""
    return [
        (
            f"127.1.{index // 250}.{index % 250 + 1}",
            (
                "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nST: urn:axis-com:service:BasicService:1\r\n"
                f"USN: uuid:Upnp-BasicDevice-1_0-ACCC8E{index:06X}::urn:axis-com:service:BasicService:1\r\n\r\n"
            ).encode(),
        )
        for index in range(number)
    ]


class Crowd(threading.Thread):
    """Answers the first datagram that it gets with all of these, as fast as the system takes them."""

    def __init__(self, answers: list[tuple[str, bytes]]) -> None:
        super().__init__()
        self._answers = answers
        self._ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ear.bind(("127.0.0.1", 0))
        self._ear.settimeout(10)
        self.port = self._ear.getsockname()[1]

    def run(self) -> None:
        with self._ear:
            _, source = self._ear.recvfrom(2000)
        for address, answer in self._answers:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
                mouth.bind((address, 0))
                mouth.sendto(answer, source)


class Until(SystemClock):
    """An hour has passed as soon as this thread has ended."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def monotonic(self) -> float:
        return 0.0 if self._thread.is_alive() else 3600.0


async def hear(crowd: Crowd) -> list[tuple[str, Announced]]:
    """What is heard until the crowd has said everything."""
    crowd.start()
    (loopback,) = interfaces.chosen(["127.0.0.1"])
    question = Question("127.0.0.1", crowd.port, lambda: b"who?", automatic.ssdp_answer)
    return await datagrams.ask([(loopback, question)], seconds=3600, clock=Until(crowd), times=1)


async def test_a_burst_of_5000_answers_is_kept() -> None:
    heard = await hear(Crowd(answers(5000)))
    assert len({said.serial for _, said in heard}) >= 4995  # 99.9 %
    assert len(heard) <= 5000


async def test_who_floods_is_heard_no_longer_and_the_others_are() -> None:
    flood = [("127.2.0.1", answer) for _, answer in answers(2000)]
    heard = await hear(Crowd([*flood[:1000], *answers(20), *flood[1000:]]))
    sources = [source for source, _ in heard]
    assert sources.count("127.2.0.1") == datagrams.MOST_OF_ONE
    assert len(set(sources)) == 21


async def test_oversized_answers_are_dropped() -> None:
    (address, good) = answers(1)[0]
    heard = await hear(Crowd([(address, good + b"x" * datagrams.LARGEST), ("127.1.9.9", good)]))
    assert [source for source, _ in heard] == ["127.1.9.9"]


def test_interfaces_are_chosen_by_name_or_address() -> None:
    (loopback,) = [one for one in interfaces.chosen(["127.0.0.1"]) if one.network.version == 4]
    assert loopback in interfaces.chosen([loopback.name])
    with pytest.raises(InvalidInput, match="no interface 'nowhere0'"):
        interfaces.chosen(["nowhere0"])


def test_loopback_needs_no_neighbour_table() -> None:
    assert not any(network.is_loopback for network in interfaces.on_link())
