"""Finding devices: what answers on the network is looked at without any credential, and a person adopts from it."""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleetseal.core.errors import Conflict, InvalidInput
from fleetseal.core.model import Anchored, Login, Serial, serial_of
from fleetseal.core.runtime import side_by_side
from fleetseal.devices.discovery import automatic, neighbours, scan
from fleetseal.devices.discovery.interfaces import chosen, on_link
from fleetseal.devices.discovery.scan import Progress
from fleetseal.devices.discovery.sighting import Sighting
from fleetseal.operations import issuing
from fleetseal.operations.adding import Adding, Ports, Target, check_port, dialled, failed, parse_target, typed_name
from fleetseal.operations.listing import Row
from fleetseal.operations.looking import Look, resolves_to
from fleetseal.operations.naming import is_address
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.operations.trust import stolen_keys

_RANGE_SECONDS = 1.0
_LISTEN_SECONDS = 4.0
_LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Search:
    """What was asked: these ranges, or these targets as of `device add`, or, without either, whatever announces itself
    on these interfaces (none named: all).

    `seconds`: how long one address may take to accept a connection, or how long announcements are listened to.
    The ports are tried where nothing names others.
    """

    ranges: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    seconds: float | None = None
    http_port: int | None = None
    https_port: int | None = None

    def check(self) -> None:
        """Raises InvalidInput for what cannot be searched."""
        if (self.ranges or self.targets) and self.interfaces:
            raise InvalidInput("A range is reached by routing: an interface belongs to a search without a range.")
        if self.ranges and self.targets:
            raise InvalidInput("Ranges and single targets are two searches. Nothing was sent.")
        for number in (self.http_port, self.https_port):
            check_port(number)
        if self.seconds is not None and not 0 < self.seconds <= _LONGEST_SECONDS:
            raise InvalidInput(f"The timeout is a number of seconds up to {_LONGEST_SECONDS:.0f}. Nothing was sent.")
        scan.parse_ranges(self.ranges)
        self.typed()
        if not (self.ranges or self.targets):
            chosen(self.interfaces)

    def typed(self) -> list[Target]:
        """The targets, each once. Raises InvalidInput."""
        ports = Ports(self.http_port, self.https_port)
        return list(dict.fromkeys(parse_target(text, ports) for text in self.targets))


@dataclass
class Stage:
    """What a search does now, and how far it is."""

    name: str = "Scan"
    progress: Progress = field(default_factory=Progress)

    def shown(self) -> Row:
        """`{"stage","total","done","found","rate","seconds_left"}`"""
        now = self.progress
        left = now.seconds_left
        return {
            "stage": self.name,
            "total": now.total,
            "done": now.done,
            "found": now.found,
            "rate": round(now.rate),
            "seconds_left": None if left is None else round(left),
        }


