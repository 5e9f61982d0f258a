"""Metrics."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from fleetseal.operations import metrics
from fleetseal.web.auth import VIEWER, Guarded, needs
from fleetseal.web.backend import Asked

router = APIRouter(tags=["metrics"], route_class=Guarded)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
@needs(VIEWER)
async def show_metrics(backend: Asked) -> PlainTextResponse:
    return PlainTextResponse(await metrics.text(backend.services), media_type="text/plain; version=0.0.4")
