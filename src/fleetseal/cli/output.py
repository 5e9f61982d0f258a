"""What people and programs read: tables and sentences, or one JSON document.

Text from devices reaches the terminal through `core.text.clean` only, never as markup.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any, TextIO

from fleetseal.core.text import clean

_WIDE = 10_000  # columns, where no terminal wraps
_LONGEST = 2000


def as_json(document: Any) -> None:
    """The one document of `--json`."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def line(text: str) -> str:
    """One line that is safe on a terminal."""
    return clean(text, limit=_LONGEST)


def say(sentence: str) -> None:
    """A sentence on standard output; on a terminal, lines break between words."""
    text = line(sentence)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
    print(text)


def tell(sentence: str) -> None:
    """A diagnostic: on standard error."""
    print(line(sentence), file=sys.stderr)


@contextmanager
def silenced() -> Iterator[None]:
    """What commands print inside the block is not shown."""
    with redirect_stdout(StringIO()):
        yield


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, stream: TextIO | None = None) -> None:
    """Rows under headings. Nothing is cut off: long cells go on below, addresses and MACs stay whole."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = stream or sys.stdout
    terminal = stream.isatty()
    console = Console(file=stream, width=None if terminal else _WIDE, highlight=False, markup=False, emoji=False)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    content = [[_cell(value) for value in row] for row in rows]
    for position, heading in enumerate(headings):
        whole = max((len(row[position]) for row in content), default=0)
        kept = heading in _WHOLE
        shown.add_column(heading, overflow="fold", no_wrap=kept, min_width=whole if kept else None, header_style="bold")
    for row in content:
        shown.add_row(*(Text(cell) for cell in row))
    console.print(shown)


def listed(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_document: bool, empty: str) -> None:
    """Rows as they were answered: the document of `--json`, or a table of these members under their headings, or,
    where there are none, the sentence `empty`."""
    if as_document:
        as_json(rows)
    elif rows:
        table(tuple(columns), [[row[member] for member in columns.values()] for row in rows])
    else:
        say(empty)


_WHOLE = frozenset({"MAC Address", "Address", "Id", "Status"})


def facts(pairs: Mapping[str, Any]) -> None:
    """One `name: value` a line; members without a value are left out."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        if value not in (None, "", [], ()):
            print(f"{name + ':':<{width + 1}} {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(one) for one in value)
    return line(str(value))
