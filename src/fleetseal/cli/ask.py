"""What a person is asked: secrets, files and yes or no. Secrets are never arguments."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fleetseal.core.errors import InvalidInput


def secret(file: Path | None, prompt: str, *, option: str, twice: bool = False) -> str | None:
    """From `file` (`-` is standard input; one trailing newline is dropped), else from a prompt on a terminal.

    None when there is neither. Raises InvalidInput when the file cannot be read or two answers differ.
    """
    if file is not None:
        return _read_secret(file, option=option)
    if not sys.stdin.isatty():
        return None
    from getpass import getpass

    first = getpass(f"{prompt}: ")
    if twice and getpass(f"{prompt}, again: ") != first:
        raise InvalidInput("The two are not the same. Nothing was done.")
    return first


def contents(file: Path) -> bytes:
    """Of a file that was named. Raises InvalidInput when it cannot be read."""
    try:
        return file.expanduser().read_bytes()
    except OSError as error:
        raise InvalidInput(f"The file {file} cannot be read: {error.strerror}.") from error


def write(file: Path, content: bytes) -> None:
    """Raises InvalidInput when it cannot be written."""
    try:
        file.expanduser().write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"The file {file} cannot be written: {error.strerror}.") from error


@contextmanager
def created(file: Path, *, private: bool = False) -> Iterator[TextIO]:
    """A new text file, open for writing; gone again if the block fails. `private`: only this user may read it (0600).
    Raises InvalidInput when there is such a file already, or it cannot be written."""
    path = file.expanduser()

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600 if private else 0o666)

    try:
        opened = open(path, "x", encoding="utf-8", newline="", opener=opener)  # noqa: SIM115 - closed below
        try:
            with opened:
                yield opened
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(f"The file {file} cannot be written: {error.strerror}.") from error


def agreed(question: str, *, yes: bool) -> None:
    """A person said yes, now or by `--yes`. Raises InvalidInput otherwise."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nobody can be asked here: give --yes to agree. Nothing was done.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidInput("Nothing was done.")


def _read_secret(file: Path, *, option: str) -> str:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.expanduser().read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInput(f"The file {file} of {option} cannot be read: {reason}.") from error
    return text.removesuffix("\n").removesuffix("\r")
