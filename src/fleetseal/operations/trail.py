"""The audit log as people read, verify and export it. Writing it is the duty of each use case."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import mac_of, serial_of
from fleetseal.operations import anchors, places
from fleetseal.operations.listing import words
from fleetseal.operations.services import Services
from fleetseal.operations.settings import current
from fleetseal.store import audit
from fleetseal.store.audit import Broken, Fault, Record, Verdict
from fleetseal.store.device_pages import Place

Row = dict[str, Any]

COLUMNS: Final = ("number", "at", "actor", "action", "object", "detail")
MOST: Final = 1000
"""Records in one answer."""


@dataclass(frozen=True)
class Wanted:
    """Which records: words as in `device list`, and a span of time, both ends included."""

    filters: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None


async def page(services: Services, wanted: Wanted, *, after: str | None = None, limit: int = 100) -> Row:
    """`{"items","next","total"}` of records, newest first.

    `next` is where the next page begins, null after the last; `total` how many records there were for the first page,
    null where not all are wanted. Each record: `{"number","at","actor","action","object","detail","previous","hash"}`,
    `at` as it was hashed. Raises InvalidInput for a limit, a filter, a time or a place that is none, StoreError for a
    record that cannot be read.
    """
    _check(limit)
    name = places.name_of_list("audit", wanted.since, wanted.until, *wanted.filters)
    place, total = (None, 0) if after is None else places.read(after, name)
    async with services.database.reading() as tx:
        found = await _some(audit.newest(tx, before=None if place is None else place.id), wanted, limit + 1)
        if place is None:
            total = max([one["number"] for one in await _some(audit.newest(tx), Wanted(), 1)], default=0)
    items = found[:limit]
    following = places.write(Place(b"", items[-1]["number"]), total, name) if len(found) > limit else None
    return {"items": items, "next": following, "total": total if wanted == Wanted() else None}


async def oldest(services: Services, wanted: Wanted, *, after: int = 0, limit: int = MOST) -> list[Row]:
    """Records as in `page`, the other way round: at most `limit` with larger numbers than `after`, oldest first."""
    _check(limit)
    async with services.database.reading() as tx:
        return await _some(audit.oldest(tx, after=after), wanted, limit)


async def verify(services: Services, *, anchored: str | None = None) -> Row:
    """Whether every record is as it was written: `{"ok","records","anchors","fault","first","last","message"}`.

    `anchored` is the text of a file of anchors; without it that of `audit.anchor-file` is read, if one is set.
    `records` and `anchors` say how many are whole and confirmed; `first` and `last` where the first fault is. Raises
    InvalidInput when `anchored` holds no anchor.
    """
    text, silent = (anchored, None) if anchored is not None else await _configured(services)
    async with services.database.reading() as tx:
        first = await audit.first_hash(tx)
        found = anchors.find(text or "", None if first is None else anchors.name_of(first))
        if anchored is not None and not (found.anchors or found.others):
            raise InvalidInput("There is no anchor in the file. Nothing was compared.")
        verdict = await audit.verify(tx, found.anchors)
    return _shown(verdict, silent or _foreign(found))


async def _configured(services: Services) -> tuple[str | None, str | None]:
    """The text of `audit.anchor-file`, or why there is none although one is kept."""
    async with services.database.reading() as tx:
        settings = await current(services, tx)
    file = settings.audit_anchor_file
    if not file and settings.audit_anchor_syslog:
        where = f"the anchors are at {settings.audit_anchor_syslog}"
        return None, f"{where}: fetch the file of that log, and give it with --anchors"
    if not file:
        return None, None
    try:
        return await anchors.read(Path(file)), None
    except OSError as error:
        return None, f"the anchors in {file} cannot be read: {error.strerror or 'it does not answer'}"


def _foreign(found: anchors.Found) -> str | None:
    if found.anchors or not found.others:
        return None
    return "the anchors are those of another log: this one began anew, or the file is of another installation"


def _shown(verdict: Verdict, unproved: str | None) -> Row:
    """`unproved`: why anchors that there should be confirm nothing."""
    broken = verdict.broken
    return {
        "ok": broken is None and unproved is None,
        "records": verdict.records,
        "anchors": verdict.anchors,
        "fault": None if broken is None else broken.fault.value,
        "first": None if broken is None else broken.number,
        "last": None if broken is None else broken.last,
        "message": _whole(verdict, unproved) if broken is None else _sentence(broken),
    }


def _whole(verdict: Verdict, unproved: str | None) -> str:
    whole = f"{_counted(verdict.records, 'record')} whole, in order and without a gap"
    if unproved is not None:
        return f"{whole}; but {unproved}. That none was cut off at the end is not proved."
    if verdict.anchors:
        return f"{whole}; {_counted(verdict.anchors, 'anchor')} confirmed."
    return f"{whole}. That none was cut off at the end is not proved: there is no anchor. See audit.anchor-file."


def _counted(number: int, noun: str) -> str:
    return f"1 {noun} is" if number == 1 else f"{number:,} {noun}s are"


def _sentence(broken: Broken) -> str:
    """Which record is the first that is not as it was written, and what that means."""
    number, last = broken.number, broken.last
    span = f"Record {number} is" if number == last else f"Records {number} to {last} are"
    return {
        Fault.UNREADABLE: f"{span} unreadable: somebody changed it, or the disk damaged it.",
        Fault.CHANGED: f"{span} not what was written: its content does not have its hash. Somebody changed it.",
        Fault.UNLINKED: f"{span} out of its place: it does not hold the hash of the record before. It was put there or "
        "moved, or the record before was exchanged.",
        Fault.MISSING: f"{span} missing: somebody deleted what was there.",
        Fault.REWRITTEN: f"{span} not what was anchored: at least one of them was written anew, with all hashes after "
        "it.",
        Fault.CUT_OFF: f"{span} missing at the end: an anchor knows them. Somebody cut the log off, or an older copy "
        "of the database was put back.",
    }[broken.fault] + " What comes after proves nothing."


def _check(limit: int) -> None:
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"The limit is a whole number from 1 to {MOST}.")


async def _some(entries: AsyncIterator[Record], wanted: Wanted, limit: int) -> list[Row]:
    passes, rows = _compiled(wanted), []
    async for entry in entries:
        if passes(entry):
            rows.append(_row(entry))
            if len(rows) == limit:
                break
    return rows


def _row(entry: Record) -> Row:
    return {
        "number": entry.number,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": entry.detail,
        "previous": entry.previous,
        "hash": entry.hash,
    }


# ---------------------------------------------------------------- which records


def _compiled(wanted: Wanted) -> Callable[[Record], bool]:
    since = None if wanted.since is None else _moment(wanted.since, end=False)
    until = None if wanted.until is None else _moment(wanted.until, end=True)
    tests = [_word_test(word) for text in wanted.filters for word in words(text)]

    def passes(entry: Record) -> bool:
        if (since is not None and entry.at < since) or (until is not None and entry.at > until):
            return False
        texts = _texts(entry)
        return all(test(texts) for test in tests)

    return passes


def _moment(text: str, *, end: bool) -> datetime:
    """A date, which is the whole day, or a date and time; UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no time. Write a date such as 2026-11-23, or a date and time such as 2026-11-23T08:00Z."
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if end and len(text.strip()) <= len("2026-11-23"):
        moment = datetime.combine(moment.date(), time.max, tzinfo=UTC)
    return moment


def _texts(entry: Record) -> dict[str, str]:
    detail = json.dumps(entry.detail, ensure_ascii=False)
    texts = (str(entry.number), entry.at.isoformat(), entry.actor, entry.action, entry.object, detail)
    return {column: text.casefold() for column, text in zip(COLUMNS, texts, strict=True)}


def _word_test(word: str) -> Callable[[dict[str, str]], bool]:
    column, colon, value = word.partition(":")
    if colon and column.lower() in COLUMNS:
        return lambda texts: value.casefold() in texts[column.lower()]
    serial = serial_of(word)  # details have serials, objects the spelling with colons
    spellings = {word.casefold()} | ({serial.casefold(), mac_of(serial).casefold()} if serial else set())
    return lambda texts: any(one in text for one in spellings for text in texts.values())
