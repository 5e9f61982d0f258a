"""How far a task is: a bar on a terminal, otherwise one line per 5 %. On standard error."""

import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_STEP = 5  # percent


class Progress:
    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._row: TaskID | None = None
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, now: dict[str, Any]) -> None:
        """`now`: `total`, `done`, `failed`, `action` and `note`; `of` says what is counted, if not devices, and `pace`
        how fast."""
        if sys.stderr.isatty():
            self._draw(now)
            return
        percent = 100 if now["total"] == 0 else 100 * now["done"] // now["total"]
        if percent >= self._told + _STEP:
            self._told = percent - percent % _STEP
            print(self._text(now), file=sys.stderr, flush=True)

    def close(self) -> None:
        """The terminal is as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, now: dict[str, Any]) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False),
            )
            self._bar = Bar(*columns, console=Console(file=sys.stderr), transient=True)
            self._row = self._bar.add_task("", total=now["total"], note="")
            self._bar.start()
        assert self._row is not None
        failed = f", {now['failed']} failed" if now["failed"] else ""
        self._bar.update(self._row, completed=now["done"], description=f"{now['action']}{failed}", note=now["note"])

    def _text(self, now: dict[str, Any]) -> str:
        failed = f", {now['failed']} failed" if now["failed"] else ""
        pace = f", {now['pace']}" if "pace" in now else ""
        return (
            f"{now['action']}: {self._told} %, {now['done']} of {now['total']} {now.get('of', 'devices')}{failed}{pace}"
        )
