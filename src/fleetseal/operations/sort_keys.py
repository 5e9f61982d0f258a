"""Keys that order as people expect: addresses and versions by their parts, statuses by urgency, empty ones last.

A key is bytes, so that a database orders by it as well.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

STATUSES: Final = (
    "Identity changed",
    "Unreachable",
    "Setup needed",
    "Credentials needed",
    "Wrong credentials",
    "Certificate not trusted",
    "Certificate has expired",
    "Clock is wrong",
    "Certificate about to expire",
    "Busy",
    "OK",
)
"""Of devices, the most urgent first."""

EMPTY: Final = b"\xff"
_ADDRESS, _STATUS, _TEXT = b"\x01", b"\x02", b"\x03"
_EVEN: Final = frozenset({"mac", "last_seen", "expires"})  # of one width: they order as texts do
_NUMBER, _WORDS, _END = b"\x01", b"\x02", b"\x00"


def sort_key(text: str, column: str) -> bytes:
    """Of a member of a row, as text. Equal texts have equal keys; so may others that differ in case or in zeros."""
    if not text:
        return EMPTY
    if column == "status" and text in STATUSES:
        return _STATUS + bytes([STATUSES.index(text)])
    if column == "address":  # only there: a firmware version may look like one
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            pass
        else:
            return _ADDRESS + bytes([address.version]) + address.packed
    if column in _EVEN:
        return _TEXT + _bytes(text.casefold())
    return _TEXT + b"".join(map(_part, re.split(r"([0-9]{1,18})", text.casefold())))


@lru_cache(maxsize=4096)
def value_key(text: str, column: str, *, value: str | None = None) -> bytes:
    """As `sort_key`, of a column of few values: each has a key of its own, which holds it (or `value` in its place)."""
    return sort_key(text, column) + _END + _bytes(text if value is None else value)


def value_of(key: bytes) -> str:
    """What a `value_key` holds."""
    return key.rpartition(_END)[2].decode()


def _part(part: str) -> bytes:
    if not part:
        return b""
    if part.isascii() and part.isdigit():
        return _NUMBER + int(part).to_bytes(8, "big")
    return _WORDS + _bytes(part) + _END


def _bytes(text: str) -> bytes:
    return text.replace("\0", "").encode(errors="replace")
