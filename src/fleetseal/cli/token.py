"""`fleetseal token`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.client import connected
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, noun
from fleetseal.core.errors import NotFound

app = noun("token", "API tokens for programs: add, list and remove them.")


@app.command
async def add(
    name: str,
    /,
    *,
    scope: Literal["viewer", "operator", "administrator"],
    days: int = 365,
    target: Annotated[Path | None, Parameter(name="--output")] = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Make an API token. It is shown this once, or written to a file that only you can read.

    It ends after its days, when it is removed, and with the user who made it.

    Parameters
    ----------
    name
        What to call it: the audit log names it so.
    scope
        What it may do: as a viewer, operator or administrator. Users and tokens are made by people only.
    days
        Until it ends: 1 to 825.
    target
        A new file for the token; its name goes into FLEETSEAL_TOKEN_FILE.
    """
    with nullcontext() if target is None else ask.created(target, private=True) as file:
        async with connected(common.directory) as client:
            made = await client.post("tokens", body={"name": name, "scope": scope, "days": days})
        if file is not None:
            file.write(f"{made.pop('token')}\n")
    if common.json:
        output.as_json(made)
    elif target is not None:
        output.say(f"The token is in {target}. It ends on {made['expires'][:10]}.")
    else:
        output.say(made["token"])
        output.tell(f"It is not shown again. It ends on {made['expires'][:10]}.")
    return DONE


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List the tokens, without what they consist of."""
    async with connected(common.directory) as client:
        return _show(await client.get("tokens"), common)


@app.command
async def remove(name: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Remove a token: it lets nobody in any more.

    Parameters
    ----------
    name
        As in the list.
    """
    async with connected(common.directory) as client:
        for one in await client.get("tokens"):
            if one["name"] == name.casefold():
                return _show(await client.delete("tokens", one["id"]), common)
    raise NotFound(f"There is no token {name!r}.")


def _show(rows: list[dict[str, Any]], common: Common) -> int:
    columns = {"Name": "name", "Scope": "scope", "Created": "created", "Ends": "expires", "Last used": "last_used"}
    output.listed(rows, columns, as_document=common.json, empty="There is no token.")
    return DONE
