"""Anchors of the audit log: its newest number and hash, kept where who changes the log cannot change them too.

An anchor is one line of text, so that a file, or any log that takes lines, can hold it: `audit.anchor-file`,
`audit.anchor-syslog`. `fleetseal audit verify` compares them with the log.
"""

import logging
import os
import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from fleetseal.core import destinations
from fleetseal.core.errors import DeliveryFailed, StoreError
from fleetseal.core.runtime import Aside
from fleetseal.core.text import timestamp
from fleetseal.notify.notice import Item, Notice
from fleetseal.operations import alarm_pass
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.store import audit

CAUSE: Final = "audit-anchor-failed"
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
    """The newest record, if there is one, is anchored in `audit.anchor-file` and `audit.anchor-syslog`, where set.

    A file that cannot be written, or a log server that does not take it, is an open alarm, closed by the next anchor
    that can; nothing else is held up by it. Raises StoreError when the database does not answer.
    """
    async with services.database.reading() as tx:
        settings = await current(services, tx)
        head, first = await audit.head(tx), await audit.first_hash(tx)
    file, syslog = settings.audit_anchor_file, settings.audit_anchor_syslog
    if (file or syslog) and (head is None or first is None):
        return
    problems: dict[str, str] = {}  # by the setting
    if head is not None and first is not None:
        at = services.clock.now()
        line = f"fleetseal audit anchor at={timestamp(at)} log={name_of(first)} number={head[0]} sha256={head[1]}"
        if file and (problem := await _written(aside, Path(file), line)):
            problems["audit.anchor-file"] = f"The audit log cannot be anchored in {file}: {problem}."
        if syslog and (problem := await _sent(services, syslog, line, number=head[0], at=at)):
            problems["audit.anchor-syslog"] = f"The audit log cannot be anchored at {syslog}: {problem}"
    wanted = {
        (CAUSE, setting): alarm_pass.Condition("critical", f"{problem} Work goes on without.")
        for setting, problem in problems.items()
    }
    await alarm_pass.settle(services, (CAUSE,), wanted)


async def _written(aside: Aside, file: Path, line: str) -> str | None:
    """Why the line could not be added to the file."""
    try:
        await aside.do(partial(append, file, f"{line}\n"))
    except OSError as error:
        return error.strerror or "it does not answer"
    return None


async def _sent(services: Services, target: str, line: str, *, number: int, at: datetime) -> str | None:
    """Why the log server was not told the line."""
    item = Item.of(0, about="audit log", severity="information", message=line, since=at)
    notice = Notice(f"fleetseal-anchor-{number}", "anchor", "audit-anchor", at, 1, (item,))
    try:
        await services.send(destinations.syslog(target), notice, None)
    except DeliveryFailed as error:
        return error.message
    return None


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
