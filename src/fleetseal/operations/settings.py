"""Settings as use cases read and change them."""

from typing import Any, Final

from fleetseal.core import config
from fleetseal.core.config import Settings
from fleetseal.operations import alarm_channels
from fleetseal.operations.services import Services
from fleetseal.store import audit
from fleetseal.store import settings as store
from fleetseal.store.database import Transaction

MAKER_ROOTS: Final = (
    "Whatever shows a factory certificate of these roots is believed to be the device that it names, and is sent "
    "logins: right for simulators only."
)


async def current(services: Services, tx: Transaction) -> Settings:
    """The settings in force. Raises InvalidInput when a stored or given value is not allowed (any more)."""
    return services.sources.settings(await store.stored(tx))


async def in_force(services: Services) -> Settings:
    """As `current`, in a transaction of its own."""
    async with services.database.reading() as tx:
        return await current(services, tx)


async def list_(services: Services) -> list[dict[str, Any]]:
    """Every setting: `{"key","value","default","source","allowed","help","warning","type","choices","minimum",
    "maximum"}`.

    `source` says where the value is from; `warning` what this value risks, else null; `type` and what follows it are
    those of `config.Kind`, null where they say nothing.
    """
    async with services.database.reading() as tx:
        stored = await store.stored(tx)
    settings = services.sources.settings(stored)
    return [
        {
            "key": key,
            "value": _json(getattr(settings, definition.attribute)),
            "default": _json(definition.default),
            "source": services.sources.origin(key, stored),
            "allowed": definition.kind.allowed,
            "help": definition.help,
            "warning": MAKER_ROOTS if key == "devices.maker-roots" and settings.devices_maker_roots else None,
            **_form(definition.kind),
        }
        for key, definition in config.DEFINITIONS.items()
    ]


async def get(services: Services, key: str) -> dict[str, Any]:
    """One member of `list_`. Raises InvalidInput, naming all keys, when there is no such setting."""
    config.definition_of(key)
    return next(entry for entry in await list_(services) if entry["key"] == key)


async def set_(services: Services, *, actor: str, key: str, value: str) -> dict[str, Any]:
    """The value is stored, and audited. It is in force unless the environment says otherwise: `source` tells.

    Raises InvalidInput, naming what is allowed; nothing is stored then.
    """
    text = config.show(config.parse(key, value))
    now = services.clock.now()
    async with services.database.transaction() as tx:
        before = (await store.stored(tx)).get(key)
        await store.put(tx, key, text, now=now)
        await audit.record(
            tx, now=now, actor=actor, action="settings set", object=key, detail={"value": text, "before": before}
        )
        await _follow(services, tx, key, actor=actor)
    return await get(services, key)


async def reset(services: Services, *, actor: str, key: str) -> dict[str, Any]:
    """What was stored is forgotten, and audited: the value is that of the file or the default, as for `set_`.

    Raises InvalidInput, naming all keys, when there is no such setting.
    """
    config.definition_of(key)
    now = services.clock.now()
    async with services.database.transaction() as tx:
        before = (await store.stored(tx)).get(key)
        if before is not None:
            await store.remove(tx, key)
            await audit.record(tx, now=now, actor=actor, action="settings reset", object=key, detail={"before": before})
            await _follow(services, tx, key, actor=actor)
    return await get(services, key)


async def _follow(services: Services, tx: Transaction, key: str, *, actor: str) -> None:
    """Channels of alarms lead elsewhere at once."""
    if key in alarm_channels.SETTINGS:
        await alarm_channels.lead(services, tx, alarm_channels.targets(await current(services, tx)), actor=actor)


def _form(kind: config.Kind) -> dict[str, Any]:
    minimum, maximum = kind.span or (None, None)
    return {"type": kind.name, "choices": list(kind.choices) or None, "minimum": minimum, "maximum": maximum}


def _json(value: config.Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
