"""A person adopts what answers at an address: who it is, where it is dialled, and its row."""

import ipaddress
import re
from dataclasses import dataclass, replace

from fleetseal.core.config import Settings
from fleetseal.core.errors import Conflict, DeviceError, InvalidInput
from fleetseal.core.model import Device, DeviceFacts, DeviceId, Endpoint, Login, Serial
from fleetseal.core.text import clean
from fleetseal.devices.driver import Connector, Sight
from fleetseal.operations.contact import look_again, names_itself, refresh_device
from fleetseal.operations.following import Seen, follow
from fleetseal.operations.listing import Context, Row
from fleetseal.operations.naming import is_address
from fleetseal.operations.services import Services
from fleetseal.pki import names
from fleetseal.store import audit, inventory
from fleetseal.store.database import Transaction


@dataclass(frozen=True)
class Ports:
    """As typed; None: find out."""

    http: int | None = None
    https: int | None = None


@dataclass(frozen=True)
class Target:
    host: str
    port: int | None  # typed behind the address: HTTPS if it answers TLS, else HTTP
    ports: Ports
    told: bool = False  # by the device or a network: no person typed this host name

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def first(self) -> Endpoint:
        """Where to look first: a port of unknown kind is tried for both."""
        return Endpoint(self.host, self.ports.http or self.port or 80, self.ports.https or self.port or 443)

    def typed(self, sight: Sight) -> Ports:
        """The ports at a person's word, once `sight` of `first` tells what the port behind the address speaks."""
        if self.port is None:
            return self.ports
        if sight.https or not sight.http:
            return Ports(self.ports.http, self.ports.https or self.port)
        return Ports(self.ports.http or self.port, self.ports.https)


@dataclass(frozen=True)
class Adding:
    services: Services
    settings: Settings
    connector: Connector
    actor: str
    login: Login | None
    site: str

    async def one(self, target: Target, *, expected: Serial | None = None) -> Row:
        """The row of `device add`; `expected`: whom the person meant, when they saw it."""
        try:
            sight = await self.connector.look(target.first)
            if not names_itself(sight):
                return failed(target, f"What answers at {target.shown} is not an Axis device.")
            if expected is not None and sight.serial != expected:
                shown = clean(sight.serial or "a device that does not say which")
                return failed(target, f"{target.shown} is {shown} now, not {expected}.")
            typed = target.typed(sight)
            endpoint, sight = await self._settle(target, typed, sight)
            async with self.services.database.transaction() as tx:
                known = None if sight.serial is None else await inventory.by_serial(tx, sight.serial)
                device = known or await self._insert(tx, endpoint, sight, told=target.told)
        except (DeviceError, InvalidInput, Conflict) as error:
            return failed(target, error.message)
        if known is not None:
            seen = [Seen(endpoint, sight)]
            moved = await follow(self.services, self.connector, seen)
            return await self._result(target, "known", known.id, moved=known.id in moved)
        outcome = await look_again(self.services, device.id, sight=sight)
        if outcome.facts is not None:
            await self._follow_ports(typed, outcome.device, outcome.facts)
        return await self._result(target, "added", device.id)

    async def _settle(self, target: Target, typed: Ports, sight: Sight) -> tuple[Endpoint, Sight]:
        """Where the device is dialled, and what it shows there. A port that nobody typed is tried at its usual place,
        and taken if this same device answers: behind one address there may be many. The port of HTTPS is never that of
        plain HTTP, which is at its usual place until the device tells another."""
        usual = Endpoint(target.host, typed.http or 80, typed.https or 443)
        if usual == target.first:
            return usual, sight
        try:
            again = await self.connector.look(usual)
        except DeviceError:
            return target.first, sight
        better = _more(again, sight) or (again.https and not sight.http)
        return (usual, again) if again.serial == sight.serial and better else (target.first, sight)

    async def _follow_ports(self, typed: Ports, device: Device, facts: DeviceFacts) -> None:
        """The row holds the ports that the device tells of itself, where none was typed and this device answers."""
        told = replace(
            device.endpoint,
            http_port=typed.http or facts.http_port or device.http_port,
            https_port=typed.https or facts.https_port or device.https_port,
        )
        if told == device.endpoint:
            return
        try:
            sight = await self.connector.look(told)
            if sight.serial != device.serial:
                return
            async with self.services.database.transaction() as tx:
                ports = {"http_port": told.http_port, "https_port": told.https_port}
                await inventory.change(tx, device.id, **ports)
        except (DeviceError, Conflict):
            return  # the ports by which it was reached stay
        await refresh_device(self.services, device.id, sight=sight)

    async def _insert(self, tx: Transaction, endpoint: Endpoint, sight: Sight, *, told: bool) -> Device:
        now = self.services.clock.now()
        named = not is_address(endpoint.host)
        if named:
            await check_name_free(tx, endpoint.host)
        device = await inventory.add(
            tx,
            serial=sight.serial,
            address=endpoint.host,
            host_name=endpoint.host if named else None,
            host_name_typed=named and not told,
            http_port=endpoint.http_port,
            https_port=endpoint.https_port,
            site=self.site,
            added=now,
        )
        if self.login is not None:
            device = await inventory.set_login(tx, self.services.sealer, device.id, self.login)
        await audit.record(
            tx,
            now=now,
            actor=self.actor,
            action="device add",
            object=device.label,
            detail={"address": endpoint.host, "id": device.id, "with_login": self.login is not None},
        )
        return device

    async def _result(self, target: Target, result: str, device_id: DeviceId, *, moved: bool = False) -> Row:
        async with self.services.database.reading() as tx:
            context = await Context.read(self.services, tx)
            device = await inventory.get(tx, device_id)
        if result == "known":
            message = known_message(device, target.host, moved=moved)
        else:
            first = context.statuses(device)[0]
            message = device.support_reason if first.status == "OK" else f"{first.status}: {first.reason}"
        return _result(target, result, message=message, device=context.row(device))


