"""Backups of the whole system. They are restored without a server: there is nothing to serve before."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter

from fleetseal.core.secrets import Secret
from fleetseal.operations import backup
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import BackupRequest

router = APIRouter(prefix="/backups", tags=["backups"])


@router.post("", status_code=201, summary="Write the whole system, with every key, into one encrypted file")
async def make_backup(backend: Asked, body: BackupRequest) -> dict[str, Any]:
    passphrase = Secret(body.passphrase.get_secret_value())
    return await backup.backup(backend.services, actor=backend.actor, path=Path(body.file), passphrase=passphrase)
