"""Audit lines about secrets and trust that several use cases write. Each is written before, or with, what it is about;
where it cannot be, that does not happen (AUD-FAILS-CLOSED)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fleetseal.core.model import Device, Login
from fleetseal.operations.services import Services
from fleetseal.pki.content import Signer
from fleetseal.pki.issuer import Issuer, KeyFile
from fleetseal.store import audit
from fleetseal.store.authorities import AuthorityRecord
from fleetseal.store.credentials import Credential
from fleetseal.store.database import Transaction, on_rollback

OURSELVES = "fleetseal"
"""The actor, where nobody asked at this moment."""


# ---------------------------------------------------------------- CA keys


async def open_issuer(
    services: Services, tx: Transaction, record: AuthorityRecord, file: KeyFile, signer: Signer
) -> Issuer:
    """The CA key, opened if need be, which is on record then; closed again if this transaction is not committed.
    Raises Locked when a person must unlock it, StoreError when its file is not what it was."""
    if not services.vault.holds(file):
        on_rollback(tx, partial(services.vault.lock, file))
        await key_opened(services, tx, record, actor=OURSELVES)
    return services.vault.issuer(file, signer)


async def issuer(services: Services, record: AuthorityRecord, file: KeyFile, signer: Signer) -> Issuer:
    """As `open_issuer`, in a transaction of its own, if the key is not open yet."""
    if services.vault.holds(file):
        return services.vault.issuer(file, signer)
    async with services.database.transaction() as tx:
        return await open_issuer(services, tx, record, file, signer)


async def key_opened(services: Services, tx: Transaction, record: AuthorityRecord, *, actor: str) -> None:
    """A CA key is about to be opened without a passphrase of a person."""
    by = "a remembered passphrase" if record.remembered else "signer.key"
    await line(services, tx, "ca key open", record.name, {"by": by}, actor=actor)


# ---------------------------------------------------------------- logins


async def logins_used(services: Services, devices: Sequence[Device], *, actor: str, purpose: str) -> None:
    """Stored logins are about to be sent to their devices, and no task is recorded: one line for all."""
    if not devices:
        return
    labels = [device.label for device in devices]
    name = labels[0] if len(labels) == 1 else f"{len(labels)} devices"
    async with services.database.transaction() as tx:
        await line(services, tx, "login use", name, {"for": purpose, "devices": labels}, actor=actor)


async def poll_begins(services: Services) -> None:
    """As `logins_used`, once for all that the server's poll will read until it ends."""
    async with services.database.transaction() as tx:
        await line(services, tx, "login use", "every device", {"for": "poll, until the server ends"})


async def credential_tried(services: Services, tx: Transaction, device: Device, credential: Credential) -> None:
    """A named credential is about to be sent to a device that has no login."""
    await line(services, tx, "credential try", device.label, {"credential": credential.name})


async def login_stored(
    services: Services, tx: Transaction, device: Device, login: Login, *, actor: str = OURSELVES
) -> None:
    """A login that works is kept for a device."""
    await line(services, tx, "device login", device.label, {"username": login.username}, actor=actor)


# ---------------------------------------------------------------- trust


async def trust_changed(services: Services, tx: Transaction, before: Device, after: Device) -> None:
    """A look moved how far a device is believed, or by which certificate. Nothing is written if it did not."""
    if (after.trust_level, after.trust_pin) == (before.trust_level, before.trust_pin):
        return
    pin = None if after.trust_pin is None else after.trust_pin.hex()
    detail = {"before": before.trust_level, "after": after.trust_level, "pin": pin}
    await line(services, tx, "trust changed", after.label, detail)


async def line(
    services: Services,
    tx: Transaction,
    action: str,
    name: str,
    detail: dict[str, Any] | None = None,
    *,
    actor: str = OURSELVES,
) -> None:
    """One more record, of this moment; `name` is of the object."""
    await audit.record(tx, now=services.clock.now(), actor=actor, action=action, object=name, detail=detail)
