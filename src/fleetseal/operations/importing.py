"""Devices in bulk: a file becomes rows of the inventory, all or none; the inventory becomes a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Device, DeviceId, Login, Serial, mac_of, serial_of
from fleetseal.operations import listing, sheet
from fleetseal.operations.adding import check_label, check_port, dialled, one_name, typed_name
from fleetseal.operations.listing import Context, Row
from fleetseal.operations.naming import is_address
from fleetseal.operations.services import Services
from fleetseal.store import audit, inventory

_NOT_CONTACTED: Final = "It was imported and has not been contacted yet: fleetseal device refresh."


async def import_(
    services: Services,
    *,
    actor: str,
    text: str,
    form: str,
    login: Login | None,
    site: str,
    preview: bool = False,
) -> list[Row]:
    """The devices of a file (`csv` or `json`) are in the inventory, or none of them is. No device is contacted.

    One object a row: `{"row","address","mac","result","message","id"}`. `result` is `added`, with its `id`; `known`: it
    is there already, and stays as it is; `failed`, and why; or `skipped`, because other rows failed. `login` is for
    rows without one.
    With `preview` nothing is stored, and what could be added is `new`. A host name in the file counts as typed by a
    person. Raises InvalidInput for a file that cannot be read.
    """
    check_label("site", site)
    wishes = [_wish(entry, login, site) for entry in sheet.read(text, form)]
    async with services.database.transaction() as tx:
        _judge(wishes, await inventory.every(tx))
        fresh = [] if any(wish.result == "failed" for wish in wishes) else [one for one in wishes if not one.result]
        for wish in wishes:
            wish.settle("new" if preview else "added", imported=bool(fresh))
        if fresh and not preview:
            now = services.clock.now()
            added = [(wish.columns | {"added": now}, wish.login) for wish in fresh]
            for wish, device_id in zip(fresh, await inventory.add_all(tx, services.sealer, added), strict=True):
                wish.id = device_id
            await audit.record(
                tx,
                now=now,
                actor=actor,
                action="device import",
                object=f"{len(fresh)} devices",
                detail={"devices": [wish.label for wish in fresh]},
            )
    return [wish.told() for wish in wishes]


async def export(services: Services, *, form: str, filters: Sequence[str] = ()) -> str:
    """The inventory, or what passes the filters, as a file (`csv` or `json`) that `import_` takes. No password is in
    it. Raises InvalidInput for an unknown column of a filter."""
    matches = listing.compile_filters(filters)
    async with services.database.reading() as tx:
        context = await Context.read(services, tx)
        devices = [(device, context.row(device)) for device in await inventory.every(tx)]
    return sheet.write([_exported(device, row) for device, row in devices if matches(row)], form)


@dataclass
class _Wish:
    """A row of the file, and what becomes of it; `result` is empty until that is known."""

    row: int
    columns: dict[str, Any] = field(default_factory=dict)
    login: Login | None = None
    result: str = ""
    message: str = ""
    id: DeviceId | None = None

    @property
    def serial(self) -> Serial | None:
        return self.columns.get("serial")

    @property
    def place(self) -> tuple[str, int]:
        return self.columns["address"], self.columns["https_port"]

    @property
    def label(self) -> str:
        return mac_of(self.serial) if self.serial else str(self.columns["address"])

    def become(self, result: str, message: str) -> None:
        self.result, self.message = result, message

    def settle(self, result: str, *, imported: bool) -> None:
        if self.result:
            return
        if imported:
            self.become(result, "")
        else:
            self.become("skipped", "Not imported, because other rows are wrong.")

    def told(self) -> Row:
        mac = mac_of(self.serial) if self.serial else None
        return {
            "row": self.row,
            "address": self.columns.get("address"),
            "mac": mac,
            "result": self.result,
            "message": self.message,
            "id": self.id,
        }


def _wish(entry: sheet.Entry, login: Login | None, site: str) -> _Wish:
    wish = _Wish(entry.row)
    try:
        if entry.problem is not None:
            raise InvalidInput(entry.problem)
        wish.columns = _columns(entry.cells, site)
        wish.login = _login(entry.cells) or login
    except InvalidInput as error:
        wish.become("failed", error.message)
    return wish


def _columns(cells: Mapping[str, str], site: str) -> dict[str, Any]:
    """The row of the inventory. Raises InvalidInput for the first cell that cannot be used."""
    if "address" not in cells:
        raise InvalidInput("It has no address.")
    address = dialled(cells["address"])
    told = cells.get("hostname")
    name = one_name(address, typed_name(told) if told else None)
    serial = serial_of(cells["mac"]) if "mac" in cells else None
    if "mac" in cells and serial is None:
        raise InvalidInput(f"{cells['mac']!r} is no MAC address.")
    tags = sorted({tag.strip() for tag in cells.get("tags", "").split(",") if tag.strip()})
    for tag in tags:
        check_label("tags", tag)
    site = cells.get("site", site)
    check_label("site", site)
    tls = cells.get("tls", "normal")
    if tls not in ("normal", "legacy"):
        raise InvalidInput(f"tls cannot be {tls!r}. Allowed: normal or legacy.")
    return {
        "serial": serial,
        "address": address,
        "host_name": name,
        "host_name_typed": name is not None,
        "http_port": _port(cells, "http_port", 80),
        "https_port": _port(cells, "https_port", 443),
        "legacy_tls": tls == "legacy",
        "site": site,
        "tags": tags,
        "reachable": False,
        "unreachable_reason": _NOT_CONTACTED,
    }


def _port(cells: Mapping[str, str], name: str, usual: int) -> int:
    text = cells.get(name, str(usual))
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise InvalidInput(f"{text!r} is no port: ports are numbers from 1 to 65535.")
    check_port(text)
    return int(text)


def _login(cells: Mapping[str, str]) -> Login | None:
    """A user name alone is what an export tells: the password comes from elsewhere."""
    username, password = cells.get("username"), cells.get("password")
    if password is None:
        return None
    if username is None or len(username) > 64 or not username.isprintable():
        raise InvalidInput("A password needs a user name of at most 64 printable characters beside it.")
    return Login(username, password)


def _judge(wishes: Sequence[_Wish], devices: Sequence[Device]) -> None:
    """Who is known already, and who cannot be: no two devices hold one serial, one name, or one address and port."""
    by_serial: dict[str | None, Device] = {device.serial: device for device in devices if device.serial is not None}
    by_place = {(device.address, device.https_port): device for device in devices}
    by_name: dict[str | None, Device] = {device.host_name: device for device in devices if device.host_name_typed}
    by_name |= {device.address: device for device in devices if not is_address(device.address)}
    rows: dict[object, int] = {}
    for wish in wishes:
        if wish.result:
            continue
        keys = [key for key in (wish.serial, wish.place, wish.columns["host_name"]) if key is not None]
        earlier = next((rows[key] for key in keys if key in rows), None)
        rows |= {key: wish.row for key in keys if key not in rows}
        if earlier is not None:
            wish.become("failed", f"Row {earlier} has the same MAC address, host name, or address and port.")
            continue
        _judge_known(wish, by_serial.get(wish.serial), by_place.get(wish.place), by_name)


def _judge_known(wish: _Wish, same: Device | None, there: Device | None, by_name: Mapping[str | None, Device]) -> None:
    if same is not None:
        moved = "" if (same.address, same.https_port) == wish.place else "To change that: fleetseal device set DEVICE."
        wish.become("known", f"It is in the inventory already, at {same.address}. {moved}".strip())
    elif there is not None and wish.serial is not None and there.serial is not None:
        wish.become("failed", f"{there.mac} is recorded at this address and port.")
    elif there is not None:
        wish.become("known", "Its address and port are in the inventory already.")
    elif (named := by_name.get(wish.columns["host_name"])) is not None:
        wish.become("failed", f"{wish.columns['host_name']} is the name of {named.label} already.")


def _exported(device: Device, row: Row) -> Row:
    typed = device.host_name_typed
    return {
        **row,
        "hostname": device.host_name if typed else None,
        "announced_name": None if typed else device.host_name,
        "site": device.site,
        "tls": "legacy" if device.legacy_tls else "normal",
        "username": device.username,
        "valid_until": (row["certificate"] or {}).get("not_after"),
    }
