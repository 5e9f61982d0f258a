"""Idempotency keys: what is asked for again under the same key, because the answer was lost, is not done again."""

import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fleetseal.core.errors import Conflict, InvalidInput, TooManyAttempts
from fleetseal.operations.services import Services
from fleetseal.store import repeats

KEPT: Final = timedelta(hours=24)
LONGEST: Final = 1 << 20  # bytes of a compressed answer
ANSWERS: Final = 32  # of one actor: who lost an answer asks again soon
ALL_ANSWERS: Final = 256
KEYS: Final = 10_000  # of one actor within `KEPT`


@dataclass(frozen=True)
class Answer:
    """Of an action; without content, it is not kept: it may hold a secret, or is too long."""

    status: int
    media_type: str | None
    content: bytes | None


@dataclass(frozen=True)
class Asked:
    """Who asked for what, under which key."""

    actor: str
    key: str
    digest: bytes

    @classmethod
    def of(cls, services: Services, actor: str, key: str, *what: bytes) -> "Asked":
        """Raises InvalidInput for a key that is none."""
        if not (0 < len(key) <= 64 and key.isascii() and key.isprintable() and " " not in key):
            raise InvalidInput("Idempotency-Key is 1 to 64 visible ASCII characters. Nothing was done.")
        return cls(actor, key, services.sealer.digest(*what))


async def begin(services: Services, asked: Asked) -> Answer | None:
    """None: this is the first time, which is on disk now. Else the answer that was given then.

    The caller knows that nothing is being done under this key now. Raises InvalidInput when something else was asked
    for under this key, Conflict when it was done and its answer is not kept, or when nobody knows whether it was,
    TooManyAttempts when this actor has used too many keys.
    """
    now = services.clock.now()
    async with services.database.transaction() as tx:
        await repeats.prune(tx, before=now - KEPT, after=now + KEPT)
        found = await repeats.find(tx, asked.actor, asked.key)
        if found is None:
            if await repeats.count(tx, asked.actor) >= KEYS:
                raise TooManyAttempts(
                    f"{KEYS:,} actions were asked for with an Idempotency-Key within a day, and no more are "
                    "remembered. Nothing was done. Ask without the key, or wait.",
                    seconds=3600,
                )
            await repeats.begin(tx, asked.actor, asked.key, asked.digest, now=now)
            return None
    if found.digest != asked.digest:
        raise InvalidInput("Something else was asked for under this Idempotency-Key. Nothing was done now.")
    if found.status is None:
        raise Conflict(
            "This was asked for before, and whether it was done is not known: the server ended, or failed, while it "
            "was at work. Nothing was done now. Look at what is there before you ask again."
        )
    if found.content is None:
        raise Conflict(
            f"This was done before (status {found.status}), and the answer is not kept: it may hold a secret, is "
            "too long, or newer ones took its place. Nothing was done now. Look at what is there."
        )
    return Answer(found.status, found.media_type, zlib.decompress(found.content))


async def end(services: Services, asked: Asked, answer: Answer) -> None:
    """Whoever asks again is given this answer."""
    content = None if answer.content is None else zlib.compress(answer.content, 1)
    if content is not None and len(content) > LONGEST:
        content = None
    async with services.database.transaction() as tx:
        await repeats.end(
            tx, asked.actor, asked.key, status=answer.status, media_type=answer.media_type, content=content
        )
        if content is not None:
            await repeats.drop_contents(tx, asked.actor, of_one=ANSWERS, of_all=ALL_ANSWERS)


async def forget(services: Services, asked: Asked) -> None:
    """It was refused before anything was done: the key is free."""
    async with services.database.transaction() as tx:
        await repeats.forget(tx, asked.actor, asked.key)
