"""The whole system in one encrypted file, while it works; and back into an empty data directory.

In it: every row of the database, the key files of CAs, `signer.key`, `secrets.key` and the settings file. Not in it:
`jobs.db`, which is disposable, and files that settings name. docs/procedures/backup-and-restore.md is the procedure.
"""

import asyncio
import base64
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from fleetseal import __version__
from fleetseal.core import config
from fleetseal.core.archive import MAGIC, Writer
from fleetseal.core.errors import Conflict, InvalidInput, StoreError
from fleetseal.core.secrets import Secret, private_file
from fleetseal.core.text import timestamp
from fleetseal.operations.services import Services
from fleetseal.store import audit, copy, inventory
from fleetseal.store.database import Transaction

KEY_FILES: Final = ("secrets.key", "signer.key", config.FILE_NAME)
"""Beside the files of `ca/`."""


async def backup(services: Services, *, actor: str, path: Path, passphrase: Secret) -> dict[str, Any]:
    """`path` is a backup of everything as it is now, for this user alone: `{"file","bytes","devices","message"}`.
    Work goes on meanwhile. Audited before anything leaves.

    Raises InvalidInput without a passphrase or an absolute path, Conflict when `path` is something else than a backup,
    StoreError when it cannot be written; what was at `path` is there as before then.
    """
    if not passphrase.reveal():
        raise InvalidInput("A backup is sealed by a passphrase: give one (--passphrase-file).")
    _check_target(path)
    now = services.clock.now()
    async with services.vault.ceremony:  # no CA is half made
        async with services.database.transaction() as tx:
            await audit.record(tx, now=now, actor=actor, action="backup", object=path.name, detail={"file": str(path)})
        async with services.database.reading() as tx:
            devices = await inventory.number(tx)
            with private_file(path) as file:
                writer = await asyncio.to_thread(Writer, file, passphrase, services.rng)
                await _write(services, tx, writer)
                size = file.tell()
    return {
        "file": str(path),
        "bytes": size,
        "devices": devices,
        "message": f"The backup, with every key, is in {path} ({size} bytes; devices: {devices}). Keep it and its "
        "passphrase apart: together they are the whole system. Restore it into an empty data directory: "
        "fleetseal restore FILE.",
    }


async def _write(services: Services, tx: Transaction, writer: Writer) -> None:
    """The rows are of one moment; key files are never changed after they are named by a row."""
    made = timestamp(services.clock.now())
    writer.line({"fleetseal": __version__, "made": made, "schema": await copy.revision(tx)})
    for name, content in await asyncio.to_thread(_files, services.data):
        writer.line({"file": name, "content": base64.b64encode(content).decode()})
    async with aclosing(copy.dump(tx)) as batches:
        async for table, columns, rows in batches:
            await asyncio.to_thread(_write_batch, writer, table, columns, rows)
    writer.line({"end": True})
    await asyncio.to_thread(writer.finish)


def _write_batch(writer: Writer, table: str, columns: Any, rows: list[list[Any]]) -> None:
    writer.line({"table": table, "columns": list(columns), "rows": len(rows)})
    for row in rows:
        writer.line(row)


def _files(data: Path) -> list[tuple[str, bytes]]:
    """The names, relative to the data directory, and contents of the files that belong to a backup."""
    found = [data / name for name in KEY_FILES]
    found += sorted(path for path in (data / "ca").glob("*") if path.suffix in (".key", ".passphrase"))
    try:
        return [(path.relative_to(data).as_posix(), path.read_bytes()) for path in found if path.exists()]
    except OSError as error:
        raise StoreError(f"A key file cannot be read: {error.strerror}. No backup was made.") from error


def _check_target(path: Path) -> None:
    if not path.is_absolute():
        raise InvalidInput("The path of the backup must be absolute.")
    if not path.parent.is_dir():
        raise InvalidInput(f"The directory {path.parent} does not exist. No backup was made.")
    try:
        if path.is_dir() or (path.exists() and not _is_backup(path)):
            raise Conflict(f"{path} is there already and is no backup: it is not replaced. Name another file.")
    except OSError as error:
        raise StoreError(f"The file {path} cannot be read: {error.strerror}. No backup was made.") from error


def _is_backup(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
