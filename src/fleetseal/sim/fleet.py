"""Many virtual devices on loopback: for tests, demonstrations and users."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import TracebackType
from typing import Any

from fleetseal.core.runtime import Clock, Rng, SystemClock, SystemRng
from fleetseal.sim import certificates, fate
from fleetseal.sim.axis import Axis
from fleetseal.sim.certificates import Keys, Maker, SystemKeys
from fleetseal.sim.device import Device, Identity, Surroundings, WebServer
from fleetseal.sim.fate import Place
from fleetseal.sim.faults import Faults
from fleetseal.sim.profile import Profile
from fleetseal.sim.profiles import PROFILES
from fleetseal.sim.server import DeviceServer, RequestRecord

_log = logging.getLogger(__name__)

USERNAME = "root"
PASSWORD = "simulated"  # noqa: S105 - of devices that do not exist


@dataclass(frozen=True)
class DeviceSpec:
    """One device to be made. `serial` None: the next free one under the maker's prefix of its profile."""

    profile: str
    serial: str | None = None
    address: str = "127.0.0.1"
    http_port: int = 0
    https_port: int = 0
    username: str = USERNAME
    password: str = field(default=PASSWORD, repr=False)
    setup_done: bool = True
    other_addresses: tuple[str, ...] = ()  # of other interfaces; the ports are the same there
    faults: Mapping[str, Any] = field(default_factory=dict)


