"""The commands of docs/procedures/ca-renewal.md and root-replacement.md, on two simulated cameras, of which one sends
only its leaf; openssl is the witness."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_docs import ROOT, commands
from tests.docs.test_revoke_page import served
from tests.e2e.test_cli_site import Line, site

__all__ = ["site"]  # a fixture

PAGES = ROOT / "docs" / "procedures"


def follow(site: Line, folder: Path, line: str) -> str:
    """What the command prints, in one line. Its files lie in `folder`."""
    files = {"passphrase": folder / "passphrase", "bundle.pem": folder / "bundle.pem"}
    words = [str(files.get(word, word)) for word in shlex.split(line)[1:]]
    if "--yes" in words:
        site.run(*(word for word in words if word != "--yes"), code=2)  # nobody can be asked
    return " ".join(site.run(*words)[0].split())


def leaves(site: Line, folder: Path, name: str) -> list[Path]:
    """What each camera serves now."""
    return [served(folder, device, f"{name}-{number}.pem") for number, device in enumerate(site.devices)]


def accepted(folder: Path, certificates: list[Path]) -> list[bool]:
    """By openssl, with what was exported last."""
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "bundle.pem"]
    done = [
        subprocess.run([*command, str(one)], cwd=folder, capture_output=True, timeout=30, check=False)
        for one in certificates
    ]
    return [one.returncode == 0 for one in done]


@pytest.fixture
def folder(site: Line, tmp_path: Path) -> Path:
    """Where somebody works who has enabled HTTPS."""
    (tmp_path / "passphrase").write_text("x")
    site.run("settings", "set", "https.soak-seconds", "0")
    site.run("https", "enable", "--all")
    return tmp_path


@pytest.mark.timeout(400)
def test_a_new_issuing_ca_as_the_page_says(site: Line, folder: Path) -> None:
    lines = commands(PAGES / "ca-renewal.md")
    assert len(lines) == 4
    before = leaves(site, folder, "before")
    site.run("ca", "renew", code=4)
    shown = [follow(site, folder, line) for line in lines]
    assert "Replacement" not in shown[0]
    assert "0 of 2 devices (0 %) have followed" in shown[1]
    assert "Renew certificate successful on all devices" in shown[3]
    assert "Nothing is left to do." in shown[3]
    after = leaves(site, folder, "after")
    assert accepted(folder, [*before, *after]) == [True] * 4
    assert not {one.read_text() for one in before} & {one.read_text() for one in after}
    assert [one["state"] for one in site.json("ca", "show")["issuing"]] == ["replaced", "ready"]
    site.run("ca", "renew", "--continue", "--yes", code=2)


@pytest.mark.timeout(400)
def test_a_root_is_replaced_as_the_page_says(site: Line, folder: Path) -> None:
    lines = commands(PAGES / "root-replacement.md")
    assert len(lines) == 7
    back = lines.pop()
    before = leaves(site, folder, "before")
    site.run("ca", "renew", "--root", "--continue", code=2)
    site.run("ca", "renew", "--retire", "--yes", code=2)
    follow(site, folder, lines[0])
    shown = [follow(site, folder, back)]
    assert "Remove CA certificates successful on all devices" in shown[0]
    assert "Nothing is left to do." in shown[0]
    shown = [follow(site, folder, line) for line in lines[:3]]
    assert "Install CA certificates successful on all devices" in shown[0]
    assert "2 of 2 devices (100 %)" in shown[1]
    assert accepted(folder, before) == [True, True]

    shown = [follow(site, folder, lines[3])]
    assert "Renew certificate successful on all devices" in shown[0]
    assert "no device serves a certificate of the old one" in shown[0]
    after = leaves(site, folder, "after")
    assert accepted(folder, [*before, *after]) == [True] * 4, "either root is good while one is replaced"

    shown = [follow(site, folder, line) for line in lines[4:]]
    assert "Remove CA certificates successful on all devices" in shown[0]
    assert "Nothing is left to do." in shown[0]
    assert accepted(folder, [*before, *after]) == [False, False, True, True]
    listed = [(one["state"], one["retired"]) for one in site.json("ca", "list")]
    assert listed == [("replaced", True), ("replaced", True), ("ready", False)]
    site.run(*shlex.split(back)[1:], code=2)
    assert {one["status"] for one in site.json("device", "list")} == {"OK"}