def known_message(device: Device, host: str, *, moved: bool) -> str:
    """What is said of a device of the inventory that answers at `host`."""
    if moved:
        return f"It is in the inventory already. It proved itself at {host}, and is on record there now."
    message = f"It is in the inventory already, at {device.address}."
    if device.address != host:
        message += " To use the new address: fleetseal device set DEVICE --address."
    return message


def parse_target(text: str, ports: Ports) -> Target:
    """`ADDRESS` or `ADDRESS:PORT`; IPv6 addresses with a port in brackets."""
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::([0-9]{1,5}))?", text.strip())
    plain = re.fullmatch(r"([^:\[\]]+)(?::([0-9]{1,5}))?", text.strip())
    match = bracketed or plain
    host, port = (match[1], match[2]) if match else (text, None)
    try:
        host = dialled(host)
    except InvalidInput as error:
        raise InvalidInput(f"{text!r} is no address: {error.message}") from error
    for number in (port, ports.http, ports.https):
        check_port(number)
    return Target(host, None if port is None else int(port), ports)


def check_port(number: str | int | None) -> None:
    if number is not None and not 1 <= int(number) <= 65535:
        raise InvalidInput(f"{number} is no port: ports are numbers from 1 to 65535.")


def check_label(column: str, text: str) -> None:
    """The name of a site, or a tag. Raises InvalidInput."""
    if not (re.fullmatch(r"[^,\s]([^,]{0,62}[^,\s])?", text) and text.isprintable()):
        raise InvalidInput(f"{text!r} cannot be used for {column}: 1 to 64 printable characters without commas.")


async def check_name_free(tx: Transaction, name: str, *, besides: DeviceId | None = None) -> None:
    """No two devices hold one name. Raises Conflict."""
    other = await inventory.holder(tx, name, besides=besides)
    if other is not None:
        raise Conflict(f"{name} is the name of {other.label} already: use an address, or a name of its own.")


def one_name(address: str, name: str | None) -> str | None:
    """The host name of a device dialled at `address`, of which a person says that it is `name`. A device that is
    dialled by a host name has that one. Raises InvalidInput."""
    if is_address(address):
        return name
    if name not in (None, address):
        raise InvalidInput(f"It is dialled by its host name, {address}: that is its name. Change the address instead.")
    return address


def typed_name(text: str) -> str:
    """A host name at a person's word, in its one spelling. Raises InvalidInput."""
    name = names.classify(text)
    if isinstance(name, names.Address):
        raise InvalidInput(f"{name.text} is an address, not a host name.")
    return name.text


def dialled(text: str) -> str:
    """An address or host name in its one spelling. Raises InvalidInput."""
    host = inventory.canonical_host(text)
    if not is_address(host):
        return names.classify(host).text
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local and address.scope_id is None:
        raise InvalidInput(f"{host} is link-local: say on which interface of this computer, like {host}%eth0.")
    return host


def failed(target: Target, message: str) -> Row:
    """The row of `device add` for what was not added."""
    return _result(target, "failed", message=message)


def _result(target: Target, result: str, *, message: str, device: Row | None = None) -> Row:
    shown = {name: device[name] if device else None for name in ("mac", "model", "firmware", "trust")}
    return {"address": target.shown, "result": result, **shown, "message": message, "device": device}


def _more(again: Sight, sight: Sight) -> bool:
    """The second look shows a port that the first did not."""
    return (again.http and not sight.http) or (again.https and not sight.https)
