"""NSS databases: where Firefox and Chromium on Linux keep what they trust. Changed by NSS's own `certutil`.

A root is trusted for web sites (`C,,`); an issuing CA is only known (`,,`), which is enough to complete the chain of a
device that sends none.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetseal.cli.trust_stores import (
    NotChanged,
    State,
    certificates_in,
    last_line,
    require_writable,
    run,
)
from fleetseal.core.errors import InvalidInput, Locked
from fleetseal.core.secrets import Secret
from fleetseal.core.text import clean
from fleetseal.core.trust_steps import Certificate

_PLACES = tuple(Path(folder) / "certutil" for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"))
_TRUST = {"root": "C,,", "intermediate": ",,"}
_ROW = re.compile(r"^(\S.*?)[ ]+([a-zA-Z]*),[a-zA-Z]*,[a-zA-Z]*[ ]*$", re.MULTILINE)
_FIREFOX = (
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    "Library/Application Support/Firefox/Profiles",
)

_SECONDS = 30


def firefox_profiles(home: Path) -> list[Path]:
    """The databases of this user's Firefox profiles, in the places where distributions, Snap, Flatpak and macOS keep
    them."""
    return [file.parent for place in _FIREFOX for file in sorted((home / place).glob("*/cert9.db"))]


def chromium_databases(home: Path) -> list[Path]:
    """That of Chromium, Chrome and Edge on Linux, whether it exists or not, and that of the Snap where there is one."""
    snap = home / "snap/chromium/current/.pki/nssdb"
    return [home / ".pki/nssdb", *([snap] if is_database(snap) else [])]


def is_database(directory: Path) -> bool:
    return (directory / "cert9.db").is_file()


def find_certutil(places: Sequence[Path] = _PLACES) -> Path:
    """Raises InvalidInput when it is not installed."""
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise InvalidInput(
            "The program certutil of NSS is needed. Debian: sudo apt install libnss3-tools; Red Hat: sudo dnf install "
            "nss-tools; SUSE: sudo zypper install mozilla-nss-tools. Nothing was changed."
        )
    return found


@dataclass(frozen=True)
class NssStore:
    """`password` is the database's primary password, if it has one. A database that is not there is made by `add`."""

    directory: Path
    certutil: Path
    password: Secret | None = None

    @property
    def label(self) -> str:
        return f"The NSS database {self.directory}"

    def look(self, certificates: Sequence[Certificate]) -> list[State]:
        trust = self._trust()
        return [self._state(one, trust) for one in certificates]

    def add(self, certificates: Sequence[Certificate]) -> None:
        self._make()
        require_writable(self.directory)
        trust = self._trust()
        for one in certificates:
            if one.title not in trust and (holder := self._holder(one, trust)) is not None:
                raise NotChanged(
                    f"{self.label} holds {clean(one.subject)} already as '{clean(holder)}', without trust, from "
                    f'somebody else. Nothing was changed. To trust it: certutil -M -d "sql:{self.directory}" '
                    f'-n "{clean(holder)}" -t {_TRUST[one.role]}'
                )
        begun: list[Certificate] = []
        try:
            for one in certificates:
                begun.append(one)
                self._add(one)
        except (NotChanged, Locked):
            self.remove(begun)  # without the password an entry is made all the same, without its trust
            raise

    def remove(self, certificates: Sequence[Certificate]) -> None:
        trust = self._trust()
        ours = [one for one in certificates if one.title in trust]
        if ours:
            require_writable(self.directory)
        for one in ours:
            self._certutil("-D", "-n", one.title)

    def _add(self, certificate: Certificate) -> None:
        with tempfile.TemporaryDirectory(prefix="fleetseal-") as folder:
            file = Path(folder) / certificate.file_name
            file.write_text(certificate.pem, encoding="ascii")
            self._certutil("-A", "-n", certificate.title, "-t", _TRUST[certificate.role], "-i", str(file))

    def _make(self) -> None:
        if not is_database(self.directory):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_writable(self.directory)
            self._certutil("-N", "--empty-password")

    def _state(self, certificate: Certificate, trust: dict[str, str]) -> State:
        if certificate.title in trust:
            good = _suffices(certificate, trust[certificate.title])
            return State.OURS if good and certificate.der in self._held(certificate.title) else State.ABSENT
        holder = self._holder(certificate, trust)
        return State.OTHERS if holder is not None and _suffices(certificate, trust[holder]) else State.ABSENT

    def _holder(self, certificate: Certificate, trust: dict[str, str]) -> str | None:
        """The entry of another name that holds it."""
        return next((name for name in trust if certificate.der in self._held(name)), None)

    def _held(self, name: str) -> set[bytes]:
        """The certificates of this entry, and of others with the same subject."""
        return certificates_in(self._certutil("-L", "-n", name, "-a"))

    def _trust(self) -> dict[str, str]:
        """Names of entries, with their flags for web sites; empty without a database."""
        return dict(_ROW.findall(self._certutil("-L"))) if is_database(self.directory) else {}

    def _certutil(self, verb: str, *arguments: str) -> str:
        command = [str(self.certutil), verb, "-d", f"sql:{self.directory}", *arguments]
        if verb == "-A":
            command += ["-f", "/dev/stdin"]  # never asked on the terminal
        password = "" if self.password is None else self.password.reveal()
        ended = run(command, seconds=_SECONDS, standard_input=password + "\n" if verb == "-A" else "")
        if ended.returncode == 0:
            return ended.stdout
        if "SEC_ERROR_BAD_PASSWORD" in ended.stderr:
            given = "is protected by a primary password" if self.password is None else "does not take this password"
            raise Locked(f"{self.label} {given}: give the right one by --password-file. Nothing was changed.")
        raise NotChanged(f"{self.label} was not changed: {last_line(ended.stderr)}.")


def _suffices(certificate: Certificate, flags: str) -> bool:
    """`C`: trusted to issue certificates of web sites; `p`: expressly distrusted (certutil(1), -t)."""
    return "C" in flags if certificate.role == "root" else "p" not in flags
