"""Certificates signed here after a backup that was restored: unknown to the records, and taken into them when a device
shows one (SEC-RESTORABLE, ISS-NOT-FORGOTTEN).

Only after a restore, and only for a certificate that was signed in the time it left without records: at any other time
a certificate of our CA that is not on record is none that we may explain away.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Device, IssuanceId, KeyOrigin, Serial
from fleetseal.devices.driver import Sight
from fleetseal.operations import issuing
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.operations.trust import anchored, vouched_name
from fleetseal.pki import chain, profile
from fleetseal.store import audit, authorities, certificates, experience
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.certificates import IssuanceRecord
from fleetseal.store.database import Transaction

_SLACK: Final = timedelta(days=1)  # what was intended before the backup may have been signed after it


async def adopt(services: Services, device: Device, sight: Sight) -> bool:
    """What `device` serves by `sight` is on record as installed there, if it is a certificate that we signed for it and
    forgot; the one on record before is superseded. Audited. True if so.

    Demanded: a handshake by its key, the recorded serial, a chain to a CA whose key is here, its address
    or typed host name among the names, a time of signing between a backup and its restore, and a key that no other
    device had.
    """
    serial = sight.serial
    if sight.served is None or serial is None or device.serial not in (None, serial) or sight.needs_setup:
        return False
    der = sight.served.leaf
    try:
        leaf = chain.describe(der)
    except InvalidInput:  # unreadable, so not ours
        return False
    if leaf.self_signed or leaf.is_ca:
        return False
    async with services.database.reading() as tx:
        if await certificates.serial_of_leaf(tx, leaf.sha256) is not None:
            return False
        issuer = await _issuer(tx, device, der, at=services.clock.now())
        if issuer is None or not await _forgotten(tx, leaf.not_before + profile.BACKDATING):
            return False
    warning_days = (await in_force(services)).certificate_warning_days
    async with services.database.transaction() as tx:
        if await certificates.owner_of_key(tx, leaf.spki_sha256) not in (None, device.id):
            return False
        known = await certificates.under_serial(tx, issuer.id, leaf.serial)
        if known is not None and not _intended(known, device, der):
            return False
        renew_at = profile.renew_at(
            leaf.not_after,
            warning_days=warning_days,
            life=leaf.not_after - leaf.not_before - profile.BACKDATING,
            device=serial,
        )
        id_ = known.id if known else await _add(tx, issuer, device, serial, der, now=services.clock.now())
        await certificates.change(tx, id_, state="issued", der=der, sha256=leaf.sha256, renew_at=renew_at)
        await _record(services, tx, id_, device, leaf)
    return True


async def name_entry(tx: Transaction, columns: Mapping[str, Any]) -> None:
    """The alias of the entry that serves, as `columns` of the device have it after a login, is on record for a
    certificate that was adopted without one."""
    alias, leaf = columns.get("bound_alias"), columns.get("served_der")
    if alias is not None and leaf is not None:
        await certificates.name_alias(tx, hashlib.sha256(leaf).hexdigest(), alias)


async def _issuer(tx: Transaction, device: Device, der: bytes, *, at: datetime) -> AuthorityRecord | None:
    """The CA with its key here that signed this server certificate for the address or typed host name of `device`."""
    known = await authorities.every(tx)
    own = [one for one in known if one.key_file is not None and one.in_use]
    issuer = next((one for one in own if one.der is not None and chain.issued_by(der, one.der)), None)
    if issuer is None or vouched_name(device, der, (), await anchored(tx, device), at=at) is None:
        return None
    return issuer


async def _forgotten(tx: Transaction, signed: datetime) -> bool:
    """Whether a restore left the records without this moment."""
    for restored in await audit.of_action(tx, "restore"):
        if datetime.fromisoformat(restored.detail["made"]) - _SLACK <= signed <= restored.at:
            return True
    return False


def _intended(record: IssuanceRecord, device: Device, der: bytes) -> bool:
    """It is what was about to be signed for this device when the backup was made."""
    return record.der is None and record.device_id == device.id and record.tbs_sha256 == _tbs_sha256(der)


async def _add(
    tx: Transaction, issuer: AuthorityRecord, device: Device, serial: Serial, der: bytes, *, now: datetime
) -> IssuanceId:
    leaf = chain.describe(der)
    learned = await experience.key_origin(tx, device)
    return await certificates.add(
        tx,
        authority_id=issuer.id,
        serial=leaf.serial,
        device_id=device.id,
        mac=serial,
        purpose="https",
        origin=KeyOrigin.DEVICE if learned is None else KeyOrigin(learned[0]),
        content={"read": "from the device"},
        tbs_sha256=_tbs_sha256(der),
        spki_sha256=leaf.spki_sha256,
        subject=leaf.subject,
        names=list(leaf.names),
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        created=now,
    )


async def _record(
    services: Services, tx: Transaction, id_: IssuanceId, device: Device, leaf: chain.Description
) -> None:
    now = services.clock.now()
    if await certificates.owner_of_key(tx, leaf.spki_sha256) is None:
        await certificates.remember_key(tx, leaf.spki_sha256, device.id, now=now)
    await issuing.mark_installed(tx, id_, now)
    detail = {"device": device.label, "names": list(leaf.names), "sha256": leaf.sha256, "origin": "read"}
    await audit.record(tx, now=now, actor="fleetseal", action="certificate adopted", object=leaf.serial, detail=detail)


def _tbs_sha256(der: bytes) -> str:
    return hashlib.sha256(chain.load(der).tbs_certificate_bytes).hexdigest()
