"""Passwords of people: what one may be, and how it is kept."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fleetseal.core.errors import InvalidInput, StoreError, TooManyAttempts
from fleetseal.core.secrets import Secret

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 12  # characters; NIST SP 800-63B-4 3.1.1.2 asks for 15 where nothing else protects, for 8 at least
LONGEST: Final = 1024
_DIFFERENT: Final = 5  # characters
_OWN: Final = 8  # characters beside names that anybody guesses
_GUESSED: Final = ("fleetseal", "password", "administrator")


@dataclass(frozen=True)
class Cost:
    """Of one hash (argon2id). The second recommended choice of RFC 9106 section 4."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


class Passwords:
    """Makes and checks hashes, each in a thread; so many at once that memory stays bounded, whoever asks."""

    def __init__(self, cost: Cost = Cost(), *, at_once: int = 2, waiting: int = 16) -> None:
        self._cost = cost
        self._running = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._inside = 0
        self._nobody: str | None = None
        self.checked = 0  # hashes computed to check a password

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """For one check. Raises TooManyAttempts at once where too many wait already: nothing was counted then."""
        if self._inside >= self._most:
            raise TooManyAttempts("Too many people sign in at this moment. Try again in a few seconds.", seconds=5)
        self._inside += 1
        try:
            async with self._running:
                yield
        finally:
            self._inside -= 1

    async def hash(self, password: Secret) -> str:
        return await asyncio.to_thread(self._hash, password)

    async def matches(self, password: Secret, kept: str | None) -> bool:
        """Whether this is the password of the hash. None: nobody's, which takes as long. Raises StoreError when what
        is kept is no hash."""
        self.checked += 1
        return await asyncio.to_thread(self._matches, password, kept)

    def outdated(self, kept: str) -> bool:
        """The hash was made at another cost."""
        return self._hasher().check_needs_rehash(kept)

    def _matches(self, password: Secret, kept: str | None) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        if kept is None and self._nobody is None:
            self._nobody = self._hasher().hash(b"nobody's")
        try:
            right = self._hasher().verify(kept or str(self._nobody), _normal(password))
        except InvalidHashError as error:
            raise StoreError("The stored password of this user is damaged. Set a new one.") from error
        except VerificationError:
            return False
        return right and kept is not None

    def _hash(self, password: Secret) -> str:
        return self._hasher().hash(_normal(password))

    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        cost = self._cost
        return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes)


def check(password: Secret, *, name: str) -> None:
    """It may be the password of this user: long enough, and nothing that is guessed first. There are no rules on its
    composition (NIST SP 800-63B-4 3.1.1.2). Raises InvalidInput."""
    text = password.reveal()
    if not SHORTEST <= len(text) <= LONGEST:
        raise InvalidInput(f"A password has {SHORTEST} to {LONGEST} characters. A few words will do. Nothing was done.")
    own = text.casefold()
    for guessed in (name.casefold(), *_GUESSED):
        own = own.replace(guessed, "")
    if len(own) < _OWN or len(set(own)) < _DIFFERENT:
        raise InvalidInput(
            "This password is guessed first: it is one sign repeated, or little more than a name. A few words will do. "
            "Nothing was done."
        )


def _normal(password: Secret) -> bytes:
    """The same bytes from every keyboard (NFKC)."""
    return unicodedata.normalize("NFKC", password.reveal()).encode("utf-8", "surrogatepass")
