"""`fleetseal ca renew`."""

import base64
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, follow, output
from fleetseal.cli.client import Client, connected
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, Flag, SecretFile
from fleetseal.core.errors import InvalidInput

View = dict[str, Any]


async def renew(
    *,
    root: Flag = False,
    successor: Annotated[tuple[Path, ...], Parameter(name="--from", negative="", consume_multiple=True)] = (),
    proceed: Annotated[Flag, Parameter(name="--continue")] = False,
    retire: Flag = False,
    back: Flag = False,
    key_type: Literal["rsa", "ec"] | None = None,
    years: int | None = None,
    passphrase_file: SecretFile = None,
    remember_passphrase: Flag = False,
    yes: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Renew the CA: a new issuing CA under the same root, or, in three steps, a new root beside the old one.

    Without --root a new issuing CA signs at once, and devices follow as the night renews them. With --root nothing is
    signed under the new root until --continue: first devices and clients learn to trust it. Each step may be given
    again, and goes on where it was left.

    Parameters
    ----------
    root
        Step 1: make a new root, and install its certificates on every device that has a certificate of ours.
    successor
        As --root, with a CA from outside: PKCS#12, or PEM certificates and key in one or several files.
    proceed
        Step 2: the new root signs; devices are given certificates of it, in waves. Also for a new issuing CA.
    retire
        Step 3: the old root is trusted no more, and goes from devices. Refused while one serves a certificate of it.
    back
        One step back, before step 3: after step 2 the old root signs again, and devices follow; after step 1 the new
        root is given up, and goes from devices. A new issuing CA is replaced by the one before.
    key_type
        Kind of the new root's keys. Default: as the old one's.
    years
        Life of the new root.
    passphrase_file
        File with the passphrase of the root, or of the new one; - is standard input. Without it you are asked.
    remember_passphrase
        Keep the passphrase of the new root on this computer, so that its key opens unattended.
    yes
        Agree to every question.
    """
    if sum((root or bool(successor), proceed, retire, back)) > 1:
        raise InvalidInput("Give one of --root (or --from), --continue, --retire and --back.")
    async with connected(common) as client:
        passphrase = None
        if proceed:
            passphrase = await _continue(client, passphrase_file, yes=yes)
        elif retire:
            await _retire(client, yes=yes)
        elif back:
            passphrase = await _back(client, passphrase_file, yes=yes)
        else:
            wish = {"root": root, "key_type": key_type, "years": years, "remember_passphrase": remember_passphrase}
            made = await _make(client, wish, successor, passphrase_file)
            if not (root or successor):
                return _show(made, None, common)
        return await _follow(client, passphrase, common)


async def _make(client: Client, wish: View, successor: tuple[Path, ...], passphrase_file: Path | None) -> View:
    """The CA after another was made, or brought; warnings are told."""
    files = [base64.b64encode(ask.contents(file)).decode() for file in successor]
    passphrase = await _passphrase(client, passphrase_file, new=wish["root"], brought=bool(successor))
    made: View = await client.post(
        "authorities", "current", "renew", body={**wish, "files": files, "passphrase": passphrase}
    )
    for warning in made["warnings"]:
        output.tell(warning)
    return made


async def _follow(client: Client, passphrase: str | None, common: Common) -> int:
    """Devices follow; the exit code."""
    task = (await client.post("authorities", "current", "follow", body={"passphrase": passphrase}))["task"]
    if task is not None and not await follow.watch(client, task):
        return await follow.left(client, task)
    result = None if task is None else await client.get("tasks", task)
    return _show(await client.get("authorities", "current"), result, common)


async def _continue(client: Client, passphrase_file: Path | None, *, yes: bool) -> str | None:
    """The new CA signs; the passphrase for what is to be signed now, if one is needed."""
    under_way = (await client.get("authorities", "current"))["replacement"]
    waiting = bool(under_way and under_way["phase"] == "trust")
    if waiting:
        lacking = f"{under_way['left']} of {under_way['devices']} devices do not have its certificates yet. "
        ask.agreed(
            f"{lacking if under_way['left'] else ''}From now on devices are given certificates of the new root: every "
            "client must trust it already (fleetseal ca export). Go on?",
            yes=yes,
        )
    await client.post("authorities", "current", "continue", body={"incomplete": waiting})
    return await follow.passphrase(client, passphrase_file)


async def _retire(client: Client, *, yes: bool) -> None:
    ask.agreed("The old root will be trusted no more, here and on devices. Go on?", yes=yes)
    await client.post("authorities", "current", "retire")


async def _back(client: Client, passphrase_file: Path | None, *, yes: bool) -> str | None:
    """The last step is taken back; the passphrase for what is to be signed now, if one is needed."""
    ask.agreed("The last step of the change of CAs will be taken back, here and on devices. Go on?", yes=yes)
    under_way = (await client.post("authorities", "current", "back"))["replacement"]
    signs = bool(under_way and under_way["phase"] in ("reissue", "return"))
    return await follow.passphrase(client, passphrase_file) if signs else None


async def _passphrase(client: Client, file: Path | None, *, new: bool, brought: bool) -> str | None:
    if brought:
        return ask.secret(file, "Passphrase of the key (empty: none)", option="--passphrase-file") or None
    current = await client.get("authorities", "current")
    introduced = (current["replacement"] or {}).get("phase") == "trust"
    if file is None and (introduced if new else current["key_open"]):
        return None
    return ask.secret(file, "New passphrase" if new else "Passphrase of the CA", option="--passphrase-file", twice=new)


def _show(authority: View, result: View | None, common: Common) -> int:
    """The CA as it is now, the outcome on devices, and how it goes on; the exit code."""
    if common.json:
        output.as_json({**authority, "task": result})
    else:
        if result is not None:
            follow.result_table(result)
        under_way = authority["replacement"]
        output.say(under_way["message"] if under_way else "Nothing is left to do.")
    return DONE if result is None else follow.code(result)
