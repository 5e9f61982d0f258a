"""`fleetseal serve`."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from fleetseal.cli import ask
from fleetseal.cli.common import DONE, INTERRUPTED, NO_OPTIONS, Common, Names, SecretFile
from fleetseal.core import log
from fleetseal.core.config import WebWish
from fleetseal.core.secrets import Secret, write_private

if TYPE_CHECKING:
    from fleetseal.app import Offered


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

    given = None if passphrase_file is None else ask.secret(passphrase_file, "", option="--passphrase-file")
    wish = WebWish(host, port, name, None if given is None else Secret(given))
    log.configure(sys.stderr, json_lines=common.json)
    await app.serve(common.here, on_signal, wish, partial(tell, common.here / "setup-code", to_file=common.json))
    return DONE


def tell(file: Path, offered: "Offered | None", *, to_file: bool) -> None:
    """How the first administrator is made. The code is a secret: it goes to the terminal, or into `file` (0600), never
    into a log that is kept."""
    file.unlink(missing_ok=True)
    if offered is None or offered.code is None:
        return
    if sys.stderr.isatty() and not to_file:
        for line in first_steps(offered.address, offered.code):
            print(line, file=sys.stderr)
        return
    write_private(file, f"{offered.code.reveal()}\n".encode())
    logging.getLogger(__name__).info("Nobody can sign in yet. The setup code is in %s, for 24 hours.", file)


def first_steps(address: str, code: Secret) -> tuple[str, str]:
    """What somebody does who sees the web application for the first time."""
    return (
        f"Open {address} in a browser, and make the first administrator with this setup code:",
        f"{code.reveal()}   (good once, for 24 hours; another: fleetseal user setup-code)",
    )


def on_signal(stop: Callable[[], None]) -> None:
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
