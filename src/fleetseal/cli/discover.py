"""`fleetseal discover`."""

import asyncio
import sys
from contextlib import suppress
from typing import Annotated, Any, TextIO

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.client import Client, connected
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Flag, Names, SecretFile
from fleetseal.cli.progress import Progress
from fleetseal.core.errors import InvalidInput

_LOOK_SECONDS = 0.3

Row = dict[str, Any]


async def discover(
    *,
    ranges: Annotated[Names, Parameter(name="--range")] = (),
    timeout: float | None = None,
    http_port: int | None = None,
    https_port: int | None = None,
    add: Flag = False,
    yes: Flag = False,
    username: str | None = None,
    password_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Find devices on the network, and take them into the inventory if you say so.

    Each is identified without sending any credential. Trust is how far it would be believed if it was added.

    Parameters
    ----------
    ranges
        Addresses to try: 10.0.0.10-10.0.0.99, 10.0.0.0/24 or one address; at most a /16 in all. May be given several
        times.
    timeout
        Seconds an address may take to accept a connection. Default: 1.
    http_port
        Port for plain HTTP that is tried. Default: 80.
    https_port
        Port for HTTPS that is tried. Default: 443.
    add
        Add what was found to the inventory, after asking.
    yes
        Add without asking.
    username
        An administrator of the devices that are added.
    password_file
        File with the password; - is standard input. Without it you are asked.
    """
    if not ranges:
        raise InvalidInput("Nothing to search: give --range.")
    _check(add=add, yes=yes, login=username is not None or password_file is not None)
    body = {"ranges": list(ranges), "timeout": timeout, "http_port": http_port, "https_port": https_port}
    async with connected(common.directory) as client:
        answer = await _watched(client, body)
        results = answer["devices"]
        found = [one for one in results if one["result"] == "found"]
        if add and found:
            if not yes:
                _table(results, stream=sys.stderr)
            ask.agreed(f"Add {_devices(len(found))} to the inventory?", yes=yes)
            password = ask.secret(password_file, "Password", option="--password-file") if username else None
            adopted = await _adopt(client, found, username, password)
            results = [adopted.pop(0) if one["result"] == "found" else one for one in results]
    _show(results, answer["others"], common)
    return FAILED if any(one["result"] == "failed" for one in results) else DONE


def _check(*, add: bool, yes: bool, login: bool) -> None:
    """Raises InvalidInput before anything is sent."""
    if not add and (login or yes):
        raise InvalidInput("--username, --password-file and --yes belong to --add. Nothing was sent.")
    if add and not yes and not sys.stdin.isatty():
        raise InvalidInput("Nobody can be asked here: give --yes to add what is found. Nothing was sent.")


async def _watched(client: Client, body: Row) -> Row:
    """The answer to the search; how far it is goes to standard error meanwhile."""
    ended = asyncio.Event()

    async def search() -> Row:
        try:
            return dict(await client.post("discovery", body=body))
        finally:
            ended.set()

    answer, _ = await asyncio.gather(search(), _tell(client, ended))
    return answer


async def _tell(client: Client, ended: asyncio.Event) -> None:
    stage = None
    progress = Progress()
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _LOOK_SECONDS)
            break
        now = await client.get("discovery")
        if now is None:
            continue
        if now["stage"] != stage:
            progress.close()
            stage, progress = now["stage"], Progress()
        left = "" if now["seconds_left"] is None else f", {now['seconds_left']} s left"
        pace = f"{now['found']} found, {now['rate']}/s{left}"
        progress.show({**now, "action": stage, "failed": 0, "note": pace, "of": "addresses", "pace": pace})
    progress.close()


async def _adopt(client: Client, found: list[Row], username: str | None, password: str | None) -> list[Row]:
    members = ("address", "http_port", "https_port", "mac")
    body = {
        "devices": [{name: one[name] for name in members} for one in found],
        "username": username,
        "password": password,
    }
    return list(await client.post("discovery", "adoption", body=body))


def _show(results: list[Row], others: int, common: Common) -> None:
    if common.json:
        output.as_json(results)
    elif results:
        _table(results)
    else:
        output.say("No device was found.")
    if others:
        answer = "1 address answers" if others == 1 else f"{others} addresses answer"
        output.tell(f"{answer} as something else than an Axis device.")


def _table(results: list[Row], *, stream: TextIO | None = None) -> None:
    output.table(
        ("Address", "Result", "MAC Address", "Model", "Firmware", "Trust", "Message"),
        [
            tuple(one[name] for name in ("address", "result", "mac", "model", "firmware", "trust", "message"))
            for one in results
        ],
        stream=stream,
    )


def _devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"
