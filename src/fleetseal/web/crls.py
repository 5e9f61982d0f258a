"""CRLs: what tells clients which certificates are revoked."""

from typing import Any

from fastapi import APIRouter

from fleetseal.operations import revocation, signing
from fleetseal.web.auth import ADMINISTRATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import Continuation, secret

router = APIRouter(prefix="/crls", tags=["CRLs"], route_class=Guarded)

Rows = list[dict[str, Any]]


@router.get("", summary="The CRL of each CA, and whether it is up to date")
@needs(VIEWER)
async def list_crls(backend: Asked) -> Rows:
    return await revocation.list_crls(backend.services)


@router.post("", summary="Make the CRLs of all CAs anew whose keys are open, or open by the passphrase")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def renew_crls(backend: Asked, body: Continuation) -> Rows:
    services, actor = backend.services, backend.actor
    async with signing.opened(services, actor=actor, passphrase=secret(body.passphrase)):
        return await revocation.renew_crls(services, actor=actor, anew=True)


@router.get("/files", summary="Every CRL as files in base64, DER and PEM")
@needs(VIEWER)
async def export_crls(backend: Asked) -> Rows:
    return await revocation.export_crls(backend.services)
