"""Devices."""

import json
from typing import Any

from fastapi import APIRouter, Response

from fleetseal.core.model import Login
from fleetseal.operations import clocks, importing, inventory, pages, setting_up, trusting
from fleetseal.operations.inventory import Changes
from fleetseal.web.auth import ADMINISTRATOR, OPERATOR, VIEWER, Guarded, needs, require
from fleetseal.web.backend import Asked
from fleetseal.web.lists import POSITION, After, Filters, Limit, Rows, Sort
from fleetseal.web.schemas import (
    Acceptance,
    ClockRequest,
    DeviceAddition,
    DeviceChange,
    DeviceExport,
    DeviceImport,
    DeviceSelection,
    DeviceSetup,
    Removal,
    login,
    secret,
)

router = APIRouter(prefix="/devices", tags=["devices"], route_class=Guarded)


@router.get("", summary="The devices of the inventory; with `limit`, a page of them", response_model=None)
@needs(VIEWER)
async def list_devices(
    backend: Asked, filters: Filters, sort: Sort = None, limit: Limit = None, after: After = None
) -> Rows | Response:
    if limit is None:
        return await inventory.list_(backend.services, filters=filters, sort=sort)
    page = await pages.page(backend.services, filters=filters, sort=sort, limit=limit, after=after)
    tail = json.dumps({"next": page.next, "total": page.total}, separators=(",", ":")).encode()
    content = b'{"items":[' + b",".join(page.items) + b"]," + tail[1:]
    return Response(content, media_type="application/json", headers={POSITION: str(page.position)})


@router.get("/facets", summary="How many devices have each status, model and so on")
@needs(VIEWER)
async def count_devices(backend: Asked, filters: Filters) -> dict[str, Any]:
    return await pages.facets(backend.services, filters=filters)


@router.get("/unverified", summary="How many devices are believed from first contact only")
@needs(VIEWER)
async def count_unverified(backend: Asked) -> dict[str, Any]:
    return await inventory.unverified(backend.services)


@router.get("/{reference}", summary="One device, with every status that holds and its reason")
@needs(VIEWER)
async def show_device(backend: Asked, reference: str) -> dict[str, Any]:
    return await inventory.show(backend.services, reference)


@router.post("", summary="Contact, identify and store what answers at these addresses")
@needs(OPERATOR)
async def add_devices(backend: Asked, body: DeviceAddition) -> Rows:
    return await inventory.add(
        backend.services,
        actor=backend.actor,
        targets=body.targets,
        http_port=body.http_port,
        https_port=body.https_port,
        login=login(body.username, body.password),
        site=inventory.DEFAULT_SITE if body.site is None else body.site,
    )


@router.post("/setup", summary="Make the first administrator of devices in factory state")
@needs(OPERATOR)
async def set_up_devices(backend: Asked, body: DeviceSetup) -> Rows:
    return await setting_up.set_up(
        backend.services,
        actor=backend.actor,
        references=body.devices,
        login=Login(body.username, body.password.get_secret_value()),
        plain_http=body.plain_http,
    )


@router.post("/import", summary="Store the devices of a file, all or none; none is contacted")
@needs(OPERATOR)
async def import_devices(backend: Asked, body: DeviceImport) -> Rows:
    return await importing.import_(
        backend.services,
        actor=backend.actor,
        text=body.content.get_secret_value(),
        form=body.form,
        login=login(body.username, body.password),
        site=inventory.DEFAULT_SITE if body.site is None else body.site,
        preview=body.preview,
    )


@router.post("/export", summary="The inventory as a file, without passwords")
@needs(VIEWER, reads=True)
async def export_devices(backend: Asked, body: DeviceExport) -> dict[str, str]:
    return {"content": await importing.export(backend.services, form=body.form, filters=body.filters)}


@router.patch("", summary="Change what is stored about devices")
@needs(OPERATOR)
async def change_devices(backend: Asked, body: DeviceChange) -> Rows:
    changes = Changes(
        username=body.username,
        password=secret(body.password),
        address=body.address,
        host_name=body.hostname,
        http_port=body.http_port,
        https_port=body.https_port,
        site=body.site,
        tags=None if body.tags is None else tuple(body.tags),
        tls=body.tls,
    )
    return await inventory.change(
        backend.services, actor=backend.actor, selection=body.selection.chosen(), changes=changes
    )


@router.post("/shown", summary="What devices show now, for a person to judge; nothing is accepted")
@needs(OPERATOR, reads=True)
async def preview_trust(backend: Asked, body: DeviceSelection) -> Rows:
    return await trusting.preview(backend.services, body.selection.chosen())


@router.post("/trust", summary="Accept devices by the certificate they show, or by plain HTTP")
@needs(ADMINISTRATOR)
async def accept_trust(backend: Asked, body: Acceptance) -> Rows:
    accepted = {one.id: one.sha256 for one in body.accepted}
    return await trusting.accept(backend.services, actor=backend.actor, accepted=accepted)


@router.post("/clock", summary="Compare the clocks of devices with this computer's, or set them")
@needs(OPERATOR)
async def compare_clocks(backend: Asked, body: ClockRequest) -> Rows:
    return await clocks.clock(
        backend.services, actor=backend.actor, selection=body.selection.chosen(), correct=body.set
    )


@router.post("/removal", summary="Forget devices; what was issued to them stays on record")
@needs(OPERATOR)
async def remove_devices(backend: Asked, body: Removal) -> Rows:
    if body.revoke:
        require(backend.caller, ADMINISTRATOR, confirmed=True)
    return await inventory.remove(backend.services, actor=backend.actor, references=body.devices, revoke=body.revoke)
