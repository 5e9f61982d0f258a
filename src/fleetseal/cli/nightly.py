"""`fleetseal nightly`."""

from typing import Any

from fleetseal.cli import follow, output
from fleetseal.cli.client import Client, OwnerLeft, connected
from fleetseal.cli.common import DONE, FAILED, LOCKED, NO_OPTIONS, Common, Flag, SecretFile
from fleetseal.core.runtime import SystemClock

_LOOK_SECONDS = 0.4


async def nightly(
    *, passphrase_file: SecretFile = None, clock_is_right: Flag = False, common: Common = NO_OPTIONS
) -> int:
    """The nightly run, now, whatever the window: renew what is due, audit what devices serve, alarms, tidying up.

    A running server does this by itself each night within renewal.window. Without one, run it once a day. Exit code 1
    when a certificate is due and could not be renewed, 4 when renewal waits for the passphrase.

    Parameters
    ----------
    passphrase_file
        File with the passphrase of the CA key, if it is locked; - is standard input. Without it you are asked.
    clock_is_right
        Renew also where so many certificates are due at once that this computer's clock is in doubt.
    """
    passphrase: str | None = None
    asked = False
    while True:
        try:
            async with connected(common) as client:
                if not asked:
                    passphrase, asked = await follow.passphrase(client, passphrase_file), True
                body = {"passphrase": passphrase, "clock_is_right": clock_is_right}
                night = await client.post("nightly", body=body)
                return await _to_its_end(client, int(night["id"]), common)
        except OwnerLeft:
            if not asked:
                raise


async def _to_its_end(client: Client, number: int, common: Common) -> int:
    """Waits for the run and shows its report; the exit code."""
    clock = SystemClock()
    while (night := await client.get("nightly", number))["finished"] is None:
        if night["task"] is not None and not await follow.watch(client, int(night["task"])):
            return await follow.left(client, int(night["task"]))
        await clock.sleep(_LOOK_SECONDS)
    report = night["report"]
    if report is None:
        output.tell("This run was ended by another one. See what that one did: fleetseal task list")
        return FAILED
    if common.json:
        output.as_json(report)
    else:
        _show(report)
    if report["failed"] or report["problems"] or any(one["needs_person"] for one in report["skipped"]):
        return FAILED
    return LOCKED if report["waited"] else DONE


def _show(report: dict[str, Any]) -> None:
    counts = {name: len(report[name]) for name in ("renewed", "failed", "skipped")}
    output.say(
        f"Nightly run: {counts['renewed']} renewed, {counts['failed']} failed, {counts['skipped']} skipped, "
        f"{report['alarms']} {'alarm is' if report['alarms'] == 1 else 'alarms are'} open."
    )
    rows = [
        (one["mac"], one["address"], status, one.get("description") or one.get("reason"))
        for status, name in (("Renewed", "renewed"), ("Failed", "failed"), ("Skipped", "skipped"))
        for one in report[name]
    ]
    if rows:
        output.table(("MAC Address", "Address", "Status", "Description"), rows)
    for problem in report["problems"]:
        output.say(f"The part {problem['part']} could not be done: {problem['reason']}")
    if report["alarms"]:
        output.say("See the alarms: fleetseal alarm list")
