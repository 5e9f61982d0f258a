"""`fleetseal credential`."""

from typing import Any

from fleetseal.cli import ask, output
from fleetseal.cli.client import connected
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, SecretFile, noun
from fleetseal.core.errors import InvalidInput

app = noun("credential", "Logins tried on devices of the inventory that have none: add, list and remove them.")


@app.command
async def add(name: str, /, *, username: str, password_file: SecretFile = None, common: Common = NO_OPTIONS) -> int:
    """Add a login to try, after those before it, whenever a device without a login is looked at.

    On each device it fails at most once a day.

    Parameters
    ----------
    name
        What to call it.
    username
        An administrator of devices.
    password_file
        File with the password; - is standard input. Without it you are asked.
    """
    password = ask.secret(password_file, "Password", option="--password-file")
    if password is None:
        raise InvalidInput("A password is needed: give --password-file.")
    async with connected(common) as client:
        rows = await client.post("credentials", body={"name": name, "username": username, "password": password})
    return _show(rows, common)


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List them in the order in which they are tried."""
    async with connected(common) as client:
        rows = await client.get("credentials")
    return _show(rows, common)


@app.command
async def remove(name: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Try a login no more. Devices that took it keep theirs.

    Parameters
    ----------
    name
        As in the list.
    """
    async with connected(common) as client:
        rows = await client.post("credentials", "removal", body={"name": name})
    return _show(rows, common)


def _show(rows: list[dict[str, Any]], common: Common) -> int:
    columns = {"Name": "name", "User name": "username", "Added": "added"}
    output.listed(rows, columns, as_document=common.json, empty="There is no credential.")
    return DONE
