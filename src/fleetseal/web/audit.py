"""The audit log."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from fleetseal.operations import trail
from fleetseal.operations.trail import Wanted
from fleetseal.web.auth import ADMINISTRATOR, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.lists import After, Filters
from fleetseal.web.schemas import AuditVerification

router = APIRouter(prefix="/audit", tags=["audit"], route_class=Guarded)

Number = Annotated[int, Query(ge=0, le=2**53)]


def _wanted(
    filters: Filters,
    since: str | None = None,
    until: str | None = None,
) -> Wanted:
    return Wanted(tuple(filters), since, until)


Chosen = Annotated[Wanted, Depends(_wanted)]


@router.get("", summary="Records, the newest first, page by page")
@needs(ADMINISTRATOR)  # it tells who works here, when and from where
async def list_records(
    backend: Asked,
    wanted: Chosen,
    after: After = None,
    limit: int = 100,
) -> dict[str, Any]:
    return await trail.page(backend.services, wanted, after=after, limit=limit)


@router.get("/export", summary="Records, the oldest first; `after` a number, those with larger ones")
@needs(ADMINISTRATOR)
async def export_records(
    backend: Asked,
    wanted: Chosen,
    after: Number = 0,
    limit: int = trail.MOST,
) -> list[dict[str, Any]]:
    return await trail.oldest(backend.services, wanted, after=after, limit=limit)


@router.post("/verification", summary="Whether every record is as it was written, and where the first fault is")
@needs(ADMINISTRATOR, reads=True)
async def verify_records(backend: Asked, body: AuditVerification) -> dict[str, Any]:
    return await trail.verify(backend.services, anchored=body.anchors)
