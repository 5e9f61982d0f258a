"""How long a command takes to start, against the bare interpreter: one JSON line for each command.

`seconds` is the fastest of several runs in processes of their own, with byte code; `ratio` divides it by the fastest
start of Python alone in the same run; `cpu_seconds` is the least CPU time: what a quiet computer takes. The aims are
0.3 s for --help and 1.5 s for a reading command without a server.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleetseal.core.config import environment

_ROUNDS = 5
_COMMANDS = ((["--help"], 0.3), (["device", "list", "--json"], 1.5))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = ["--data", str(Path(folder) / "data")]
        for words, aim in _COMMANDS:
            command = [sys.executable, "-m", "fleetseal", *words, *(data if "--help" not in words else [])]
            _seconds(command)  # writes byte code, makes the data directory
            runs = [(_seconds([sys.executable, "-c", "pass"]), _seconds(command)) for _ in range(_ROUNDS)]
            bare, whole = min(one[0][0] for one in runs), min(one[1][0] for one in runs)
            line = {
                "benchmark": "start-up",
                "command": " ".join(words),
                "seconds": round(whole, 3),
                "cpu_seconds": round(min(one[1][1] for one in runs), 3),
                "bare_seconds": round(bare, 3),
                "ratio": round(whole / bare, 1),
                "aim_seconds": aim,
            }
            sys.stdout.write(json.dumps(line) + "\n")


def as_installed() -> dict[str, str]:
    """The environment of a program that has its byte code and no settings of ours."""
    apart = ("FLEETSEAL_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in environment().items() if not name.startswith(apart)}


def _seconds(command: list[str]) -> tuple[float, float]:
    """How long it takes, and how much of a core."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=as_installed())  # noqa: S603 - our own words
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu


if __name__ == "__main__":
    main()
