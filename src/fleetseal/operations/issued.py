"""What we issued, permanently on record: shown, and revoked."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput, NotFound
from fleetseal.core.model import Device, IssuanceId, mac_of, serial_of
from fleetseal.core.secrets import Secret
from fleetseal.core.text import clean, timestamp
from fleetseal.operations import disowned, places, revocation, signing
from fleetseal.operations.services import Services
from fleetseal.pki.crl import Reason
from fleetseal.store import audit, authorities, certificates, inventory
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.certificates import IssuanceRecord
from fleetseal.store.database import Transaction
from fleetseal.store.device_pages import Place

Row = dict[str, Any]

DEVICE_REASONS: Final = tuple(reason for reason in Reason if reason is not Reason.CA_COMPROMISE)
AUTHORITY_REASONS: Final = tuple(reason for reason in Reason if reason is not Reason.KEY_COMPROMISE)
"""RFC 5280 5.3.1: the key of a CA has a reason of its own."""


async def list_(services: Services, reference: str | None = None) -> list[Row]:
    """Every device certificate that was signed here, oldest first; of one device, also of one that is forgotten.

    One object for each: `{"serial","device","mac","subject","names","not_before","not_after","state","task",
    "issuer","job","alias","key_origin","sha256","issued","installed","superseded","revoked","reason"}`. `device` is
    its id. `state`: `issued`, `installed`, `superseded`, `revoked`, or `abandoned`, signed and never put to use.
    Raises NotFound when no such device is known and nothing was issued to one, Conflict when several are meant.
    """
    async with services.database.reading() as tx:
        meant, known = await _meant(tx, reference)
        names = {one.id: one.name for one in await authorities.every(tx)}
        found = [record for record in await certificates.signed(tx) if meant(record)]
    if reference is not None and not (known or found):
        raise NotFound(f"No certificate was issued here to {clean(reference)}.")
    return [{**_row(record), "issuer": names.get(record.authority_id)} for record in found]


async def page(services: Services, *, limit: int, after: str | None = None) -> Row:
    """`{"items","next","total"}`: at most `limit` rows of `list_`, from `after` on. Raises InvalidInput for a limit or
    a place that is none."""
    places.check(limit)
    name = places.name_of_list("issued")
    place, total = (Place(b"", 0), None) if after is None else places.read(after, name)
    async with services.database.reading() as tx:
        names = {one.id: one.name for one in await authorities.every(tx)}
        found = await certificates.signed_after(tx, IssuanceId(place.id), limit=limit + 1)
        total = await certificates.number_signed_for_devices(tx) if total is None else total
    rows = [{**_row(record), "issuer": names.get(record.authority_id)} for record in found[:limit]]
    following = places.write(Place(b"", found[limit - 1].id), total, name) if len(found) > limit else None
    return {"items": rows, "next": following, "total": total}


async def revoke(services: Services, *, actor: str, serial: str, reason: str, passphrase: Secret | None = None) -> Row:
    """A certificate is not to be believed any more: on record and audited at once; its CA's CRL says so, or waits
    for the key.

    The row of `list_` with `{"crl","message"}`; `crl` is the state of that CA's CRL as in `revocation.list_crls`.
    Nothing is revoked when this raises NotFound (no such serial), Conflict (revoked or expired already, its CA in
    use, a task at work), InvalidInput (serial or reason), Locked (wrong passphrase).
    """
    wanted, why = _serial(serial), _reason(reason)
    async with signing.opened(services, actor=actor, passphrase=passphrase):
        now = services.clock.now()
        async with services.database.transaction() as tx:
            record = await _revocable(tx, wanted, why, now=now)
            await _mark(tx, record, why, now=now, actor=actor)
            device = None if record.device_id is None else await inventory.known(tx, record.device_id)
            authority = await authorities.get(tx, record.authority_id)
        problem = await tell(services, actor=actor)
    async with services.database.reading() as tx:
        record = await certificates.get(tx, record.id)
    told = {one["id"]: one["state"] for one in await revocation.list_crls(services)}
    state = "due" if problem is not None else told.get(authority.id, "impossible")
    parts = [f"The certificate {record.serial} ({record.subject}) is revoked."]
    parts.append(_crl_sentence(authority, state, problem))
    if device is not None and device.served_der == record.der:
        parts.append(f"{device.label} still serves it. {disowned.remedy(device.label, why)}")
    return {**_row(record), "issuer": authority.name, "crl": state, "message": " ".join(parts)}


async def revoke_all(tx: Transaction, device: Device, *, now: datetime, actor: str) -> list[str]:
    """Every certificate of this hardware that is still good is revoked, because it leaves; their serials."""
    gone = []
    for record in await certificates.of_hardware(tx, device.id, device.serial):
        if record.state != "revoked" and record.not_after > now:
            await _mark(tx, record, Reason.CESSATION_OF_OPERATION, now=now, actor=actor)
            gone.append(record.serial)
    return gone


# ---------------------------------------------------------------- what is meant


async def _meant(tx: Transaction, reference: str | None) -> tuple[Callable[[IssuanceRecord], bool], bool]:
    """Which records, and whether the device is in the inventory."""
    if reference is None:
        return lambda record: True, True
    try:
        device = await inventory.find(tx, reference)
    except NotFound:  # forgotten: its MAC address, its id, or a name in its certificates
        mac, name = serial_of(reference), inventory.canonical_host(reference)
        number = int(reference) if re.fullmatch(r"[0-9]{1,9}", reference) else None
        return lambda record: record.mac == mac if mac else record.device_id == number or name in record.names, False
    serial = device.serial
    return lambda record: record.device_id == device.id or (serial is not None and record.mac == serial), True


def _serial(text: str) -> str:
    compact = text.strip().lower().removeprefix("0x").replace(":", "").replace(" ", "").lstrip("0")
    if not re.fullmatch(r"[0-9a-f]{1,40}", compact):
        raise InvalidInput(f"{clean(text)!r} is no serial number: it has up to 40 hexadecimal digits.")
    return compact.rjust(40, "0")


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError as error:
        raise InvalidInput(f"There is no reason {clean(text)!r}. The reasons are: {', '.join(Reason)}.") from error


async def _revocable(tx: Transaction, serial: str, reason: Reason, *, now: datetime) -> IssuanceRecord:
    found = await certificates.by_serial(tx, serial)
    if not found:
        raise NotFound(f"No certificate with the serial number {serial} was issued here. Nothing was revoked.")
    record = found[-1]
    if record.revoked is not None:
        raise Conflict(
            f"This certificate was revoked on {record.revoked:%Y-%m-%d} ({record.revocation_reason}) already."
        )
    if record.not_after <= now:
        raise Conflict(f"This certificate expired on {record.not_after:%Y-%m-%d}: nothing was revoked.")
    if record.purpose == "ca":
        await _require_retired(tx, record)
    allowed = AUTHORITY_REASONS if record.purpose == "ca" else DEVICE_REASONS
    if reason not in allowed:
        raise InvalidInput(f"The reason of this certificate cannot be {reason}. Allowed: {', '.join(allowed)}.")
    task = (await inventory.active_tasks(tx)).get(record.device_id) if record.device_id is not None else None
    if task is not None:
        raise Conflict(
            f"The device of this certificate is busy in {task}, which may need it to put things back. Wait, or "
            f"cancel it first: fleetseal task cancel {task.task_id}. Nothing was revoked."
        )
    return record


async def _require_retired(tx: Transaction, record: IssuanceRecord) -> None:
    """The CA whose own certificate this is signs no more, and a CA above it can say so."""
    own = next((one for one in await authorities.every(tx) if one.sha256 == record.sha256), None)
    if own is not None and own.id == record.authority_id:
        raise Conflict("A root cannot be revoked by a CRL: remove it wherever it is trusted. Nothing was revoked.")
    if own is not None and own.state == "active":
        raise Conflict(
            f'This is the certificate of the CA "{own.name}", which is in use: with it, every certificate that it '
            "signed would fall. Put another CA in its place first. Nothing was revoked."
        )


async def _mark(tx: Transaction, record: IssuanceRecord, reason: Reason, *, now: datetime, actor: str) -> None:
    """AUD-FAILS-CLOSED: the record and the audit line are one transaction."""
    await certificates.change(tx, record.id, state="revoked", revoked=now, revocation_reason=reason.value)
    await audit.record(
        tx,
        now=now,
        actor=actor,
        action="certificate revoke",
        object=record.serial,
        detail={"subject": record.subject, "mac": record.mac, "reason": reason.value, "before": record.state},
    )


# ---------------------------------------------------------------- telling


async def tell(services: Services, *, actor: str) -> FleetsealError | None:
    """CRLs are made where keys are open. What prevents it changes nothing about the revocation, and is told."""
    try:
        await revocation.renew_crls(services, actor=actor)
    except FleetsealError as error:
        return error
    return None


def _crl_sentence(authority: AuthorityRecord, state: str, problem: FleetsealError | None) -> str:
    if problem is not None:
        return f"Not every CRL could be made and published: {problem.message} When that is mended: fleetseal crl."
    if state == "locked":
        return (
            f'The key of the CA "{authority.name}" is locked, so no CRL says so yet: it follows when the key is '
            "unlocked, or in the next nightly run that finds it open. At once: fleetseal crl --passphrase-file FILE."
        )
    if state == "impossible":
        return f'The CA "{authority.name}" may not sign CRLs: no client learns of it.'
    return f'The CRL of the CA "{authority.name}" says so from now on.'


def _row(record: IssuanceRecord) -> Row:
    def at(moment: datetime | None) -> str | None:
        return None if moment is None else timestamp(moment)

    return {
        "serial": record.serial,
        "device": record.device_id,
        "mac": None if record.mac is None else mac_of(record.mac),
        "subject": record.subject,
        "names": list(record.names),
        "not_before": timestamp(record.not_before),
        "not_after": timestamp(record.not_after),
        "state": record.state,
        "task": record.task_id,
        "job": record.job_id,
        "alias": record.alias,
        "key_origin": record.origin.value,
        "sha256": record.sha256,
        "issued": timestamp(record.created),
        "installed": at(record.installed),
        "superseded": at(record.superseded),
        "revoked": at(record.revoked),
        "reason": record.revocation_reason,
    }
