"""A site made ready by the command line inside the test's own process: the tests begin where their processes matter."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleetseal.cli.main import run


def prepare(data: Path, roots: Path, devices: Sequence[dict[str, Any]], *, soak_seconds: int) -> None:
    """A CA in `data`, and the `devices` of `simulate --json` in its inventory."""
    secret = data.parent / "secret"
    secret.write_text("x\n")
    _do(data, "settings", "set", "devices.maker-roots", str(roots))
    _do(data, "settings", "set", "https.soak-seconds", str(soak_seconds))
    _do(data, "ca", "create", "--name", "Site", "--key-type", "ec", "--passphrase-file", str(secret))
    for device in devices:
        secret.write_text(device["password"])
        ports = ("--http-port", str(device["http_port"]), "--https-port", str(device["https_port"]))
        login = ("--username", device["username"], "--password-file", str(secret))
        assert '"result": "added"' in _do(data, "device", "add", device["address"], *ports, *login, "--json")


def _do(data: Path, *arguments: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run([*arguments, "--data", str(data)]) == 0, arguments
    return out.getvalue()
