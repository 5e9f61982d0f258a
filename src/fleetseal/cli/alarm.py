"""`fleetseal alarm`."""

from fleetseal.cli import output
from fleetseal.cli.client import connected, tell_suspended
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, noun

app = noun("alarm", "Conditions that hold now and need attention: list and acknowledge them.")


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List the conditions that hold now, the oldest first."""
    async with connected(common.directory) as client:
        alarms = await client.get("alarms")
        await tell_suspended(client)
    if common.json:
        output.as_json(alarms)
    elif not alarms:
        output.say("There is no alarm.")
    else:
        output.table(
            ("Id", "Since", "Severity", "Object", "Message", "Acknowledged"),
            [
                (one["id"], one["since"], one["severity"], one["object"], one["message"], one["acknowledged"])
                for one in alarms
            ],
        )
    return DONE


@app.command
async def acknowledge(alarm: int, /, *, common: Common = NO_OPTIONS) -> int:
    """Say that somebody has seen an alarm. It stays until its cause is gone.

    Parameters
    ----------
    alarm
        Its number in `alarm list`.
    """
    async with connected(common.directory) as client:
        alarms = await client.post("alarms", alarm, "acknowledge")
    if common.json:
        output.as_json(next(one for one in alarms if one["id"] == alarm))
    else:
        output.say(f"Alarm {alarm} is acknowledged.")
    return DONE
