"""What a plan needs, read from the device and from our records. Nothing is written."""

import ipaddress
from datetime import datetime, timedelta
from itertools import count

from fleetseal.core.config import Settings
from fleetseal.core.errors import FleetsealError, TlsTooOld, Unreachable
from fleetseal.core.model import (
    Alias,
    Anchored,
    CertificateSource,
    ConnectionPolicy,
    Device,
    EnableWish,
    Generation,
    HttpsState,
    Installed,
    JobId,
    KeyOrigin,
    Login,
    PeerTrust,
    Plaintext,
    Served,
)
from fleetseal.devices.driver import Connector
from fleetseal.operations import issuing, plan
from fleetseal.operations.listing import Context, described
from fleetseal.operations.naming import certificate_names, is_address
from fleetseal.operations.plan import NO_INTERFACE, Bind, Current, Go, Issuing, Observed, Plan, ServedNow
from fleetseal.operations.plan_existing import Usable, plan_entry, plan_existing, plan_storing
from fleetseal.operations.services import Services
from fleetseal.operations.trust import anchored, in_lineage, is_proof, misnamed, peer_trust, vouched_name
from fleetseal.pki import chain
from fleetseal.store import experience, inventory, tasks
from fleetseal.store.bundles import BundleRecord
from fleetseal.store.certificates import IssuanceRecord


async def plan_enable(
    services: Services,
    settings: Settings,
    connector: Connector,
    device: Device,
    login: Login,
    *,
    wish: EnableWish,
    named: bool,
    job_id: JobId | None,
) -> Plan:
    """What "Enable HTTPS" would do to this device now; `job_id` None: for reading only.

    Without a CA it would be served by the one usable entry that it has. Raises what opening a connection raises;
    NotFound when a new certificate is wished and there is no CA; Locked when it could not sign.
    """
    async with services.database.reading() as tx:
        trust, own = await peer_trust(services, tx, device), await anchored(tx, device)
        context = await Context.read(services, tx)
        own_issuers = await issuing.own_certificates(tx)
        if wish.renew or context.authority_configured:
            await issuing.signing_record(tx)
    seen = await _observed(
        connector, device, login, trust, own_issuers, with_authorities=not context.authority_configured
    )
    if not context.authority_configured:
        decided = plan_existing(
            seen,
            wish,
            settings=settings,
            usable=_usable(context, seen, own, proved=is_proof(trust)),
            proved=is_proof(trust),
            now=context.now,
        )
    else:
        decided = await _plan_issuing(services, settings, connector, seen, wish=wish, named=named, job_id=job_id)
    if isinstance(decided, Go | Bind):
        return await _with_way_back(connector, device, login, settings, decided)
    return decided


async def plan_install(
    services: Services,
    settings: Settings,
    connector: Connector,
    device: Device,
    login: Login,
    *,
    wish: EnableWish,
    bundle: BundleRecord,
    for_https: bool,
    job_id: JobId,
) -> Plan:
    """What "Install certificate" would do to this device now. Raises what opening a connection raises."""
    async with services.database.reading() as tx:
        trust, own = await peer_trust(services, tx, device), await anchored(tx, device)
        instance = await tasks.find_instance(tx)
        own_issuers = await issuing.own_certificates(tx)
    seen = await _observed(connector, device, login, trust, own_issuers, with_authorities=False)
    if seen.facts.generation is Generation.PARAMETERS:
        return NO_INTERFACE
    there = next((entry.alias for entry in seen.entries if entry.der == bundle.leaf), None)
    alias = there or _unused(f"fleetseal-{instance}-{job_id}", seen.entries)
    now = services.clock.now()
    entry = _judged(alias, bundle.leaf, bundle.above, device, own, now=now)
    if not for_https:
        return plan_storing(seen, entry, there=there is not None, proved=is_proof(trust))
    decided = plan_entry(seen, wish, entry, settings=settings, proved=is_proof(trust), now=now)
    return await _with_way_back(connector, device, login, settings, decided) if isinstance(decided, Bind) else decided


async def _plan_issuing(
    services: Services,
    settings: Settings,
    connector: Connector,
    seen: Observed,
    *,
    wish: EnableWish,
    named: bool,
    job_id: JobId | None,
) -> Plan:
    device = seen.device
    async with services.database.reading() as tx:
        authority = await issuing.current_authority(tx)
        record = await issuing.find_installed(tx, device.id)
        learned = await experience.key_origin(tx, device)
        shared = bool(await inventory.shared_names(tx, [device.host_name] if device.host_name else []))
        instance = await tasks.find_instance(tx)
    now = services.clock.now()
    start = now - plan.BACKDATED
    decided = plan.plan_enable(
        seen,
        wish,
        settings=settings,
        issuing=Issuing(
            authority.id,
            authority.elliptic,
            start,
            start + timedelta(days=settings.certificate_validity_days),
            certificate_names(
                device,
                common_name=settings.certificate_common_name,
                domains=settings.certificate_domains,
                resolved=await resolved(connector, device, settings, known=() if record is None else record.names),
                shared=shared,
            ),
        ),
        current=None if record is None else _current(record),
        named=named,
        new_alias=_unused(f"fleetseal-{instance or 'new'}-{job_id or 0}", seen.entries),
        key_origin=_key_origin(settings, learned),
        now=now,
    )
    if isinstance(decided, Go) and decided.issue:
        issuing.require_openable(services, authority.record)
    return decided


