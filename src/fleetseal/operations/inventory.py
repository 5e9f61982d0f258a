"""The inventory: devices are added, shown, changed, looked at again, and forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fleetseal.core.errors import Conflict, InvalidInput, StoreError
from fleetseal.core.model import Device, DeviceId, Login, Selection
from fleetseal.core.runtime import side_by_side
from fleetseal.core.secrets import Secret
from fleetseal.operations import adding, issued, listing
from fleetseal.operations.adding import Ports, check_label, check_name_free, check_port, dialled, one_name, typed_name
from fleetseal.operations.listing import Context, Row
from fleetseal.operations.naming import is_address
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current, in_force
from fleetseal.operations.states import depends_on_first_contact
from fleetseal.store import alarms, audit, inventory
from fleetseal.store.database import Transaction

DEFAULT_SITE = "default"


# ---------------------------------------------------------------- showing


async def list_(services: Services, *, filters: Sequence[str] = (), sort: str | None = None) -> list[Row]:
    """`device list --json`. Raises InvalidInput for an unknown column."""
    matches = listing.compile_filters(filters)
    async with services.database.reading() as tx:
        context = await Context.read(services, tx)
        rows = [context.row(device) for device in await inventory.every(tx)]
    rows = [row for row in rows if matches(row)]
    return rows if sort is None else listing.sort_rows(rows, sort)


async def unverified(services: Services) -> Row:
    """`{"unverified","devices","message"}`: how many devices only "ignore certificate validation" lets us log in to, of
    how many, and that as a sentence (IDN-DEBT-VISIBLE)."""
    async with services.database.reading() as tx:
        devices = await inventory.every(tx)
        allowed = (await current(services, tx)).security_ignore_certificate_validation
    count = sum(map(depends_on_first_contact, devices))
    many = f"{count} of {len(devices)} devices {'is' if count == 1 else 'are'} not verified"
    message = (
        f"{many}, only known from first contact: security.ignore-certificate-validation is on, and allows it."
        if allowed
        else f"{many}, and nothing is sent to log in: security.ignore-certificate-validation is off."
    )
    return {"unverified": count, "devices": len(devices), "message": message}


async def show(services: Services, reference: str) -> Row:
    """`device show --json`. Raises NotFound, Conflict when several devices are meant."""
    async with services.database.reading() as tx:
        context = await Context.read(services, tx)
        return context.details(await inventory.find(tx, reference))


# ---------------------------------------------------------------- adding


async def add(
    services: Services,
    *,
    actor: str,
    targets: Sequence[str],
    http_port: int | None = None,
    https_port: int | None = None,
    login: Login | None = None,
    site: str = DEFAULT_SITE,
) -> list[Row]:
    """Contact, identify, store: a person adopts what answers at each target (`ADDRESS` or `ADDRESS:PORT`).

    One object for each target, in order: `{"address","result","mac","model","firmware","trust","message","device"}`.
    A device that names itself gets a row, also when no login is possible; anything else gets none. Raises
    InvalidInput, contacting nothing, when a target or a port is none.
    """
    parsed = [adding.parse_target(target, Ports(http_port, https_port)) for target in targets]
    settings = await in_force(services)
    adder = adding.Adding(services, settings, services.connect(settings), actor, login, site)
    return await side_by_side([adder.one(target) for target in parsed], at_once=settings.jobs_concurrency)


# ---------------------------------------------------------------- changing


@dataclass(frozen=True)
class Changes:
    """What `device set` was asked; None: as it is. An empty host name or tag list takes it away."""

    username: str | None = None
    password: Secret | None = None
    address: str | None = None
    host_name: str | None = None
    http_port: int | None = None
    https_port: int | None = None
    site: str | None = None
    tags: tuple[str, ...] | None = None
    tls: str | None = None  # normal | legacy


async def change(services: Services, *, actor: str, selection: Selection, changes: Changes) -> list[Row]:
    """All chosen devices are changed, or none; audited without the password. The rows as they are afterwards.

    A typed address is a person's word on where the device is: an open question of identity is asked anew at the
    next look. A login is not tried now. Raises InvalidInput, Conflict when a name or an address belongs to another.
    """
    if changes == Changes():
        raise InvalidInput("Nothing was asked to change: see fleetseal device set --help.")
    devices = await listing.choose(services, selection)
    if (changes.address or changes.host_name) and len(devices) != 1:
        raise InvalidInput("An address or a host name belongs to one device: name one.")
    common = _changed_columns(changes)
    now = services.clock.now()
    async with services.database.transaction() as tx:
        for device in devices:
            columns = common | await _changed_name(tx, device, changes)
            if columns:
                await inventory.change(tx, device.id, **columns)
            if changes.username is not None or changes.password is not None:
                await inventory.set_login(
                    tx, services.sealer, device.id, await _new_login(services, tx, device, changes)
                )
            await audit.record(
                tx,
                now=now,
                actor=actor,
                action="device set",
                object=device.label,
                detail={**_audited(columns), "login": changes.password is not None or changes.username is not None},
            )
    return await listing.rows(services, [device.id for device in devices])


async def remove(services: Services, *, actor: str, references: Sequence[str], revoke: bool = False) -> list[Row]:
    """The devices are forgotten; the rows as they were. What was issued to them stays on record.

    `revoke`: their certificates are revoked as well, in the same transaction, and each row has their serials as
    `revoked`; CRLs follow as in `issued.revoke`. Raises NotFound, and Conflict while a task is at work on one: then
    none is forgotten.
    """
    devices = await listing.choose(services, Selection(refs=tuple(references)))
    rows = await listing.rows(services, [device.id for device in devices])
    now = services.clock.now()
    revoked: dict[DeviceId, list[str]] = {}
    async with services.database.transaction() as tx:
        busy = await inventory.active_tasks(tx)
        for device in devices:
            if device.id in busy:
                raise Conflict(f"{device.label} is busy in {busy[device.id]}. Wait, or cancel it first.")
            if revoke:
                revoked[device.id] = await issued.revoke_all(tx, device, now=now, actor=actor)
            await inventory.remove(tx, device.id)
            await alarms.close_all(tx, now=now, object=device.label)
            await audit.record(
                tx,
                now=now,
                actor=actor,
                action="device remove",
                object=device.label,
                detail={"id": device.id, "address": device.address},
            )
    if not revoke:
        return rows
    if (problem := await issued.tell(services, actor=actor)) is not None:
        raise StoreError(
            "The devices are forgotten and their certificates revoked on record. Not every CRL could be made and "
            f"published: {problem.message} When that is mended: fleetseal crl."
        ) from problem
    return [{**row, "revoked": revoked[row["id"]]} for row in rows]


def _changed_columns(changes: Changes) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if changes.address is not None:
        columns |= {"address": dialled(changes.address), "identity_problem": None, "last_change": None}
    for column, port in (("http_port", changes.http_port), ("https_port", changes.https_port)):
        if port is not None:
            check_port(port)
            columns[column] = port
    for column, text in (("site", changes.site), *(("tags", tag) for tag in changes.tags or ())):
        if text is not None:
            check_label(column, text)
    if changes.site is not None:
        columns["site"] = changes.site
    if changes.tags is not None:
        columns["tags"] = sorted(set(changes.tags))
    if changes.tls is not None:
        if changes.tls not in ("normal", "legacy"):
            raise InvalidInput(f"--tls cannot be {changes.tls!r}. Allowed: normal or legacy.")
        columns["legacy_tls"] = changes.tls == "legacy"
    return columns


async def _changed_name(tx: Transaction, device: Device, changes: Changes) -> dict[str, Any]:
    """The columns of the host name, where they change. Raises InvalidInput; Conflict when it is another device's."""
    address = device.address if changes.address is None else dialled(changes.address)
    if changes.host_name is None and (changes.address is None or is_address(address)):
        return {}
    told = None if changes.host_name is None else (typed_name(changes.host_name) if changes.host_name else "")
    name = one_name(address, told)
    if name:
        await check_name_free(tx, name, besides=device.id)
    return {"host_name": name or None, "host_name_typed": bool(name)}


async def _new_login(services: Services, tx: Transaction, device: Device, changes: Changes) -> Login:
    """What was typed, completed by what is stored."""
    stored = await inventory.login(tx, services.sealer, device.id)
    username = changes.username or (stored.username if stored else None)
    password = changes.password.reveal() if changes.password else (stored.password if stored else None)
    if username is None or password is None:
        missing = "a user name" if username is None else "a password"
        raise InvalidInput(f"{device.label} has no login yet: give {missing} as well. Nothing was changed.")
    return Login(username, password)


def _audited(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if name not in ("identity_problem", "last_change")}
