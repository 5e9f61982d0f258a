"""Where the channels of alarms lead. The secret of one is for the server, and the user there, that it was given for:
led elsewhere, a channel has none."""

from collections.abc import Callable, Mapping
from typing import Final

from fleetseal.core import destinations
from fleetseal.core.config import Settings
from fleetseal.core.destinations import Destination
from fleetseal.operations.recording import line
from fleetseal.operations.services import Services
from fleetseal.store import messages
from fleetseal.store.database import Transaction

CHANNELS: Final[dict[str, Callable[[str], Destination]]] = {
    "email": destinations.email,
    "webhook": destinations.webhook,
    "syslog": destinations.syslog,
}
SETTINGS: Final = frozenset(f"alarm.{name}" for name in CHANNELS)


def targets(settings: Settings) -> dict[str, str]:
    """Where each channel is to lead; empty: nowhere."""
    return {"email": settings.alarm_email, "webhook": settings.alarm_webhook, "syslog": settings.alarm_syslog}


async def lead(services: Services, tx: Transaction, wanted: Mapping[str, str], *, actor: str) -> None:
    """The channels lead where they are to; the secret of one that leads to another server, port or user now, or with
    other protection, is forgotten, and audited."""
    for name, text in wanted.items():
        before = await messages.channel(tx, name)
        if before.target == text:
            continue
        await messages.aim(tx, name, text)
        if before.has_secret and _holder(name, before.target) != _holder(name, text):
            await messages.set_secret(tx, services.sealer, name, None)
            detail = {"because": "the channel leads elsewhere"}
            await line(services, tx, "alarm secret removed", name, detail, actor=actor)


def _holder(name: str, text: str) -> object:
    """Who is given the channel's secret."""
    return destinations.holder(CHANNELS[name](text)) if text else None
