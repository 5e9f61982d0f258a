"""A site of virtual devices that runs until it is stopped: which devices, where, and who may control them."""

import asyncio
import logging
import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from fleetseal.sim.announce import Announcer
from fleetseal.sim.control import Control, row
from fleetseal.sim.fleet import DeviceSpec, Fleet
from fleetseal.sim.profiles import PROFILES

_log = logging.getLogger(__name__)

DEFAULT_SITE = ("6.50", "7.30", "9.10", "10.12", "11.6", "12.11", "12.11-self-signed")
"""One of each generation of cameras that is supported."""

SPREAD_PORT = 8080
"""Plain HTTP of devices that have an address each; HTTPS is the next, the control API the one after."""

MOST = 30_000
_FIRST_OF_MANY = IPv4Address("127.1.0.1")


@dataclass(frozen=True)
class Started:
    """What a person needs to use a running fleet."""

    devices: list[dict[str, Any]]  # rows of `control.row`
    control: str  # URL of the control API
    maker_roots: str  # PEM, for the setting `devices.maker-roots`


Ready = Callable[[Started], None]


def site(profiles: Sequence[str], *, count: int | None, port: int, spread: bool = False) -> list[DeviceSpec]:
    """`count` devices (None: one each) that take the profiles in turn; none given: DEFAULT_SITE, `all`: every one.

    With a `port`, device n has plain HTTP on port + 2n and HTTPS on the next; 0: ports are chosen. With `spread`, each
    has an address of its own from 127.1.0.1 on, and all have the same two ports, 0 being SPREAD_PORT. Raises
    ValueError when the ports do not fit.
    """
    names = tuple(PROFILES) if "all" in profiles else tuple(profiles) or DEFAULT_SITE
    number = len(names) if count is None else count
    pairs = 1 if spread else number
    port = port or (SPREAD_PORT if spread else 0)
    if not 1 <= number <= MOST or (port and not 0 < port <= 65535 - 2 * pairs):
        raise ValueError(f"{number} devices need two ports for each address, and one more, from {port} on.")
    return [
        DeviceSpec(
            names[index % len(names)],
            address=str(_FIRST_OF_MANY + index) if spread else "127.0.0.1",
            http_port=port and port + 2 * (index % pairs),
            https_port=port and port + 2 * (index % pairs) + 1,
        )
        for index in range(number)
    ]


def read_config(text: str) -> list[DeviceSpec]:
    """Devices of a TOML file: `[[device]]` tables with the fields of DeviceSpec, `faults` as a table. Raises
    ValueError on what is not known there."""
    document = tomllib.loads(text)
    known = {item.name for item in fields(DeviceSpec)}
    specs = []
    for table in document.pop("device", []):
        unknown = set(table) - known
        if unknown or "profile" not in table:
            what = f"unknown: {', '.join(sorted(unknown))}" if unknown else "profile is missing"
            raise ValueError(f"A [[device]] has {', '.join(sorted(known))} ({what}).")
        specs.append(DeviceSpec(**table))
    if document or not specs:
        raise ValueError("The file has [[device]] tables and nothing else.")
    return specs


async def run(
    profiles: Sequence[str],
    count: int | None,
    port: int,
    config: Path | None,
    ready: Ready,
    *,
    spread: bool = False,
    restart_seconds: float = 4.0,
) -> None:
    """Devices run until this is cancelled; `config` replaces the other ways to choose them.

    Raises ValueError on a wrong profile, fault, port or file, OSError on a port that is taken.
    """
    if config is None:
        specs = site(profiles, count=count, port=port, spread=spread)
    else:
        specs = read_config(await asyncio.to_thread(config.read_text, "utf-8"))
    control_port = specs[-1].https_port + 1 if spread else port and port + 2 * len(specs)
    async with (
        Fleet(specs, restart_seconds=restart_seconds) as fleet,
        Control(fleet, port=control_port) as control,
        _announced(fleet),
    ):
        ready(Started([row(device) for device in fleet.devices], control.url, fleet.maker.roots_pem.decode()))
        await asyncio.Event().wait()


@asynccontextmanager
async def _announced(fleet: Fleet) -> AsyncIterator[None]:
    """The devices announce themselves, where this computer lets them."""
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(Announcer(fleet.devices))
        except OSError as error:
            _log.warning("Virtual devices cannot announce themselves here (%s): find them by their ports.", error)
        yield
