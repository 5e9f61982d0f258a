"""`fleetseal device import` and `device export`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.client import connected
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Filters, SecretFile
from fleetseal.core.errors import InvalidInput

_SHOWN = 100
"""Wrong rows that the table shows; `--json` has all."""


async def import_(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    username: str | None = None,
    password_file: SecretFile = None,
    site: str | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Take the devices of a CSV or JSON file into the inventory: all of them, or none when a row is wrong.

    The first line of a CSV file names the columns: address, and any of http_port, https_port, hostname, mac,
    username, password, site, tags, tls. Devices that are there already stay as they are. No device is contacted.

    Parameters
    ----------
    file
        A file that ends in .csv or .json.
    username
        An administrator, for rows without a login of their own.
    password_file
        File with the password; - is standard input. Without it you are asked.
    site
        The network they are in, for rows that name none.
    """
    form = file.suffix.lower().removeprefix(".")
    if form not in ("csv", "json"):
        raise InvalidInput(f"The name of {file} ends neither in .csv nor in .json. Nothing was imported.")
    try:
        content = ask.contents(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The file {file} is not UTF-8 text. Nothing was imported.") from error
    password = None
    if username is not None or password_file is not None:
        password = ask.secret(password_file, "Password", option="--password-file")
    body = {"form": form, "content": content, "username": username, "password": password, "site": site}
    async with connected(common) as client:
        rows = await client.post("devices", "import", body=body)
    failed = [one for one in rows if one["result"] == "failed"]
    if common.json:
        output.as_json(rows)
    elif failed:
        columns = ("row", "address", "message")
        shown = [tuple(one[name] for name in columns) for one in failed[:_SHOWN]]
        output.table(("Row", "Address", "Message"), shown)
        output.say(f"Nothing was imported: {len(failed)} of {len(rows)} rows are wrong.")
    else:
        added = sum(one["result"] == "added" for one in rows)
        output.say(f"{added} added, {len(rows) - added} in the inventory already.")
        if added:
            output.say("None was contacted yet. Look at them: fleetseal device refresh --all")
    return FAILED if failed else DONE


async def export(
    *,
    form: Annotated[Literal["csv", "json"], Parameter(name="--format")] = "csv",
    target: Annotated[Path | None, Parameter(name="--output")] = None,
    filters: Filters = (),
    common: Common = NO_OPTIONS,
) -> int:
    """Write the devices of the inventory as a file that device import takes. No password is in it.

    In CSV, a cell that a spreadsheet would take for a formula has an apostrophe before it; device import drops it.

    Parameters
    ----------
    form
        csv or json.
    target
        File to write. Without it: standard output.
    """
    if common.json and target is None:
        form = "json"
    async with connected(common) as client:
        content = (await client.post("devices", "export", body={"form": form, "filters": list(filters)}))["content"]
    if target is None:
        sys.stdout.write(content.replace("\r\n", "\n"))
    else:
        ask.write(target, content.encode())
        if common.json:
            output.as_json({"file": str(target)})
    return DONE
