"""What `fleetseal serve` costs while nothing happens, with 10,000 devices: one JSON line. Linux only (/proc).

`first_page_s` is from the start of the process to the first page over TCP, the fastest of several; `ratio` divides it
by the fastest start of Python alone, and `first_page_cpu_s` is the least CPU time: what a quiet computer takes.
`cpu_percent` is the share of one core over `seconds` once that is served, `resident_mb` the memory at their end. The
devices are such as the poll does not contact, because their identity is in question: its glances are measured by
benchmarks/poll.py, and everything else that goes round goes round. The aims are 3 % of a core, 200 MB and 3 s.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from sqlalchemy import insert

from benchmarks.start_up import as_installed
from fleetseal.core.runtime import SystemClock
from fleetseal.store.database import Database
from fleetseal.store.schema import device

_DEVICES = 10_000
_SETTLE, _SECONDS = 15.0, 30.0  # the look over all certificates at the start, and hourly, is not idleness
_ROUNDS = 3
_PATIENCE = 60.0


def main() -> None:
    if not Path("/proc/self/stat").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        asyncio.run(_fill(data))
        _first_page(data)  # writes byte code, makes the keys
        firsts = [_first_page(data) for _ in range(_ROUNDS)]
        first = min(seconds for seconds, _ in firsts)
        bare = min(_bare() for _ in range(_ROUNDS))
        percent, resident = _idle(data)
    line = {
        "benchmark": "serve",
        "devices": _DEVICES,
        "first_page_s": round(first, 2),
        "first_page_cpu_s": round(min(cpu for _, cpu in firsts), 2),
        "ratio": round(first / bare, 1),
        "seconds": _SECONDS,
        "cpu_percent": round(percent, 2),
        "resident_mb": round(resident),
        "aim_first_page_s": 3,
        "aim_cpu_percent": 3,
        "aim_resident_mb": 200,
    }
    sys.stdout.write(json.dumps(line) + "\n")


async def _fill(data: Path) -> None:
    now, database = SystemClock().now(), await Database.open(data / "fleetseal.db")
    rows = [
        {
            "serial": f"ACCC8E{number:06X}",
            "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "https_port": 443,
            "http_port": 80,
            "site": "default",
            "added": now,
            "model": "P3265-V",
            "firmware": "12.11.77",
            "identity_problem": "Measured only.",
            "tags": [],
        }
        for number in range(_DEVICES)
    ]
    async with database.transaction() as tx:
        await tx.execute(insert(device), rows)
    await database.close()


def _serve(data: Path) -> tuple["subprocess.Popen[bytes]", float]:
    """The process, and the seconds to its first page."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["serve", "--data", str(data), "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-m", "fleetseal", *words], stderr=subprocess.DEVNULL, env=as_installed()
    )
    while time.perf_counter() - began < _PATIENCE:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                page.read()
            return process, time.perf_counter() - began
        except OSError:
            time.sleep(0.01)
    process.kill()
    raise SystemExit("The server did not start.")


def _first_page(data: Path) -> tuple[float, float]:
    process, seconds = _serve(data)
    cpu = _cpu_seconds(process.pid)
    process.terminate()
    process.wait()
    return seconds, cpu


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def _idle(data: Path) -> tuple[float, float]:
    """Per cent of a core, and resident MB."""
    process, _ = _serve(data)
    try:
        time.sleep(_SETTLE)
        before = _cpu_seconds(process.pid)
        time.sleep(_SECONDS)
        spent = _cpu_seconds(process.pid) - before
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.wait()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return spent / _SECONDS * 100, int(resident.split()[1]) / 1024


def _cpu_seconds(pid: int) -> float:
    """proc_pid_stat(5): utime and stime, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
