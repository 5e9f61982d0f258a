"""Trust stores of this computer, and how ours gets in and out: a look before, a look after, and nothing of others."""

import errno
import os
import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from fleetseal.core.errors import FleetsealError, Forbidden, InvalidInput
from fleetseal.core.text import clean
from fleetseal.core.trust_steps import DEBIAN_DIRECTORY, Certificate


class State(StrEnum):
    """What a look found of one certificate."""

    ABSENT = "absent"  # or there, but not trusted as it should be
    OURS = "ours"  # put there by `trust install`
    OTHERS = "others"  # trusted, but put there by somebody else


class Store(Protocol):
    """A place where programs of this computer look for what they trust. OSError may leave each method."""

    @property
    def label(self) -> str:
        """Its name in messages."""

    def look(self, certificates: Sequence[Certificate]) -> list[State]:
        """The state of each."""

    def add(self, certificates: Sequence[Certificate]) -> None:
        """They are trusted. When this raises NotChanged, Locked or OSError, the store is as before."""

    def remove(self, certificates: Sequence[Certificate]) -> None:
        """What `add` put there is gone; what is not there is no failure."""


class NotChanged(FleetsealError):
    """A trust store could not be changed as asked; the message says what is there now."""


@dataclass(frozen=True)
class Outcome:
    store: str
    certificate: Certificate
    result: str


def install(store: Store, certificates: Sequence[Certificate], *, plan: bool = False) -> list[Outcome]:
    """All of them are trusted by `store`; `plan` only looks. `result` is `added`, `present` or `would be added`.

    Raises NotChanged, Forbidden when this user may not, Locked, InvalidInput.
    """
    with _explained(store):
        missing = [one for one, state in _looked(store, certificates) if state is State.ABSENT]
        if missing and not plan:
            store.add(missing)
            for one, state in _looked(store, missing):
                if state is State.ABSENT:
                    raise NotChanged(f"{store.label} was changed, and still does not trust {clean(one.subject)}.")
    added = "would be added" if plan else "added"
    return [Outcome(store.label, one, added if one in missing else "present") for one in certificates]


def remove(store: Store, certificates: Sequence[Certificate], *, plan: bool = False) -> list[Outcome]:
    """What `install` put into `store` is gone; `plan` only looks.

    `result` is `removed`, `absent`, `kept` (somebody else put it there) or `would be removed`. Raises as `install`.
    """
    with _explained(store):
        before = store.look(certificates)
        if not plan:
            store.remove(certificates)
        after = before if plan else store.look(certificates)
    outcomes: list[Outcome] = []
    for one, was, is_ in zip(certificates, before, after, strict=True):
        if is_ is State.OURS and not plan:
            raise NotChanged(f"{store.label} was changed, and still trusts {clean(one.subject)}.")
        gone = "would be removed" if plan else "removed"
        result = "absent" if was is State.ABSENT else "kept" if is_ is State.OTHERS else gone
        outcomes.append(Outcome(store.label, one, result))
    return outcomes


@dataclass(frozen=True)
class SystemStore:
    """A directory of PEM files, from which `refresh` makes the bundle that programs read: update-ca-certificates(8)."""

    directory: Path
    bundle: Path
    refresh: tuple[str, ...]
    label: str = "The trust store of this computer"

    def look(self, certificates: Sequence[Certificate]) -> list[State]:
        trusted = certificates_in(_content(self.bundle))
        return [
            State.ABSENT if one.der not in trusted else State.OURS if self._file(one).exists() else State.OTHERS
            for one in certificates
        ]

    def add(self, certificates: Sequence[Certificate]) -> None:
        if not Path(self.refresh[0]).exists():
            raise NotChanged(f"{self.refresh[0]} is missing: install the package ca-certificates. Nothing was changed.")
        written: list[Path] = []
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for one in certificates:
                written.append(self._file(one))
                self._file(one).write_text(one.pem, encoding="ascii", newline="\n")
                self._file(one).chmod(0o644)  # programs of every user read it, whatever the umask
            self._run(self.refresh, "The files were removed again.")
        except (NotChanged, OSError):
            there = [file for file in written if file.exists()]
            for file in there:
                file.unlink()
            if there:
                with suppress(NotChanged):  # the first failure is told
                    self._run((*self.refresh, *_FRESH), "")
            raise

    def remove(self, certificates: Sequence[Certificate]) -> None:
        files = [self._file(one) for one in certificates if self._file(one).exists()]
        for file in files:
            file.unlink()
        if files or State.OTHERS in self.look(certificates):  # the latter: a removal was interrupted, or others' files
            self._run((*self.refresh, *_FRESH), f"The files are removed from {self.directory}: run it again.")

    def _file(self, certificate: Certificate) -> Path:
        return self.directory / certificate.file_name

    def _run(self, command: Sequence[str], state: str) -> None:
        ended = run(command, seconds=120)
        if ended.returncode != 0:
            raise NotChanged(f"{command[0]} failed: {last_line(ended.stderr)}. {state}".strip())


