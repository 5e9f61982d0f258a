"""`fleetseal task`."""

from typing import Any

from fleetseal.cli import follow, output
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, SecretFile, noun

app = noun("task", "What was asked for, and what became of it: list, show, cancel, retry, resume.")


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List tasks, the newest first."""
    async with connected(common) as client:
        tasks = await client.get("tasks")
        await tell_suspended(client)
    if common.json:
        output.as_json(tasks)
    elif not tasks:
        output.say("There is no task.")
    else:
        output.table(
            ("Id", "Action", "Asked by", "Status", "Done", "Failed", "Started", "Finished"),
            [
                (
                    one["id"],
                    one["action"],
                    one["actor"],
                    one["state"],
                    f"{one['done']} of {one['total']}",
                    one["failed"],
                    one["started"],
                    one["finished"],
                )
                for one in tasks
            ],
        )
    return DONE


@app.command
async def show(task: int, /, *, common: Common = NO_OPTIONS) -> int:
    """Show a task and the outcome on each device. Exit code 1 if something failed on some device.

    Parameters
    ----------
    task
        Its number in `task list`.
    """
    async with connected(common) as client:
        code = await follow.show(client, task, common)
        await tell_suspended(client)
    return code


@app.command
async def cancel(task: int, /, *, common: Common = NO_OPTIONS) -> int:
    """Stop a task: devices in work are put back as they were, the others are not begun.

    Parameters
    ----------
    task
        Its number in `task list`.
    """
    async with connected(common) as client:
        result = await client.post("tasks", task, "cancel")
        await tell_suspended(client)
    if common.json:
        output.as_json(result)
    else:
        output.say(f"Task {task} is cancelled." if result["finished"] else f"Task {task} is being cancelled.")
    return DONE


@app.command
async def retry(task: int, /, *, passphrase_file: SecretFile = None, common: Common = NO_OPTIONS) -> int:
    """Do a task again, on the devices where it failed or was cancelled.

    Parameters
    ----------
    task
        Its number in `task list`.
    passphrase_file
        File with the passphrase of the CA key, if it is locked; - is standard input. Without it you are asked.
    """

    async def begin(client: Client) -> dict[str, Any]:
        body = {"passphrase": await follow.passphrase(client, passphrase_file)}
        return dict(await client.post("tasks", task, "retry", body=body))

    return await follow.task(common, begin)


@app.command
async def resume(*, passphrase_file: SecretFile = None, common: Common = NO_OPTIONS) -> int:
    """Continue every task that was interrupted, and wait for its end.

    Parameters
    ----------
    passphrase_file
        File with the passphrase of the CA key, if it is locked; - is standard input. Without it you are asked.
    """
    async with connected(common) as client:
        body = {"passphrase": await follow.passphrase(client, passphrase_file)}
        unfinished = await client.post("tasks", "resume", body=body)
        if unfinished:
            return await follow.several(client, unfinished, common)
    if common.json:
        output.as_json([])
    else:
        output.say("No task is suspended.")
    return DONE
