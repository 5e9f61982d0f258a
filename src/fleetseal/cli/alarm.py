"""`fleetseal alarm`."""

from typing import Any

from fleetseal.cli import ask, output
from fleetseal.cli.client import connected, tell_suspended
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, Flag, SecretFile, noun
from fleetseal.core.errors import InvalidInput

app = noun("alarm", "Conditions that hold now and need attention: list and acknowledge them, and where they are told.")


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List the conditions that hold now, the oldest first."""
    async with connected(common) as client:
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
    async with connected(common) as client:
        alarms = await client.post("alarms", alarm, "acknowledge")
    if common.json:
        output.as_json(next(one for one in alarms if one["id"] == alarm))
    else:
        output.say(f"Alarm {alarm} is acknowledged.")
    return DONE


@app.command
async def channels(*, common: Common = NO_OPTIONS) -> int:
    """List where alarms go, and how each way fares.

    Where they go is set by the settings alarm.email, alarm.webhook and alarm.syslog.
    """
    async with connected(common) as client:
        rows = await client.get("alarms", "channels")
    return _show_channels(rows, common)


@app.command
async def secret(
    channel: str, /, *, secret_file: SecretFile = None, remove: Flag = False, common: Common = NO_OPTIONS
) -> int:
    """Set the password of the mail server, or the key that webhook messages are signed with.

    Parameters
    ----------
    channel
        email or webhook.
    secret_file
        File with the secret; - is standard input. Without it you are asked.
    remove
        Forget it instead.
    """
    given = None if remove else ask.secret(secret_file, "Secret", option="--secret-file", twice=True)
    if given is None and not remove:
        raise InvalidInput("A secret is needed: give --secret-file, or --remove to forget it.")
    async with connected(common) as client:
        rows = await client.put("alarms", "channels", channel, "secret", body={"secret": given})
    return _show_channels(rows, common)


@app.command(name="test")
async def try_out(channel: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Send a test message. Exit code 1 when the server does not take it.

    Parameters
    ----------
    channel
        email, webhook or syslog.
    """
    async with connected(common) as client:
        sent = await client.post("alarms", "channels", channel, "test")
    if common.json:
        output.as_json(sent)
    else:
        output.say(f"The channel {channel} took a test message.")
    return DONE


def _show_channels(rows: list[dict[str, Any]], common: Common) -> int:
    if common.json:
        output.as_json(rows)
        return DONE
    output.table(
        ("Channel", "Leads to", "Secret", "Waiting", "Last sent", "Failing since", "Error"),
        [
            (
                one["channel"],
                one["target"],
                "set" if one["secret"] else None,
                one["waiting"],
                one["last_sent"],
                one["failing_since"],
                one["error"],
            )
            for one in rows
        ],
    )
    return DONE
