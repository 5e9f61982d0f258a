"""Metrics."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from fleetseal.operations import metrics
from fleetseal.web.backend import Asked

router = APIRouter(tags=["metrics"])


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
async def show_metrics(backend: Asked) -> PlainTextResponse:
    return PlainTextResponse(await metrics.text(backend.services), media_type="text/plain; version=0.0.4")
