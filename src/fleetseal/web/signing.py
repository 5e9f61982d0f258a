"""Passphrases that come with a command open the signing key for the tasks it starts, and no longer."""

from fleetseal.core.secrets import Secret
from fleetseal.operations import signing
from fleetseal.web.backend import Backend


async def prepare(backend: Backend, passphrase: Secret | None, *, required: bool = True) -> None:
    """As `operations.signing.prepare`; a key that this opened is closed when the tasks have ended."""
    services, actor = backend.services, backend.actor
    if await signing.prepare(services, actor=actor, passphrase=passphrase, required=required):
        backend.spawn(signing.lock_after_tasks(services, actor=actor))
