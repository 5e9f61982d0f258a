"""The REST API, `/api/v1`: the nouns, members and texts of the command line."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute

from fleetseal import __version__
from fleetseal.operations.discover import Discovery
from fleetseal.operations.followed_search import FollowedSearch
from fleetseal.web import (
    accounts,
    alarms,
    audit,
    authorities,
    backups,
    certificates,
    credentials,
    crls,
    devices,
    discovery,
    events,
    metrics,
    nightly,
    openapi,
    overview,
    problems,
    session,
    sessions,
    settings,
    tasks,
)
from fleetseal.web.auth import VIEWER, Guarded, needs, routes_of
from fleetseal.web.backend import Asked, Host

_server = APIRouter(tags=["server"], route_class=Guarded)


@_server.get("/server", summary="What answers here")
@needs(VIEWER)
async def server(backend: Asked) -> dict[str, object]:
    return {"product": "fleetseal", "version": __version__, "serving": backend.serving, "working": backend.working}


@_server.get("/openapi.json", summary="This API, as OpenAPI describes it", include_in_schema=False)
@needs(VIEWER)
async def description(request: Request) -> dict[str, Any]:
    api: FastAPI = request.app
    return api.openapi()


def build(host: Host) -> FastAPI:
    """The API over `host`. Raises LookupError when a route does not say who may ask it (WEB-DENY-DEFAULT)."""
    api = FastAPI(
        title="Fleetseal",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    api.state.backend = host
    api.state.discovery = Discovery(host.services)
    api.state.running = {}
    api.state.followed_search = FollowedSearch(api.state.discovery, host.services.clock)
    problems.install(api, host.services.rng)
    nouns = (
        authorities,
        backups,
        certificates,
        crls,
        devices,
        credentials,
        discovery,
        tasks,
        nightly,
        alarms,
        audit,
        settings,
        events,
        overview,
        session,
        sessions,
        accounts,
    )
    for router in (_server, *(noun.router for noun in nouns)):
        api.include_router(router, prefix="/api/v1")
    api.include_router(metrics.router)
    tuple(routes_of(api))
    openapi.install(api)
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name
