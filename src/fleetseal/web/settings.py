"""Settings."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import settings
from fleetseal.web.auth import ADMINISTRATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import SettingValue

router = APIRouter(prefix="/settings", tags=["settings"], route_class=Guarded)


@router.get("", summary="Every setting with its value, default, source and meaning")
@needs(VIEWER)
async def list_settings(backend: Asked) -> list[dict[str, Any]]:
    return await settings.list_(backend.services)


@router.get("/{key}", summary="One setting")
@needs(VIEWER)
async def get_setting(backend: Asked, key: str) -> dict[str, Any]:
    return await settings.get(backend.services, key)


@router.put("/{key}", summary="Store a value for a setting")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def set_setting(backend: Asked, key: str, body: SettingValue) -> dict[str, Any]:
    return await settings.set_(backend.services, actor=backend.actor, key=key, value=body.value)


@router.delete("/{key}", summary="Forget what was stored for a setting: its default, or that of the file, is in force")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def reset_setting(backend: Asked, key: str) -> dict[str, Any]:
    return await settings.reset(backend.services, actor=backend.actor, key=key)
