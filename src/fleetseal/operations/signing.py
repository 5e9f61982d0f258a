"""The signing key while tasks run: opened by a passphrase that came with a command, closed when they have ended."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fleetseal.core.errors import Locked, NotFound, StoreError
from fleetseal.core.secrets import Secret
from fleetseal.operations import authorities, issuing, revocation, tasks
from fleetseal.operations.services import Services

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


async def is_locked(services: Services) -> bool:
    """There is a CA, and nothing can be signed until a person gives the passphrase."""
    async with services.database.reading() as tx:
        try:
            authority = await issuing.current_authority(tx)
        except NotFound:
            return False
    return not services.vault.is_open(issuing.key_file(authority.record))


async def prepare(services: Services, *, actor: str, passphrase: Secret | None, required: bool) -> bool:
    """The signing key is open, or there is no CA; True if this opened it.

    Raises Locked for a wrong passphrase, and, if `required`, for a missing one.
    """
    if not await is_locked(services):
        return False
    if passphrase is None:
        if required:
            raise Locked(
                "The CA key is locked. Give --passphrase-file, or unlock it in the server: fleetseal ca unlock"
            )
        return False
    await unlock(services, actor=actor, passphrase=passphrase)
    return True


async def unlock(services: Services, *, actor: str, passphrase: Secret) -> dict[str, Any]:
    """As `authorities.unlock`; CRLs that waited for the key are made. When that fails, the key is closed again."""
    shown = await authorities.unlock(services, actor=actor, passphrase=passphrase)
    try:
        await revocation.renew_crls(services, actor=actor)
    except BaseException:
        await authorities.lock(services, actor=actor)
        raise
    return shown


@asynccontextmanager
async def opened(services: Services, *, actor: str, passphrase: Secret | None) -> AsyncIterator[None]:
    """With a passphrase, the key under it is open inside the block, and afterwards as it was. Raises Locked when the
    passphrase is wrong."""
    if passphrase is None or await authorities.is_open(services):
        yield
        return
    await authorities.unlock(services, actor=actor, passphrase=passphrase)
    try:
        yield
    finally:
        await authorities.lock(services, actor=actor)


async def lock_after_tasks(services: Services, *, actor: str) -> None:
    """The key is closed once no task has work to do."""
    while True:
        await services.clock.sleep(_LOOK_SECONDS)
        try:
            if not await tasks.unfinished(services):
                await authorities.lock(services, actor=actor)
                return
        except StoreError as error:
            _log.warning("The CA key is still open: %s", error.message)
