"""Certificate authorities."""

from base64 import b64encode
from typing import Any, Literal

from fastapi import APIRouter

from fleetseal.core.errors import InvalidInput
from fleetseal.core.secrets import Secret
from fleetseal.core.trust_steps import Platform, certificates_of, needs_p7b, steps
from fleetseal.operations import authorities, authority_backup, ca_renewal, signing, succession
from fleetseal.web.auth import ADMINISTRATOR, VIEWER, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import (
    AuthorityBackup,
    AuthorityCreation,
    AuthorityImport,
    AuthorityProgress,
    AuthorityRenewal,
    AuthorityRequest,
    AuthorityRestoration,
    Continuation,
    Passphrase,
    TrustAnchorImport,
    decoded,
    secret,
)
from fleetseal.web.tasks import open_key

router = APIRouter(prefix="/authorities", tags=["certificate authorities"], route_class=Guarded)

View = dict[str, Any]


@router.get("", summary="Every certificate authority here")
@needs(VIEWER)
async def list_authorities(backend: Asked) -> list[View]:
    return await authorities.list_(backend.services)


@router.get("/current", summary="The certificate authority in use")
@needs(VIEWER)
async def show_authority(backend: Asked) -> View:
    return await authorities.show(backend.services)


@router.get("/current/export", summary="What a client must trust, as files in base64")
@needs(VIEWER)
async def export_authority(
    backend: Asked,
    format: Literal["pem", "der", "p7b"] = "pem",  # noqa: A002 - the contract's word
    root_only: bool = False,
    directory: bool = False,
) -> View:
    return await authorities.export(backend.services, format=format, root_only=root_only, directory=directory)


@router.get("/current/trust", summary="What a client must trust, certificate by certificate")
@needs(VIEWER)
async def show_trusted(backend: Asked) -> View:
    return await authorities.trusted(backend.services)


@router.get("/current/trust/{platform}", summary="What to type on a computer to trust the CA there, or no longer")
@needs(VIEWER)
async def show_trust_steps(backend: Asked, platform: Platform, root_only: bool = False, remove: bool = False) -> View:
    certificates = certificates_of(await authorities.trusted(backend.services), root_only=root_only)
    files = {one.file_name: b64encode(one.pem.encode()).decode() for one in certificates}
    p7b = {}
    if needs_p7b(platform, remove=remove):
        exported = await authorities.export(backend.services, format="p7b")
        p7b = {file["name"]: file["content"] for file in exported["files"]}
    shown = steps(platform, certificates, p7b=next(iter(p7b), ""), remove=remove)
    return {
        "platform": platform,
        "files": [{"name": name, "content": content} for name, content in (files | p7b).items()],
        "steps": [{"text": step.text, "command": step.command} for step in shown],
    }


@router.get("/current/lock", summary="Whether a passphrase is needed to sign")
@needs(VIEWER)
async def lock_state(backend: Asked) -> dict[str, bool]:
    return {"locked": await signing.is_locked(backend.services)}


@router.post("", status_code=201, summary="Make a root, and with two tiers an issuing CA under it")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def create_authority(backend: Asked, body: AuthorityCreation) -> View:
    return await authorities.create(
        backend.services,
        actor=backend.actor,
        name=body.name,
        tiers=body.tiers,
        key_type=body.key_type,
        years=body.years,
        organization=body.organization,
        permit_domains=tuple(body.permit_domains),
        permit_networks=tuple(body.permit_networks),
        passphrase=secret(body.passphrase),
        remember=body.remember_passphrase,
    )


@router.post("/request", status_code=201, summary="Make a key here, and a request for another PKI to sign")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def request_authority(backend: Asked, body: AuthorityRequest) -> View:
    return await authorities.request(
        backend.services,
        actor=backend.actor,
        name=body.name,
        organization=body.organization,
        key_type=body.key_type,
    )


@router.post("/import", status_code=201, summary="Bring a certificate authority from outside")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def import_authority(backend: Asked, body: AuthorityImport) -> View:
    return await authorities.import_files(
        backend.services,
        actor=backend.actor,
        files=tuple(decoded(file) for file in body.files),
        passphrase=secret(body.passphrase),
        remember=body.remember_passphrase,
        tiers=body.tiers,
        name=body.name,
    )


@router.post("/anchors", status_code=201, summary="Trust a certificate authority whose key is elsewhere")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def import_anchors(backend: Asked, body: TrustAnchorImport) -> list[View]:
    return await authorities.trust_only(backend.services, actor=backend.actor, files=(decoded(body.file),))


@router.post("/current/unlock", summary="Open the signing key until it is locked or the server ends")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def unlock_authority(backend: Asked, body: Passphrase) -> View:
    if not backend.serving:
        raise InvalidInput("No server is running: give --passphrase-file to the command that signs.")
    passphrase = Secret(body.passphrase.get_secret_value())
    return await signing.unlock(backend.services, actor=backend.actor, passphrase=passphrase)


@router.post("/current/lock", summary="Close the signing key")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def lock_authority(backend: Asked) -> View:
    return await authorities.lock(backend.services, actor=backend.actor)


@router.post("/current/backup", summary="Each CA with its key as PKCS#12, in base64")
@needs(ADMINISTRATOR, confirmed=True)
async def back_authority_up(backend: Asked, body: AuthorityBackup) -> View:
    passphrase = Secret(body.passphrase.get_secret_value())
    return await authority_backup.backup(
        backend.services, actor=backend.actor, passphrase=passphrase, own=secret(body.own)
    )


@router.post("/restore", status_code=201, summary="Put CAs of a backup, with their keys, back")
@needs(ADMINISTRATOR, confirmed=True)
async def restore_authority(backend: Asked, body: AuthorityRestoration) -> View:
    files = tuple(decoded(file) for file in body.files)
    passphrase = Secret(body.passphrase.get_secret_value())
    return await authority_backup.restore(backend.services, actor=backend.actor, files=files, passphrase=passphrase)


@router.post("/current/renew", status_code=201, summary="A new issuing CA signs, or a new root is introduced")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def renew_authority(backend: Asked, body: AuthorityRenewal) -> View:
    services, actor, passphrase = backend.services, backend.actor, secret(body.passphrase)
    if not (body.root or body.files):
        return await ca_renewal.issuing_authority(services, actor=actor, passphrase=passphrase)
    remember = body.remember_passphrase
    if body.files:
        files = tuple(decoded(file) for file in body.files)
        return await ca_renewal.introduce_files(
            services, actor=actor, files=files, passphrase=passphrase, remember=remember
        )
    return await ca_renewal.introduce(
        services, actor=actor, passphrase=passphrase, remember=remember, key_type=body.key_type, years=body.years
    )


@router.post("/current/continue", summary="What was introduced signs from now on; the old root is replaced")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def continue_renewal(backend: Asked, body: AuthorityProgress) -> View:
    return await ca_renewal.proceed(backend.services, actor=backend.actor, incomplete=body.incomplete)


@router.post("/current/retire", summary="The replaced root is trusted no more")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def retire_authority(backend: Asked) -> View:
    return await ca_renewal.retire(backend.services, actor=backend.actor)


@router.post("/current/back", summary="One step of the change of CAs is taken back")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def step_back(backend: Asked) -> View:
    return await ca_renewal.step_back(backend.services, actor=backend.actor)


@router.post("/current/follow", status_code=202, summary="Devices follow the change of CAs; the task, or null")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def follow_authority(backend: Asked, body: Continuation) -> dict[str, int | None]:
    await open_key(backend, secret(body.passphrase), required=False)
    return {"task": await succession.follow(backend.services, backend.engine, actor=backend.actor)}
