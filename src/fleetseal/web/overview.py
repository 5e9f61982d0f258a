"""What the first page shows."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import overview
from fleetseal.web.auth import VIEWER, Guarded, needs
from fleetseal.web.backend import Asked

router = APIRouter(prefix="/overview", tags=["server"], route_class=Guarded)


@router.get("", summary="Devices, certificates that end, alarms, tasks and the night, in numbers")
@needs(VIEWER)
async def show_overview(backend: Asked) -> dict[str, Any]:
    return await overview.overview(backend.services, serving=backend.serving, working=backend.working)
