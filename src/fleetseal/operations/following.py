"""A device that was given another address is followed by its serial, once it has proved itself there.

Nothing here logs in. Proof is what the recorded trust level demands: a certificate of ours for this very device, the
factory certificate of its serial, or the pin. A device that is known by plain HTTP alone is moved by a person only.
See docs/procedures/device-changed.md.
"""

import ipaddress
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fleetseal.core.errors import DeviceError, InvalidInput
from fleetseal.core.model import Device, DeviceId, Endpoint
from fleetseal.core.text import timestamp
from fleetseal.devices.driver import Connector, Sight
from fleetseal.operations import changes
from fleetseal.operations.services import Services
from fleetseal.operations.trust import proves
from fleetseal.store import audit, inventory
from fleetseal.store.database import Transaction

_ACTOR: Final = "fleetseal"


@dataclass(frozen=True)
class Seen:
    """What was seen at a place, without a login."""

    endpoint: Endpoint
    sight: Sight


@dataclass(frozen=True)
class Move:
    """A device is not at `device.endpoint`, and proved itself at `to`."""

    device: Device
    to: Endpoint


async def follow(services: Services, connector: Connector, seen: Sequence[Seen]) -> frozenset[DeviceId]:
    """Devices that were seen away from where they are on record, and are not there any more, are on record where they
    proved themselves; all in one transaction, audited. Returns those that were moved.

    Whoever is found at the old place of one is followed as well, so that exchanged addresses are untangled. Where a
    device that was not found is on record, nobody else is put. Raises StoreError; nothing a device does raises.
    """
    moves = await _moves(services, connector, seen)
    if not moves:
        return frozenset()
    async with services.database.transaction() as tx:
        possible = await _possible(tx, moves)
        for move in possible.values():  # first away from everywhere: two may exchange their places
            await inventory.change(tx, move.device.id, address=f"moving {move.device.id}")
        for move in possible.values():
            await _record(services, tx, move)
    return frozenset(possible)


async def _moves(services: Services, connector: Connector, seen: Sequence[Seen]) -> dict[DeviceId, Move]:
    found: dict[DeviceId, Move] = {}
    at_home: set[DeviceId] = set()
    waiting = deque(seen)
    while waiting:
        one = waiting.popleft()
        device = await _away(services, one)
        if device is None or device.id in at_home or device.id in found:
            continue
        home = await _look(connector, device.endpoint)
        if home is not None and await _proved(services, device, home, device.address):
            at_home.add(device.id)
            continue
        found[device.id] = Move(device, _place(device, one))
        if home is not None:
            waiting.append(Seen(device.endpoint, home))
    return found


async def _away(services: Services, seen: Seen) -> Device | None:
    """The device of the inventory that proved itself at another place than its own, if it may be followed there."""
    if seen.sight.serial is None:
        return None
    async with services.database.reading() as tx:
        device = await inventory.by_serial(tx, seen.sight.serial)
    if device is None or not may_follow(device.address, seen.endpoint.host):
        return None
    if (device.address, device.https_port) == (seen.endpoint.host, seen.endpoint.https_port):
        return None
    return device if await _proved(services, device, seen.sight, seen.endpoint.host) else None


async def _proved(services: Services, device: Device, sight: Sight, host: str) -> bool:
    async with services.database.reading() as tx:
        return await proves(services, tx, device, sight, host=host)


async def _look(connector: Connector, endpoint: Endpoint) -> Sight | None:
    try:
        return await connector.look(endpoint)
    except (DeviceError, InvalidInput):
        return None


def may_follow(recorded: str, seen: str) -> bool:
    """Addresses of one family replace each other; never a name that a person dials, nor by one of this link alone."""
    try:
        before, after = ipaddress.ip_address(recorded), ipaddress.ip_address(seen)
    except ValueError:
        return False
    return before.version == after.version and not after.is_link_local


def _place(device: Device, seen: Seen) -> Endpoint:
    http_port = seen.endpoint.http_port if seen.sight.http else device.http_port
    return Endpoint(seen.endpoint.host, http_port, seen.endpoint.https_port, device.legacy_tls)


async def _possible(tx: Transaction, moves: Mapping[DeviceId, Move]) -> dict[DeviceId, Move]:
    """Those whose device is still on record where it was looked for, and whose new place is free or becomes free."""
    left = {id_: move for id_, move in moves.items() if await _unchanged(tx, move)}
    while True:
        blocked = [id_ for id_, move in left.items() if await _taken(tx, move, left)]
        if not blocked:
            return left
        for id_ in blocked:
            del left[id_]


async def _unchanged(tx: Transaction, move: Move) -> bool:
    there = await inventory.at(tx, move.device.address, move.device.https_port)
    return there == move.device.id


async def _taken(tx: Transaction, move: Move, moves: Mapping[DeviceId, Move]) -> bool:
    there = await inventory.at(tx, move.to.host, move.to.https_port)
    return there is not None and there not in moves


async def _record(services: Services, tx: Transaction, move: Move) -> None:
    device, to, now = move.device, move.to, services.clock.now()
    before, after = (_shown(place, device.endpoint, to) for place in (device.endpoint, to))
    change = changes.moved(before, after)
    columns: dict[str, Any] = {
        "address": to.host,
        "http_port": to.http_port,
        "https_port": to.https_port,
        "reachable": True,
        "unreachable_reason": "",
        "identity_problem": None,
        "last_change": changes.stored(change, timestamp(now)),
        "last_seen": now,
    }
    await inventory.change(tx, device.id, **columns)
    await audit.record(
        tx,
        now=now,
        actor=_ACTOR,
        action="device set",
        object=device.label,
        detail={"address": to.host, "https_port": to.https_port, "before": before, "proved": device.trust_level.value},
    )


def _shown(place: Endpoint, before: Endpoint, after: Endpoint) -> str:
    """With the port, where the address alone would not tell the two apart."""
    return place.host if before.host != after.host else f"{place.host} port {place.https_port}"
