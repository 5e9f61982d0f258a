"""Named credentials. No answer holds a password."""

from typing import Any

from fastapi import APIRouter

from fleetseal.core.model import Login
from fleetseal.operations import credentials
from fleetseal.web.auth import ADMINISTRATOR, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import CredentialAddition, CredentialRemoval

router = APIRouter(prefix="/credentials", tags=["credentials"], route_class=Guarded)


@router.get("", summary="The credentials, in the order in which they are tried")
@needs(ADMINISTRATOR)
async def list_credentials(backend: Asked) -> list[dict[str, Any]]:
    return await credentials.list_(backend.services)


@router.post("", summary="One more credential, tried after the others")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def add_credential(backend: Asked, body: CredentialAddition) -> list[dict[str, Any]]:
    login = Login(body.username, body.password.get_secret_value())
    return await credentials.add(backend.services, actor=backend.actor, name=body.name, login=login)


@router.post("/removal", summary="A credential is tried no more; devices that took it keep their login")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def remove_credential(backend: Asked, body: CredentialRemoval) -> list[dict[str, Any]]:
    return await credentials.remove(backend.services, actor=backend.actor, name=body.name)
