"""The REST API, `/api/v1`: the nouns, members and texts of the command line."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from fleetseal import __version__
from fleetseal.operations.discover import Discovery
from fleetseal.web import (
    alarms,
    audit,
    authorities,
    backups,
    certificates,
    credentials,
    crls,
    devices,
    discovery,
    metrics,
    nightly,
    problems,
    settings,
    tasks,
)
from fleetseal.web.backend import Asked, Backend

_server = APIRouter(tags=["server"])


@_server.get("/server", summary="What answers here")
async def server(backend: Asked) -> dict[str, object]:
    return {"product": "fleetseal", "version": __version__, "serving": backend.serving, "working": backend.working}


def build(backend: Backend) -> FastAPI:
    """The API over `backend`. Whoever reaches it has every right: it is served to this user only."""
    api = FastAPI(
        title="Fleetseal",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    api.state.backend = backend
    api.state.discovery = Discovery(backend.services)
    problems.install(api, backend.services.rng)
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
    )
    for router in (_server, *(noun.router for noun in nouns)):
        api.include_router(router, prefix="/api/v1")
    api.include_router(metrics.router)
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name
