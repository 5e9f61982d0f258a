"""`fleetseal ca backup` and `fleetseal ca restore`."""

import base64
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.ca import show_made
from fleetseal.cli.client import Client, Problem, connected
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, SecretFile
from fleetseal.core.errors import InvalidInput


async def backup(
    *,
    target: Annotated[Path, Parameter(name="--output")],
    passphrase_file: SecretFile = None,
    ca_passphrase_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Write each CA with its key into a file of its own, as PKCS#12.

    The highest CA goes into FILE.p12, an issuing CA under it into FILE-issuing.p12. The whole system, with its records,
    is backed up by `fleetseal backup`.

    Parameters
    ----------
    target
        The file of the highest CA; the others lie beside it.
    passphrase_file
        File with the passphrase that seals the files; - is standard input. Without it you are asked.
    ca_passphrase_file
        File with the passphrase of the CA, if it is another one.
    """
    from fleetseal.core.secrets import write_private

    passphrase = ask.secret(passphrase_file, "New passphrase of the files", option="--passphrase-file", twice=True)
    if not passphrase:
        raise InvalidInput("The files are sealed by a passphrase: give one (--passphrase-file).")
    own = None
    if ca_passphrase_file is not None:
        own = ask.secret(ca_passphrase_file, "Passphrase of the CA", option="--ca-passphrase-file")
    async with connected(common) as client:
        made = await _backed_up(client, passphrase, own)
    written = []
    for number, file in enumerate(made["files"]):
        path = _path(target.expanduser(), number)
        write_private(path, base64.b64decode(file["content"]))
        written.append({"file": str(path), **{name: file[name] for name in ("name", "role", "sha256")}})
    if common.json:
        output.as_json({"written": written, "message": made["message"]})
    else:
        output.say(f"Written: {', '.join(one['file'] for one in written)}. {made['message']}")
    return DONE


async def restore(
    files: Annotated[list[Path], Parameter(name="FILE")],
    /,
    *,
    passphrase_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Put CAs of a backup, with their keys, back.

    A CA on record has its key again. Where there is no CA, those of the files become it: give all files of one backup.

    Parameters
    ----------
    files
        What `fleetseal ca backup` wrote.
    passphrase_file
        File with the passphrase of the files; - is standard input. Without it you are asked.
    """
    passphrase = ask.secret(passphrase_file, "Passphrase of the files", option="--passphrase-file")
    if not passphrase:
        raise InvalidInput("The files are sealed by a passphrase: give it (--passphrase-file).")
    contents = [base64.b64encode(ask.contents(file)).decode() for file in files]
    async with connected(common) as client:
        made = await client.post("authorities", "restore", body={"files": contents, "passphrase": passphrase})
    show_made(made, common)
    return DONE


async def _backed_up(client: Client, passphrase: str, own: str | None) -> dict[str, Any]:
    """Asks for the passphrase of the CA, on a terminal, where it is another one."""
    body = {"passphrase": passphrase, "own": own}
    try:
        made: dict[str, Any] = await client.post("authorities", "current", "backup", body=body)
    except Problem as problem:
        if problem.problem != "locked" or own is not None or not sys.stdin.isatty():
            raise
        own = ask.secret(None, "Passphrase of the CA", option="--ca-passphrase-file")
        made = await client.post("authorities", "current", "backup", body={**body, "own": own})
    return made


def _path(target: Path, number: int) -> Path:
    if number == 0:
        return target
    role = "issuing" if number == 1 else f"issuing-{number}"
    return target.with_name(f"{target.stem}-{role}{target.suffix}")
