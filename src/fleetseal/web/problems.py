"""Errors as RFC 9457 problem documents. HTTP status codes of errors exist only here."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fleetseal.core import errors
from fleetseal.core.errors import FleetsealError
from fleetseal.core.runtime import Rng
from fleetseal.core.text import clean

STATUS: dict[type[FleetsealError], int] = {
    errors.InvalidInput: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Forbidden: 403,
    errors.NotSignedIn: 401,
    errors.SignInRefused: 401,
    errors.ConfirmPassword: 403,
    errors.TooManyAttempts: 429,
    errors.Locked: 423,
    errors.DeviceError: 502,
    errors.TrustFailure: 502,
    errors.IssuanceRefused: 422,
    errors.DeliveryFailed: 502,
    errors.StoreError: 503,
    errors.InUse: 503,
    errors.TooManyListeners: 429,
    errors.StandDown: 409,
    FleetsealError: 500,
}

_CHALLENGE: dict[type[FleetsealError], dict[str, str]] = {errors.NotSignedIn: {"WWW-Authenticate": "Bearer"}}
"""What the status demands beside itself (RFC 9110 11.6.1)."""

_MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


def install(api: FastAPI, rng: Rng) -> None:
    """Every error leaves `api` as a problem document; what nobody foresaw gets an incident id and is logged."""

    async def foreseen(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, FleetsealError)
        answer = _problem(status_of(error), error.code, error.message, rule=getattr(error, "rule", None))
        answer.headers.update(_CHALLENGE.get(type(error), {}))
        if isinstance(error, errors.TooManyAttempts):
            answer.headers["Retry-After"] = str(error.seconds)
        return answer

    async def malformed(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _problem(422, errors.InvalidInput.code, _what_is_wrong(error))

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = errors.NotFound.code if error.status_code == 404 else errors.InvalidInput.code
        answer = _problem(error.status_code, code, f"{error.detail}.")
        answer.headers.update(error.headers or {})  # `Allow`, which RFC 9110 wants with 405
        return answer

    async def unforeseen(_: Request, error: Exception) -> JSONResponse:
        incident = rng.bytes(4).hex()
        _log.error("Incident %s", incident, exc_info=error)
        return _problem(
            500, "internal-error", f"An unexpected error inside Fleetseal (incident {incident}, see the log)."
        )

    api.add_exception_handler(FleetsealError, foreseen)
    api.add_exception_handler(RequestValidationError, malformed)
    api.add_exception_handler(HTTPException, http)
    api.add_exception_handler(Exception, unforeseen)


def answer_to(error: FleetsealError) -> JSONResponse:
    return _problem(status_of(error), error.code, error.message, rule=getattr(error, "rule", None))


def status_of(error: FleetsealError) -> int:
    """The status of the nearest class in `STATUS`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_document(status: int, code: str, detail: str, **members: Any) -> tuple[dict[str, Any], str]:
    """The document and its media type; members that are None are left out."""
    content = {"type": f"urn:fleetseal:{code}", "title": code.replace("-", " ").capitalize(), "status": status}
    content |= {"detail": detail, "code": code} | {name: value for name, value in members.items() if value is not None}
    return content, _MEDIA_TYPE


def _problem(status: int, code: str, detail: str, **members: Any) -> JSONResponse:
    content, media_type = problem_document(status, code, detail, **members)
    return JSONResponse(content, status_code=status, media_type=media_type, headers={"Cache-Control": "no-store"})


def _what_is_wrong(error: RequestValidationError) -> str:
    """Where and why, never the value: it may be a secret."""
    parts = [f"{'.'.join(str(part) for part in one['loc'][1:]) or 'body'}: {one['msg']}" for one in error.errors()]
    return clean("The request is malformed: " + "; ".join(parts) + ".", limit=1000)
