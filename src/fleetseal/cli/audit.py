"""`fleetseal audit`."""

import csv
import io
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Names, noun
from fleetseal.core.errors import InvalidInput
from fleetseal.core.text import escaped

app = noun("audit", "The audit log: who did what. List, verify and export it.")

_PAGE = 1000
"""Records in memory at a time."""

_COLUMNS = ("number", "at", "actor", "action", "object", "detail", "previous", "hash")

Chosen = Annotated[
    Names,
    Parameter(
        name="--filter",
        help="Records that match: words are substrings, column:value restricts; the columns are number, at, actor, "
        "action, object and detail. May be given several times; all must match.",
    ),
]


@app.command(name="list")
async def list_(
    *,
    filters: Chosen = (),
    since: str | None = None,
    until: str | None = None,
    limit: int = 100,
    common: Common = NO_OPTIONS,
) -> int:
    """List records, the newest first.

    Parameters
    ----------
    since
        A date, or a date and time such as 2026-11-23T08:00Z. UTC, unless it says otherwise.
    until
        As --since; a date is the whole day.
    limit
        How many at most, up to 1000. All of them: audit export.
    """
    async with connected(common) as client:
        records = (await client.get("audit", query=_query(filters, since, until, limit=limit)))["items"]
        await tell_suspended(client)
    if common.json:
        output.as_json(records)
    elif not records:
        output.say("There is no such record.")
    else:
        output.table(
            ("Number", "At", "Actor", "Action", "Object", "Detail"),
            [
                (one["number"], f"{one['at'][:19]}Z", one["actor"], one["action"], one["object"], _told(one["detail"]))
                for one in records
            ],
        )
    return DONE


@app.command
async def verify(*, anchors: Path | None = None, common: Common = NO_OPTIONS) -> int:
    """Check that every record is as it was written, in order and without a gap. If not: exit code 1, and the first
    record that is not.

    Parameters
    ----------
    anchors
        A file with anchors: one of audit.anchor-file, or a log that took its lines. They show that no record was cut
        off at the end. Without it: the file of audit.anchor-file, if that is set.
    """
    text = None if anchors is None else ask.contents(anchors).decode("utf-8", "replace")
    async with connected(common) as client:
        verdict = await client.post("audit", "verification", body={"anchors": text})
        await tell_suspended(client)
    if common.json:
        output.as_json(verdict)
    else:
        output.say(verdict["message"])
    return DONE if verdict["ok"] else FAILED


@app.command
async def export(
    *,
    target: Annotated[Path | None, Parameter(name="--output")] = None,
    form: Annotated[Literal["jsonl", "csv"], Parameter(name="--format")] = "jsonl",
    filters: Chosen = (),
    since: str | None = None,
    until: str | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Write the records, the oldest first, with their hashes.

    In CSV, a cell that a spreadsheet would take for a formula has an apostrophe before it.

    Parameters
    ----------
    target
        File to write; one that exists is not overwritten. Without it: standard output.
    form
        jsonl (one JSON object a line) or csv.
    since
        A date, or a date and time such as 2026-11-23T08:00Z. UTC, unless it says otherwise.
    until
        As --since; a date is the whole day.
    """
    if common.json and target is None:
        raise InvalidInput("With --json, say where the records go: --output FILE.")
    count = 0
    async with connected(common) as client:
        pages = _pages(client, _query(filters, since, until))
        page = await anext(pages)  # what is refused leaves no file
        with nullcontext(sys.stdout) if target is None else ask.created(target) as file:
            if form == "csv":
                file.write(_csv_line(_COLUMNS))
            while page:
                file.writelines(map(_csv_record if form == "csv" else _json_line, page))
                count += len(page)
                page = await anext(pages, [])
        await tell_suspended(client)
    if target is not None:
        if common.json:
            output.as_json({"file": str(target), "records": count})
        else:
            output.say(f"{count} {'record is' if count == 1 else 'records are'} in {target}.")
    return DONE


async def _pages(client: Client, query: Mapping[str, str | list[str]]) -> AsyncIterator[list[dict[str, Any]]]:
    """The records in order, some at a time; at least one page, which may be empty."""
    after = 0
    while True:
        page = await client.get("audit", "export", query={**query, "after": str(after), "limit": str(_PAGE)})
        yield page
        if len(page) < _PAGE:
            return
        after = page[-1]["number"]


def _query(
    filters: tuple[str, ...], since: str | None, until: str | None, *, limit: int | None = None
) -> dict[str, str | list[str]]:
    given = {"since": since, "until": until, "limit": None if limit is None else str(limit)}
    return {"filter": list(filters)} | {name: value for name, value in given.items() if value is not None}


def _told(detail: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {_value(value)}" for name, value in detail.items() if value not in (None, "", []))


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _json_line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=True) + "\n"


def _csv_record(record: dict[str, Any]) -> str:
    detail = json.dumps(record["detail"], ensure_ascii=False)
    return _csv_line([escaped(str(value)) for value in {**record, "detail": detail}.values()])


def _csv_line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
