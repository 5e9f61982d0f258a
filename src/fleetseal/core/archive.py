"""The format of a backup: lines of JSON in one encrypted file.

    b"fleetseal backup 1\\n"   the version of this format
    salt                      32 random bytes
    proof                     16 bytes: shows whether the passphrase is right
    chunks                    of 64 KiB of plaintext, the last one shorter or as long; 16 bytes longer when sealed

`core.secrets.ChunkCipher` says how the key is made and the chunks are bound; magic and salt are the head. The
plaintext is UTF-8, one JSON value a line. Written and read as a stream: neither side holds more than a chunk and a
line, and no plaintext reaches a disk on the way.
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from fleetseal.core.errors import InvalidInput, Locked
from fleetseal.core.runtime import Rng
from fleetseal.core.secrets import ChunkCipher, Secret

MAGIC: Final = b"fleetseal backup 1\n"
_FAMILY: Final = b"fleetseal backup "
_SALT_BYTES: Final = 32
_PROOF_BYTES: Final = 16
_CHUNK_BYTES: Final = 1 << 16


class Writer:
    """Writes one archive; nothing opens it before `finish`."""

    def __init__(self, file: BinaryIO, passphrase: Secret, rng: Rng) -> None:
        salt = rng.bytes(_SALT_BYTES)
        self._file = file
        self._cipher = ChunkCipher(passphrase, salt, head=MAGIC + salt)
        self._pending = bytearray()
        self._place = 0
        file.write(MAGIC + salt + self._cipher.proof())

    def line(self, value: Any) -> None:
        """One more value that JSON has. Raises OSError when the file cannot be written."""
        self._pending += json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        while len(self._pending) > _CHUNK_BYTES:
            self._seal(last=False)

    def finish(self) -> None:
        self._seal(last=True)

    def _seal(self, *, last: bool) -> None:
        chunk = bytes(self._pending[:_CHUNK_BYTES])
        del self._pending[:_CHUNK_BYTES]
        self._file.write(self._cipher.seal(chunk, place=self._place, last=last))
        self._place += 1


def lines(file: BinaryIO, passphrase: Secret) -> Iterator[Any]:
    """The values, in order. Only when the last was taken is it known that none is missing.

    Raises Locked when the passphrase is wrong; InvalidInput when the file is no archive, of a newer version, damaged
    or cut off; OSError when it cannot be read.
    """
    pending = b""
    for chunk in _chunks(file, passphrase):
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            yield json.loads(line)


def _chunks(file: BinaryIO, passphrase: Secret) -> Iterator[bytes]:
    magic = file.read(len(MAGIC))
    if not magic.startswith(_FAMILY):
        raise InvalidInput("The file is no backup of Fleetseal. Nothing was changed.")
    if magic != MAGIC:
        raise InvalidInput("The backup was made by a newer version of Fleetseal. Use that version.")
    salt = file.read(_SALT_BYTES)
    cipher = ChunkCipher(passphrase, salt, head=magic + salt)
    if file.read(_PROOF_BYTES) != cipher.proof():
        raise Locked("The passphrase is wrong, or the beginning of the file is damaged. Nothing was changed.")
    size = _CHUNK_BYTES + ChunkCipher.OVERHEAD
    sealed, place = file.read(size), 0
    while True:
        following = file.read(size)
        yield cipher.open(sealed, place=place, last=not following)
        if not following:
            return
        sealed, place = following, place + 1
