"""`fleetseal certificate`."""

import base64
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, follow, output
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import (
    DONE,
    FAILED,
    LOCKED,
    NO_OPTIONS,
    Common,
    Devices,
    Flag,
    SecretFile,
    SecretFiles,
    chosen,
    noun,
)
from fleetseal.core.errors import InvalidInput

app = noun("certificate", "Certificates: list, install and delete those on devices, show and revoke those issued here.")


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
    async with connected(common) as client:
        shown = await client.get("certificates", query=query)
        await tell_suspended(client)
    if common.json:
        output.as_json(shown)
    else:
        _table(shown)
    return FAILED if any(device["message"] for device in shown) else DONE


@app.command(usage="Usage: fleetseal certificate install [OPTIONS] FILE...")
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


@app.command
async def issued(*, device: str | None = None, common: Common = NO_OPTIONS) -> int:
    """Show every certificate that was issued here, for which device, by which task, and what became of it.

    The record is permanent: certificates of forgotten devices stay on it.

    Parameters
    ----------
    device
        Only those of this device: MAC or serial, address, host name, or id; also of one that is forgotten.
    """
    async with connected(common) as client:
        shown = await client.get("certificates", "issued", query={} if device is None else {"device": device})
        await tell_suspended(client)
    if common.json:
        output.as_json(shown)
    elif not shown:
        output.say("No certificate was issued here yet.")
    else:
        output.table(
            ("Serial", "MAC Address", "Subject", "Names", "Valid until", "State", "Since", "Reason", "Task"),
            [
                (
                    one["serial"],
                    one["mac"],
                    one["subject"],
                    one["names"],
                    one["not_after"][:10],
                    one["state"],
                    (one["revoked"] or one["superseded"] or one["installed"] or one["issued"])[:10],
                    one["reason"],
                    one["task"],
                )
                for one in shown
            ],
        )
    return DONE


@app.command
async def revoke(
    serial: str,
    /,
    *,
    reason: Literal[
        "unspecified",
        "keyCompromise",
        "cACompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "privilegeWithdrawn",
    ] = "unspecified",
    passphrase_file: SecretFile = None,
    yes: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Revoke a certificate that was issued here: it is on record at once, and on the CRL of its CA.

    Exit code 4 when it is revoked, but the CA key is locked, so that the CRL follows later.

    Parameters
    ----------
    serial
        Its serial number, as `certificate issued` shows it.
    reason
        As in RFC 5280. keyCompromise: somebody else may have the key; a device that shows it is not believed any
        more. cACompromise: the same, of a CA that is no longer in use.
    passphrase_file
        File with the passphrase of the CA key, if it is locked; - is standard input. Without it you are asked.
    yes
        Do not ask.
    """
    ask.agreed(f"The certificate {serial} will be revoked for ever. Go on?", yes=yes)
    async with connected(common) as client:
        passphrase = await follow.passphrase(client, passphrase_file)
        body = {"serial": serial, "reason": reason, "passphrase": passphrase}
        revoked = await client.post("certificates", "revocation", body=body)
    if common.json:
        output.as_json(revoked)
    else:
        output.say(revoked["message"])
    return {"current": DONE, "locked": LOCKED}.get(revoked["crl"], FAILED)


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
