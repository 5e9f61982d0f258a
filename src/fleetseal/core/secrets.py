"""Secrets in memory and at rest (SEC-SEALED, SEC-NO-LEAK)."""

import os
from pathlib import Path
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fleetseal.core.errors import StoreError
from fleetseal.core.runtime import Rng

KEY_BYTES: Final = 32
_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12


class Secret:
    """A password or passphrase. Only `reveal` shows it; it compares by identity and cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written anywhere")


class Sealer:
    """Seals column values with AES-256-GCM, bound to the cell they are for.

    A sealed value is one format byte, a nonce of 12 bytes from `rng`, then ciphertext and tag. Each `purpose`
    has its own key, derived from the given one by HKDF-SHA256 (RFC 5869).
    """

    def __init__(self, key: bytes, rng: Rng, *, purpose: str = "fleetseal column") -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(key))
        self._rng = rng

    def seal(self, plaintext: bytes, *, table: str, row: int | str, column: str, version: int) -> bytes:
        nonce = self._rng.bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plaintext, _cell(table, row, column, version))

    def open(self, sealed: bytes, *, table: str, row: int | str, column: str, version: int) -> bytes:
        """The plaintext. Raises StoreError when the value was sealed for another cell, with another key, or altered."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _FORMAT or len(nonce) != _NONCE_BYTES:
                raise InvalidTag
            return self._cipher.decrypt(nonce, ciphertext, _cell(table, row, column, version))
        except InvalidTag as error:
            raise StoreError(
                f"The secret in {table} {row} ({column}) cannot be opened: it was altered, moved, or sealed with "
                "another key. Restore the key file that belongs to this database, or enter the secret again."
            ) from error


def load_or_create_key(path: Path, rng: Rng) -> bytes:
    """The key kept in `path` (32 bytes); a new one from `rng` if there is none, on disk before this returns.

    The caller holds the lock of the data directory. Raises StoreError when the file cannot be read or written, or
    is no key: a damaged key is never replaced, because what it sealed would be lost.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = rng.bytes(KEY_BYTES)
        write_private(path, key)
        return key
    except OSError as error:
        raise StoreError(f"The key file {path} cannot be read: {error.strerror}.") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"The key file {path} is damaged: it has {len(key)} bytes, not {KEY_BYTES}. Restore it.")
    return key


def write_private(path: Path, content: bytes) -> None:
    """`path` holds exactly `content`, durably; only this user may read it (0600, in a directory of mode 0700).

    Atomic: after a crash there is the old file or the new one. Raises StoreError when it cannot be written.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"The file {path} cannot be written: {error.strerror}. Nothing was changed.") from error


def _sync_directory(directory: Path) -> None:
    """Make a rename durable. Windows has no such call: its rename is journaled by the file system."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cell(table: str, row: int | str, column: str, version: int) -> bytes:
    parts = (table, str(row), column, str(version))
    if any(":" in part for part in parts):
        raise ValueError("a colon would let two cells share one name")
    return ":".join(parts).encode()
