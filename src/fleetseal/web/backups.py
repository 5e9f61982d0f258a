"""Backups of the whole system. They are restored without a server: there is nothing to serve before."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from fleetseal.core.secrets import Secret
from fleetseal.operations import backup
from fleetseal.web.auth import ADMINISTRATOR, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.schemas import BackupDownload, BackupRequest

router = APIRouter(prefix="/backups", tags=["backups"], route_class=Guarded)

_PIECE: Final = 1 << 20  # bytes


@router.post("", status_code=201, summary="Write the whole system, with every key, into one encrypted file")
@needs(ADMINISTRATOR, confirmed=True, tokens=True)
async def make_backup(backend: Asked, body: BackupRequest) -> dict[str, Any]:
    passphrase = Secret(body.passphrase.get_secret_value())
    return await backup.backup(backend.services, actor=backend.actor, path=Path(body.file), passphrase=passphrase)


@router.post(
    "/download",
    summary="The whole system, with every key, as one encrypted file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
@needs(ADMINISTRATOR, confirmed=True)  # with every CA key, under a passphrase of whoever asks: for people only
async def download_backup(backend: Asked, body: BackupDownload) -> StreamingResponse:
    passphrase = Secret(body.passphrase.get_secret_value())
    file = await backup.download(backend.services, actor=backend.actor, passphrase=passphrase)
    name = f"fleetseal-{backend.services.clock.now():%Y-%m-%d}.backup"
    return StreamingResponse(
        _pieces(file),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
