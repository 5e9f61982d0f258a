"""A task, step by step as it happens: a live table on a terminal, otherwise a line for each new step."""

import sys
from collections.abc import Mapping
from typing import Any

from fleetseal.cli import output
from fleetseal.cli.client import Client
from fleetseal.core.runtime import SystemClock

_LOOK_SECONDS = 0.25
_TOLD = ("request", "issue", "bind", "verify", "verify-again")
"""Steps that get a line when they are done; every step does when it is undone."""


async def watch(client: Client, task_id: int, firmware: Mapping[str, str]) -> dict[str, Any]:
    """The result of the task, once it has ended; shown on the way, with each device's firmware beside its MAC."""
    clock = SystemClock()
    show = _Live(firmware) if sys.stdout.isatty() else _Lines(firmware)
    with show:
        while True:
            result: dict[str, Any] = await client.get("tasks", task_id)
            show.update(result)
            if result["finished"] is not None:
                break
            await clock.sleep(_LOOK_SECONDS)
    output.say(result["heading"])
    output.table(
        ("MAC Address", "Firmware", "Status", "Description"),
        [(one["mac"], firmware[one["mac"]], one["status"], one["description"]) for one in result["devices"]],
    )
    return result


def _last(device: Mapping[str, Any]) -> tuple[str, str]:
    """The newest step of a device and what it says."""
    steps = sorted(device["steps"], key=lambda step: step["at"])
    if not steps:
        return ("", "")
    return steps[-1]["name"], steps[-1]["detail"]


class _Lines:
    """A line for each step that matters, in the order in which they are seen."""

    def __init__(self, firmware: Mapping[str, str]) -> None:
        self._firmware = firmware
        self._seen: set[tuple[str, str, str]] = set()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def update(self, result: Mapping[str, Any]) -> None:
        steps = [(step, device["mac"]) for device in result["devices"] for step in device["steps"]]
        for step, mac in sorted(steps, key=lambda one: one[0]["at"]):
            seen = (mac, step["name"], step["state"])
            if seen in self._seen or step["state"] == "begun":
                continue
            self._seen.add(seen)
            if step["state"] == "done" and step["name"] not in _TOLD:
                continue
            what = step["name"] if step["state"] == "done" else f"{step['name']} {step['state']}"
            output.say(f"   {mac}  {self._firmware[mac]:<20} {what:<16} {step['detail']}")
        sys.stdout.flush()


class _Live:
    """A table that is drawn anew."""

    def __init__(self, firmware: Mapping[str, str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._firmware = firmware
        self._live = Live(console=Console(highlight=False, markup=False), transient=True, auto_refresh=False)

    def __enter__(self) -> "_Live":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def update(self, result: Mapping[str, Any]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("MAC Address", "Firmware", "Status", "Step", ""):
            table.add_column(heading, no_wrap=True, overflow="ellipsis", header_style="bold")
        for device in result["devices"]:
            name, detail = _last(device)
            cells = (device["mac"], self._firmware[device["mac"]], device["status"], name, detail)
            table.add_row(*(Text(output.line(str(cell))) for cell in cells))
        self._live.update(table, refresh=True)
