"""What every command shares: options, which devices are meant, exit codes, and how an error is told."""

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetseal.core import config
from fleetseal.core.errors import FleetsealError, InvalidInput

DONE, FAILED, WRONG, MISSING, LOCKED, IN_USE = range(6)
INTERRUPTED = 130

_EXIT = {
    "locked": LOCKED,
    "not-found": MISSING,
    "in-use": IN_USE,
    "invalid-input": WRONG,
    "conflict": WRONG,
    "forbidden": WRONG,
    "not-signed-in": WRONG,
    "sign-in-refused": WRONG,
    "confirm-password": WRONG,
    "not-supported": WRONG,
    "issuance-refused": WRONG,
}


@Parameter(name="*", group="Everywhere")
@dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every command."""

    data: Path | None = None
    """Data directory. Default: FLEETSEAL_DATA, else this user's data folder."""
    url: str | None = None
    """A server elsewhere, by its address; FLEETSEAL_TOKEN_FILE names a file with an API token of it."""
    ca_file: Path | None = None
    """PEM file with the root by which that server is verified. Default: that in the data directory, if there is one,
    else those that this computer trusts."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print exactly one JSON document, and nothing else, on standard output."""

    @property
    def directory(self) -> Path:
        return config.data_directory(self.data, config.environment())

    @property
    def here(self) -> Path:
        """The data directory, for what can be done on this computer only. Raises InvalidInput with --url."""
        if self.url is not None:
            raise InvalidInput("This command works on the data directory of this computer, not on --url. Run it there.")
        return self.directory


NO_OPTIONS = Common()

Names = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False, show_default=False)]
"""An option that may be given several times."""

SecretFile = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""A file that holds a secret; `-` is standard input."""

SecretFiles = Annotated[
    tuple[Path, ...], Parameter(negative="", consume_multiple=False, show_default=False, allow_leading_hyphen=True)
]
"""The same, given several times."""

Flag = Annotated[bool, Parameter(negative="")]

Devices = Annotated[str, Parameter(name="DEVICE", help="MAC or serial, address, host name, or id.")]


def chosen(command: str) -> str:
    """The usage line of a command for devices that are named, or chosen by options."""
    return f"Usage: fleetseal {command} [OPTIONS] [DEVICE...]"


Everything = Annotated[Flag, Parameter(name="--all", help="Every device of the inventory.")]
Filters = Annotated[
    Names,
    Parameter(
        name="--filter",
        help="Devices that match: words are substrings, column:value and firmware:<9.80 restrict. "
        "May be given several times; all must match.",
    ),
]


def selection(devices: tuple[str, ...], filters: tuple[str, ...], *, everything: bool = False) -> dict[str, Any]:
    """Which devices are meant, as the API takes it. Raises InvalidInput when nothing, or two different things, are."""
    if not (devices or filters or everything):
        raise InvalidInput("No device is named: name one or more, or choose by --filter or --all where it is offered.")
    if devices and (filters or everything):
        raise InvalidInput("Name devices, or choose them by --all or --filter, not both.")
    return {"devices": list(devices), "all": everything, "filters": list(filters)}


def noun(name: str, text: str) -> App:
    """The commands of one noun."""
    return App(name=name, help=text, help_format="plaintext", version_flags=[], result_action="return_value")


def exit_code(error: FleetsealError) -> int:
    """The exit code of the contract for an error, ours or one the API tells of."""
    return _EXIT.get(str(getattr(error, "problem", error.code)), FAILED)


def guarded(command: Callable[[], Any]) -> int:
    """Runs a command to its exit code. Whatever a user can cause is one sentence on standard error."""
    try:
        result = command()
        if isinstance(result, Coroutine):
            import asyncio

            result = asyncio.run(result)
        sys.stdout.flush()
        return result if isinstance(result, int) else DONE
    except FleetsealError as error:
        print(error.message, file=sys.stderr)
        return exit_code(error)
    except (KeyboardInterrupt, EOFError):
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
