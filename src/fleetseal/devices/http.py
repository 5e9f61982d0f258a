"""The words between wire modules and transport: what is asked, what came back. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

T = TypeVar("T")

NORMAL_SECONDS = 15.0
KEY_GENERATION_SECONDS = 120.0
"""Old processors take up to a minute for an RSA key (device-api 7.1, 18)."""


@dataclass(frozen=True)
class Request:
    """One HTTP request. `target` is the exact request target, already percent-encoded."""

    method: str
    target: str
    body: bytes = b""
    content_type: str = ""
    write: bool = False  # its answer lost means OutcomeUnknown, and it is never sent twice by itself
    anonymous: bool = False  # no login, even if there is one; a 401 comes back as the answer
    deadline: float = NORMAL_SECONDS  # seconds for the whole exchange, logins included

    def __repr__(self) -> str:
        return f"Request({self.method} {self.target.partition('?')[0]}, {len(self.body)} bytes)"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, complete and within bounds. Header names are in lower case, in the order received."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def date(self) -> datetime | None:
        """The Date header, aware, UTC; None if absent or unreadable."""
        try:
            return parsedate_to_datetime(self.header("date") or "").astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.headers if key == name)


@dataclass(frozen=True)
class Ask(Generic[T]):
    """A question together with how its answer is read. `decode` raises DeviceError."""

    request: Request
    decode: Callable[[Answer], T]
