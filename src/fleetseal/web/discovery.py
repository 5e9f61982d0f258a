"""Finding devices on the network."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request

from fleetseal.operations import discover
from fleetseal.operations.discover import Discovery, Wanted
from fleetseal.operations.followed_search import FollowedSearch
from fleetseal.web.auth import OPERATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import Adoption, Search, login

router = APIRouter(prefix="/discovery", tags=["discovery"], route_class=Guarded)

Row = dict[str, Any]


def _discovery(request: Request) -> Discovery:
    return cast(Discovery, request.app.state.discovery)


def _followed(request: Request) -> FollowedSearch:
    return cast(FollowedSearch, request.app.state.followed_search)


Running = Annotated[Discovery, Depends(_discovery)]
Followed = Annotated[FollowedSearch, Depends(_followed)]


@router.post("", summary="Search for devices and identify them; no credential is sent")
@needs(OPERATOR, reads=True)
async def search_devices(discovery: Running, body: Search) -> Row:
    return await discovery.search(_asked(body))


@router.post("/search", summary="Begin a search that can be followed and stopped; no credential is sent")
@needs(OPERATOR)
async def begin_search(backend: Asked, followed: Followed, body: Search) -> Row | None:
    backend.spawn(followed.begin(_asked(body)))
    return followed.shown()


@router.get("/search", summary="The search that was begun last, and what it has found; null when there was none")
@needs(OPERATOR)
async def follow_search(followed: Followed, after: int = 0, limit: int = 1000) -> Row | None:
    return followed.shown(after, limit)


@router.post("/search/stop", summary="End the search; what was found until now stays to be seen")
@needs(OPERATOR)
async def stop_search(followed: Followed) -> Row | None:
    await followed.stop()
    return followed.shown()


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


def _asked(body: Search) -> discover.Search:
    return discover.Search(
        ranges=tuple(body.ranges),
        targets=tuple(body.targets),
        interfaces=tuple(body.interfaces),
        seconds=body.timeout,
        http_port=body.http_port,
        https_port=body.https_port,
    )
