"""What devices really serve, compared with the records: by a bare handshake, and by none of the code that enrols.

No login is sent and nothing is written to a device. What differs from the records is an alarm; a leaf of the device's
own lineage is taken back into them; and certificates that must be replaced before their time are marked.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from fleetseal.core.config import Settings
from fleetseal.core.errors import DeviceError, InvalidInput, IssuanceRefused
from fleetseal.core.model import (
    AuthorityId,
    CertificateSource,
    ConnectionPolicy,
    Device,
    DeviceId,
    Support,
    TrustLevel,
)
from fleetseal.core.runtime import side_by_side
from fleetseal.devices.driver import Connector
from fleetseal.operations import disowned, issuing, renewal
from fleetseal.operations.listing import described
from fleetseal.operations.naming import Names, certificate_names
from fleetseal.operations.observe import resolved
from fleetseal.operations.services import Services
from fleetseal.pki import keys
from fleetseal.pki.content import LeafContent
from fleetseal.pki.crl import Reason
from fleetseal.store import alarms, audit, authorities, certificates, inventory
from fleetseal.store.certificates import IssuanceRecord, RenewalCause
from fleetseal.store.database import Transaction

DIFFERS = "certificate-differs"
"""The cause of the alarm: a device shows a certificate that was not issued to it here, or is revoked."""

_BATCH = 200
_READOPTED = ("issued", "superseded", "abandoned")


async def audit_fleet(services: Services, settings: Settings) -> None:
    """Every device for which something was signed was looked at; its row, marks and alarm say what was found."""
    connector = services.connect(settings)
    async with services.database.reading() as tx:
        signing = await authorities.find_signing(tx)
    authority = None if signing is None else signing.id
    after: DeviceId | None = None
    while True:
        async with services.database.reading() as tx:
            devices = await inventory.batch(tx, after=after, limit=_BATCH)
            lineages = await certificates.of_devices(tx, [device.id for device in devices])
            shared = await inventory.shared_names(tx, {device.host_name for device in devices if device.host_name})
        if not devices:
            return
        after = devices[-1].id
        looks = [
            _look(connector, device, _installed(lineages[device.id]), settings, shared=device.host_name in shared)
            for device in devices
            if device.id in lineages
        ]
        seen = await side_by_side(looks, at_once=settings.jobs_concurrency)
        async with services.database.transaction() as tx:
            books = _Books(tx, settings, authority, services.clock.now())
            busy = await inventory.active_tasks(tx)
            now_recorded = await certificates.of_devices(tx, [one.device.id for one in seen])
            for one in seen:
                lineage = now_recorded.get(one.device.id, [])
                if one.device.id not in busy and _installed(lineage) == one.installed:  # no task came between
                    await books.enter(one, lineage)


@dataclass(frozen=True)
class _Seen:
    device: Device
    installed: IssuanceRecord | None
    leaf: bytes | None  # None: it did not answer, or its HTTPS is off
    names: Names | None  # what a certificate issued now would hold; None: not known


async def _look(
    connector: Connector, device: Device, installed: IssuanceRecord | None, settings: Settings, *, shared: bool
) -> _Seen:
    names = certificate_names(
        device,
        common_name=settings.certificate_common_name,
        domains=settings.certificate_domains,
        resolved=await resolved(connector, device, settings, known=() if installed is None else installed.names),
        shared=shared,
    )
    leaf = None
    if device.support is Support.SUPPORTED and device.tls is not False and device.policy is not ConnectionPolicy.HTTP:
        with suppress(DeviceError, InvalidInput):  # silence is no finding: other looks tell whether it answers
            leaf = (await connector.served(device.endpoint)).leaf
    return _Seen(device, installed, leaf, names)


def _installed(lineage: list[IssuanceRecord]) -> IssuanceRecord | None:
    return next((record for record in lineage if record.state == "installed"), None)


@dataclass(frozen=True)
class _Books:
    """Writes down what was seen."""

    tx: Transaction
    settings: Settings
    authority: AuthorityId | None
    now: datetime

    async def enter(self, seen: _Seen, lineage: list[IssuanceRecord]) -> None:
        installed = seen.installed
        if seen.leaf is not None:
            shown = hashlib.sha256(seen.leaf).hexdigest()
            known = next((record for record in lineage if record.sha256 == shown), None)
            if known is None and _is_adopted(seen.device, shown):
                await alarms.close_alarm(self.tx, now=self.now, cause=DIFFERS, object=seen.device.label)
            elif known is None or known.state not in ("installed", *_READOPTED):
                if seen.device.ever_anchored:  # else a person accepted what it shows
                    await self._differs(seen, seen.leaf, known)
                if known is not None and known.revocation_reason in disowned.REPLACED:
                    await self._note(seen.device, known, seen.leaf)
                    await certificates.change(self.tx, (installed or known).id, reissue=RenewalCause.REVOKED)
                    return
            else:
                await alarms.close_alarm(self.tx, now=self.now, cause=DIFFERS, object=seen.device.label)
                if known.state != "installed":
                    await self._adopt(seen.device, known)
                    installed = known
                await self._note(seen.device, known, seen.leaf)
        if installed is not None:
            await self._mark(installed, seen.names)

    async def _differs(self, seen: _Seen, leaf: bytes, known: IssuanceRecord | None) -> None:
        shown = described(leaf)
        if known is not None and known.state == "revoked":
            reason = Reason(known.revocation_reason or Reason.UNSPECIFIED)
            message = f"Its certificate {known.serial} is revoked. {disowned.remedy(seen.device.label, reason)}"
        else:
            what = "something that is no certificate" if shown is None else f"a certificate of {shown.issuer}"
            message = (
                f"It shows {what} that was not issued to it here. No login is sent to it. "
                "See what it shows and decide: fleetseal device trust DEVICE."
            )
        await alarms.raise_alarm(
            self.tx,
            now=self.now,
            cause=DIFFERS,
            object=seen.device.label,
            severity="critical",
            message=message,
        )
        if shown is None:
            return
        for owner in await certificates.installed_with_key(self.tx, shown.spki_sha256):
            if owner.device_id != seen.device.id:
                await certificates.change(self.tx, owner.id, reissue=RenewalCause.KEY)

    async def _adopt(self, device: Device, known: IssuanceRecord) -> None:
        await issuing.mark_installed(self.tx, known.id, self.now)
        await audit.record(
            self.tx,
            now=self.now,
            actor="fleetseal",
            action="certificate adopted",
            object=known.serial,
            detail={"mac": device.mac, "before": known.state},
        )

    async def _note(self, device: Device, known: IssuanceRecord, leaf: bytes) -> None:
        if device.served_der != leaf:
            await inventory.change(
                self.tx, device.id, served_der=leaf, served_source=CertificateSource.OURS, bound_alias=known.alias
            )

    async def _mark(self, record: IssuanceRecord, names: Names | None) -> None:
        cause = renewal.mark(
            record,
            weak=record.reissue is RenewalCause.KEY or _is_weak(record),
            names=names,
            authority=self.authority,
            settings=self.settings,
            now=self.now,
        )
        if cause is not record.reissue:
            await certificates.change(self.tx, record.id, reissue=cause)


def _is_adopted(device: Device, shown: str) -> bool:
    """It is the certificate of another issuer that was verified when it was put into service here."""
    pin = device.trust_pin if device.trust_level is TrustLevel.ANCHORED else None
    return pin is not None and pin.hex() == shown


def _is_weak(record: IssuanceRecord) -> bool:
    try:
        keys.judge(LeafContent.from_json(record.content).spki)
    except IssuanceRefused:
        return True
    return False
