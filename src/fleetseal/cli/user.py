"""`fleetseal user`."""

from typing import Any, Literal

from fleetseal.cli import ask, output
from fleetseal.cli.client import Client, connected
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, Flag, SecretFile, noun
from fleetseal.core.errors import InvalidInput, NotFound

app = noun("user", "Users who sign in: add, list, change, remove and unlock them; the code for the first one.")

Role = Literal["viewer", "operator", "administrator"]


@app.command
async def add(name: str, /, *, role: Role, password_file: SecretFile = None, common: Common = NO_OPTIONS) -> int:
    """Add a user of the web application and the API.

    Parameters
    ----------
    name
        1 to 48 letters without accents, digits, and . _ @ -
    role
        A viewer reads, an operator acts on devices, an administrator does everything.
    password_file
        File with the password, 12 characters or more; - is standard input. Without it you are asked.
    """
    password = _password(password_file)
    if password is None:
        raise InvalidInput("A password is needed: give --password-file.")
    async with connected(common.directory) as client:
        await client.post("users", body={"name": name, "role": role, "password": password})
        return _show(await client.get("users"), common)


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List the users."""
    async with connected(common.directory) as client:
        return _show(await client.get("users"), common)


@app.command
async def change(
    name: str,
    /,
    *,
    role: Role | None = None,
    new_name: str | None = None,
    password: Flag = False,
    password_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Change a user's role, name or password. With another role or password, sessions and tokens of the user end.

    Parameters
    ----------
    name
        As in the list.
    role
        What the user may do from now on.
    new_name
        Another name.
    password
        Ask for a new password.
    password_file
        File with a new password; - is standard input.
    """
    changes: dict[str, Any] = {"role": role, "name": new_name}
    if password or password_file is not None:
        changes["password"] = _password(password_file)
        if changes["password"] is None:
            raise InvalidInput("Nobody can be asked for the password here: give --password-file. Nothing was done.")
    async with connected(common.directory) as client:
        number = await _number(client, name)
        await client.patch("users", number, body={key: value for key, value in changes.items() if value is not None})
        return _show(await client.get("users"), common)


@app.command
async def remove(name: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Remove a user. Sessions and tokens of the user end at once.

    Parameters
    ----------
    name
        As in the list.
    """
    async with connected(common.directory) as client:
        return _show(await client.delete("users", await _number(client, name)), common)


@app.command
async def unlock(name: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Forget wrong guesses at a user's password, and those of every address: the next try is looked at.

    Parameters
    ----------
    name
        As in the list.
    """
    async with connected(common.directory) as client:
        return _show(await client.post("users", await _number(client, name), "unlock"), common)


@app.command
async def sessions(*, common: Common = NO_OPTIONS) -> int:
    """List who is signed in: from where, since when, and when last seen."""
    async with connected(common.directory) as client:
        return _show_sessions(await client.get("sessions"), common)


@app.command(name="end-session")
async def end_session(number: int, /, *, common: Common = NO_OPTIONS) -> int:
    """End a session: its browser is signed out at once.

    Parameters
    ----------
    number
        As in the list.
    """
    async with connected(common.directory) as client:
        return _show_sessions(await client.delete("sessions", number), common)


@app.command(name="setup-code")
async def setup_code(*, common: Common = NO_OPTIONS) -> int:
    """Make a new code, by which the first administrator is made on the first page. It is good for 24 hours."""
    async with connected(common.directory) as client:
        made = await client.post("users", "setup-code")
    if common.json:
        output.as_json(made)
    else:
        output.say(made["code"])
    return DONE


async def _number(client: Client, name: str) -> int:
    """Raises NotFound."""
    for user in await client.get("users"):
        if user["name"] == name.casefold():
            return int(user["id"])
    raise NotFound(f"There is no user {name!r}.")


def _show_sessions(rows: list[dict[str, Any]], common: Common) -> int:
    columns = {"Number": "id", "User": "user", "From": "address", "Since": "created", "Last seen": "last_seen"}
    output.listed(rows, columns, as_document=common.json, empty="Nobody is signed in.")
    return DONE


def _password(file: SecretFile) -> str | None:
    return ask.secret(file, "Password", option="--password-file", twice=True)


def _show(rows: list[dict[str, Any]], common: Common) -> int:
    columns = {"Name": "name", "Role": "role", "Created": "created", "Last seen": "last_seen"}
    empty = "There is no user. The first administrator is made by a code: fleetseal user setup-code"
    output.listed(rows, columns, as_document=common.json, empty=empty)
    return DONE
