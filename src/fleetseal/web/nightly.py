"""The nightly run."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import night_plan, nights, signing
from fleetseal.web.auth import ADMINISTRATOR, VIEWER, Guarded, needs, require
from fleetseal.web.backend import Asked
from fleetseal.web.lists import RowId
from fleetseal.web.schemas import NightlyRequest, secret

router = APIRouter(prefix="/nightly", tags=["nightly run"], route_class=Guarded)

Row = dict[str, Any]


@router.get("", summary="Whether certificates are renewed by themselves, when, and what renewal waits for")
@needs(VIEWER)
async def nightly_status(backend: Asked) -> Row:
    return await nights.status(backend.services, serving=backend.serving)


@router.post("", status_code=202, summary="The nightly run, now, whatever the window; or the one that is at work")
@needs(ADMINISTRATOR)
async def start_nightly(backend: Asked, body: NightlyRequest) -> Row:
    services, actor = backend.services, backend.actor
    if body.passphrase is not None:
        require(backend.caller, ADMINISTRATOR, confirmed=True)
    opened = await signing.prepare(services, actor=actor, passphrase=secret(body.passphrase), required=False)
    night_id = await backend.nights.start(actor=actor, opened=opened, clock_is_right=body.clock_is_right)
    return await nights.show(services, night_id)


@router.get("/plan", summary="What the next night would renew and why, as things stand now; no device is asked")
@needs(VIEWER)
async def plan_nightly(backend: Asked) -> Row:
    return await night_plan.plan(backend.services)


@router.get("/{night_id:int}", summary="One nightly run, with its report once it has ended")
@needs(VIEWER)
async def show_nightly(backend: Asked, night_id: RowId) -> Row:
    return await nights.show(backend.services, night_id)
