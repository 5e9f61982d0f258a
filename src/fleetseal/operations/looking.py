"""Looking at what was sighted: who it is, how far it would be believed, and whether a host name is the way to it. No
credential is sent."""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fleetseal.core.config import Settings
from fleetseal.core.errors import DeviceError, InvalidInput
from fleetseal.core.model import Anchored, DeviceId, Endpoint, Serial, TrustLevel, mac_of
from fleetseal.core.text import clean
from fleetseal.devices.discovery.sighting import Sighting
from fleetseal.devices.driver import NOT_AXIS, Connector, Sight, TwoDevices
from fleetseal.operations.adding import known_message
from fleetseal.operations.contact import names_itself
from fleetseal.operations.following import Seen, follow
from fleetseal.operations.listing import Context, Row, described
from fleetseal.operations.naming import certifiable, is_address
from fleetseal.operations.services import Services
from fleetseal.operations.trust import foreseen, misnamed
from fleetseal.store import inventory

_MOST_NAMES = 5
"""Of one device that are resolved and dialled: a certificate of ours has at most ten."""


@dataclass(frozen=True)
class _Known:
    """A device of the inventory was found; the rest of its row follows."""

    device_id: DeviceId
    seen: Seen
    row: Row


@dataclass(frozen=True)
class Look:
    """A search's look at each sighting. `ranged`: its addresses were named by a person; `one_by_one`: each of them."""

    services: Services
    settings: Settings
    connector: Connector
    own: Anchored
    ranged: bool
    one_by_one: bool = False
    known: list[_Known] = field(default_factory=list)

    async def at(self, sighting: Sighting) -> Row | None:
        """Who answers there; None: no Axis device."""
        if self.one_by_one and sighting.http_port == sighting.https_port:
            return await self._by_one_port(sighting)
        try:
            return await self._at(sighting)
        except TwoDevices as error:
            if self.ranged:
                return _row(sighting, "failed", message=error.message)
        except (DeviceError, InvalidInput) as error:
            return _row(sighting, "failed", message=error.message)
        # Announced is the port of plain HTTP; the usual one for HTTPS is another device's behind the same address.
        return await self._by_one_port(sighting)

    async def _by_one_port(self, sighting: Sighting) -> Row | None:
        """The device of the HTTP port; where its HTTPS is, it tells after a login."""
        try:
            row = await self._at(replace(sighting, https_port=sighting.http_port))
        except (DeviceError, InvalidInput) as error:
            return _row(sighting, "failed", message=error.message)
        if row is not None:
            row["https_port"] = None  # in place: the row of a known device is completed later
        return row

    async def _at(self, sighting: Sighting) -> Row | None:
        sight = await self.connector.look(sighting.endpoint)
        if not names_itself(sight):
            message = f"What answers at {sighting.address} is not an Axis device."
            return _row(sighting, "failed", message=message) if self.one_by_one else None
        return await self._known(sighting, sight) or await self._found(sighting, sight)

    async def follow_known(self) -> None:
        """Devices of the inventory that were found elsewhere, and proved themselves there, are on record there."""
        whole = [one.seen for one in self.known if one.seen.endpoint.http_port != one.seen.endpoint.https_port]
        moved = await follow(self.services, self.connector, whole)  # not those seen by one port alone
        async with self.services.database.reading() as tx:
            context = await Context.read(self.services, tx)
            known = {device.id: device for device in await inventory.some(tx, [one.device_id for one in self.known])}
            for one in self.known:
                device = known.get(one.device_id)
                if device is None:
                    one.row.update(result="found", message="It was removed from the inventory meanwhile.")
                    continue
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
        row = _row(sighting, "known", message="", sight=sight, serial=device.serial) | {
            "model": device.model,
            "firmware": device.firmware,
            "trust": device.trust_level.value,
        }
        self.known.append(_Known(device.id, Seen(sighting.endpoint, sight), row))
        return row

    async def _found(self, sighting: Sighting, sight: Sight) -> Row:
        unfit = self._misnamed(sight, sighting.endpoint)
        name = None
        if by_name := await self._by_name(sighting, sight, needed=unfit is not None):
            name, sight = by_name
            unfit = None
        facts = sight.facts
        level = foreseen(
            sight, name or sighting.endpoint.name, self.own, settings=self.settings, at=self.services.clock.now()
        )
        if unfit is not None and level is TrustLevel.NONE:
            result = "found" if self.one_by_one else "failed"  # a person means this very address
            message = f"Certificate not trusted: {unfit} {self._way_out(sight)}"
        else:
            result, message = "found", _remark(sighting, sight, name)
            if level not in (TrustLevel.ANCHORED, TrustLevel.FACTORY):
                message = f"{message} {_unknown_maker(sight)}".strip()
        return _row(sighting, result, message=message, sight=sight, serial=sight.serial) | {
            "model": None if facts is None else facts.model,
            "firmware": None if facts is None else facts.firmware,
            "trust": level.value,
            "hostname": name,
        }

    async def _by_name(self, sighting: Sighting, sight: Sight, *, needed: bool) -> tuple[str, Sight] | None:
        """The host name by which this device is to be dialled, and what it shows there: one that our resolver maps to
        the very address, behind which this same device answers, with a certificate that is not another's.

        A range is dialled by name where its address cannot be believed (`needed`); what announces itself, only with
        the setting `discovery.use-hostname`, and then wherever there is such a name.
        """
        preferred = self.settings.discovery_use_hostname
        if sight.serial is None or not (preferred or (needed and self.ranged)) or not is_address(sighting.address):
            return None
        told = [*_held(sight)]
        if preferred:
            told += [sighting.host_name or "", (sight.facts and sight.facts.host_name) or ""]
        names = dict.fromkeys(name for name in map(certifiable, told) if name is not None)
        for name in list(names)[:_MOST_NAMES]:
            if not await resolves_to(self.connector, name, sighting.address) or await self._is_taken(name):
                continue
            endpoint = replace(sighting.endpoint, host=name)
            try:
                again = await self.connector.look(endpoint)
            except (DeviceError, InvalidInput):
                continue  # the next name, or the address, which answered
            if again.serial == sight.serial and self._misnamed(again, endpoint) is None:
                return name, again
        return None

    async def _is_taken(self, name: str) -> bool:
        async with self.services.database.reading() as tx:
            return await inventory.holder(tx, name) is not None

    def _misnamed(self, sight: Sight, endpoint: Endpoint) -> str | None:
        return misnamed(sight.served, endpoint.name, self.own, at=self.services.clock.now())

    def _way_out(self, sight: Sight) -> str:
        """What a person can do about a certificate that names another place."""
        names = [name for name in map(certifiable, _held(sight)) if name is not None]
        if not names:
            return "If it is this device, add it by its address and accept the certificate: fleetseal device trust."
        way = f"If it is this device, add it by that name: fleetseal device add {names[0]}"
        if self.ranged or self.settings.discovery_use_hostname:
            return f"{way}."
        return f"{way}; or let names be used: fleetseal settings set discovery.use-hostname true."


