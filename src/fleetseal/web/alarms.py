"""Alarms."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import alarms
from fleetseal.web.backend import Asked

router = APIRouter(prefix="/alarms", tags=["alarms"])


@router.get("", summary="The conditions that hold now, oldest first")
async def list_alarms(backend: Asked) -> list[dict[str, Any]]:
    return await alarms.list_(backend.services)


@router.post("/{alarm_id}/acknowledge", summary="Somebody has seen this alarm; it stays open while its cause exists")
async def acknowledge_alarm(backend: Asked, alarm_id: int) -> list[dict[str, Any]]:
    await alarms.acknowledge(backend.services, alarm_id, actor=backend.actor)
    return await alarms.list_(backend.services)
