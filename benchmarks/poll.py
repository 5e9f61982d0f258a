"""CPU of one poll of one unchanged device, against the client's half of the TLS handshake alone: one JSON line.

`ratio` divides what the poll costs (the row read, one glance, the comparison) by what `ssl` alone needs for a
handshake with the same devices over connections that are open already; both are CPU time of this process, taken in
turn in this run. The devices run in a process of their own. The aims are a ratio of 1.6, and 10,000 devices in 10 s of
one core. `full_read_ms` is what a full read costs, as every poll would without glances.
"""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fleetseal.app import open_application
from fleetseal.core.config import Settings
from fleetseal.core.model import Device, Login
from fleetseal.operations import contact, glances, inventory
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force
from fleetseal.store import inventory as rows

_DEVICES = 40
_ROUNDS = 9
_SWEEPS = 5  # of each round
_AT_ONCE = 100


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        roots = Path(folder) / "roots.pem"
        words = ["simulate", "--devices", str(_DEVICES), "--profile", "12.11", "--maker-roots", str(roots), "--json"]
        command = [sys.executable, "-m", "fleetseal", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as site:  # noqa: S603 - our own words
            try:
                assert site.stdout is not None
                devices = _first_document(site.stdout.readline)["devices"]
                line = asyncio.run(_measure(Path(folder) / "data", devices, roots))
            finally:
                site.terminate()
    sys.stdout.write(json.dumps(line) + "\n")


async def _measure(data: Path, devices: list[dict[str, Any]], roots: Path) -> dict[str, Any]:
    environment = {"FLEETSEAL_DEVICES_MAKER_ROOTS": str(roots)}
    async with open_application(data, environment=environment) as application:
        services = application.services
        for one in devices:
            await inventory.add(
                services,
                actor="bench",
                targets=[one["address"]],
                http_port=one["http_port"],
                https_port=one["https_port"],
                login=Login(one["username"], one["password"]),
            )
        settings = await in_force(services)
        polls, handshakes = [], []
        for _ in range(_ROUNDS):
            polls.append(await _timed(lambda: _poll(services, settings), _SWEEPS))
            handshakes.append(_handshakes(devices))
        full = await _timed(lambda: _read(services), 1)
    poll, handshake = min(polls) / len(devices), min(handshakes) / len(devices)
    return {
        "benchmark": "poll",
        "poll_ms": round(poll * 1000, 3),
        "handshake_ms": round(handshake * 1000, 3),
        "full_read_ms": round(full / len(devices) * 1000, 1),
        "ratio": round(poll / handshake, 2),
        "aim_ratio": 1.6,
        "seconds_for_10000": round(poll * 10_000, 1),
        "aim_seconds": 10,
    }


async def _poll(services: Services, settings: Settings) -> None:
    swept = await glances.sweep(services, services.connect(settings), await _rows(services), at_once=_AT_ONCE)
    assert len(swept.unchanged) == _DEVICES, swept


async def _read(services: Services) -> None:
    for device in await _rows(services):
        await contact.refresh_device(services, device.id)


async def _rows(services: Services) -> list[Device]:
    async with services.database.reading() as tx:
        return await rows.some(tx, await rows.ids(tx))


async def _timed(act: Callable[[], Awaitable[None]], repeat: int) -> float:
    """CPU seconds of this process for one."""
    start = time.process_time()
    for _ in range(repeat):
        await act()
    return (time.process_time() - start) / repeat


def _handshakes(devices: list[dict[str, Any]]) -> float:
    """CPU seconds of this process for a handshake with each, connecting and closing left out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    seconds = 0.0
    for one in devices:
        with socket.create_connection((one["address"], one["https_port"])) as connection:
            start = time.process_time()
            secured = context.wrap_socket(connection, server_hostname=one["address"])
            seconds += time.process_time() - start
            secured.close()
    return seconds


def _first_document(read_line: Callable[[], bytes]) -> dict[str, Any]:
    """The JSON document that these lines begin with."""
    text = b""
    while line := read_line():
        text += line
        try:
            return dict(json.loads(text))
        except ValueError:
            continue
    raise SystemExit("The virtual devices did not start.")


if __name__ == "__main__":
    main()
