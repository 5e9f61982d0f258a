"""`fleetseal https`."""

from typing import Any, Literal

from fleetseal.cli import ask, follow, output
from fleetseal.cli.client import Client, connected
from fleetseal.cli.common import (
    DONE,
    FAILED,
    NO_OPTIONS,
    Common,
    Devices,
    Everything,
    Filters,
    Flag,
    SecretFile,
    chosen,
    noun,
    selection,
)
from fleetseal.core.errors import InvalidInput

app = noun("https", "HTTPS on devices: enable or update it, or disable it.")

_CLOSES = (
    "Plain HTTP will be closed on these devices once HTTPS is proved: the video management system, and everything "
    "else that uses them, must speak HTTPS to them. Go on?"
)


@app.command(usage=chosen("https enable"))
async def enable(
    *devices: Devices,
    everything: Everything = False,
    filters: Filters = (),
    policy: Literal["keep", "both", "https"] | None = None,
    renew: Flag = False,
    replace_foreign: Flag = False,
    set_clock: Flag = False,
    plan: Flag = False,
    wait: bool = True,
    passphrase_file: SecretFile = None,
    yes: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Give devices certificates of our CA and switch HTTPS on, or renew them.

    Nothing that works is closed before its replacement has been proved from outside; what fails is put back.
    A device that is as wished stays unchanged. Without a CA, the one usable certificate that a device holds serves it.

    Parameters
    ----------
    policy
        keep: what the device accepts now, plus HTTPS. both: HTTP and HTTPS. https: HTTPS only, plain HTTP is closed.
        Default: the setting https.policy.
    renew
        Issue a new certificate also where the present one is good.
    replace_foreign
        Also replace valid certificates of other issuers on devices met through --all or --filter.
    set_clock
        Set wrong clocks to this computer's time first.
    plan
        Print what would be done, and stop.
    wait
        Wait for the end. Without waiting, a running server is needed.
    passphrase_file
        File with the passphrase of the CA key, if it is locked; - is standard input. Without it you are asked.
    yes
        Do not ask.
    """
    chosen = selection(devices, filters, everything=everything)
    wish = {"policy": policy, "renew": renew, "replace_foreign": replace_foreign, "set_clock": set_clock}
    if plan:
        return await _plan(common, {"selection": chosen, "wish": wish})

    async def begin(client: Client) -> dict[str, Any]:
        if (policy or (await client.get("settings", "https.policy"))["value"]) == "https":
            ask.agreed(_CLOSES, yes=yes)
        passphrase = await follow.passphrase(client, passphrase_file)
        body = {"action": "Enable HTTPS", "selection": chosen, "wish": wish, "passphrase": passphrase}
        return await follow.start(client, body)

    return await (follow.task(common, begin) if wait else _leave(common, begin))


@app.command(usage=chosen("https disable"))
async def disable(
    *devices: Devices,
    filters: Filters = (),
    wait: bool = True,
    common: Common = NO_OPTIONS,
) -> int:
    """Back to plain HTTP only. Refused where passwords could then be read on the network.

    Parameters
    ----------
    wait
        Wait for the end. Without waiting, a running server is needed.
    """
    body = {"action": "Disable HTTPS", "selection": selection(devices, filters)}

    async def begin(client: Client) -> dict[str, Any]:
        return await follow.start(client, body)

    return await (follow.task(common, begin) if wait else _leave(common, begin))


async def _plan(common: Common, body: dict[str, Any]) -> int:
    async with connected(common) as client:
        plans = await client.post("tasks", "plan", body=body)
    if common.json:
        output.as_json(plans)
    else:
        output.table(
            ("MAC Address", "Address", "Plan", "Description"),
            [(one["mac"], one["address"], one["plan"], one["description"]) for one in plans],
        )
    return FAILED if any(one["plan"] == "Failed" for one in plans) else DONE


async def _leave(common: Common, begin: follow.Start) -> int:
    """Begins the task in a server and does not wait."""
    async with connected(common) as client:
        if not (await client.get("server"))["serving"]:
            raise InvalidInput("No server is running: without one, a command must wait for the end of its task.")
        begun = await begin(client)
    if common.json:
        output.as_json(begun)
    else:
        output.say(f"Task {begun['id']} is begun: fleetseal task show {begun['id']}")
    return DONE
