"""Finding devices: what answers on the network is looked at without any credential, and a person adopts from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleetseal.core.config import Settings
from fleetseal.core.errors import Conflict, DeviceError, InvalidInput
from fleetseal.core.model import Anchored, DeviceId, Login, Serial, Sighting, mac_of, serial_of
from fleetseal.core.runtime import side_by_side
from fleetseal.devices.discovery import automatic, scan
from fleetseal.devices.discovery.interfaces import chosen, on_link
from fleetseal.devices.discovery.scan import Progress
from fleetseal.devices.driver import NOT_AXIS, Connector, Sight
from fleetseal.operations import issuing
from fleetseal.operations.adding import Adding, Ports, Target, check_port, known_message
from fleetseal.operations.contact import names_itself
from fleetseal.operations.following import Seen, follow
from fleetseal.operations.listing import Context, Row
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.operations.trust import foreseen
from fleetseal.store import inventory

_RANGE_SECONDS = 1.0
_LISTEN_SECONDS = 4.0
_LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Search:
    """What was asked: these ranges, or, without one, whatever announces itself on these interfaces (none named: all).

    `seconds`: how long one address may take to accept a connection, or how long announcements are listened to.
    The ports are tried where nothing names others.
    """

    ranges: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    seconds: float | None = None
    http_port: int | None = None
    https_port: int | None = None


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

    async def search(self, search: Search) -> Row:
        """`{"devices","others"}`: one object as of `device add` for each Axis device, with `http_port` and
        `https_port`, `result` being `found`, `known` or `failed`; and how many addresses answer as something else.

        No credential is sent. Raises InvalidInput, sending nothing, on what cannot be searched; Conflict while
        another search runs.
        """
        if self._stage is not None:
            raise Conflict("A search runs already. Wait for its end. Nothing was sent.")
        stage = self._stage = Stage()
        try:
            sightings = await (self._scan if search.ranges else self._listen)(search, stage)
            self._stage = stage = Stage("Identify", Progress(total=len(sightings)))
            answer = await self._identify(sightings, stage.progress)
            return answer if search.ranges else {**answer, "devices": _each_once(answer["devices"])}
        finally:
            self._stage = None

    async def _listen(self, search: Search, stage: Stage) -> list[Sighting]:
        stage.name = "Listen"
        http_port, https_port, seconds = _bounded(search, _LISTEN_SECONDS)
        return await automatic.listen(
            chosen(search.interfaces),
            seconds=seconds,
            clock=self._services.clock,
            rng=self._services.rng,
            http_port=http_port,
            https_port=https_port,
        )

    async def _scan(self, search: Search, stage: Stage) -> list[Sighting]:
        if search.interfaces:
            raise InvalidInput("A range is reached by routing: an interface belongs to a search without a range.")
        addresses = scan.parse_ranges(search.ranges)
        http_port, https_port, seconds = _bounded(search, _RANGE_SECONDS)
        found = await scan.scan(
            addresses,
            ports=(https_port, http_port),
            seconds=seconds,
            clock=self._services.clock,
            on_link=on_link(),
            progress=stage.progress,
        )
        return [Sighting(address, http_port, https_port, seen_by=("range",)) for address in found]

    async def _identify(self, sightings: Sequence[Sighting], progress: Progress) -> Row:
        settings = await in_force(self._services)
        async with self._services.database.reading() as tx:
            own = Anchored(await issuing.anchors(tx), await issuing.intermediates(tx))
        look = _Look(
            self._services, settings, self._services.connect(settings), own, progress, self._services.clock.monotonic()
        )
        works = [look.at(sighting) for sighting in sightings]
        rows = await side_by_side(works, at_once=settings.jobs_concurrency)
        await look.follow_known()
        devices = [row for row in rows if row is not None]
        return {"devices": devices, "others": len(rows) - len(devices)}


@dataclass(frozen=True)
class Wanted:
    """A device that a person chose from what was found; `mac` is what it said then."""

    address: str
    http_port: int
    https_port: int
    mac: str | None


async def adopt(
    services: Services, *, actor: str, wanted: Sequence[Wanted], login: Login | None, site: str = "default"
) -> list[Row]:
    """The person's adoption of each: contacted again, identified, stored; only then is the login sent. Rows as of
    `device add`. A device that says it is another one now is not taken. Raises InvalidInput, contacting nothing."""
    targets = [
        Target(one.address, None, Ports(_unusual(one.http_port, 80), _unusual(one.https_port, 443))) for one in wanted
    ]
    for one in wanted:
        check_port(one.http_port)
        check_port(one.https_port)
    expected = [None if one.mac is None else _serial(one.mac) for one in wanted]
    settings = await in_force(services)
    adder = Adding(services, settings, services.connect(settings), actor, login, site)
    works = [adder.one(target, expected=serial) for target, serial in zip(targets, expected, strict=True)]
    return await side_by_side(works, at_once=settings.jobs_concurrency)


@dataclass(frozen=True)
class _Known:
    """A device of the inventory was found; the rest of its row follows."""

    device_id: DeviceId
    seen: Seen
    row: Row


@dataclass(frozen=True)
class _Look:
    services: Services
    settings: Settings
    connector: Connector
    own: Anchored
    progress: Progress
    began: float
    known: list[_Known] = field(default_factory=list)

    async def at(self, sighting: Sighting) -> Row | None:
        """Who answers there; None: no Axis device."""
        try:
            sight = await self.connector.look(sighting.endpoint)
        except (DeviceError, InvalidInput) as error:
            return _row(sighting, "failed", message=error.message)
        finally:
            self.progress.done += 1
            self.progress.seconds = self.services.clock.monotonic() - self.began
        if not names_itself(sight):
            return None
        self.progress.found += 1
        return await self._known(sighting, sight) or self._found(sighting, sight)

    async def follow_known(self) -> None:
        """Devices of the inventory that were found elsewhere, and proved themselves there, are on record there."""
        moved = await follow(self.services, self.connector, [one.seen for one in self.known])
        async with self.services.database.reading() as tx:
            context = await Context.read(self.services, tx)
            for one in self.known:
                device = await inventory.get(tx, one.device_id)
                here = one.seen.endpoint.host
                message = known_message(device, here, moved=device.id in moved and device.address == here)
                one.row.update(message=message, device=context.row(device))

    async def _known(self, sighting: Sighting, sight: Sight) -> Row | None:
        if sight.serial is None:
            return None
        async with self.services.database.reading() as tx:
            device = await inventory.by_serial(tx, sight.serial)
        if device is None:
            return None
        row = _row(sighting, "known", message="", serial=device.serial) | {
            "model": device.model,
            "firmware": device.firmware,
            "trust": device.trust_level.value,
        }
        self.known.append(_Known(device.id, Seen(sighting.endpoint, sight), row))
        return row

    def _found(self, sighting: Sighting, sight: Sight) -> Row:
        trust = foreseen(sight, sighting.address, self.own, settings=self.settings, at=self.services.clock.now())
        facts = sight.facts
        return _row(sighting, "found", message=_remark(sight), serial=sight.serial) | {
            "model": None if facts is None else facts.model,
            "firmware": None if facts is None else facts.firmware,
            "trust": trust.value,
        }


def _bounded(search: Search, usual_seconds: float) -> tuple[int, int, float]:
    """Ports and seconds. Raises InvalidInput."""
    check_port(search.http_port)
    check_port(search.https_port)
    seconds = usual_seconds if search.seconds is None else search.seconds
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InvalidInput(f"The timeout is a number of seconds up to {_LONGEST_SECONDS:.0f}. Nothing was sent.")
    return search.http_port or 80, search.https_port or 443, seconds


def _each_once(rows: Sequence[Row]) -> list[Row]:
    """One for each device, at the first of its addresses; `also_at` has the others."""
    kept: list[Row] = []
    by_mac: dict[str, Row] = {}
    for row in rows:
        first = by_mac.get(row["mac"]) if row["mac"] else None
        if first is not None:
            first["also_at"].append(row["address"])
            continue
        kept.append({**row, "also_at": []})
        if row["mac"]:
            by_mac[row["mac"]] = kept[-1]
    return kept


def _row(sighting: Sighting, result: str, *, message: str, serial: Serial | None = None) -> Row:
    return {
        "address": sighting.address,
        "result": result,
        "mac": None if serial is None else mac_of(serial),
        "model": None,
        "firmware": None,
        "trust": None,
        "message": message,
        "device": None,
        "http_port": sighting.http_port,
        "https_port": sighting.https_port,
        "seen_by": list(sighting.seen_by),
    }


def _remark(sight: Sight) -> str:
    """What a person should know before adopting it."""
    if sight.unsupported_reason not in (None, NOT_AXIS):
        return str(sight.unsupported_reason)
    if sight.needs_setup:
        return "It is in factory state: it has no administrator yet."
    return sight.tls_error or ""


def _unusual(port: int, usual: int) -> int | None:
    """A port as typed, or None where it is the usual one: then the device's own parameters tell it."""
    return None if port == usual else port


def _serial(mac: str) -> Serial:
    serial = serial_of(mac)
    if serial is None:
        raise InvalidInput(f"{mac!r} is no MAC address.")
    return serial
