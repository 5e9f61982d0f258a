"""Certificates on devices: listed as the devices show them, brought there from files, and asked to be deleted."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fleetseal.core.errors import AuthenticationFailed, FleetsealError, InvalidInput, Locked
from fleetseal.core.model import Alias, CertificateSource, Device, Selection, TaskAction, TaskId
from fleetseal.core.runtime import side_by_side
from fleetseal.core.secrets import Secret
from fleetseal.core.text import clean, timestamp
from fleetseal.devices.axis.public_roots import PUBLIC_ROOTS
from fleetseal.operations import issuing, listing, matching, recording, tasks
from fleetseal.operations.listing import Context, Row
from fleetseal.operations.readiness import note_refusal, ready
from fleetseal.operations.services import Services
from fleetseal.operations.trust import peer_trust
from fleetseal.pki import chain
from fleetseal.pki.bundles import Bundle, File, read
from fleetseal.pki.crl import Reason
from fleetseal.store import bundles, certificates, inventory
from fleetseal.store.bundles import BundleRecord
from fleetseal.store.database import Transaction
from fleetseal.store.tasks import JobRecord

if TYPE_CHECKING:  # reading commands do not load the engine
    from fleetseal.jobs.engine import Engine


async def list_(services: Services, selection: Selection, *, actor: str, public_roots: bool = False) -> list[Row]:
    """Every entry of each device's store, with a key or as a CA, read from the devices now; nothing is written to
    them. That their logins are used is audited.

    One object for each device: `{"id","mac","address","message","certificates","hidden"}`. `message` is empty, or says
    why the device could not be read; `hidden` counts the well-known public roots from the factory that nothing uses,
    which are left out unless `public_roots`. A certificate is `{"alias","kind","use","source","subject","issuer",
    "names","serial","not_before","not_after","sha256","key"}`: `kind` is `key` or `ca`, `use` the services that use it,
    `source` `ours`, `factory`, `default` or `other`; what cannot be read in it is null. Raises NotFound, Conflict,
    InvalidInput for the selection.
    """
    devices = await listing.choose(services, selection)
    async with services.database.reading() as tx:
        context = await Context.read(services, tx)
    await recording.logins_used(services, devices, actor=actor, purpose="certificate list")

    async def one(device: Device) -> Row:
        shown: Row = {"id": device.id, "mac": device.mac, "address": device.address}
        try:
            entries = await _read(services, context, device)
        except FleetsealError as error:
            return {**shown, "message": error.message, "certificates": [], "hidden": 0}
        told = [entry for entry in entries if public_roots or not _is_public_root(entry)]
        return {**shown, "message": "", "certificates": told, "hidden": len(entries) - len(told)}

    return await side_by_side([one(device) for device in devices], at_once=context.settings.jobs_concurrency)


async def delete(services: Services, engine: "Engine", *, actor: str, reference: str, alias: str) -> TaskId:
    """A task that removes one entry from one device, if nothing uses it. Raises as `tasks.request`."""
    return await tasks.request(
        services,
        engine,
        actor=actor,
        action=TaskAction.DELETE_CERTIFICATE,
        selection=Selection(refs=(reference,)),
        wish={"alias": alias},
    )


async def install(
    services: Services,
    engine: "Engine",
    *,
    actor: str,
    files: Sequence[tuple[str, bytes, Secret | None]],
    reference: str | None,
    for_https: bool,
    set_clock: bool,
) -> TaskId:
    """A task that installs the certificates of `files` (name, content, passphrase), each with its key: on the one
    device that it names, or, when `reference` names a device, the only one there.

    What cannot be used is told in the task's result. Keys are sealed here, and kept until their jobs have ended.
    Raises Locked when no file could be opened for want of the passphrase; NotFound, Conflict, InvalidInput for the
    device that is named.
    """
    found, unused = await asyncio.to_thread(read, [File(*file) for file in files])
    if not found and unused and all(one.locked for one in unused):
        raise Locked(unused[0].reason)
    async with services.database.reading() as tx:
        named = None if reference is None else await inventory.find(tx, reference)
        devices = await inventory.every(tx)
        known = await _known_keys(tx, found)
    if named is not None and len(found) > 1:
        raise InvalidInput(f"The files hold {len(found)} certificates with keys: give one for the device you named.")
    matched, refused = matching.match(found, devices, known, named=named, now=services.clock.now(), for_https=for_https)
    by_device = {one.device.id: one.bundle for one in matched}

    async def keep(tx: Transaction, job: JobRecord) -> None:
        bundle = by_device[job.device_id]
        key = bundle.key if job.active else None
        record = BundleRecord(bundle.file, bundle.leaf, bundle.above)
        await bundles.add(tx, services.sealer, job.id, record, key)

    return await tasks.begin(
        services,
        engine,
        actor=actor,
        action=TaskAction.INSTALL_CERTIFICATE,
        wish={
            "for": "https" if for_https else "none",
            "set_clock": set_clock,
            "unmatched": [{"file": one.file, "reason": one.reason} for one in (*unused, *refused)],
        },
        chosen=[one.device for one in matched],
        named=True,
        also=keep,
    )


async def _known_keys(tx: Transaction, found: Sequence[Bundle]) -> matching.Known:
    spkis = {chain.describe(bundle.leaf).spki_sha256 for bundle in found}
    owners = {spki: await certificates.owner_of_key(tx, spki) for spki in spkis}
    ours = frozenset(chain.describe(der).spki_sha256 for der in await issuing.own_certificates(tx))
    return matching.Known(
        {spki: owner for spki, owner in owners.items() if owner is not None},
        ours,
        stolen=await certificates.keys_revoked_for(tx, Reason.KEY_COMPROMISE),
        ended=await certificates.ended_among(tx, [chain.describe(one.leaf).sha256 for one in found]),
    )


async def _read(services: Services, context: Context, device: Device) -> list[Row]:
    device, login = await ready(services, device.id)
    async with services.database.reading() as tx:
        trust = await peer_trust(services, tx, device)
    connector = services.connect(context.settings)
    try:
        async with connector.open(device.endpoint, trust, login, serial=device.serial) as connection:
            entries = await connection.driver.certificates()
            authorities = await connection.driver.authorities()
            uses = await connection.driver.uses()
    except AuthenticationFailed:
        await note_refusal(services, device)
        raise
    return [
        *(
            _row("key", one.alias, one.der, uses.get(one.alias, ()), context.source(one.alias, one.der))
            for one in entries
        ),
        *(
            _row("ca", one.alias, one.der, uses.get(one.alias, ()), context.authority_source(one.alias, one.der))
            for one in authorities
        ),
    ]


def _is_public_root(entry: Row) -> bool:
    """One from the factory that nothing uses, by its name: nobody decides anything by it."""
    self_signed = entry["subject"] is not None and entry["subject"] == entry["issuer"]
    return entry["kind"] == "ca" and entry["alias"] in PUBLIC_ROOTS and self_signed and not entry["use"]


def _row(kind: str, alias: Alias, der: bytes, use: Iterable[str], source: CertificateSource) -> Row:
    row: dict[str, Any] = {"alias": clean(alias), "kind": kind, "use": sorted(use), "source": source.value}
    shown = listing.described(der)
    if shown is None:
        unread = ("subject", "issuer", "names", "serial", "not_before", "not_after", "sha256", "key")
        return row | dict.fromkeys(unread)
    return row | {
        "subject": shown.subject,
        "issuer": shown.issuer,
        "names": list(shown.names),
        "serial": shown.serial,
        "not_before": timestamp(shown.not_before),
        "not_after": timestamp(shown.not_after),
        "sha256": shown.sha256,
        "key": shown.key,
    }