async def _observed(
    connector: Connector,
    device: Device,
    login: Login,
    trust: PeerTrust,
    own_issuers: tuple[bytes, ...],
    *,
    with_authorities: bool,
) -> Observed:
    async with connector.open(device.endpoint, trust, login, serial=device.serial) as connection:
        facts, https = connection.facts, await connection.driver.https()
        manages = facts.generation is not Generation.PARAMETERS
        entries = await connection.driver.certificates() if manages else ()
        authorities = await connection.driver.authorities() if manages and with_authorities else ()
        served = connection.served
    if served is None:
        served = await _served(connector, device, https)
    shown = _served_now(device, https, entries, served, own_issuers)
    return Observed(device, facts, https, entries, shown, tuple(entry.der for entry in authorities))


def _usable(context: Context, seen: Observed, own: Anchored, *, proved: bool) -> tuple[Usable, ...]:
    """Neither factory IDs nor self-signed ones, no CA certificates, none that has expired or does not hold yet; and, on
    a device that has not proved its identity, none that would not be believed there."""
    found = []
    for entry in seen.entries:
        leaf = described(entry.der)
        if leaf is None or leaf.is_ca or not leaf.not_before <= context.now <= leaf.not_after:
            continue
        shown = Served(entry.der, (entry.der,), "", "")
        if not proved and misnamed(shown, seen.device.endpoint.name, own, at=context.now) is not None:
            continue
        if context.source(entry.alias, entry.der) in (CertificateSource.OURS, CertificateSource.OTHER):
            above = chain.path(entry.der, seen.authorities)[1:]
            found.append(_judged(entry.alias, entry.der, above, seen.device, own, now=context.now))
    return tuple(found)


def _judged(
    alias: Alias, der: bytes, above: tuple[bytes, ...], device: Device, own: Anchored, *, now: datetime
) -> Usable:
    leaf = chain.describe(der)
    name = vouched_name(device, der, above, own, at=now)
    return Usable(alias, der, leaf.not_before, leaf.not_after, name, above, known=in_lineage(der, own))


def _unused(name: str, entries: tuple[Installed, ...]) -> Alias:
    """This name, or with a number the first that no entry has: after the restore of a backup jobs have the numbers of
    forgotten ones, whose entries are not theirs."""
    names = (Alias(name if number == 1 else f"{name}.{number}") for number in count(1))
    return next(alias for alias in names if not any(f"{entry.alias}-".startswith(f"{alias}-") for entry in entries))


async def _with_way_back(connector: Connector, device: Device, login: Login, settings: Settings, go: Go | Bind) -> Plan:
    """The plan, if plain HTTP lets us in; where it is closed, a step of its own opens and proves it."""
    if settings.https_escape_route == "none" or go.switch.previous.policy is ConnectionPolicy.HTTPS:
        return go
    try:
        async with connector.open(device.endpoint, Plaintext(), login, serial=device.serial):
            return go
    except FleetsealError as error:
        return plan.no_way_back(error.message)


async def _served(connector: Connector, device: Device, https: HttpsState) -> Served | None:
    if not https.tls or https.policy is ConnectionPolicy.HTTP:
        return None
    try:
        return await connector.served(device.endpoint)
    except TlsTooOld:
        raise
    except Unreachable:
        return None  # HTTPS is configured and dead: a new certificate is what may mend it


def _served_now(
    device: Device,
    https: HttpsState,
    entries: tuple[Installed, ...],
    served: Served | None,
    own_issuers: tuple[bytes, ...],
) -> ServedNow | None:
    if served is None or not https.tls or https.policy is ConnectionPolicy.HTTP:
        return None
    leaf = chain.describe(served.leaf)
    ours = any(chain.issued_by(served.leaf, issuer) for issuer in own_issuers)
    aliases = [entry.alias for entry in entries if entry.der == served.leaf]
    makers = device.served_source is CertificateSource.FACTORY or any("(802.1AR)" in alias for alias in aliases)
    foreign = not ours and not makers and leaf.subject != leaf.issuer
    return ServedNow(served.leaf, foreign, leaf.issuer, leaf.not_after)


async def resolved(
    connector: Connector, device: Device, settings: Settings, *, known: tuple[str, ...]
) -> tuple[str, ...]:
    """The addresses of a told host name, asked only where the answer could matter: where it is dialled, and under a
    domain of ours.

    `known` are the names in the certificate that the device has: a resolver that says nothing takes none of them, and
    one that turns its answers round does not put another address in their place.
    """
    name = device.host_name
    if name is None or device.host_name_typed:
        return ()
    if device.address != name and not any(name.endswith("." + domain) for domain in settings.certificate_domains):
        return ()
    found = await connector.resolve(name)
    if not found and name in known:
        return tuple(filter(is_address, known))
    addresses = (str(ipaddress.ip_address(address.partition("%")[0])) for address in found)
    return tuple(sorted(addresses, key=lambda address: address not in known))


def _current(record: IssuanceRecord) -> Current:
    assert record.der is not None
    assert record.renew_at is not None
    return Current(record.der, record.names, record.authority_id, record.not_after, record.renew_at, record.reissue)


def _key_origin(settings: Settings, learned: tuple[str, str] | None) -> KeyOrigin:
    if settings.certificate_key_origin == "auto" and learned is not None:
        return KeyOrigin(learned[0])
    return KeyOrigin.DEVICE
