"""How long a command takes to start, against the bare interpreter: one JSON line for each command.

`seconds` is the fastest of several runs in processes of their own, with byte code; `ratio` divides it by the fastest
start of Python alone in the same run. The aims are 0.3 s for --help and 1.5 s for a reading command without a server.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ROUNDS = 5
_COMMANDS = ((["--help"], 0.3), (["device", "list", "--json"], 1.5))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = ["--data", str(Path(folder) / "data")]
        for words, aim in _COMMANDS:
            command = [sys.executable, "-m", "fleetseal", *words, *(data if "--help" not in words else [])]
            _seconds(command)  # writes byte code, makes the data directory
            bare, whole = [], []
            for _ in range(_ROUNDS):
                bare.append(_seconds([sys.executable, "-c", "pass"]))
                whole.append(_seconds(command))
            line = {
                "benchmark": "start-up",
                "command": " ".join(words),
                "seconds": round(min(whole), 3),
                "bare_seconds": round(min(bare), 3),
                "ratio": round(min(whole) / min(bare), 1),
                "aim_seconds": aim,
            }
            sys.stdout.write(json.dumps(line) + "\n")


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
