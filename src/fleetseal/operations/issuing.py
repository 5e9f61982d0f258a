"""From a judged key to a recorded certificate: reserve (the intent is committed), issue (signed and recorded).

Every function works in the caller's transaction, so that an effect and its record commit together.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleetseal.core.config import Settings
from fleetseal.core.errors import IssuanceRefused, Locked, NotFound
from fleetseal.core.model import Alias, AuthorityId, Chain, Device, DeviceId, IssuanceId, JobId, KeyOrigin
from fleetseal.operations.recording import OURSELVES, open_issuer
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current as current_settings
from fleetseal.pki import chain, keys, profile
from fleetseal.pki.content import Content, LeafContent, Signer, content_from_json
from fleetseal.pki.issuer import Issuer, KeyFile, Sealing, Ticket, to_be_signed
from fleetseal.store import audit, authorities, certificates, tasks
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.certificates import IssuanceRecord
from fleetseal.store.database import Transaction

_CLOCK_STEP = timedelta(seconds=5)
_ACTOR = OURSELVES  # jobs sign by themselves; the record of the task says who asked


@dataclass(frozen=True)
class Authority:
    """The CA that signs device certificates now."""

    id: AuthorityId
    record: AuthorityRecord
    signer: Signer
    elliptic: bool  # its key is EC


@dataclass(frozen=True)
class Reserved:
    """An intent that is recorded; `issue` carries it out."""

    issuance_id: IssuanceId
    content: LeafContent


async def current_authority(tx: Transaction) -> Authority:
    """The CA that signs device certificates. Raises NotFound when there is none."""
    record = await signing_record(tx)
    signer = await signer_of(tx, record.id)
    return Authority(record.id, record, signer, chain.describe(signer.der).key.startswith("EC"))


async def signing_record(tx: Transaction) -> AuthorityRecord:
    """As `current_authority`, without reading its certificates."""
    record = await authorities.find_signing(tx)
    if record is None:
        raise NotFound('There is no CA here yet. Make one: "fleetseal ca create --name NAME".')
    return record


async def reserve(
    services: Services,
    tx: Transaction,
    *,
    device: Device,
    job_id: JobId,
    spki: bytes,
    common_name: str | None,
    names: tuple[str, ...],
    origin: KeyOrigin,
    alias: Alias,
    authority: AuthorityId,
) -> Reserved:
    """What will be signed for this device is recorded: content, serial, and the hash of the bytes.

    Doing it again for the same job and key gives the recorded intent back; another key, or other names, abandon it
    visibly. `spki` is a public key that passed `csr.judge` or was made here. Raises IssuanceRefused (key weak or
    seen on another device, clock behind the last signature, profile), Locked when nobody could sign it.
    """
    record, signer = await authorities.get(tx, authority), await signer_of(tx, authority)
    key_sha256 = keys.spki_sha256(spki)
    require_openable(services, record)
    now = signing_time(record, services.clock.now())
    keys.judge(spki)
    await _claim_key(tx, key_sha256, device, signer, now=now)
    settings = await current_settings(services, tx)
    content = profile.leaf_content(
        signer,
        spki,
        serial=profile.new_serial(services.rng),
        now=now,
        life=timedelta(days=settings.certificate_validity_days),
        common_name=common_name,
        names=names,
        public_url=settings.certificate_public_url,
    )
    for earlier in await certificates.open_of_job(tx, job_id, origin):
        if earlier.spki_sha256 == key_sha256 and earlier.authority_id == authority and earlier.names == content.names:
            return Reserved(earlier.id, LeafContent.from_json(earlier.content))
        await abandon(tx, earlier.id, "The job asks for another key or other names.", now=now)
    issuance_id = await record_intent(
        tx,
        content,
        signer=signer,
        authority=authority,
        created=now,
        actor=_ACTOR,
        device_id=device.id,
        mac=device.serial,
        job_id=job_id,
        task_id=await tasks.task_of(tx, job_id),
        origin=origin,
        alias=alias,
        renew_at=_renew_at(content, device, settings),
    )
    return Reserved(issuance_id, content)


async def issue(services: Services, tx: Transaction, issuance_id: IssuanceId) -> Chain:
    """The certificate of an intent, signed once and recorded with an audit line; given back if it was signed before.

    Raises Locked, IssuanceRefused (clock, profile, bytes differ from the intent), NotFound.
    """
    intent = await certificates.get(tx, issuance_id)
    if intent.state == "intended":
        record, signer = await authorities.get(tx, intent.authority_id), await signer_of(tx, intent.authority_id)
        now = signing_time(record, services.clock.now())
        issuer = await open_issuer(services, tx, record, key_file(record), signer)
        await record_signature(tx, intent, issuer.issue(ticket_for(issuer, intent)), now=now, actor=_ACTOR)
    return await chain_for(tx, issuance_id)


async def abandon(tx: Transaction, issuance_id: IssuanceId, reason: str, *, now: datetime) -> None:
    """The intent will not be carried out, or its certificate not used; the record stays."""
    intent = await certificates.get(tx, issuance_id)
    if intent.state not in certificates.OPEN:
        return
    await certificates.change(tx, issuance_id, state="abandoned")
    await audit.record(
        tx,
        now=now,
        actor=_ACTOR,
        action="certificate abandoned",
        object=intent.serial,
        detail={"mac": intent.mac, "signed": intent.der is not None, "reason": reason},
    )


async def abandon_open(tx: Transaction, job_id: JobId, origin: KeyOrigin, *, reason: str, now: datetime) -> None:
    """As `abandon`, for what a job has open of one key origin."""
    for intent in await certificates.open_of_job(tx, job_id, origin):
        await abandon(tx, intent.id, reason, now=now)


async def abandon_job(tx: Transaction, job_id: JobId, *, reason: str, now: datetime) -> None:
    """As `abandon`, for all that a job has open."""
    for intent in await certificates.open_of_job(tx, job_id):
        await abandon(tx, intent.id, reason, now=now)


async def mark_installed(tx: Transaction, issuance_id: IssuanceId, at: datetime) -> None:
    """The device serves it, proved from outside; the one it replaces is superseded."""
    record = await certificates.get(tx, issuance_id)
    if record.state == "installed":
        return
    if record.device_id is not None:
        previous = await certificates.installed(tx, record.device_id, record.purpose)
        if previous is not None:
            await certificates.change(tx, previous.id, state="superseded", superseded=previous.superseded or at)
    await certificates.change(tx, issuance_id, state="installed", installed=at)


async def supersede(tx: Transaction, device_id: DeviceId, at: datetime) -> None:
    """The device serves a certificate of another issuer instead of ours, which is not renewed any more."""
    previous = await certificates.installed(tx, device_id)
    if previous is not None:
        await certificates.change(tx, previous.id, state="superseded", superseded=previous.superseded or at)


# ---------------------------------------------------------------- reading


async def get(tx: Transaction, issuance_id: IssuanceId) -> IssuanceRecord:
    return await certificates.get(tx, issuance_id)


async def lineage(tx: Transaction, device_id: DeviceId) -> tuple[IssuanceRecord, ...]:
    """Every HTTPS certificate signed for a device, oldest first."""
    return await certificates.of_device(tx, device_id)


async def find_installed(tx: Transaction, device_id: DeviceId) -> IssuanceRecord | None:
    return await certificates.installed(tx, device_id)


async def installed(tx: Transaction, device_id: DeviceId) -> IssuanceRecord:
    """Raises NotFound when the device serves no certificate of ours."""
    record = await certificates.installed(tx, device_id)
    if record is None:
        raise NotFound("No certificate of this CA is recorded as installed on the device.")
    return record


async def find_issued_by_job(tx: Transaction, job_id: JobId, origin: KeyOrigin) -> IssuanceRecord | None:
    """What was signed for this job and not abandoned."""
    found = [record for record in await certificates.signed_for_job(tx, job_id) if record.origin is origin]
    return found[-1] if found else None


async def issued_by_job(tx: Transaction, job_id: JobId, origin: KeyOrigin) -> IssuanceRecord:
    """As `find_issued_by_job`. Raises NotFound."""
    record = await find_issued_by_job(tx, job_id, origin)
    if record is None:
        raise NotFound("Nothing was signed for this job.")
    return record


async def leaves_of_job(tx: Transaction, job_id: JobId) -> frozenset[bytes]:
    """The leaves (DER) signed for this job and not abandoned."""
    return frozenset(record.der for record in await certificates.signed_for_job(tx, job_id) if record.der is not None)


async def chain_for(tx: Transaction, issuance_id: IssuanceId) -> Chain:
    """The leaf with its issuing CAs, never the root. Raises NotFound when it is not signed."""
    record = await certificates.get(tx, issuance_id)
    if record.der is None:
        raise NotFound("This certificate is not signed yet.")
    return Chain(record.der, await authority_chain(tx, record.authority_id))


async def authority_chain(tx: Transaction, authority: AuthorityId) -> tuple[bytes, ...]:
    """The certificates between a leaf of this CA and the root, lowest first; empty when the root signs itself."""
    upward = await authorities.upward(tx, authority)
    return tuple(record.der for record in upward if record.der is not None and record.role != "root")


async def authority_certificates(tx: Transaction, authority: AuthorityId) -> tuple[bytes, ...]:
    """This CA and those above it to the root, lowest first: what is installed on a device beside its leaf."""
    return tuple(record.der for record in await authorities.upward(tx, authority) if record.der is not None)


async def own_certificates(tx: Transaction) -> tuple[bytes, ...]:
    """Every CA certificate under which we sign or signed; not those trusted only."""
    return tuple(record.der for record in await authorities.every(tx) if record.der is not None and record.ours)


async def anchors(tx: Transaction) -> tuple[bytes, ...]:
    """What we verify devices with: our roots, also introduced and replaced ones, and those trusted only."""
    return tuple(
        record.der
        for record in await authorities.every(tx)
        if record.der is not None and (record.state == "trust-only" or (record.role == "root" and record.in_use))
    )


async def intermediates(tx: Transaction) -> tuple[bytes, ...]:
    """CA certificates between our roots and devices."""
    return tuple(
        record.der
        for record in await authorities.every(tx)
        if record.der is not None and record.role == "intermediate" and record.in_use
    )


# ---------------------------------------------------------------- shared with the ceremonies of CAs


def key_file(record: AuthorityRecord) -> KeyFile:
    """Where the key of a CA lies. Raises Locked when it is not here."""
    if record.key_file is None or record.key_sealing is None:
        raise Locked(f'The key of the CA "{record.name}" is not here: it cannot sign.')
    return KeyFile(record.key_file, Sealing(record.key_sealing), record.remembered)


def require_openable(services: Services, record: AuthorityRecord) -> None:
    """Raises Locked when this CA could not sign now."""
    if not services.vault.is_open(key_file(record)):
        raise Locked('The CA key is locked. Give --passphrase-file, or unlock it: "fleetseal ca unlock".')


def ticket_for(issuer: Issuer, intent: IssuanceRecord) -> Ticket:
    """The right to sign exactly what was recorded. Raises IssuanceRefused when that, built now, is something else."""
    ticket = issuer.prepare(content_from_json(intent.content))
    if hashlib.sha256(ticket.tbs).hexdigest() != intent.tbs_sha256:
        raise IssuanceRefused(
            "What would be signed differs from what was recorded; nothing was signed. Start again.", rule="ISS-ONCE"
        )
    return ticket


async def record_intent(
    tx: Transaction,
    content: Content,
    *,
    signer: Signer | None,
    authority: AuthorityId,
    created: datetime,
    actor: str,
    purpose: str | None = None,
    **columns: object,
) -> IssuanceId:
    """The row and the audit line of what will be signed (ISS-RECORDED). Raises IssuanceRefused when it breaks the
    profile."""
    tbs = to_be_signed(content, signer)
    leaf = isinstance(content, LeafContent)
    names = content.names if isinstance(content, LeafContent) else ()
    serial = f"{content.serial:040x}"
    subject = content.subject.rfc4514_string()
    issuance_id = await certificates.add(
        tx,
        authority_id=authority,
        serial=serial,
        purpose=purpose or ("https" if leaf else "ca"),
        content=content.to_json(),
        tbs_sha256=hashlib.sha256(tbs).hexdigest(),
        spki_sha256=keys.spki_sha256(content.spki),
        subject=subject,
        names=list(names),
        not_before=content.not_before,
        not_after=content.not_after,
        created=created,
        **columns,
    )
    await audit.record(
        tx,
        now=created,
        actor=actor,
        action="certificate intended",
        object=serial,
        detail={"subject": subject, "names": list(names), "mac": columns.get("mac"), "job": columns.get("job_id")},
    )
    return issuance_id


async def record_signature(tx: Transaction, intent: IssuanceRecord, der: bytes, *, now: datetime, actor: str) -> None:
    """The certificate of an intent is in the records, with an audit line (AUD-FAILS-CLOSED)."""
    sha256 = hashlib.sha256(der).hexdigest()
    await certificates.change(tx, intent.id, state="issued", der=der, sha256=sha256)
    await authorities.change(tx, intent.authority_id, last_signed=now)
    await audit.record(
        tx,
        now=now,
        actor=actor,
        action="certificate issued",
        object=intent.serial,
        detail={"subject": intent.subject, "names": list(intent.names), "mac": intent.mac, "sha256": sha256},
    )


async def signer_of(tx: Transaction, authority: AuthorityId) -> Signer:
    """The public side of a CA whose certificate is here."""
    upward = [record.der for record in await authorities.upward(tx, authority) if record.der is not None]
    return Signer(upward[0], tuple(upward[1:]))


def signing_time(record: AuthorityRecord, now: datetime) -> datetime:
    """Now, and never before the last signature: a clock that time services set back by a moment says less. Raises
    IssuanceRefused when it is behind by more (REN-CLOCK-SANE)."""
    last = record.last_signed or record.created
    if last - now > _CLOCK_STEP:
        raise IssuanceRefused(
            f"The clock of this computer says {now:%Y-%m-%d %H:%M} UTC, but this CA was made or signed later than "
            "that. Nothing was signed. Set the clock right.",
            rule="REN-CLOCK-SANE",
        )
    return max(now, last)


def _renew_at(content: LeafContent, device: Device, settings: Settings) -> datetime:
    return profile.renew_at(
        content.not_after,
        warning_days=settings.certificate_warning_days,
        life=content.life,
        device=device.serial or str(device.id),
    )


async def _claim_key(tx: Transaction, spki_sha256: str, device: Device, signer: Signer, *, now: datetime) -> None:
    ours = any(chain.describe(der).spki_sha256 == spki_sha256 for der in (signer.der, *signer.above))
    if ours or not await certificates.claim_key(tx, spki_sha256, device.id, now=now):
        raise IssuanceRefused(
            "The key of this device was seen on another device before: it is a copy, or the generator is broken. "
            "Nothing was signed.",
            rule="ISS-KEY-PROVED",
        )
