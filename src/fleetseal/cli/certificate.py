"""`fleetseal certificate`."""

from typing import Annotated, Any

from cyclopts import Parameter

from fleetseal.cli import ask, follow, output
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Devices, Flag, chosen, noun

app = noun("certificate", "Certificates on devices: list and delete them.")


@app.command(name="list", usage=chosen("certificate list"))
async def list_(*devices: Devices, common: Common = NO_OPTIONS) -> int:
    """List every certificate and CA entry on devices, as they show them now: use, source and expiry.

    Without a device: on all of them.
    """
    async with connected(common.directory) as client:
        shown = await client.get("certificates", query={"device": list(devices)})
        await tell_suspended(client)
    if common.json:
        output.as_json(shown)
    else:
        _table(shown)
    return FAILED if any(device["message"] for device in shown) else DONE


@app.command
async def delete(
    device: Annotated[str, Parameter(help="MAC or serial, address, host name, or id.")],
    alias: str,
    /,
    *,
    yes: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Remove an entry from a device, with its key. Refused while something uses it, and for the maker's device IDs.

    Parameters
    ----------
    alias
        The entry's name, as `certificate list` shows it.
    yes
        Do not ask.
    """
    ask.agreed(f"The entry {alias} and its key will be gone from {device} for ever. Go on?", yes=yes)

    async def begin(client: Client) -> dict[str, Any]:
        return dict(await client.post("certificates", "deletion", body={"device": device, "alias": alias}))

    return await follow.task(common, begin)


def _table(shown: list[dict[str, Any]]) -> None:
    for device in shown:
        if device["message"]:
            output.tell(f"{device['mac'] or device['address']}: {device['message']}")
    rows = [(device, entry) for device in shown for entry in device["certificates"]]
    if not rows:
        output.say("No entry was found.")
        return
    output.table(
        ("MAC Address", "Alias", "Kind", "Use", "Source", "Subject", "Issuer", "Valid until"),
        [
            (
                device["mac"],
                *(entry[name] for name in ("alias", "kind", "use", "source", "subject", "issuer")),
                entry["not_after"] and entry["not_after"][:10],
            )
            for device, entry in rows
        ],
    )
