"""The description of the API, OpenAPI 3.1: what FastAPI knows of the routes, and who may ask them, how errors look, and
what is answered."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fleetseal import __version__
from fleetseal.web import answers
from fleetseal.web.auth import Need, needs_of

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ERRORS: Final = {
    "401": "Nobody known asks.",
    "403": "Whoever asks may not; or, with the code `confirm-password`, the password must be given again.",
    "422": "What is asked for is malformed, or not possible.",
    "default": "Something else prevents it: see `code`, and docs/reference/errors.md.",
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
    "description": "A key of the caller's own for this action. Asked for again under it within a day, nothing is done "
    "again, and the first answer is given.",
}
_POSITION: Final = {
    "X-Fleetseal-Position": {
        "description": "From here on `GET /api/v1/events` tells what changes.",
        "schema": {"type": "integer"},
    }
}
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token: `fleetseal token add`."},
    "session": {"type": "apiKey", "in": "cookie", "name": "fleetseal_session"},
}


def install(api: FastAPI) -> None:
    """`api.openapi()` gives the whole description."""

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _described(api)
        return api.openapi_schema

    api.openapi = described  # type: ignore[method-assign]  # as the documentation of FastAPI says


def _described(api: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title="Fleetseal", version=__version__, routes=api.routes)
    needs = needs_of(api)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete(operation, needs[path, method.upper()], method)
    components = schema["components"]
    for validation in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(validation, None)
    components["schemas"] = dict(sorted((components["schemas"] | answers.components()).items()))
    components["securitySchemes"] = _SCHEMES
    return schema


def _complete(operation: dict[str, Any], need: Need, method: str) -> None:
    responses = operation["responses"]
    known = answers.answer_of(operation["operationId"])
    done = next(response for status, response in responses.items() if status.startswith("2"))
    if known is not None:
        done["content"]["application/json"]["schema"] = known
    if operation["operationId"] in answers.PAGED and operation["operationId"] != "list_issued":
        done["headers"] = _POSITION
    for status, text in _ERRORS.items():
        if need.role is not None or status not in ("401", "403"):
            responses[status] = {"description": text, "content": _PROBLEM}
    if need.role is None:
        return
    operation["security"] = [{"session": []}, *([{"token": []}] if need.tokens else [])]
    operation["x-role"] = need.role.value
    if need.confirmed:
        operation["x-password-again"] = True
    if method != "get" and not need.reads:
        operation["parameters"] = [*operation.get("parameters", ()), _KEY]