async def resolves_to(connector: Connector, name: str, address: str) -> bool:
    """Whether our resolver maps this host name to this very address."""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    found = await connector.resolve(name)
    return any(ipaddress.ip_address(one.partition("%")[0]) == wanted for one in found)


def _held(sight: Sight) -> Sequence[str]:
    """The names in the certificate that it shows: a hint."""
    leaf = None if sight.served is None else described(sight.served.leaf)
    return () if leaf is None else leaf.names


def _row(
    sighting: Sighting, result: str, *, message: str, sight: Sight | None = None, serial: Serial | None = None
) -> Row:
    served = None if sight is None else sight.served
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
        "hostname": None,
        "seen_by": list(sighting.seen_by),
        "sha256": None if served is None else hashlib.sha256(served.leaf).hexdigest(),
        "needs_setup": sight is not None and sight.needs_setup is True,
    }


def _unknown_maker(sight: Sight) -> str:
    """Why a certificate that looks like the maker's (IEEE 802.1AR: it names the hardware's serial) proves nothing."""
    leaf = None if sight.served is None else described(sight.served.leaf)
    if leaf is None or sight.serial is None or (leaf.subject_serial or "").upper() != sight.serial:
        return ""
    return (
        f"Its factory certificate proves nothing: {leaf.issuer}, who signed it, is not known as a maker here. "
        "For a simulator, give its roots: fleetseal settings set devices.maker-roots FILE."
    )


def _remark(sighting: Sighting, sight: Sight, name: str | None) -> str:
    """What a person should know before adopting it."""
    remarks = []
    if name is not None:
        remarks.append(f"It is dialled by its host name, {name}.")
    if sighting.serial is not None and sight.serial is not None and sighting.serial != sight.serial:
        remarks.append(f"It was announced as {sighting.serial}; it says itself that it is {clean(sight.serial)}.")
    if sight.unsupported_reason not in (None, NOT_AXIS):
        remarks.append(str(sight.unsupported_reason))
    elif sight.needs_setup:
        remarks.append("It is in factory state: it has no administrator yet.")
    elif sight.tls_error:
        remarks.append(sight.tls_error)
    return " ".join(remarks)
