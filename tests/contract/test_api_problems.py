"""Errors leave the API as RFC 9457 documents; each class has a status and an exit code, no request value is echoed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetseal.app import Application, open_application
from fleetseal.cli.common import DONE, FAILED, IN_USE, LOCKED, MISSING, WRONG, exit_code
from fleetseal.core import errors
from fleetseal.core.errors import FleetsealError
from fleetseal.web.problems import STATUS, status_of


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data", environment={}) as opened:
        yield opened


@pytest.fixture
async def api(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application.local, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def _classes(kind: type[FleetsealError] = FleetsealError) -> list[type[FleetsealError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _classes(child))]


EXITS = {
    errors.InvalidInput: WRONG,
    errors.Conflict: WRONG,
    errors.Forbidden: WRONG,
    errors.NotSignedIn: WRONG,
    errors.SignInRefused: WRONG,
    errors.ConfirmPassword: WRONG,
    errors.NotSupported: WRONG,
    errors.IssuanceRefused: WRONG,
    errors.NotFound: MISSING,
    errors.Locked: LOCKED,
    errors.InUse: IN_USE,
}


@pytest.mark.parametrize("kind", [one for one in _classes() if one.__module__ == "fleetseal.core.errors"])
def test_every_error_has_a_status_and_an_exit_code(kind: type[FleetsealError]) -> None:
    members: dict[type[FleetsealError], dict[str, Any]] = {
        errors.IssuanceRefused: {"rule": "r"},
        errors.TooManyAttempts: {"seconds": 1},
    }
    error = kind("x", **members.get(kind, {}))
    nearest = next(one for one in kind.__mro__ if one in STATUS)
    assert nearest is not FleetsealError or kind is FleetsealError, "a class of its own status, or below one"
    assert 400 <= status_of(error) < 600
    assert exit_code(error) == EXITS.get(kind, FAILED)
    assert exit_code(error) != DONE


async def test_a_problem_says_what_and_which(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/v1/devices/10.0.0.1")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "not-found"
    assert problem["type"] == "urn:fleetseal:not-found"
    assert "10.0.0.1" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/devices", {"targets": ["10.0.0.1"], "password": ["hunter2-canary"]}),
        ("POST", "/devices", {"targets": ["10.0.0.1"], "pasword": "hunter2-canary"}),
        ("POST", "/authorities/current/unlock", {"passphrase": {"x": "hunter2-canary"}}),
        ("POST", "/authorities", {"name": "x", "tiers": "hunter2-canary"}),
    ],
)
async def test_malformed_requests_are_refused_without_their_values(
    api: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = await api.request(method, f"/api/v1{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-input"
    assert "hunter2-canary" not in answer.text


async def test_numbers_are_not_read_from_text(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/devices", json={"targets": ["10.0.0.1"], "http_port": "80"})
    assert answer.status_code == 422
    assert "http_port" in answer.json()["detail"]


async def test_what_nobody_foresaw_gets_an_incident_id_and_no_detail(
    application: Application, api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("hunter2-canary")

    application.api.add_api_route("/api/v1/broken", broken)
    answer = await api.get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert "hunter2-canary" not in answer.text
    incident = answer.json()["detail"].split("incident ")[1].split(",")[0]
    assert incident in caplog.text


async def test_unknown_routes_and_methods_are_problems_too(api: httpx.AsyncClient) -> None:
    for answer, status in ((await api.get("/api/v1/nothing"), 404), (await api.delete("/api/v1/settings"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


async def test_every_route_says_what_it_does(application: Application) -> None:
    operations = [
        (f"{method} {path}", operation)
        for path, methods in application.api.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 25
    assert [name for name, operation in operations if not operation.get("summary")] == []
    identifiers = [operation["operationId"] for _, operation in operations]
    assert len(identifiers) == len(set(identifiers))
