"""The header `Idempotency-Key`: one action is done once, however often a caller that lost the answer asks for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from fleetseal.core.errors import (
    ConfirmPassword,
    FleetsealError,
    Forbidden,
    InUse,
    Locked,
    NotSignedIn,
    StoreError,
    TooManyAttempts,
)
from fleetseal.operations import repeats
from fleetseal.operations.repeats import Answer, Asked
from fleetseal.operations.services import Services
from fleetseal.web import problems

HEADER: Final = "idempotency-key"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CURABLE: Final = (ConfirmPassword, Forbidden, InUse, Locked, NotSignedIn, TooManyAttempts)
"""Refused before anything was done, and perhaps not the next time: the same key may ask again."""
_log = logging.getLogger(__name__)

Running = dict[tuple[str, str], asyncio.Event]
"""What is being done now, by actor and key; set when it has ended. This process owns the data, so nobody else does."""


async def once(
    request: Request, actor: str, handler: Callable[[Request], Awaitable[Response]], *, kept: bool
) -> Response:
    """What `handler` answers; or what it answered when the same was asked for under the same key, by the same actor,
    within a day. While that is being done, whoever asks again waits for it. With `kept` false the answer is not stored.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method in _SAFE:
        return await handler(request)
    services: Services = request.app.state.backend.services
    running: Running = request.app.state.running
    url = request.url
    what = (request.method.encode(), url.path.encode(), url.query.encode(), await request.body())
    asked = Asked.of(services, actor, key, *what)
    while (other := running.get((actor, key))) is not None:
        await other.wait()
    running[actor, key] = ended = asyncio.Event()
    try:
        before = await repeats.begin(services, asked)
        if before is not None:
            return Response(before.content, before.status, media_type=before.media_type)
        return await _done(request, handler, services, asked, kept=kept)
    finally:
        del running[actor, key]
        ended.set()


async def _done(
    request: Request,
    handler: Callable[[Request], Awaitable[Response]],
    services: Services,
    asked: Asked,
    *,
    kept: bool,
) -> Response:
    try:
        response = await handler(request)
    except _CURABLE:
        await repeats.forget(services, asked)
        raise
    except FleetsealError as error:
        await _note(services, asked, problems.answer_to(error), kept=True)  # messages hold no secrets
        raise
    except (RequestValidationError, HTTPException):
        await repeats.forget(services, asked)
        raise
    await _note(services, asked, response, kept=kept)
    return response


async def _note(services: Services, asked: Asked, response: Response, *, kept: bool) -> None:
    content = getattr(response, "body", None) if kept else None  # what is streamed has none
    answer = Answer(response.status_code, response.media_type, None if content is None else bytes(content))
    try:
        await repeats.end(services, asked, answer)
    except StoreError as error:  # it was done all the same; whoever asks again is told that nobody knows
        _log.warning("The answer to an action could not be kept: %s", error.message)
