"""`fleetseal discover`."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
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
    interface: Names = (),
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

    Without a range, devices are asked to announce themselves (mDNS, SSDP, WS-Discovery) on every network of this
    computer.

    Parameters
    ----------
    interface
        Ask on this network interface only, by name or address. May be given several times.
    ranges
        Addresses to try instead: 10.0.0.10-10.0.0.99, 10.0.0.0/24 or one address; at most a /16 in all. May be given
        several times.
    timeout
        Seconds an address of a range may take to accept a connection, by default 1; or seconds to listen to
        announcements, by default 4.
    http_port
        Port for plain HTTP, where no announcement names it. Default: 80.
    https_port
        Port for HTTPS, where no announcement names it. Default: 443.
    add
        Add what was found to the inventory, after asking.
    yes
        Add without asking.
    username
        An administrator of the devices that are added.
    password_file
        File with the password; - is standard input. Without it you are asked.
    """
    password = _checked_password(add=add, yes=yes, username=username, file=password_file)
    body = {
        "ranges": list(ranges),
        "interfaces": list(interface),
        "timeout": timeout,
        "http_port": http_port,
        "https_port": https_port,
    }
    async with connected(common) as client:
        answer = await _watched(client, body)
        results = answer["devices"]
        if add:
            results = await _added(client, results, yes=yes, username=username, password=password)
    _show(results, answer["others"], common)
    return FAILED if any(one["result"] == "failed" for one in results) else DONE


def _checked_password(*, add: bool, yes: bool, username: str | None, file: Path | None) -> str | None:
    """The password of the login, if there is one. Raises InvalidInput before anything is sent."""
    if not add and (yes or username is not None or file is not None):
        raise InvalidInput("--username, --password-file and --yes belong to --add. Nothing was sent.")
    if add and not yes and not sys.stdin.isatty():
        raise InvalidInput("Nobody can be asked here: give --yes to add what is found. Nothing was sent.")
    if username is None and file is None:
        return None
    password = ask.secret(file, "Password", option="--password-file")
    if username is None or password is None:
        raise InvalidInput("A user name and a password belong together: give both, or neither. Nothing was sent.")
    return password


async def _added(
    client: Client, results: list[Row], *, yes: bool, username: str | None, password: str | None
) -> list[Row]:
    """The results, with what was found in the inventory, if that is agreed."""
    found = [one for one in results if one["result"] == "found"]
    if not found:
        return results
    if not yes:
        _table(results, stream=sys.stderr)
    ask.agreed(f"Add {_devices(len(found))} to the inventory?", yes=yes)
    members = ("address", "http_port", "https_port", "mac", "hostname")
    body = {
        "devices": [{name: one[name] for name in members} for one in found],
        "username": username,
        "password": password,
    }
    added = iter(await client.post("discovery", "adoption", body=body))
    return [next(added) if one["result"] == "found" else one for one in results]


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
        if now is None or not now["total"]:
            continue
        if now["stage"] != stage:
            progress.close()
            stage, progress = now["stage"], Progress()
        left = "" if now["seconds_left"] is None else f", {now['seconds_left']} s left"
        pace = f"{now['found']} found, {now['rate']}/s{left}"
        progress.show({**now, "action": stage, "failed": 0, "note": pace, "of": "addresses", "pace": pace})
    progress.close()


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
