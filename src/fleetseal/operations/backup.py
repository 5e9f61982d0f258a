"""The whole system in one encrypted file, while it works; and back into an empty data directory.

In it: every row of the database, the key files of CAs, `signer.key`, `secrets.key` and the settings file. Not in it:
`jobs.db`, which is disposable, and files that settings name. docs/procedures/backup-and-restore.md is the procedure.
"""

import asyncio
import base64
import tempfile
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any, BinaryIO, Final

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
    _require(passphrase)
    _check_target(path)
    async with services.vault.ceremony:  # no CA is half made
        await _recorded(services, actor, path.name, {"file": str(path)})
        with private_file(path) as file:
            devices = await _fill(services, file, passphrase)
            size = file.tell()
    return {
        "file": str(path),
        "bytes": size,
        "devices": devices,
        "message": f"The backup, with every key, is in {path} ({size} bytes; devices: {devices}). Keep it and its "
        "passphrase apart: together they are the whole system. Restore it into an empty data directory: "
        "fleetseal restore FILE.",
    }


async def download(services: Services, *, actor: str, passphrase: Secret) -> BinaryIO:
    """A backup as `backup` makes it, to be read from its beginning: a file without a name, which is gone when the
    caller closes it. Audited before anything leaves.

    Raises InvalidInput without a passphrase, StoreError when the data directory has no room for it.
    """
    _require(passphrase)
    with ExitStack() as undone:
        try:
            file: BinaryIO = undone.enter_context(tempfile.TemporaryFile(dir=services.data))
            async with services.vault.ceremony:
                await _recorded(services, actor, "download", {})
                await _fill(services, file, passphrase)
            file.seek(0)
        except OSError as error:
            reason = f"The backup cannot be prepared in the data directory: {error.strerror}. No backup was made."
            raise StoreError(reason) from error
        undone.pop_all()
    return file


def _require(passphrase: Secret) -> None:
    if not passphrase.reveal():
        raise InvalidInput("A backup is sealed by a passphrase: give one (--passphrase-file).")


async def _recorded(services: Services, actor: str, object: str, detail: dict[str, Any]) -> None:  # noqa: A002 - the log's word
    async with services.database.transaction() as tx:
        await audit.record(tx, now=services.clock.now(), actor=actor, action="backup", object=object, detail=detail)


async def _fill(services: Services, file: BinaryIO, passphrase: Secret) -> int:
    """Everything as it is now is in `file`; how many devices that is."""
    async with services.database.reading() as tx:
        devices = await inventory.number(tx)
        writer = await asyncio.to_thread(Writer, file, passphrase, services.rng)
        await _write(services, tx, writer)
    return devices


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
