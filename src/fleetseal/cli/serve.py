"""`fleetseal serve`."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

from cyclopts import Parameter

from fleetseal.cli import ask
from fleetseal.cli.common import DONE, INTERRUPTED, NO_OPTIONS, Common, Names, SecretFile
from fleetseal.core import log
from fleetseal.core.config import WebWish


async def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    name: Annotated[Names, Parameter(name="--name")] = (),
    passphrase_file: SecretFile = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Work for this data directory until stopped: the web application, the API, and the jobs.

    Other commands on the same data directory are served by it, over a local socket. Ctrl-C lets devices in work
    finish; a second one leaves at once. With --json the log is written as JSON lines on standard error.

    Parameters
    ----------
    host
        Where the web application is offered: an address of this computer, 0.0.0.0 or :: for all of them. Beyond this
        computer by TLS only, with a certificate of the CA here or the files of web.certificate and web.key. Default:
        the setting web.host.
    port
        Its port; 0: a free one. Default: the setting web.port.
    name
        What browsers call this computer, for its certificate: a host name or an address; may be given several times.
        Default: its host name, and the addresses that it listens at.
    passphrase_file
        File with the passphrase of the CA key, if that is locked and has to sign this certificate; - is standard input.
    """
    from fleetseal import app
    from fleetseal.core.secrets import Secret

    given = None if passphrase_file is None else ask.secret(passphrase_file, "", option="--passphrase-file")
    wish = WebWish(host, port, name, None if given is None else Secret(given))
    log.configure(sys.stderr, json_lines=common.json)
    await app.serve(common.here, _on_signal, wish)
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
