"""`fleetseal backup` and `fleetseal restore`: the whole system."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.client import connected
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, SecretFile
from fleetseal.core.errors import InvalidInput


async def backup(
    *,
    target: Annotated[Path, Parameter(name="--output")],
    passphrase_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Write the whole system, with every key, into one encrypted file.

    Records, settings, the keys of the CA and the passwords of devices, as they are at one moment; a running server
    goes on working. Whoever has the file and its passphrase has the whole system: keep them apart.

    Parameters
    ----------
    target
        The file. A backup that is there already is replaced, anything else is not.
    passphrase_file
        File with the passphrase that seals the backup; - is standard input. Without it you are asked.
    """
    passphrase = ask.secret(passphrase_file, "New passphrase of the backup", option="--passphrase-file", twice=True)
    if not passphrase:
        raise InvalidInput("A backup is sealed by a passphrase: give one (--passphrase-file).")
    body = {"file": str(target.expanduser().absolute()), "passphrase": passphrase}
    async with connected(common) as client:
        made = await client.post("backups", body=body)
    if common.json:
        output.as_json(made)
    else:
        output.say(made["message"])
    return DONE


async def restore(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    passphrase_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Put a backup into an empty data directory.

    Nothing is written over: the directory must be empty or not exist, and no server may work on it. A wrong
    passphrase or a damaged file changes nothing. A backup of an older version is brought to this one.

    Parameters
    ----------
    file
        What `fleetseal backup` wrote.
    passphrase_file
        File with the passphrase of the backup; - is standard input. Without it you are asked.
    """
    from fleetseal import app
    from fleetseal.core.secrets import Secret

    passphrase = ask.secret(passphrase_file, "Passphrase of the backup", option="--passphrase-file")
    if not passphrase:
        raise InvalidInput("A backup is sealed by a passphrase: give it (--passphrase-file).")
    told = await app.restore(common.here, file.expanduser(), Secret(passphrase))
    if common.json:
        output.as_json(told)
        return DONE
    output.say(told["message"])
    if told["ended"]:
        rows = [(one["task"], one["mac"], one["address"]) for one in told["ended"]]
        output.table(("Task", "MAC Address", "Address"), rows)
    return DONE
