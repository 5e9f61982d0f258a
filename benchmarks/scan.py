"""How long a range scan takes, against the pace that it was asked to keep: one JSON line.

`ratio` divides the seconds by N/R + T, for N addresses of loopback that refuse at once, R = 10,000 addresses a second
and T = 1 s; `found` counts the listeners among them, of `live`. The aim is a ratio of 1.05 at most and all found.
"""

import asyncio
import json
import socket
import sys
import time
from contextlib import ExitStack

from fleetseal.core.runtime import SystemClock
from fleetseal.devices.discovery.scan import ROUTED_RATE, parse_ranges, scan

_RANGE = "127.1.0.0/17"
_SECONDS = 1.0


def main() -> None:
    addresses = parse_ranges([_RANGE])
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server((str(addresses[0]), 0)))
        port = first.getsockname()[1]
        live = addresses[::500]
        for address in live[1:]:
            stack.enter_context(socket.create_server((str(address), port)))
        began = time.perf_counter()
        found = asyncio.run(scan(addresses, ports=(port, 1), seconds=_SECONDS, clock=SystemClock()))
        seconds = time.perf_counter() - began
    line = {
        "benchmark": "scan",
        "addresses": len(addresses),
        "live": len(live),
        "found": len(found),
        "seconds": round(seconds, 2),
        "ratio": round(seconds / (len(addresses) / ROUTED_RATE + _SECONDS), 2),
        "aim_ratio": 1.05,
    }
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
