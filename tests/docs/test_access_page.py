"""The page on users and tokens, followed from its first command to its last."""

import asyncio
import shlex
from pathlib import Path

import pytest

from fleetseal.app import open_application
from fleetseal.cli.main import run
from fleetseal.core.secrets import Secret
from fleetseal.operations import access

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
        if words[2] == "sessions":
            asyncio.run(sign_in(tmp_path / "data", "anna", Secret("the anna quiet tram")))
        assert run([*words[1:], "--data", str(tmp_path / "data")]) == 0, line
        said[" ".join(words[1:3])] = capsys.readouterr().out
    assert len(said["user setup-code"].strip().replace("-", "")) == 16
    assert "operator" in said["user list"]
    assert "oscar" not in said["user remove"]
    assert (tmp_path / "token.txt").read_text().startswith("fst_")
    assert "backup-script" in said["token list"]
    assert said["token remove"] == "There is no token.\n"
    assert "anna" in said["user sessions"]
    assert said["user end-session"] == "Nobody is signed in.\n"


async def sign_in(data: Path, name: str, password: Secret) -> None:
    async with open_application(data, environment={}) as opened:
        await access.sign_in(opened.services, name=name, password=password, address="192.0.2.7", before=None)
