"""The files of `device import` and `device export`: CSV or JSON, one device a row. No I/O.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, and read without it
(INP-UNTRUSTED-TEXT).
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fleetseal.core.errors import InvalidInput
from fleetseal.core.text import FORMULA, clean, escaped

READ: Final = (
    "address",
    "http_port",
    "https_port",
    "hostname",
    "mac",
    "username",
    "password",
    "site",
    "tags",
    "tls",
)
"""What an import takes from a row. `tags` are separated by commas; in JSON they are an array."""

SHOWN: Final = ("announced_name", "model", "product_type", "firmware", "status", "https", "trust", "valid_until")
"""What an export tells besides; an import reads over it. `announced_name` is the host name that the device tells: no
person typed it, so that no import makes it a typed one."""

WRITTEN: Final = (*(name for name in READ if name != "password"), *SHOWN)


@dataclass(frozen=True)
class Entry:
    """One row: its number as a spreadsheet shows it (in JSON: the position, from 1), and what it says as text."""

    row: int
    cells: Mapping[str, str] = field(repr=False)  # may hold a password
    problem: str | None = None


def read(text: str, form: str) -> list[Entry]:
    """The rows of a file in the form `csv` or `json`. Empty cells are absent, empty rows left out.

    Raises InvalidInput when the file as a whole cannot be read; what is wrong in one row is its `problem`.
    """
    return _read_csv(text) if form == "csv" else _read_json(text)


def write(rows: Iterable[Mapping[str, Any]], form: str) -> str:
    """Rows with the members `WRITTEN`, as a file that `read` takes."""
    if form == "json":
        return json.dumps([{name: row[name] for name in WRITTEN} for row in rows], ensure_ascii=False, indent=2) + "\n"
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(WRITTEN)
    writer.writerows([escaped(_text(row[name])) for name in WRITTEN] for row in rows)
    return written.getvalue()


def _read_csv(text: str) -> list[Entry]:
    text = text.removeprefix("\N{BYTE ORDER MARK}")
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidInput(f"The file is not CSV: {clean(str(error))}. Nothing was imported.") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    _check_names(names)
    return [_from_csv(number, names, row) for number, row in enumerate(rows[1:], 2) if any(map(str.strip, row))]


def _from_csv(number: int, names: Sequence[str], row: Sequence[str]) -> Entry:
    if any(map(str.strip, row[len(names) :])):
        return Entry(number, {}, f"It has {len(row)} cells under {len(names)} headings.")
    cells = {name: cell if name == "password" else _plain(cell) for name, cell in zip(names, row, strict=False)}
    return Entry(number, {name: cell for name, cell in cells.items() if cell and name in READ})


def _read_json(text: str) -> list[Entry]:
    try:
        rows = json.loads(text.removeprefix("\N{BYTE ORDER MARK}"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The file is not JSON. Nothing was imported.") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput("The file is no JSON array of objects, one for each device. Nothing was imported.")
    if rows:
        _check_names(list(dict.fromkeys(name for row in rows for name in row)))
    return [_from_json(number, row) for number, row in enumerate(rows, 1)]


def _from_json(number: int, row: Mapping[str, Any]) -> Entry:
    cells = {}
    for name in READ:
        value = row.get(name)
        tags = name == "tags" and isinstance(value, list) and all(isinstance(tag, str) for tag in value)
        port = name in ("http_port", "https_port") and isinstance(value, int) and not isinstance(value, bool)
        if not (value is None or isinstance(value, str) or tags or port):
            return Entry(number, {}, f'"{name}" is of the wrong type.')
        text = _text(value)
        if text:
            cells[name] = text if name == "password" else text.strip()
    return Entry(number, cells)


def _check_names(names: Sequence[str]) -> None:
    unknown = [clean(name, limit=40) for name in names if name not in (*READ, *SHOWN)]
    if "address" not in names:
        raise InvalidInput(f"No column is called address. Columns may be: {', '.join(READ)}. Nothing was imported.")
    if unknown:
        raise InvalidInput(
            f"Nobody knows the columns: {', '.join(unknown[:10])}. Allowed: {', '.join(READ)}. Nothing was imported."
        )
    if len(set(names)) < len(names):
        raise InvalidInput("Two columns have one name. Nothing was imported.")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
