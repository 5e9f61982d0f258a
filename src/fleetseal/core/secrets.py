"""Secrets in memory and at rest (SEC-SEALED, SEC-NO-LEAK)."""

import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fleetseal.core.errors import InvalidInput, StoreError
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
        self._cipher = AESGCM(_derived(key, purpose))
        self._digest_key = _derived(key, f"{purpose} digest")
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

    def digest(self, *parts: bytes) -> bytes:
        """HMAC-SHA256: the same for the same parts. Without the key nobody finds out by trying what they were."""
        return hmac.digest(self._digest_key, b"".join(len(one).to_bytes(8, "big") + one for one in parts), "sha256")


class ChunkCipher:
    """Seals the chunks of one file with AES-256-GCM under a key of that file alone, each bound to its place, to
    whether it is the last, and to the head of the file: the STREAM construction (Hoang, Reyhanitabar, Rogaway and
    Vizár, 2015). A chunk that is changed, moved, left out or added does not open.

    The key is made of the passphrase and the file's own random salt by scrypt (RFC 7914) with N=2^17, r=8, p=1:
    128 MiB of memory and some tenths of a second.
    """

    OVERHEAD: Final = 16  # bytes by which a sealed chunk is longer

    def __init__(self, passphrase: Secret, salt: bytes, *, head: bytes) -> None:
        derived = Scrypt(salt=salt, length=KEY_BYTES, n=1 << 17, r=8, p=1).derive(passphrase.reveal().encode())
        self._cipher = AESGCM(derived)
        self._head = head

    def proof(self) -> bytes:
        """Tells a wrong passphrase from a damaged file; at a place that no chunk has."""
        return self._cipher.encrypt(b"\xff" * _NONCE_BYTES, b"", self._head)

    def seal(self, plaintext: bytes, *, place: int, last: bool) -> bytes:
        return self._cipher.encrypt(_place(place, last=last), plaintext, self._head)

    def open(self, sealed: bytes, *, place: int, last: bool) -> bytes:
        """Raises InvalidInput when it is not what was sealed for this place."""
        try:
            return self._cipher.decrypt(_place(place, last=last), sealed, self._head)
        except InvalidTag as error:
            raise InvalidInput(
                "The file is damaged or was cut off: it is not as it was written. Take another copy. "
                "Nothing was changed."
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
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(path, error) from error
    with private_file(path) as file:
        file.write(content)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """What is written in the block is `path` when it ends: whole, durably, and for this user alone (0600). When the
    block raises, all is as before; an OSError in it becomes StoreError."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise _unwritten(path, error) from error


def sync_directory(directory: Path) -> None:
    """Make a rename durable. Windows has no such call: its rename is journaled by the file system."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritten(path: Path, error: OSError) -> StoreError:
    return StoreError(f"The file {path} cannot be written: {error.strerror}. Nothing was changed.")


def _derived(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


def _place(place: int, *, last: bool) -> bytes:
    return place.to_bytes(_NONCE_BYTES - 1, "big") + bytes([last])


def _cell(table: str, row: int | str, column: str, version: int) -> bytes:
    parts = (table, str(row), column, str(version))
    if any(":" in part for part in parts):
        raise ValueError("a colon would let two cells share one name")
    return ":".join(parts).encode()
