"""The sessions that are open."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import sessions
from fleetseal.web.auth import ADMINISTRATOR, VIEWER, Guarded, needs, require
from fleetseal.web.backend import Asked
from fleetseal.web.lists import RowId

router = APIRouter(prefix="/sessions", tags=["session"], route_class=Guarded)

Row = dict[str, Any]


@router.get("", summary="One's own sessions; for an administrator, those of everybody")
@needs(VIEWER, tokens=False)
async def list_sessions(backend: Asked) -> list[Row]:
    return await sessions.list_(backend.services, backend.caller)


@router.delete("", summary="End one's own other sessions; those that are left")
@needs(VIEWER, tokens=False)
async def end_other_sessions(backend: Asked) -> list[Row]:
    return await sessions.end_others(backend.services, backend.caller)


@router.delete("/{session_id:int}", summary="End a session; those that are left. Another's: administrators only")
@needs(VIEWER, tokens=False)
async def end_session(backend: Asked, session_id: RowId) -> list[Row]:
    if not await sessions.is_own(backend.services, backend.caller, session_id):
        require(backend.caller, ADMINISTRATOR, confirmed=True)
    return await sessions.end(backend.services, backend.caller, session_id)
