"""`fleetseal serve`."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from fleetseal.cli.common import DONE, INTERRUPTED, NO_OPTIONS, Common
from fleetseal.core import log


async def serve(*, common: Common = NO_OPTIONS) -> int:
    """Work for this data directory until stopped: the API on a local socket, and the jobs.

    Other commands on the same data directory are served by it. Ctrl-C lets devices in work finish; a second one
    leaves at once. With --json the log is written as JSON lines on standard error.
    """
    from fleetseal import app

    log.configure(sys.stderr, json_lines=common.json)
    await app.serve(common.directory, _on_signal)
    return DONE


def _on_signal(stop: Callable[[], None]) -> None:
    """The first Ctrl-C or termination asks to stop, the second leaves at once."""
    asked = False

    def note(_: int, __: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(INTERRUPTED)
        asked = True
        stop()

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
