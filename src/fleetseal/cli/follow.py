"""Start a task and stay with it to its end: progress, Ctrl-C, and the result."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fleetseal.cli import ask, output
from fleetseal.cli.client import Client, OwnerLeft, connected
from fleetseal.cli.common import DONE, FAILED, INTERRUPTED, Common
from fleetseal.cli.progress import Progress
from fleetseal.core.runtime import SystemClock

_LOOK_SECONDS = 0.4
_FAILURES = ("Failed", "Rolled back")

Task = dict[str, Any]
Start = Callable[[Client], Awaitable[Task]]


async def start(client: Client, body: dict[str, Any]) -> Task:
    return dict(await client.post("tasks", body=body))


async def task(common: Common, begin: Start) -> int:
    """Begins a task, waits for its end, shows its result; the exit code.

    When the process that works leaves, this one takes over. The first Ctrl-C lets devices in work finish, the
    second leaves at once.
    """
    begun: Task | None = None
    while True:
        try:
            async with connected(common) as client:
                begun = begun or await begin(client)
                ended = await watch(client, int(begun["id"]))
                if ended:
                    return await show(client, int(begun["id"]), common)
                return await left(client, int(begun["id"]))
        except OwnerLeft:
            if begun is None:
                raise


async def several(client: Client, unfinished: list[int], common: Common) -> int:
    """Waits for the end of tasks that are at work here; shows each; the exit code of the worst."""
    codes, results = [], []
    for task_id in unfinished:
        if not await watch(client, task_id):
            return await left(client, task_id)
        results.append(await client.get("tasks", task_id))
        codes.append(code(results[-1]))
        if not common.json:
            await show(client, task_id, common)
    if common.json:
        output.as_json(results)
    return max(codes, default=DONE)


async def show(client: Client, task_id: int, common: Common) -> int:
    """Shows a task's result; the exit code of it."""
    result = await client.get("tasks", task_id)
    if common.json:
        output.as_json(result)
    else:
        result_table(result)
        if result["action"] == "Enable HTTPS" and (sentence := await _renewal(client, result)):
            output.say(sentence)
    return code(result)


def result_table(result: Task) -> None:
    ended = result["finished"] is not None
    output.say(result["heading"] if ended else f"Task {result['id']}: {result['action']}, {result['state']}")
    if result.get("stopped"):
        output.say(result["stopped"])
    output.table(
        ("MAC Address", "Address", "Status", "Description"),
        [
            (one["mac"], one["address"], one["status"], one["description"])
            for one in sorted(result["devices"], key=lambda one: one["status"] not in _FAILURES)
        ],
    )
    for one in result.get("unmatched", ()):
        output.say(f"{one['file']} was not used: {one['reason']}")


def code(result: Task) -> int:
    """The exit code of a task."""
    failed = any(one["status"] in _FAILURES for one in result["devices"]) or result.get("unmatched")
    return FAILED if failed else DONE


async def watch(client: Client, task_id: int) -> bool:
    """True when the task has ended; False when a person wants to leave."""
    clock = SystemClock()
    with Progress() as progress, _interrupts(progress) as asked:
        while True:
            now = await client.get("tasks", task_id, "progress")
            progress.show(now)
            if now["state"] in ("Finished", "Failed", "Cancelled"):
                return True
            if now["state"] == "Suspended":  # the process that works was not asked to
                await client.post("tasks", "resume", body={})
            if asked:
                if client.application is None:
                    return False
                client.application.drain()
                if now["in_work"] == 0:
                    return False
            await clock.sleep(_LOOK_SECONDS)


async def left(client: Client, task_id: int) -> int:
    """Says who goes on with a task that this command leaves; the exit code."""
    if client.application is None:
        output.tell(f"The server goes on with task {task_id}: fleetseal task show {task_id}")
        return INTERRUPTED
    now = await client.get("tasks", task_id, "progress")
    output.tell(f"1 task is suspended: {now['done']} of {now['total']} devices done. Continue: fleetseal task resume")
    return FAILED


@contextmanager
def _interrupts(progress: Progress) -> Iterator[list[int]]:
    """Ctrl-C and termination are noted in the list; the second one leaves at once."""
    asked: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if asked:
            progress.close()
            os._exit(INTERRUPTED)
        asked.append(number)
        print("\nStopping: devices in work finish, no new one is begun. Ctrl-C again leaves at once.", file=sys.stderr)

    before = [(number, signal.signal(number, note)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield asked
    finally:
        for number, handler in before:
            signal.signal(number, handler)


async def _renewal(client: Client, result: Task) -> str | None:
    """Until when the certificates are valid, and who renews them."""
    macs = {one["mac"] for one in result["devices"] if one["status"] in ("Finished", "Unchanged")}
    ends = [
        one["certificate"]["not_after"]
        for one in await client.get("devices")
        if one["mac"] in macs and one["certificate"] and one["certificate"]["issued_by_us"]
    ]
    if not ends:
        return None
    valid, night = f"Valid until {min(ends)[:10]}.", await client.get("nightly")
    if night["waits"]:
        return f"{valid} {night['waits']}"
    if night["renews"]:
        return f"{valid} They are renewed by themselves before that."
    if not night["automatic"]:
        return f"{valid} Nothing renews them: renewal.automatic is off."
    return (
        f'{valid} Nothing renews them unless "fleetseal serve", or "fleetseal nightly" once a day, runs on this data.'
    )


async def passphrase(client: Client, file: Path | None) -> str | None:
    """The one in the file, else asked on a terminal when the signing key is locked."""
    if file is None and not (await client.get("authorities", "current", "lock"))["locked"]:
        return None
    return ask.secret(file, "Passphrase of the CA", option="--passphrase-file")