class Discovery:
    """One search at a time: two would break the pace of each other."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stage: Stage | None = None

    @property
    def progress(self) -> Row | None:
        """How far the running search is; None when none runs."""
        return None if self._stage is None else self._stage.shown()

    async def search(self, search: Search, found: Callable[[Row], None] = lambda _: None) -> Row:
        """`{"devices","others"}`: one object as of `device add` for each Axis device, with its ports and `hostname`,
        the name by which it is to be dialled, or null; `result` is `found`, `known` or `failed`; and how many
        addresses answer as something else. `found` is told each row as soon as it is known, unfinished.

        No credential is sent. Raises InvalidInput, sending nothing, on what cannot be searched; Conflict while
        another search runs.
        """
        self.check(search)
        stage = self._stage = Stage()
        named = bool(search.ranges or search.targets)
        try:
            sightings = await self._sightings(search, stage)
            self._stage = stage = Stage("Identify", Progress(total=len(sightings)))
            answer = await self._identify(search, sightings, stage.progress, found)
            return answer if named else {**answer, "devices": _each_once(answer["devices"])}
        finally:
            self._stage = None

    def check(self, search: Search) -> None:
        """Raises what `search` raises before anything is sent."""
        if self._stage is not None:
            raise Conflict("A search runs already. Wait for its end. Nothing was sent.")
        search.check()

    async def _sightings(self, search: Search, stage: Stage) -> list[Sighting]:
        if search.targets:
            return [_typed_sighting(target) for target in search.typed()]
        return await (self._scan if search.ranges else self._listen)(search, stage)

    async def _listen(self, search: Search, stage: Stage) -> list[Sighting]:
        stage.name = "Listen"
        http_port, https_port, seconds = _usual(search, _LISTEN_SECONDS)
        return await automatic.listen(
            chosen(search.interfaces),
            seconds=seconds,
            clock=self._services.clock,
            rng=self._services.rng,
            http_port=http_port,
            https_port=https_port,
        )

    async def _scan(self, search: Search, stage: Stage) -> list[Sighting]:
        addresses = scan.parse_ranges(search.ranges)
        http_port, https_port, seconds = _usual(search, _RANGE_SECONDS)
        found = await scan.scan(
            addresses,
            ports=(https_port, http_port),
            seconds=seconds,
            clock=self._services.clock,
            on_link=on_link(),
            progress=stage.progress,
        )
        return [Sighting(address, http_port, https_port, seen_by=("range",)) for address in found]

    async def _identify(
        self, search: Search, sightings: Sequence[Sighting], progress: Progress, found: Callable[[Row], None]
    ) -> Row:
        settings = await in_force(self._services)
        async with self._services.database.reading() as tx:
            own = Anchored(await issuing.anchors(tx), await issuing.intermediates(tx), stolen=await stolen_keys(tx))
        typed = bool(search.targets)
        ranged = typed or bool(search.ranges)
        look = Look(self._services, settings, self._services.connect(settings), own, ranged=ranged, one_by_one=typed)
        near, began = on_link(), self._services.clock.monotonic()

        async def identified(sighting: Sighting) -> Row | None:
            address = ipaddress.ip_address(sighting.address) if is_address(sighting.address) else None
            try:
                if address is not None and any(address in network for network in near):
                    await neighbours.place_for(address, self._services.clock)
                row = await look.at(sighting)
            finally:
                progress.done += 1
                progress.seconds = self._services.clock.monotonic() - began
            progress.found += row is not None and row["result"] != "failed"
            if row is not None:
                found(row)
            return row

        works = [identified(sighting) for sighting in sightings]
        rows = await side_by_side(works, at_once=settings.jobs_concurrency)
        await look.follow_known()
        devices = [row for row in rows if row is not None]
        return {"devices": devices, "others": len(rows) - len(devices)}


@dataclass(frozen=True)
class Wanted:
    """A device that a person chose from what was found; `mac` is what it said then, `hostname` the name by which it is
    to be dialled, if its address is not; `https_port` None: it is not known where its HTTPS is."""

    address: str
    http_port: int
    https_port: int | None
    mac: str | None
    hostname: str | None = None


async def adopt(
    services: Services, *, actor: str, wanted: Sequence[Wanted], login: Login | None, site: str = "default"
) -> list[Row]:
    """The person's adoption of each: contacted again, identified, stored; only then is the login sent. Rows as of
    `device add`. A device that says it is another one now is not taken, nor one by a host name that means another
    address now. Raises InvalidInput, contacting nothing."""
    chosen_ones = [(_target(one), None if one.mac is None else _serial(one.mac), one.address) for one in wanted]
    settings = await in_force(services)
    connector = services.connect(settings)
    adder = Adding(services, settings, connector, actor, login, site)

    async def adopted(target: Target, expected: Serial | None, address: str) -> Row:
        if target.told and not await resolves_to(connector, target.host, address):
            message = f"{target.host} does not mean {address} any more: it was not contacted. Search again."
            return failed(target, message)
        return await adder.one(target, expected=expected)

    return await side_by_side([adopted(*one) for one in chosen_ones], at_once=settings.jobs_concurrency)


def _usual(search: Search, usual_seconds: float) -> tuple[int, int, float]:
    """Ports and seconds."""
    return search.http_port or 80, search.https_port or 443, search.seconds or usual_seconds


def _typed_sighting(target: Target) -> Sighting:
    """A port behind the address is tried for both, as `device add` does."""
    first = target.first
    return Sighting(first.host, first.http_port, first.https_port, seen_by=("address",))


def _each_once(rows: Sequence[Row]) -> list[Row]:
    """One for each device, at the first of its addresses that can be used; `also_at` has the others."""
    by_mac: dict[object, list[Row]] = {}
    for number, row in enumerate(rows):
        by_mac.setdefault(row["mac"] or number, []).append(row)
    kept = []
    for same in by_mac.values():
        first = next((row for row in same if row["result"] != "failed"), same[0])
        others = dict.fromkeys(row["address"] for row in same if row["address"] != first["address"])
        kept.append({**first, "also_at": list(others)})
    return kept


def _target(one: Wanted) -> Target:
    """Raises InvalidInput for what cannot be dialled."""
    for port in (one.http_port, one.https_port):
        check_port(port)
    host, told = dialled(one.address), one.hostname is not None
    if one.hostname is not None:
        if one.mac is None or not is_address(host):
            raise InvalidInput("A host name that nobody typed needs the MAC address and the address it was found at.")
        host = typed_name(one.hostname)
    if one.https_port is None:
        return Target(host, one.http_port, Ports(), told=told)
    return Target(host, None, Ports(_unusual(one.http_port, 80), _unusual(one.https_port, 443)), told=told)


def _unusual(port: int, usual: int) -> int | None:
    """A port as typed, or None where it is the usual one: then the device's own parameters tell it."""
    return None if port == usual else port


def _serial(mac: str) -> Serial:
    serial = serial_of(mac)
    if serial is None:
        raise InvalidInput(f"{mac!r} is no MAC address.")
    return serial
