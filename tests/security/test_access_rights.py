"""Who may ask what: every route says so, and whoever did not come by a way of this user alone says who it is."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from fleetseal.app import Application, open_application
from fleetseal.web.auth import VIEWER, Guarded, needs, routes_of


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data", environment={}) as opened:
        yield opened


def client(asgi: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(asgi, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def silent() -> None:
    raise AssertionError("nobody may ask this")


@needs(VIEWER)
async def marked() -> None:
    raise AssertionError("nobody may ask this")


def test_a_route_that_names_no_role_cannot_be_declared() -> None:
    """WEB-DENY-DEFAULT."""
    with pytest.raises(LookupError, match="/planted does not say who may ask it"):
        APIRouter(route_class=Guarded).add_api_route("/planted", silent)


def test_a_route_that_would_not_ask_is_not_served() -> None:
    """WEB-DENY-DEFAULT: of another kind, in a router that was included, or mounted beside the API."""
    router = APIRouter(prefix="/planted")
    router.add_api_route("", marked)
    served = FastAPI(openapi_url=None)
    served.include_router(router, prefix="/api/v1")
    with pytest.raises(LookupError, match="/api/v1/planted would not ask who comes"):
        list(routes_of(served))
    with pytest.raises(LookupError, match=r"openapi\.json would not ask who comes"):
        list(routes_of(FastAPI()))
    mounting = FastAPI(openapi_url=None)
    mounting.mount("/static", FastAPI())
    with pytest.raises(LookupError, match="/static would not ask who comes"):
        list(routes_of(mounting))


async def test_strangers_learn_nothing(application: Application) -> None:
    """Every path and method, with a body that is malformed: it is not even read."""
    asked = 0
    async with client(application.api) as stranger:
        for path, methods, need in routes_of(application.api):
            for method in methods if need.role else ():
                answer = await stranger.request(method, path, content=b"{", headers={"X-Fleetseal": "1"})
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.json()["code"] == "not-signed-in"
                assert answer.headers["www-authenticate"] == "Bearer"
                asked += 1
    assert asked > 60
