"""The door to the outside: one message to one destination."""

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleetseal.core.destinations import Destination, Email, Webhook
from fleetseal.core.runtime import Clock
from fleetseal.core.secrets import Secret
from fleetseal.notify import mail, syslog, webhook
from fleetseal.notify.notice import Notice

Send = Callable[[Destination, Notice, Secret | None], Awaitable[None]]
"""Raises DeliveryFailed."""


def system_trust() -> ssl.SSLContext:
    """Verifies servers outside by the trust store of this computer, names included."""
    return ssl.create_default_context()  # noqa: TID251 - servers outside are no devices; this is the one place


@dataclass(frozen=True)
class Sender:
    clock: Clock
    trust: Callable[[], ssl.SSLContext] = system_trust
    seconds: float = 30.0  # for one message, all in all

    async def __call__(self, destination: Destination, notice: Notice, secret: Secret | None) -> None:
        """It was taken there. Raises DeliveryFailed."""
        if isinstance(destination, Email):
            await mail.send(destination, notice, secret, context=self.trust(), seconds=self.seconds)
        elif isinstance(destination, Webhook):
            await webhook.send(
                destination, notice, secret, now=self.clock.now(), context=self.trust(), seconds=self.seconds
            )
        else:
            context = self.trust() if destination.tls else None
            name = socket.gethostname()
            await syslog.send(destination, notice, host=name, context=context, seconds=self.seconds)
