"""A certificate of ours into the device's store: the key made there, or here where the device cannot.

`certificate.key-origin` decides: with `auto`, a device that refuses, cannot, or makes a weak key gets a key made by
the manager, over TLS only. Seen by reading back, never by a transient error.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

from fleetseal.core.errors import FleetsealError, IssuanceRefused, NotSupported, Rejected
from fleetseal.core.model import (
    Alias,
    CertificateRequest,
    Chain,
    IssuanceId,
    KeyOrigin,
    KeyPair,
    KeyType,
)
from fleetseal.devices.driver import Connection
from fleetseal.operations import issuing, succession
from fleetseal.operations.delivery import encrypted_trust, install_authorities, send_key_pair
from fleetseal.operations.plan import Go
from fleetseal.operations.work import Work, execute_undo, remove_alias, store_is_full
from fleetseal.pki import csr, keys
from fleetseal.store import authorities
from fleetseal.store.database import Transaction


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
        new = succession.introduced(await authorities.every(tx))
        wanted = (
            *await issuing.authority_certificates(tx, plan.authority),
            *(one.der for one in new if one.der is not None),
        )
    await install_authorities(work, wanted)


def _may_fall_back(work: Work, error: FleetsealError) -> bool:
    if work.settings.certificate_key_origin != "auto":
        return False
    if isinstance(error, IssuanceRefused):
        return error.rule.startswith("key-")  # the rules of keys.judge: the device made a weak key
    return not (isinstance(error, Rejected) and store_is_full(error))  # another key would not fit either


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
    trust = await encrypted_trust(work, plan.alias, plan.key, plan.switch)

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
        await send_key_pair(work, trust, alias, bundle)

    return await work.run.device(
        "manager-key",
        look=look,
        act=act,
        undo=remove_alias(alias),
        detail="A key made here and its certificate are in the device's store, sent over TLS.",
    )
