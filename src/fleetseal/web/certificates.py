"""Certificates on devices, and those that were issued here."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from fleetseal.core.model import Selection
from fleetseal.operations import certificates, issued, tasks
from fleetseal.web.auth import ADMINISTRATOR, OPERATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.lists import After, Limit, Rows
from fleetseal.web.schemas import CertificateDeletion, CertificateInstallation, Revocation, decoded, secret

router = APIRouter(prefix="/certificates", tags=["certificates"], route_class=Guarded)


@router.get("", summary="Every certificate and CA entry on devices, as they show them now; without a device, on all")
@needs(VIEWER)
async def list_certificates(
    backend: Asked, devices: Annotated[list[str] | None, Query(alias="device")] = None, public_roots: bool = False
) -> list[dict[str, Any]]:
    selection = Selection(tuple(devices or ()), everything=not devices)
    return await certificates.list_(backend.services, selection, actor=backend.actor, public_roots=public_roots)


@router.post("/installation", status_code=202, summary="Install certificates with their keys on devices; the task")
@needs(OPERATOR)
async def install_certificates(backend: Asked, body: CertificateInstallation) -> dict[str, Any]:
    task_id = await certificates.install(
        backend.services,
        await backend.engine(),
        actor=backend.actor,
        files=[(one.name, decoded(one.content.get_secret_value()), secret(one.passphrase)) for one in body.files],
        reference=body.device,
        for_https=body.purpose == "https",
        set_clock=body.set_clock,
    )
    return await tasks.show(backend.services, task_id, working=backend.working)


@router.get("/issued", summary="Every device certificate that was issued here, also to forgotten devices")
@needs(VIEWER)
async def list_issued(
    backend: Asked, device: str | None = None, limit: Limit = None, after: After = None
) -> Rows | dict[str, Any]:
    if limit is None or device is not None:
        return await issued.list_(backend.services, device)
    return await issued.page(backend.services, limit=limit, after=after)


@router.post("/revocation", summary="Revoke a certificate that was issued here, and tell it by a new CRL")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def revoke_certificate(backend: Asked, body: Revocation) -> dict[str, Any]:
    return await issued.revoke(
        backend.services,
        actor=backend.actor,
        serial=body.serial,
        reason=body.reason,
        passphrase=secret(body.passphrase),
    )


@router.post("/deletion", status_code=202, summary="Remove an entry that nothing uses from a device; the task")
@needs(OPERATOR)
async def delete_certificate(backend: Asked, body: CertificateDeletion) -> dict[str, Any]:
    task_id = await certificates.delete(
        backend.services, await backend.engine(), actor=backend.actor, reference=body.device, alias=body.alias
    )
    return await tasks.show(backend.services, task_id, working=backend.working)
