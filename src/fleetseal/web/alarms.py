"""Alarms."""

from typing import Any

from fastapi import APIRouter, Depends

from fleetseal.operations import alarm_delivery, alarms, paging
from fleetseal.web import lists
from fleetseal.web.auth import ADMINISTRATOR, OPERATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.lists import RowId
from fleetseal.web.schemas import ChannelSecret, secret

router = APIRouter(prefix="/alarms", tags=["alarms"], route_class=Guarded)


@router.get("", summary="The conditions that hold now, oldest first", dependencies=[Depends(lists.tell_position)])
@needs(VIEWER)
async def list_alarms(backend: Asked, wanted: lists.WantedPage) -> list[dict[str, Any]] | dict[str, Any]:
    rows = await alarms.list_(backend.services)
    return rows if wanted is None else paging.page(rows, wanted, noun="alarms", columns=alarms.COLUMNS)


@router.post("/{alarm_id:int}/acknowledge", summary="Somebody has seen it; it stays open while its cause exists")
@needs(OPERATOR)
async def acknowledge_alarm(backend: Asked, alarm_id: RowId) -> list[dict[str, Any]]:
    await alarms.acknowledge(backend.services, alarm_id, actor=backend.actor)
    return await alarms.list_(backend.services)


@router.get("/channels", summary="Where alarms go, and how each way fares")
@needs(VIEWER)
async def list_channels(backend: Asked) -> list[dict[str, Any]]:
    return await alarm_delivery.channels(backend.services)


@router.put("/channels/{channel}/secret", summary="Set, or with null forget, the password or signing key of a channel")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def set_channel_secret(backend: Asked, channel: str, body: ChannelSecret) -> list[dict[str, Any]]:
    return await alarm_delivery.set_secret(
        backend.services, actor=backend.actor, channel=channel, secret=secret(body.secret)
    )


@router.post("/channels/{channel}/test", summary="Send a test message")
@needs(ADMINISTRATOR)
async def test_channel(backend: Asked, channel: str) -> dict[str, Any]:
    return await alarm_delivery.test(backend.services, actor=backend.actor, channel=channel)
