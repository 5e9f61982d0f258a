"""Tasks: what was asked for, on one or many devices, and what became of it."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import tasks
from fleetseal.web.backend import Asked

router = APIRouter(prefix="/tasks", tags=["tasks"])


@router.get("/suspended", summary="Unfinished tasks that nobody works on")
async def suspended_tasks(backend: Asked) -> list[dict[str, Any]]:
    return [] if backend.working else await tasks.suspended(backend.services)
