"""Named credentials. No answer holds a password."""

from typing import Any

from fastapi import APIRouter

from fleetseal.core.model import Login
from fleetseal.operations import credentials
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import CredentialAddition, CredentialRemoval

router = APIRouter(prefix="/credentials", tags=["credentials"])


@router.get("", summary="The credentials, in the order in which they are tried")
async def list_credentials(backend: Asked) -> list[dict[str, Any]]:
    return await credentials.list_(backend.services)


@router.post("", summary="One more credential, tried after the others")
async def add_credential(backend: Asked, body: CredentialAddition) -> list[dict[str, Any]]:
    login = Login(body.username, body.password.get_secret_value())
    return await credentials.add(backend.services, actor=backend.actor, name=body.name, login=login)


@router.post("/removal", summary="A credential is tried no more; devices that took it keep their login")
async def remove_credential(backend: Asked, body: CredentialRemoval) -> list[dict[str, Any]]:
    return await credentials.remove(backend.services, actor=backend.actor, name=body.name)
