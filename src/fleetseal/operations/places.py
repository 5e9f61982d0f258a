"""Places in lists, as text: where the next page of a list begins."""

import base64
import hashlib
from typing import Final

from fleetseal.core.errors import InvalidInput
from fleetseal.store.device_pages import Place

MOST: Final = 5000
"""Rows in one page."""

_NAME: Final = 6  # bytes
_NUMBER: Final = 8


def check(limit: int) -> None:
    """Raises InvalidInput when a page cannot have so many rows."""
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"The limit is a whole number from 1 to {MOST}.")


def name_of_list(*parts: str | None) -> bytes:
    """Of what is listed, in which order: a place in one list is none in another."""
    return hashlib.sha256(repr(parts).encode()).digest()[:_NAME]


def write(place: Place, total: int, name: bytes) -> str:
    """The place of the last row of a page, in a list that had `total` rows when the first page was made."""
    raw = name + place.id.to_bytes(_NUMBER, "big") + total.to_bytes(_NUMBER, "big") + place.key
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read(after: str, name: bytes) -> tuple[Place, int]:
    """What `write` was given. Raises InvalidInput for what is no place in the list of this name."""
    try:
        raw = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    numbers = raw[_NAME : _NAME + 2 * _NUMBER]
    if raw[:_NAME] != name or len(numbers) < 2 * _NUMBER or max(numbers[0], numbers[_NUMBER]) > 0x7F:
        raise InvalidInput("The place to continue from is none in this list: begin again, without it.")
    number, total = int.from_bytes(numbers[:_NUMBER], "big"), int.from_bytes(numbers[_NUMBER:], "big")
    return Place(raw[_NAME + 2 * _NUMBER :], number), total
