"""`fleetseal settings`."""

from fleetseal.cli import output
from fleetseal.cli.client import connected, tell_suspended
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, noun
from fleetseal.core import config

app = noun("settings", "Settings: list, get, set and reset them.")


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List every setting with its value and meaning."""
    async with connected(common) as client:
        settings = await client.get("settings")
        await tell_suspended(client)
    if common.json:
        output.as_json(settings)
    else:
        output.table(
            ("Key", "Value", "From", "Meaning"),
            [(one["key"], one["value"], one["source"], one["help"]) for one in settings],
        )
    return DONE


@app.command
async def get(key: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Show one setting.

    Parameters
    ----------
    key
        Its name, such as certificate.validity-days.
    """
    async with connected(common) as client:
        setting = await client.get("settings", key)
        await tell_suspended(client)
    if common.json:
        output.as_json(setting)
    else:
        output.say(config.show(setting["value"]))
    return DONE


@app.command(name="set")
async def set_(key: str, value: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Change one setting. It is in force from now on, also for tasks that wait.

    Parameters
    ----------
    key
        Its name, such as certificate.validity-days.
    value
        The new value. Values that are not allowed are refused, with those that are.
    """
    async with connected(common) as client:
        setting = await client.put("settings", key, body={"value": value})
    if common.json:
        output.as_json(setting)
        return DONE
    output.say(f"{setting['key']} is {config.show(setting['value']) or 'empty'}.")
    if setting["source"] != "database":
        output.tell(f"The value comes from the {setting['source']}, which goes before what was set just now.")
    if setting["warning"]:
        output.tell(setting["warning"])
    return DONE


@app.command
async def reset(key: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Forget what was set: the default, or the value of the settings file, is in force again.

    Parameters
    ----------
    key
        Its name, such as certificate.validity-days.
    """
    async with connected(common) as client:
        setting = await client.delete("settings", key)
    if common.json:
        output.as_json(setting)
    else:
        output.say(f"{setting['key']} is {config.show(setting['value']) or 'empty'} (from the {setting['source']}).")
    return DONE
