"""The page on the audit log, followed from its first command to its last."""

import re
import shlex
import sqlite3
from pathlib import Path

import pytest

from fleetseal.cli.main import run

from .test_docs import ROOT, SOURCE, commands

PAGE = ROOT / "docs" / "procedures" / "audit.md"
ANCHORS = "/srv/audit/fleetseal/anchors.txt"


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that anchors is stood in for by the two lines that it would write."""
    monkeypatch.chdir(tmp_path)
    data, anchors = tmp_path / "data", tmp_path / "anchors.txt"

    def typed(line: str) -> tuple[int, str]:
        words = shlex.split(line.replace(ANCHORS, str(anchors)))
        assert words[0] == "fleetseal"
        code = run([*words[1:], "--data", str(data)])
        return code, capsys.readouterr().out

    reading, verifying = commands(PAGE)[:-2], commands(PAGE)[-2:]
    assert typed("fleetseal settings set certificate.domains a.org")[0] == 0
    for line in reading:
        assert typed(line)[0] == 0, line
    exported = (tmp_path / "audit.jsonl").read_text()
    assert exported.count("\n") == 1
    assert (tmp_path / "audit.csv").read_text().count("\n") == 2
    anchor(data, anchors)
    for line in verifying:
        code, said = typed(line)
        assert (code, said) == (0, "3 records are whole, in order and without a gap; 1 anchor is confirmed.\n")
    file = sqlite3.connect(data / "fleetseal.db")
    with file:
        file.execute("delete from audit where id = 3")
    file.close()
    for line in verifying:
        code, said = typed(line)
        assert code == 1
        assert said.startswith("Record 3 is missing at the end")


def anchor(data: Path, anchors: Path) -> None:
    file = sqlite3.connect(data / "fleetseal.db")
    (first,) = file.execute("select hash from audit where id = 1").fetchone()
    number, last = file.execute("select id, hash from audit order by id desc limit 1").fetchone()
    file.close()
    at = "2026-11-23T12:00:00Z"
    anchors.write_text(f"fleetseal audit anchor at={at} log={first[:16]} number={number} sha256={last}\n")


def test_the_page_names_every_action() -> None:
    """Each literal action of an audit record in the source is on the page."""
    page = PAGE.read_text()
    named = set(re.findall(r"`([a-z][a-z ]+)`", page))
    places = [
        r'\baction="([a-z ]+)"',
        r'\bline\(services, tx, "([a-z ]+)"',
        r'_audit\(tx, "([a-z ]+)"',
        r'complete\("([a-z ]+)"',
        r'_record_key\(services, actor, "([a-z ]+)"',
    ]
    sources = [path.read_text() for path in (SOURCE / "operations").glob("*.py")]
    actions = {action for text in sources for place in places for action in re.findall(place, text)}
    assert {"settings set", "ca key open", "ca create", "ca unlock refused", "certificate issued"} <= actions
    assert actions <= named