class SimulatedDevice:
    """A running device, as tests see it: from outside by its ports, and from inside."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._axis = Axis(device)
        self._server = DeviceServer(device, self._axis.answer, headers=self._axis.headers)

    @property
    def profile(self) -> Profile:
        return self.device.profile

    @property
    def serial(self) -> str:
        return self.device.identity.serial

    @property
    def address(self) -> str:
        return self.device.identity.address

    @property
    def http_port(self) -> int:
        return self.device.http_port

    @property
    def https_port(self) -> int:
        return self.device.https_port

    @property
    def place(self) -> Place:
        return Place(self.address, self.http_port, self.https_port)

    @property
    def username(self) -> str:
        return self.device.identity.username

    @property
    def password(self) -> str:
        return self.device.identity.password

    @property
    def faults(self) -> Faults:
        """Live: a change is felt by the next request. For what opens or closes ports, use `trouble`."""
        return self.device.faults

    @property
    def web(self) -> WebServer:
        """Binding, policies, ciphers as they are."""
        return self.device.web

    @property
    def aliases(self) -> tuple[str, ...]:
        """Entries with a key, in the device's order."""
        return tuple(entry.alias for entry in self.device.store.keys)

    @property
    def authority_aliases(self) -> tuple[str, ...]:
        return tuple(entry.alias for entry in self.device.store.authorities)

    def certificate(self, alias: str) -> bytes:
        """DER of an entry. Raises Refusal when there is none."""
        return certificates.der(self.device.store.get(alias).certificate)

    @property
    def served(self) -> bytes | None:
        """DER of the leaf that a handshake would show now; None when no handshake can succeed."""
        shown = self._server.served
        return None if shown is None else certificates.der(shown)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request that arrived whole, oldest first."""
        return self._server.requests

    @property
    def credential_bytes(self) -> int:
        """How many bytes of credentials this device was ever sent."""
        return sum(record.credential_bytes for record in self._server.requests)

    @property
    def bytes_received(self) -> int:
        """Application data of connections that have ended, on both ports."""
        return self._server.bytes_received

    @property
    def connections(self) -> int:
        """Connections accepted; with TLS, handshakes completed."""
        return self._server.connections

    @property
    def listening(self) -> bool:
        """The web server is up on the ports that its configuration opens."""
        return self._server.listening

    @property
    def restarts(self) -> int:
        """How often the web server restarted."""
        return self._server.restarts

    @property
    def effects(self) -> Mapping[str, int]:
        """How often each verb of faults.VERBS was acted on, refused ones included."""
        return self._axis.effects.counts

    async def trouble(self, **faults: Any) -> None:
        """The faults are as said, and the ports follow. Raises ValueError on what does not exist."""
        self.device.faults.change(faults)
        await self._server.reconcile()

    async def restart(self) -> None:
        """The web server has been away for `restart_seconds`."""
        await self._server.restart()

    async def factory_default(self, *, hard: bool = True) -> None:
        """It was reset, and is back."""
        await fate.factory_default(self.device, hard=hard)
        await self._server.restart()

    async def update(self, profile: str, *, new_certificate: bool = False) -> None:
        """It has the firmware of this profile, and is back. Raises ValueError on an unknown profile."""
        await fate.install_firmware(self.device, _profile(profile), new_certificate=new_certificate)
        self._axis.refit()
        await self._server.restart()

    async def open(self, place: Place | None = None) -> None:
        """It runs; `place`: where it runs again after `close`."""
        if place is None:
            await self.device.manufacture()
        else:
            self.device.identity = replace(self.device.identity, address=place.address)
            self.device.http_port, self.device.https_port = place.http_port, place.https_port
        await self._server.open()

    async def close(self) -> None:
        await self._server.close()


class Fleet:
    """An async context manager: inside it the devices run. `devices` are in the order they were asked for.

    Web servers take `restart_seconds` to come back after a change; a real one takes 3 to 60 s. Fleets of one
    process have one maker, unless randomness or keys are given.
    """

    def __init__(
        self,
        devices: Iterable[str | DeviceSpec] = (),
        *,
        clock: Clock | None = None,
        rng: Rng | None = None,
        keys: Keys | None = None,
        restart_seconds: float = 0.1,
    ) -> None:
        own = rng is not None or keys is not None
        rng, keys = rng or SystemRng(), keys or SystemKeys()
        self.maker = Maker(keys=keys, rng=rng) if own else _shared_maker()
        self.devices: list[SimulatedDevice] = []
        self._specs = tuple(devices)
        self._around = Surroundings(clock or SystemClock(), rng, keys, self.maker)
        self._restart_seconds = restart_seconds
        self._made = 0

    async def __aenter__(self) -> "Fleet":
        try:
            await self.maker.open()
            await self.add_all(self._specs)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def __getitem__(self, serial: str) -> SimulatedDevice:
        """The device with this serial; KeyError when there is none."""
        for device in self.devices:
            if device.serial == serial:
                return device
        raise KeyError(serial)

    async def add(self, spec: str | DeviceSpec) -> SimulatedDevice:
        """One more device runs."""
        return (await self.add_all([spec]))[0]

    async def add_all(self, specs: Sequence[str | DeviceSpec]) -> list[SimulatedDevice]:
        """They run, all started at once. Raises ValueError on an unknown profile, fault or serial, OSError on a
        port that is taken."""
        made = [self._make(DeviceSpec(spec) if isinstance(spec, str) else spec) for spec in specs]
        self.devices += made
        await asyncio.gather(*(device.open() for device in made))
        return made

    def _make(self, spec: DeviceSpec) -> SimulatedDevice:
        profile = _profile(spec.profile)
        self._made += 1
        serial = spec.serial or f"{profile.product.oui}{0xF00000 + self._made:06X}"
        if len(serial) != 12 or not set(serial) <= set("0123456789ABCDEF"):
            raise ValueError(f"A serial is 12 upper-case hexadecimal digits, not {serial!r}.")
        identity = Identity(
            serial,
            spec.address,
            spec.http_port,
            spec.https_port,
            spec.username,
            spec.password,
            spec.setup_done,
            tuple(spec.other_addresses),
        )
        faults = Faults.of({"restart_seconds": self._restart_seconds} | dict(spec.faults))
        return SimulatedDevice(Device(profile, identity, around=self._around, faults=faults))

    async def exchange(
        self, device: SimulatedDevice, *, serial: str | None = None, profile: str | None = None
    ) -> SimulatedDevice:
        """Another unit stands in the place of this one, set up with the same login, of the same profile unless named;
        without `serial` it says that it is this one, with keys of its own. Raises ValueError as `add_all` does."""
        place = device.place
        spec = DeviceSpec(
            profile or device.profile.name,
            serial or device.serial,
            place.address,
            place.http_port,
            place.https_port,
            device.username,
            device.password,
        )
        made = self._make(spec)
        await device.close()
        self.devices[self.devices.index(device)] = made
        await made.open()
        return made

    async def place(self, places: Mapping[str, Place]) -> None:
        """The devices with these serials are at these places; two may exchange theirs. Raises KeyError, moving none,
        on an unknown serial; OSError on a place that is taken: those after it do not run."""
        moving = {serial: self[serial] for serial in places}
        await asyncio.gather(*(device.close() for device in moving.values()))
        for serial, device in moving.items():
            await device.open(places[serial])

    async def _close(self) -> None:
        await asyncio.gather(*(device.close() for device in self.devices))


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise ValueError(f"There is no profile {name!r}. Known: {', '.join(PROFILES)}.")
    return PROFILES[name]


@cache
def _shared_maker() -> Maker:
    """Its keys take a second to make."""
    return Maker(keys=SystemKeys(), rng=SystemRng())
