"""`fleetseal crl`."""

import base64
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fleetseal.cli import ask, follow, output
from fleetseal.cli.client import connected, tell_suspended
from fleetseal.cli.common import DONE, LOCKED, NO_OPTIONS, Common, SecretFile


async def crl(
    *,
    target: Annotated[Path | None, Parameter(name="--output")] = None,
    passphrase_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Make the CRLs of all CAs anew whose keys are open, and list them. They lie in the data directory, in crl/.

    With two tiers the root's key is locked: its CRL holds for 400 days, and is made anew only with the passphrase.
    Exit code 4 when a CRL is not up to date because a key is locked.

    Parameters
    ----------
    target
        A directory for all of them, in DER (.crl) and PEM (.pem).
    passphrase_file
        File with the passphrase of the CA; - is standard input. Without it you are asked if nothing can be signed.
    """
    async with connected(common) as client:
        body = {"passphrase": await follow.passphrase(client, passphrase_file)}
        crls = await client.post("crls", body=body)
        files = [] if target is None else await client.get("crls", "files")
        await tell_suspended(client)
    written = []
    for file in files:
        path = (target or Path()).expanduser() / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        ask.write(path, base64.b64decode(file["content"]))
        written.append(str(path))
    if common.json:
        output.as_json(crls)
    elif not crls:
        output.say("There is no CA here yet, so there is no CRL.")
    else:
        output.table(
            ("CA", "Role", "State", "Number", "Made", "Next update", "Revoked", "File"),
            [
                (
                    one["name"],
                    one["role"],
                    one["state"],
                    one["number"],
                    one["this_update"],
                    one["next_update"],
                    one["revoked"],
                    one["file"],
                )
                for one in crls
            ],
        )
        if written:
            output.say(f"Written: {', '.join(written)}.")
    return LOCKED if any(one["state"] == "locked" for one in crls) else DONE
