"""A certificate of ours into the device's store: the key made there, or here where the device cannot.

`certificate.key-origin` decides: with `auto`, a device that refuses, cannot, or makes a weak key gets a key made by
the manager, over TLS only. Seen by reading back, never by a transient error.
"""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import partial

from fleetseal.core.errors import DeviceError, FleetsealError, IssuanceRefused, NotSupported, Rejected, TrustFailure
from fleetseal.core.model import (
    Alias,
    CertificateRequest,
    Chain,
    ConnectionPolicy,
    IssuanceId,
    KeyOrigin,
    KeyPair,
    KeyType,
    PeerTrust,
    Pinned,
)
from fleetseal.devices.driver import Connection
from fleetseal.operations import issuing
from fleetseal.operations.plan import Go, with_policy
from fleetseal.operations.work import Work, execute_undo, remove_alias, restore_https, switch_https
from fleetseal.pki import csr, keys
from fleetseal.store.database import Transaction

_STORE_FULL = ("MaxNumberOfCertificates", "MaxCertificates")  # device-api 7.7, 8.6: another key would not fit either


@dataclass(frozen=True)
class Enrolled:
    """What the device holds under `alias` now."""

    issuance: IssuanceId
    alias: Alias
    chain: Chain
    origin: KeyOrigin


async def enrol(work: Work, plan: Go) -> Enrolled:
    """A new leaf of ours is in the device's store, read back; nothing serves it yet."""
    await _install_authorities(work, plan)
    if plan.key_origin is KeyOrigin.DEVICE and work.run.recorded("fallback") is None:
        try:
            return await _with_device_key(work, plan)
        except (Rejected, NotSupported, IssuanceRefused) as error:
            if not _may_fall_back(work, error):
                raise
            await _record_fallback(work, error)
    return await _with_manager_key(work, plan)


async def current(work: Work, plan: Go) -> Enrolled:
    """The leaf of ours that the plan binds: the newly issued one, or the one that was there."""
    async with work.services.database.reading() as tx:
        return await recorded(work, plan, tx)


async def recorded(work: Work, plan: Go, tx: Transaction) -> Enrolled:
    """As `current`, inside a transaction."""
    if not plan.issue:
        record = await issuing.installed(tx, work.device.id)
        return Enrolled(record.id, plan.alias, await issuing.chain_for(tx, record.id), record.origin)
    origin = KeyOrigin.MANAGER if work.run.recorded("fallback") else plan.key_origin
    record = await issuing.issued_by_job(tx, work.run.job.id, origin)
    return Enrolled(record.id, _alias(plan, origin), await issuing.chain_for(tx, record.id), origin)


def fallback_reason(work: Work) -> str | None:
    """Why the key was made here, for people; None if the device made it."""
    recorded = work.run.recorded("fallback")
    return None if recorded is None else str(recorded["reason"])


async def _with_device_key(work: Work, plan: Go) -> Enrolled:
    run = work.run
    if run.recorded("issue") is None:
        request = await run.device(
            "request",
            look=partial(_existing_request, work, plan),
            act=partial(_make_request, work, plan),
            undo=remove_alias(plan.alias),
            detail="The device makes its key and a certificate request.",
        )
        public_key = csr.judge(request.der)
        await run.local("reserve", partial(_reserve, work, plan, public_key, KeyOrigin.DEVICE))
        await run.local("issue", partial(_issue, work), detail="The certificate is signed.")
    enrolled = await current(work, plan)
    await run.device(
        "install",
        look=partial(_holds_leaf, work, enrolled),
        act=partial(_install, work, enrolled),
        detail="The certificate is in the device's store.",
    )
    return enrolled


async def _existing_request(work: Work, plan: Go) -> CertificateRequest | None:
    """After a crash the alias is found, not made twice."""
    async with work.connection() as connection:
        if plan.alias in [entry.alias for entry in await connection.driver.certificates()]:
            return await connection.driver.request_certificate(plan.alias, plan.key)
    return None


async def _make_request(work: Work, plan: Go) -> None:
    async with work.connection() as connection:
        await connection.driver.request_certificate(plan.alias, plan.key)


async def _reserve(work: Work, plan: Go, spki: bytes, origin: KeyOrigin, tx: Transaction) -> dict[str, int]:
    reserved = await issuing.reserve(
        work.services,
        tx,
        device=work.device,
        job_id=work.run.job.id,
        spki=spki,
        common_name=plan.names.common_name,
        names=plan.names.names,
        origin=origin,
        alias=_alias(plan, origin),
        authority=plan.authority,
    )
    return {"issuance": reserved.issuance_id}


def _alias(plan: Go, origin: KeyOrigin) -> Alias:
    return plan.alias if origin is KeyOrigin.DEVICE else Alias(f"{plan.alias}-m")


async def _issue(work: Work, tx: Transaction) -> dict[str, int]:
    reserved = IssuanceId(work.run.recorded("reserve")["issuance"])  # type: ignore[index]  # recorded just before
    await issuing.issue(work.services, tx, reserved)
    return {"issuance": reserved}


async def _holds_leaf(work: Work, enrolled: Enrolled) -> bool | None:
    async with work.connection() as connection:
        return await _entry_is(connection, enrolled.alias, enrolled.chain.leaf) or None


async def _entry_is(connection: Connection, alias: Alias, leaf: bytes) -> bool:
    return any(entry.alias == alias and entry.der == leaf for entry in await connection.driver.certificates())


async def _install(work: Work, enrolled: Enrolled) -> None:
    async with work.connection() as connection:
        await connection.driver.install(enrolled.alias, enrolled.chain)


