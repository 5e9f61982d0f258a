"""Certificates and keys made elsewhere into the device's store; a private key over TLS only, never over plain HTTP."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from fleetseal.core.errors import DeviceError, NotSupported, TrustFailure
from fleetseal.core.model import Alias, AuthorityId, ConnectionPolicy, Factory, KeyPair, KeySpec, PeerTrust, Pinned
from fleetseal.operations.listing import is_factory
from fleetseal.operations.plan import Switch, with_policy
from fleetseal.operations.work import Work, remove_alias, restore_https, switch_https
from fleetseal.store import authorities
from fleetseal.store.database import Transaction


async def install_authorities(work: Work, wanted: Iterable[bytes]) -> None:
    """These CA certificates are in the device's store: since AXIS OS 10.10 it builds the chain that it sends from
    them (device-api 10.5)."""
    for der in wanted:
        alias = authority_alias(der)

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


def authority_alias(der: bytes) -> Alias:
    """Under which we install this CA certificate."""
    return Alias(f"fleetseal-ca-{hashlib.sha256(der).hexdigest()[:12]}")


async def authorities_seen(work: Work, tx: Transaction) -> list[AuthorityId]:
    """Our CAs whose certificates `install_authorities` has read back from the device in this job."""
    known = [(one.id, one.der) for one in await authorities.every(tx)]
    return [id_ for id_, der in known if der and work.run.step(f"authority-{authority_alias(der)[-12:]}") is not None]


async def send_key_pair(work: Work, trust: PeerTrust, alias: Alias, bundle: KeyPair) -> None:
    """As `Driver.install_key_pair`, over a connection by `trust`, as `encrypted_trust` gave it."""
    async with work.connector.open(work.device.endpoint, trust, work.login, serial=work.device.serial) as connection:
        await connection.driver.install_key_pair(alias, bundle)


async def encrypted_trust(work: Work, alias: Alias, key: KeySpec, switch: Switch) -> PeerTrust:
    """How the device is reached over TLS now. If it serves none, it does so by its factory certificate, or by a
    self-signed one that it makes, until the entry `alias` serves or all is put back."""
    async with work.connection() as connection:
        if connection.encrypted:
            return await work.trust()
        https = await connection.driver.https()
        entries = {entry.alias: entry.der for entry in await connection.driver.certificates()}
    bound = entries.get(https.alias or Alias(""))
    if https.tls and https.policy is not ConnectionPolicy.HTTP and bound is not None:
        return await _shown(work, bound)
    identity = next(filter(is_factory, entries), None)
    if identity is not None:
        await _serve_temporarily(work, identity, entries[identity], switch)
        return await _shown(work, entries[identity])
    made = await _made_there(work, temporary_alias(alias), key)
    await _serve_temporarily(work, temporary_alias(alias), made, switch)
    return await _shown(work, made)


async def _shown(work: Work, der: bytes) -> PeerTrust:
    """By its factory certificate, if it shows that; else by this one, which it told us that it serves."""
    sight = await work.connector.look(work.device.endpoint)
    return Factory() if sight.factory else Pinned(hashlib.sha256(der).digest(), accepted=False)


def temporary_alias(alias: Alias) -> Alias:
    """Of the certificate that serves until the entry `alias` does."""
    return Alias(f"{alias}-t")


async def _made_there(work: Work, alias: Alias, key: KeySpec) -> bytes:
    """A self-signed certificate that the device made under this name."""

    async def find() -> bytes | None:
        async with work.connection() as connection:
            return next((e.der for e in await connection.driver.certificates() if e.alias == alias), None)

    async def create() -> None:
        async with work.connection() as connection:
            await connection.driver.create_self_signed(alias, key)

    return await work.run.device(
        "temporary-certificate",
        look=find,
        act=create,
        undo=remove_alias(alias),
        detail="The device made a self-signed certificate, so that a key can be sent to it over TLS.",
    )


async def _serve_temporarily(work: Work, alias: Alias, der: bytes, switch: Switch) -> None:
    """The device serves HTTPS with this entry, which holds this certificate; nothing else changes."""
    target = replace(with_policy(switch.previous, ConnectionPolicy.HTTP_AND_HTTPS), tls=True, alias=alias)
    await switch_https(
        work,
        "temporary-bind",
        target,
        undo=restore_https(switch.previous, dead=switch.dead_before),
        detail="HTTPS serves a temporary certificate.",
    )
    try:
        served = await work.patiently(
            lambda: work.connector.served(work.device.endpoint), seconds=work.settings.https_verify_seconds
        )
    except DeviceError as error:
        raise NotSupported(f"No key can be sent: HTTPS does not work on this device. {error.message}") from error
    if served.leaf != der:
        raise TrustFailure("No key was sent: HTTPS does not show the certificate that it was told to serve.")
