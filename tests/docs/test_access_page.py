"""The page on users and tokens, followed from its first command to its last."""

import shlex
from pathlib import Path

import pytest

from fleetseal.cli.main import run

from .test_docs import ROOT, commands

PAGE = ROOT / "docs" / "procedures" / "access.md"


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("anna", "oscar", "new"):
        (tmp_path / f"{name}.txt").write_text(f"the {name} quiet tram\n")
    said = {}
    for line in commands(PAGE):
        words = shlex.split(line)
        assert words[0] == "fleetseal"
        assert run([*words[1:], "--data", str(tmp_path / "data")]) == 0, line
        said[" ".join(words[1:3])] = capsys.readouterr().out
    assert len(said["user setup-code"].strip().replace("-", "")) == 16
    assert "operator" in said["user list"]
    assert "oscar" not in said["user remove"]
    assert (tmp_path / "token.txt").read_text().startswith("fst_")
    assert "backup-script" in said["token list"]
    assert said["token remove"] == "There is no token.\n"