async def _install_authorities(work: Work, plan: Go) -> None:
    """Our CA certificates are on the device: since AXIS OS 10.10 it builds the chain that it sends from them."""
    async with work.services.database.reading() as tx:
        wanted = await issuing.authority_certificates(tx, plan.authority)
    for der in wanted:
        alias = Alias(f"fleetseal-ca-{hashlib.sha256(der).hexdigest()[:12]}")

        async def look(der: bytes = der) -> bool | None:
            async with work.connection() as connection:
                return any(entry.der == der for entry in await connection.driver.authorities()) or None

        async def act(alias: Alias = alias, der: bytes = der) -> None:
            async with work.connection() as connection:
                await connection.driver.install_authority(alias, der)

        await work.run.device(
            f"authority-{alias[-12:]}",
            look=look,
            act=act,
            undo=remove_alias(alias),
            detail=f"CA certificate {alias} is in the device's store.",
        )


def _may_fall_back(work: Work, error: FleetsealError) -> bool:
    if work.settings.certificate_key_origin != "auto":
        return False
    if isinstance(error, IssuanceRefused):
        return error.rule.startswith("key-")  # the rules of keys.judge: the device made a weak key
    words = f"{error.vendor_code} {error.vendor_text}" if isinstance(error, Rejected) else ""
    return not any(full in words for full in _STORE_FULL)


async def _record_fallback(work: Work, error: FleetsealError) -> None:
    async def act(tx: Transaction) -> dict[str, str]:
        await issuing.abandon_open(
            tx, work.run.job.id, KeyOrigin.DEVICE, reason=error.message, now=work.services.clock.now()
        )
        return {"reason": error.message}

    await work.run.local("fallback", act, detail=f"The key is made here: {error.message}")


async def _with_manager_key(work: Work, plan: Go) -> Enrolled:
    """Own intent; entry of the first try removed; over TLS only, never over plain HTTP."""
    await work.run.undo("request", partial(execute_undo, work))
    alias = _alias(plan, KeyOrigin.MANAGER)
    trust = await _encrypted_trust(work, plan)

    async def look() -> Enrolled | None:
        async with work.services.database.reading() as tx:
            record = await issuing.find_issued_by_job(tx, work.run.job.id, KeyOrigin.MANAGER)
            if record is None:
                return None
            enrolled = Enrolled(record.id, alias, await issuing.chain_for(tx, record.id), KeyOrigin.MANAGER)
        return enrolled if await _holds_leaf(work, enrolled) else None

    async def act() -> None:
        key = await asyncio.to_thread(keys.generate, KeyType.RSA_2048)
        public_key = keys.spki(key.public_key())
        async with work.run.transaction() as tx:
            reserved = await _reserve(work, plan, public_key, KeyOrigin.MANAGER, tx)
        async with work.run.transaction() as tx:
            chain = await issuing.issue(work.services, tx, IssuanceId(reserved["issuance"]))
        bundle = KeyPair(chain, keys.to_pkcs8(key))
        async with work.connector.open(
            work.device.endpoint, trust, work.login, serial=work.device.serial
        ) as connection:
            await connection.driver.install_key_pair(alias, bundle)

    return await work.run.device(
        "manager-key",
        look=look,
        act=act,
        undo=remove_alias(alias),
        detail="A key made here and its certificate are in the device's store, sent over TLS.",
    )


async def _encrypted_trust(work: Work, plan: Go) -> PeerTrust:
    """How the device is reached over TLS now; a self-signed certificate made on it serves if it has no other."""
    async with work.connection() as connection:
        if connection.encrypted:
            return await work.trust()
        https = await connection.driver.https()
        bound = {entry.alias: entry.der for entry in await connection.driver.certificates()}.get(
            https.alias or Alias("")
        )
    if not https.tls or https.policy is ConnectionPolicy.HTTP or bound is None:
        bound = await _serve_temporarily(work, plan)
    return Pinned(hashlib.sha256(bound).digest(), accepted=False)


def temporary_alias(plan: Go) -> Alias:
    return Alias(f"{plan.alias}-t")


async def _serve_temporarily(work: Work, plan: Go) -> bytes:
    """The device serves HTTPS with a self-signed certificate that it made; returns that certificate."""
    alias = temporary_alias(plan)

    async def find() -> bytes | None:
        async with work.connection() as connection:
            return next((e.der for e in await connection.driver.certificates() if e.alias == alias), None)

    async def create() -> None:
        async with work.connection() as connection:
            await connection.driver.create_self_signed(alias, plan.key)

    der = await work.run.device(
        "temporary-certificate",
        look=find,
        act=create,
        undo=remove_alias(alias),
        detail="The device made a self-signed certificate, so that a key can be sent to it over TLS.",
    )
    target = replace(with_policy(plan.previous, ConnectionPolicy.HTTP_AND_HTTPS), tls=True, alias=alias)
    await switch_https(
        work,
        "temporary-bind",
        target,
        undo=restore_https(plan.previous, dead=plan.dead_before),
        detail="HTTPS serves the temporary certificate.",
    )
    try:
        served = await work.patiently(
            lambda: work.connector.served(work.device.endpoint), seconds=work.settings.https_verify_seconds
        )
    except DeviceError as error:
        raise NotSupported(f"No key can be sent: HTTPS does not work on this device. {error.message}") from error
    if served.leaf != der:
        raise TrustFailure("No key was sent: HTTPS does not show the certificate that the device made for it.")
    return der
