"""`fleetseal simulate`."""

import sys
from pathlib import Path
from typing import Any

from fleetseal.cli import ask, output
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, Names
from fleetseal.core.errors import InvalidInput


async def simulate(
    *,
    devices: int | None = None,
    profile: Names = (),
    port: int = 0,
    spread: bool = False,
    config: Path | None = None,
    maker_roots: Path | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Run virtual devices on this computer, with real TLS, until stopped by Ctrl-C.

    Parameters
    ----------
    devices
        How many; they take the profiles in turn. Default: one for each profile.
    profile
        Model and firmware to simulate, by name (docs/reference/supported-devices.md), or all. May be given several
        times. Default: one for each generation of cameras.
    port
        The first port; each device takes two. Default: free ones.
    spread
        Give each device an address of its own, from 127.1.0.1 on, and all the same ports (default: 8080, 8081), as a
        range scan needs it. On Linux; elsewhere add these addresses to the loopback interface first.
    config
        File that describes each device and its faults, instead of the other options.
    maker_roots
        Where the root certificates of the virtual maker are written, for the setting devices.maker-roots.
    """
    from fleetseal import app

    def ready(started: dict[str, Any]) -> None:
        if maker_roots is not None:
            ask.write(maker_roots, started["maker_roots"].encode())
        if common.json:
            output.as_json(started)
        else:
            rows = started["devices"]
            output.table(
                [name.replace("_", " ").capitalize() for name in rows[0]], [list(one.values()) for one in rows]
            )
            output.say(f"They are controlled at {started['control']}. Ctrl-C ends them.")
        sys.stdout.flush()

    try:
        await app.simulate(profiles=profile, count=devices, port=port, configuration=config, ready=ready, spread=spread)
    except (ValueError, OSError) as error:
        raise InvalidInput(str(error)) from error
    return DONE