DEBIAN = SystemStore(
    Path(DEBIAN_DIRECTORY),
    Path("/etc/ssl/certs/ca-certificates.crt"),
    ("/usr/sbin/update-ca-certificates",),
)


@dataclass(frozen=True)
class BundleFile:
    """A file of PEM certificates, as many programs are given one. What else is in it stays as it is."""

    path: Path

    @property
    def label(self) -> str:
        return f"The bundle {self.path}"

    def look(self, certificates: Sequence[Certificate]) -> list[State]:
        held = certificates_in(self._text())
        return [State.OURS if one.der in held else State.ABSENT for one in certificates]

    def add(self, certificates: Sequence[Certificate]) -> None:
        text = self._text()
        self._replace(text + ("\n" if text and not text.endswith("\n") else "") + "".join(c.pem for c in certificates))

    def remove(self, certificates: Sequence[Certificate]) -> None:
        text, ours = self._text(), {one.der for one in certificates}
        left = _BLOCK.sub(lambda block: "" if _der(block.group()) in ours else block.group(), text)
        if left.strip():
            if left != text:
                self._replace(left)
        else:
            self.path.unlink(missing_ok=True)  # it held nothing but ours

    def _text(self) -> str:
        text = _content(self.path)
        if text.strip() and "-----BEGIN" not in text:
            raise InvalidInput(f"{self.path} is no file of PEM certificates. Nothing was changed.")
        if "PRIVATE KEY-----" in text:
            raise InvalidInput(f"{self.path} holds a private key, so it is no trust store. Nothing was changed.")
        return text

    def _replace(self, text: str) -> None:
        """Atomic; owner and mode stay."""
        target = self.path.resolve()
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="latin-1", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                _same_owner(target, draft)
                shutil.copymode(target, draft)
            else:
                draft.chmod(0o644)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def certificates_in(text: str) -> set[bytes]:
    """The PEM certificates of a text, as DER; damaged ones are left out."""
    return {der for block in _BLOCK.findall(text) if (der := _der(block)) is not None}


def run(command: Sequence[str], *, seconds: float, standard_input: str = "") -> subprocess.CompletedProcess[str]:
    """A program with an absolute name, to its end: no shell, no terminal, messages in English. Raises NotChanged when
    it does not end within `seconds`."""
    try:
        return subprocess.run(  # noqa: S603 - a fixed program; what follows it are our names, never text of devices
            command,
            input=standard_input,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotChanged(
            f"{command[0]} did not end within {seconds:g} s and was stopped. See what is there."
        ) from error


def last_line(text: str) -> str:
    """What a program said at the end."""
    return clean(([line for line in text.splitlines() if line.strip()] or ["it gave no reason"])[-1]).rstrip(".")


def require_writable(directory: Path) -> None:
    """Raises PermissionError when this user may not change what is in it."""
    if not os.access(directory, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


_FRESH = ("--fresh",)
"""Without it, update-ca-certificates leaves the links to a file that is gone, and gaps in their numbers, at which
OpenSSL stops to look for other certificates of the same name."""

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(?:\r?\n)?", re.DOTALL)


@contextmanager
def _explained(store: Store) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise Forbidden(f"{store.label} may not be changed by this user. Nothing was changed.") from error
    except OSError as error:
        raise NotChanged(f"{store.label} cannot be changed: {error.strerror or error}.") from error


def _looked(store: Store, certificates: Sequence[Certificate]) -> list[tuple[Certificate, State]]:
    return list(zip(certificates, store.look(certificates), strict=True))


def _content(path: Path) -> str:
    """Empty when there is no such file. Latin-1 gives every byte back as it was."""
    try:
        return path.read_bytes().decode("latin-1")
    except FileNotFoundError:
        return ""


def _der(block: str) -> bytes | None:
    """None for a damaged block: it is none of ours."""
    try:
        return ssl.PEM_cert_to_DER_cert(block.strip())
    except ValueError:
        return None


def _same_owner(target: Path, draft: Path) -> None:
    chown: Callable[[Path, int, int], None] | None = getattr(os, "chown", None)  # Windows has none
    found, made = target.stat(), draft.stat()
    if chown is not None and (found.st_uid, found.st_gid) != (made.st_uid, made.st_gid):
        chown(draft, found.st_uid, found.st_gid)
