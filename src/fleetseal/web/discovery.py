"""Finding devices on the network."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request

from fleetseal.operations import discover
from fleetseal.operations.discover import Discovery, Wanted
from fleetseal.web.auth import OPERATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import Adoption, Search, login

router = APIRouter(prefix="/discovery", tags=["discovery"], route_class=Guarded)

Row = dict[str, Any]


def _discovery(request: Request) -> Discovery:
    return cast(Discovery, request.app.state.discovery)


Running = Annotated[Discovery, Depends(_discovery)]


@router.post("", summary="Search for devices and identify them; no credential is sent")
@needs(OPERATOR)
async def search_devices(discovery: Running, body: Search) -> Row:
    return await discovery.search(
        discover.Search(
            ranges=tuple(body.ranges),
            interfaces=tuple(body.interfaces),
            seconds=body.timeout,
            http_port=body.http_port,
            https_port=body.https_port,
        )
    )


@router.get("", summary="How far the running search is; null when none runs")
@needs(VIEWER)
async def search_progress(discovery: Running) -> Row | None:
    return discovery.progress


@router.post("/adoption", summary="Take devices that were found into the inventory")
@needs(OPERATOR)
async def adopt_devices(backend: Asked, body: Adoption) -> list[Row]:
    wanted = [Wanted(one.address, one.http_port, one.https_port, one.mac, one.hostname) for one in body.devices]
    return await discover.adopt(
        backend.services, actor=backend.actor, wanted=wanted, login=login(body.username, body.password)
    )
