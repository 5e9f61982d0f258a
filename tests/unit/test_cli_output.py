"""What people read: nothing cut off, nothing a device could abuse, progress in steps."""

import io
import json
from typing import Any

import pytest

from fleetseal.cli import output
from fleetseal.cli.follow import result_table
from fleetseal.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROW = ("B8:A4:4F:63:13:39", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "Finished", "HTTPS works. " * 10)


def test_addresses_stay_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    output.table(("MAC Address", "Address", "Status", "Description"), [ROW], stream=terminal)
    first = next(line for line in terminal.getvalue().splitlines() if "B8:A4" in line)
    for cell in ROW[:3]:
        assert cell in first
    shown = "".join(terminal.getvalue().split())
    assert shown.count("HTTPSworks.") == 10, "folded, not cut"
    assert "…" not in terminal.getvalue()


def test_without_a_terminal_a_row_is_one_line() -> None:
    stream = io.StringIO()
    output.table(("MAC Address", "Address", "Status", "Description"), [ROW] * 3, stream=stream)
    assert len(stream.getvalue().splitlines()) == 4


HOSTILE = "\x1b[31mred\x07 [bold]not bold[/bold] \u202egnp\n:smile:"


def test_device_text_is_no_markup_and_no_escape_sequence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    output.table(("Model",), [(HOSTILE,)], stream=terminal)
    output.say(HOSTILE)
    output.tell(HOSTILE)
    output.facts({"Model": HOSTILE, "Names": [HOSTILE]})
    said = capsys.readouterr()
    row = next(line for line in terminal.getvalue().splitlines() if "red" in line)
    for text in (row, said.out, said.err):
        assert "[bold]not bold[/bold]" in text
        assert ":smile:" in text
        assert not {"\x07", "\u202e"} & set(text)
        assert "\x1b[31m" not in text


def test_json_keeps_the_text_and_escapes_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"model": HOSTILE})
    said = capsys.readouterr().out
    assert json.loads(said) == {"model": HOSTILE}
    assert "\x1b" not in said


def test_progress_is_one_line_per_five_percent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for done in range(813):
            now: dict[str, Any] = {"action": "Enable HTTPS", "total": 812, "done": done, "failed": int(done > 400)}
            progress.show(now)
            progress.show(now)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert lines[0] == "Enable HTTPS: 5 %, 41 of 812 devices"
    assert lines[-1] == "Enable HTTPS: 100 %, 812 of 812 devices, 1 failed"


def test_what_failed_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = ("Finished", "Failed", "Unchanged", "Rolled back", "Skipped")
    devices = [
        {"mac": f"AC:CC:8E:00:00:0{at}", "address": "192.0.2.1", "status": status, "description": ""}
        for at, status in enumerate(statuses)
    ]
    result_table({"finished": "2026-11-23T12:00:00Z", "heading": "Done", "devices": devices})
    shown = [line.split("  ")[2].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert shown == ["Failed", "Rolled back", "Finished", "Unchanged", "Skipped"]
