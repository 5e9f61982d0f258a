"""A backup back into an empty data directory.

Everything is put together in `DATA/.restoring` and moved from there when the last chunk of the file has proved whole,
the database last. While that directory exists nothing else opens the data directory; a restore that was interrupted
is simply repeated.
"""

import base64
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from fleetseal.core import archive
from fleetseal.core.errors import Conflict, InvalidInput, StoreError
from fleetseal.core.runtime import Clock
from fleetseal.core.secrets import Secret, sync_directory, write_private
from fleetseal.core.text import timestamp
from fleetseal.operations import issuing
from fleetseal.operations.backup import KEY_FILES
from fleetseal.store import audit, authorities, certificates, copy, crls, inventory, positions, tasks
from fleetseal.store.database import Database, Transaction

UNFINISHED: Final = ".restoring"
_DATABASE: Final = "fleetseal.db"
_OF_THE_OWNER: Final = frozenset({"lock", "fleetseal.sock", "fleetseal.port"})
_PARTS: Final = frozenset({*KEY_FILES, "ca", _DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm"})
_CA_FILE: Final = re.compile(r"ca/[0-9a-f]{32}\.(key|passphrase)")
_DAMAGED: Final = "The backup is not complete or not in order. Take another copy. Nothing was changed."


@dataclass(frozen=True)
class _Head:
    version: str
    made: datetime
    schema: str


async def restore(data: Path, source: Path, passphrase: Secret, *, clock: Clock, actor: str) -> dict[str, Any]:
    """`data`, which the caller owns, holds what the backup `source` holds, in the newest schema:
    `{"made","version","devices","certificates","ended","message"}`.

    Jobs that were at work when the backup was made are ended, for what became of them is not in it, and every device
    is looked at in full at the next contact. Raises Conflict when `data` is not empty, Locked when the passphrase is
    wrong, InvalidInput when `source` is damaged or no backup, StoreError when storage refuses; `data` is as it was
    before then.
    """
    try:
        with source.open("rb") as file:
            _require_empty(data)
            _clear(data)
            (data / UNFINISHED).mkdir(mode=0o700)
            try:
                return await _restore(data, file, passphrase, clock=clock, actor=actor)
            except BaseException:
                _clear(data)
                raise
    except OSError as error:
        raise StoreError(f"{error.filename or source}: {error.strerror}. Nothing was restored.") from error


async def _restore(data: Path, file: BinaryIO, passphrase: Secret, *, clock: Clock, actor: str) -> dict[str, Any]:
    draft, values = data / UNFINISHED, archive.lines(file, passphrase)
    try:
        head = _head(next(values, None))
        database = await copy.open_empty(draft / _DATABASE, head.schema)
        try:
            async with database.transaction() as tx:
                await _fill(draft, tx, values)
        finally:
            await database.close()
    except (KeyError, TypeError, ValueError) as error:  # sealed by the passphrase, and yet not as it is written
        raise InvalidInput(_DAMAGED) from error
    database = await Database.open(draft / _DATABASE)
    try:
        async with database.transaction() as tx:
            told = await _settle(tx, head, now=clock.now(), actor=actor)
    finally:
        await database.close()
    _move(draft, data)
    return told


async def _fill(draft: Path, tx: Transaction, values: Iterator[Any]) -> None:
    """Files and rows, to the end of the archive. Raises InvalidInput when something is missing or unknown."""
    loader, ended = await copy.Loader.begin(tx), False
    for value in values:
        if ended:
            raise InvalidInput(_DAMAGED)
        match value:
            case {"file": str(name), "content": str(content)} if name in KEY_FILES or _CA_FILE.fullmatch(name):
                write_private(draft / name, base64.b64decode(content, validate=True))
            case {"table": str(table), "columns": [*columns], "rows": int(count)}:
                rows = list(islice(values, count))
                if len(rows) != count:
                    raise InvalidInput(_DAMAGED)
                await loader.add((table, columns, rows))
            case {"end": True}:
                ended = True
            case _:
                raise InvalidInput(_DAMAGED)
    if not ended or not (draft / "secrets.key").exists():
        raise InvalidInput(_DAMAGED)


async def _settle(tx: Transaction, head: _Head, *, now: datetime, actor: str) -> dict[str, Any]:
    """What follows from the time between the backup and now, of which there is no record."""
    ended = []
    for job in await tasks.active_jobs(tx):
        await issuing.abandon_job(tx, job.id, reason="It was open when the backup was made.", now=now)
        await copy.end_open_job(tx, job, made=head.made, now=now)
        ended.append({"task": job.task_id, "device": job.device_id, "mac": job.mac, "address": job.address})
    for task in await tasks.unfinished_tasks(tx):
        await tasks.finish_task(tx, task.id, now=now)
    for authority in await authorities.every(tx):
        if authority.key_file is not None:
            await crls.skip_numbers(tx, authority.id, now=now, actor=actor)
    await positions.break_off(tx, now=now)
    devices = await inventory.look_in_full(tx)
    signed = await certificates.number_signed(tx)
    detail = {"made": timestamp(head.made), "version": head.version, "schema": head.schema, "ended": len(ended)}
    await audit.record(tx, now=now, actor=actor, action="restore", object="the whole system", detail=detail)
    return {
        "made": timestamp(head.made),
        "version": head.version,
        "devices": devices,
        "certificates": signed,
        "ended": ended,
        "message": _message(head, devices, signed, len(ended)),
    }


def _message(head: _Head, devices: int, signed: int, ended: int) -> str:
    work = "" if not ended else f" Jobs that were open then and were ended: {ended}. See fleetseal task list."
    return (
        f"Restored as of {timestamp(head.made)} (devices: {devices}, certificates: {signed}).{work} Look at every "
        "device now, so that certificates signed since then come into the records (fleetseal device refresh --all). "
        "Revoke again what was revoked since."
    )


def _head(value: Any) -> _Head:
    version, made, schema = value["fleetseal"], datetime.fromisoformat(value["made"]), value["schema"]
    if not re.fullmatch(r"\d{4}", schema) or made.tzinfo is None:
        raise InvalidInput(_DAMAGED)
    return _Head(version, made, schema)


# ---------------------------------------------------------------- the data directory


def require_finished(data: Path) -> None:
    """Raises Conflict when a restore into `data` was interrupted: it holds a part of the system."""
    if (data / UNFINISHED).exists():
        raise Conflict(f"A restore into {data} was interrupted. Repeat it: fleetseal restore FILE.")


def _require_empty(data: Path) -> None:
    """Raises Conflict when something else than a restore that did not end is there."""
    expected = _OF_THE_OWNER | (_PARTS | {UNFINISHED} if (data / UNFINISHED).exists() else frozenset())
    held = sorted(path.name for path in data.iterdir() if path.name not in expected)
    if held:
        raise Conflict(
            f"The data directory {data} is not empty ({', '.join(held[:5])}): nothing is written over it. Move it "
            "away, or name another with --data. Nothing was changed."
        )


def _clear(data: Path) -> None:
    """What a restore that did not end left is gone, the mark of it last."""
    if not (data / UNFINISHED).exists():
        return
    for path in data.iterdir():
        if path.name in _PARTS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(data / UNFINISHED)


def _move(draft: Path, data: Path) -> None:
    """The parts are in place, durably, the database last; then the mark goes."""
    for part in sorted(draft.iterdir(), key=lambda path: path.name == _DATABASE):
        part.replace(data / part.name)
    sync_directory(data)
    draft.rmdir()
    sync_directory(data)
