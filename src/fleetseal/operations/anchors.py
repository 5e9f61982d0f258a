"""Anchors of the audit log: its newest number and hash, kept where who changes the log cannot change them too.

An anchor is one line of text, so that a file, or any log that takes lines, can hold it. `fleetseal audit verify`
compares them with the log.
"""

import logging
import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from fleetseal.core.errors import StoreError
from fleetseal.core.runtime import Aside
from fleetseal.core.text import timestamp
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.store import alarms, audit

CAUSE: Final = "audit-anchor-failed"
_OBJECT: Final = "audit log"
EVERY: Final = 3600.0  # seconds
_LINE: Final = re.compile(
    r"fleetseal audit anchor at=\S{1,40} log=([0-9a-f]{16}) number=([1-9]\d{0,17}) sha256=([0-9a-f]{64})(?![0-9a-f])"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """The anchors in a text: hashes by number, of this log; and how many there are of others."""

    anchors: dict[int, set[str]]
    others: int


def find(text: str, log: str | None) -> Found:
    """Every anchor in `text`, wherever in a line; lines without one are passed over. `log` is what `name_of` gives;
    where it is None, because the log is empty, every anchor counts as its own."""
    anchors: dict[int, set[str]] = {}
    others = 0
    for match in _LINE.finditer(text):
        if log is not None and match[1] != log:
            others += 1
        else:
            anchors.setdefault(int(match[2]), set()).add(match[3])
    return Found(anchors, others)


def name_of(first_hash: str) -> str:
    """What anchors call a log: the beginning of the hash of its first record."""
    return first_hash[:16]


async def drop(services: Services, aside: Aside) -> None:
    """The newest record is anchored in `audit.anchor-file`, if one is set and there is a record.

    A file that cannot be written is an open alarm, closed by the next anchor that can; nothing else is held up by
    it. Raises StoreError when the database does not answer.
    """
    async with services.database.reading() as tx:
        file = (await current(services, tx)).audit_anchor_file
        head, first = await audit.head(tx), await audit.first_hash(tx)
    if not file:
        await _tell(services, None)
        return
    if head is None or first is None:
        return
    at = timestamp(services.clock.now())
    line = f"fleetseal audit anchor at={at} log={name_of(first)} number={head[0]} sha256={head[1]}\n"
    try:
        await aside.do(partial(append, Path(file), line))
    except OSError as error:
        reason = error.strerror or "it does not answer"
        await _tell(services, f"The audit log cannot be anchored in {file}: {reason}. Work goes on without.")
    else:
        await _tell(services, None)


async def hourly(services: Services) -> None:
    """Anchors now and every hour, until cancelled."""
    aside = Aside()
    while True:
        try:
            await drop(services, aside)
        except StoreError as error:
            _log.warning("The audit log was not anchored: %s", error.message)
        await services.clock.sleep(EVERY)


async def read(file: Path) -> str:
    """The text of a file of anchors. Raises OSError, also when it does not answer."""
    return await Aside().do(partial(file.read_text, encoding="utf-8", errors="replace"))


def append(file: Path, line: str) -> None:
    """`line` is the last line of `file`, durably; what was there stays. A line that an earlier process left unfinished
    is ended first. The folder is not made: the disk it is on may be missing. Raises OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as opened:
        content = line.encode("ascii")
        if opened.seek(0, os.SEEK_END) > 0:
            opened.seek(-1, os.SEEK_END)
            content = content if opened.read(1) == b"\n" else b"\n" + content
        if opened.write(content) != len(content):
            raise OSError(0, "the disk is full")
        os.fsync(opened.fileno())


async def _tell(services: Services, problem: str | None) -> None:
    """The alarm is open with this message; without one it is closed. Writes only what changes."""
    async with services.database.reading() as tx:
        told = {one.message for one in await alarms.open_alarms(tx) if one.cause == CAUSE}
    if told == ({problem} if problem else set()):
        return
    now = services.clock.now()
    async with services.database.transaction() as tx:
        if problem is None:
            await alarms.close_alarm(tx, now=now, cause=CAUSE, object=_OBJECT)
        else:
            await alarms.raise_alarm(tx, now=now, cause=CAUSE, object=_OBJECT, severity="critical", message=problem)
