"""`fleetseal certificate`."""

import base64
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, follow, output
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Devices, Flag, SecretFiles, chosen, noun
from fleetseal.core.errors import InvalidInput

app = noun("certificate", "Certificates on devices: list, install and delete them.")


@app.command(name="list", usage=chosen("certificate list"))
async def list_(*devices: Devices, public_roots: Flag = False, common: Common = NO_OPTIONS) -> int:
    """List every certificate and CA entry on devices, as they show them now: use, source and expiry.

    Without a device: on all of them.

    Parameters
    ----------
    public_roots
        Also the well-known public roots that the factory ships and nothing uses.
    """
    query = {"device": list(devices), "public_roots": str(public_roots).lower()}
    async with connected(common.directory) as client:
        shown = await client.get("certificates", query=query)
        await tell_suspended(client)
    if common.json:
        output.as_json(shown)
    else:
        _table(shown)
    return FAILED if any(device["message"] for device in shown) else DONE


@app.command
async def install(
    files: Annotated[list[Path], Parameter(name="FILE")],
    /,
    *,
    passphrase_file: SecretFiles = (),
    device: str | None = None,
    purpose: Annotated[Literal["https", "none"], Parameter(name="--for")] = "https",
    set_clock: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Install certificates of other issuers with their keys, and let devices serve HTTPS with them.

    Each goes to the one device whose MAC address, typed host name or address it names. Nothing that works is closed
    before the new certificate has been proved from outside; what fails is put back. Nothing here renews them.

    Parameters
    ----------
    files
        PKCS#12, or PEM certificates and keys, each pair in one or two files; further CA certificates for their chains.
    passphrase_file
        File with the passphrase of all files; or given once for each file, in their order. - is standard input.
    device
        The device that the certificate is for, whatever it names: MAC or serial, address, host name, or id.
    purpose
        https: devices serve HTTPS with it. none: it is only stored on them.
    set_clock
        Set wrong clocks to this computer's time first.
    """
    phrases = _passphrases(passphrase_file, len(files))
    given = [
        {"name": str(file), "content": base64.b64encode(ask.contents(file)).decode(), "passphrase": phrase or None}
        for file, phrase in zip(files, phrases, strict=True)
    ]
    body = {"files": given, "device": device, "purpose": purpose, "set_clock": set_clock}

    async def begin(client: Client) -> dict[str, Any]:
        return dict(await client.post("certificates", "installation", body=body))

    return await follow.task(common, begin)


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


def _passphrases(files: tuple[Path, ...], count: int) -> list[str | None]:
    """One for each of `count` files. Raises InvalidInput when neither one nor as many were given."""
    if len(files) not in (0, 1, count):
        raise InvalidInput(f"Give one passphrase for all {count} files, or one for each of them, in their order.")
    option = "--passphrase-file"
    if len(files) < 2:
        file = files[0] if files else None
        return [ask.secret(file, "Passphrase of the files (empty: none)", option=option)] * count
    return [ask.secret(file, "", option=option) for file in files]


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
    if hidden := sum(device["hidden"] for device in shown):
        output.say(f"{hidden} public roots from the factory are not shown: --public-roots.")
