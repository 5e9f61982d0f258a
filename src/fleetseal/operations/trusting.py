"""A person decides how far a device is trusted: what it shows now, and accepting it.

Here, and in `https disable`, trust is lowered; nowhere else.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput
from fleetseal.core.model import Device, DeviceId, Selection, TrustLevel
from fleetseal.core.text import timestamp
from fleetseal.devices.driver import Connector, Sight
from fleetseal.operations import listing
from fleetseal.operations.listing import Row
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.operations.trust import change_shown
from fleetseal.pki import chain
from fleetseal.store import alarms, audit, inventory


async def preview(services: Services, selection: Selection) -> list[Row]:
    """What each device shows now, for a person to judge; nothing is accepted and no login is sent.

    One object for each device: `{"id","mac","address","trust","shows","http","change","message"}`. `shows` is null or
    `{"sha256","subject","issuer","names","not_before","not_after","serial"}`, `serial` being the hardware's as told.
    `change` is null or `{"verdict","reason"}`: why it is not what is on record.
    """
    devices = await listing.choose(services, selection)
    connector = services.connect(await in_force(services))
    return [await _show(services, connector, device) for device in devices]


async def accept(services: Services, *, actor: str, accepted: Mapping[int, str | None]) -> list[Row]:
    """Each device, by id, is trusted by the certificate with this SHA-256 (hex), or, where it is None, by plain HTTP.
    The rows as they are afterwards.

    Each device is looked at again: one that shows something else now is refused. Audited. Raises Conflict or
    Unreachable; the devices before that one are accepted.
    """
    connector = services.connect(await in_force(services))
    for device_id, fingerprint in accepted.items():
        async with services.database.reading() as tx:
            device = await inventory.get(tx, DeviceId(device_id))
        sight = await connector.look(device.endpoint)
        columns = _accepted_columns(device, sight, fingerprint)
        now = services.clock.now()
        async with services.database.transaction() as tx:
            if (task := (await inventory.active_tasks(tx, [device.id])).get(device.id)) is not None:
                raise Conflict(f"{device.label} is busy in {task}. Wait until it has ended.")
            await inventory.change(tx, device.id, **columns)
            await alarms.close_alarm(tx, now=now, cause="certificate-differs", object=device.label)
            await audit.record(
                tx,
                now=now,
                actor=actor,
                action="device trust",
                object=device.label,
                detail={"accepted": fingerprint or "plain HTTP", "before": device.trust_level, "serial": sight.serial},
            )
    return await listing.rows(services, map(DeviceId, accepted))


def _accepted_columns(device: Device, sight: Sight, fingerprint: str | None) -> dict[str, Any]:
    name = device.label
    decided: dict[str, Any] = {
        "identity_problem": None,
        "last_change": None,
        "trust_problem": None,
        "ever_anchored": False,
        "reachable": True,
    }
    if sight.serial is not None:
        decided["serial"] = sight.serial
    if fingerprint is None:
        if not sight.http:
            raise Conflict(f"{name} does not answer plain HTTP: nothing was accepted.")
        return {**decided, "trust_level": TrustLevel.PLAINTEXT, "trust_pin": None, "plain_accepted": True}
    if sight.served is None:
        raise Conflict(f"{name} shows no certificate: nothing was accepted. {sight.tls_error or ''}".strip())
    shown = hashlib.sha256(sight.served.leaf).digest()
    if shown != bytes.fromhex(_fingerprint_of(fingerprint)):
        raise Conflict(
            f"{name} shows another certificate now, with the fingerprint {shown.hex()}. Nothing was accepted."
        )
    return {**decided, "trust_level": TrustLevel.PINNED, "trust_pin": shown, "plain_accepted": False}


def _fingerprint_of(text: str) -> str:
    """A SHA-256 fingerprint in any common spelling, as 64 lower-case hex digits. Raises InvalidInput."""
    compact = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if len(compact) != 64 or not set(compact) <= set("0123456789abcdef"):
        raise InvalidInput(f"{text!r} is no SHA-256 fingerprint: it has 64 hexadecimal digits.")
    return compact


async def _show(services: Services, connector: Connector, device: Device) -> Row:
    row: Row = {"id": device.id, "mac": device.mac, "address": device.address, "trust": device.trust_level.value}
    try:
        sight = await connector.look(device.endpoint)
    except FleetsealError as error:
        return {**row, "shows": None, "http": False, "change": None, "message": error.message}
    async with services.database.reading() as tx:
        change = await change_shown(services, tx, device, sight)
    row |= {"http": sight.http, "change": change and {"verdict": change.verdict.value, "reason": change.reason}}
    if sight.served is None:
        return {**row, "shows": None, "message": sight.tls_error or "It shows no certificate."}
    leaf = chain.describe(sight.served.leaf)
    shows = {
        "sha256": leaf.sha256,
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "names": list(leaf.names),
        "not_before": timestamp(leaf.not_before),
        "not_after": timestamp(leaf.not_after),
        "serial": sight.serial,
    }
    return {**row, "shows": shows, "message": ""}
