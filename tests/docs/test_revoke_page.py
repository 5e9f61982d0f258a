"""The commands of docs/procedures/revoke.md, typed at a simulated camera; openssl is the witness."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetseal.cli.main import run
from tests.docs.test_docs import ROOT, commands
from tests.docs.test_first_camera import ADDRESS, camera

__all__ = ["camera"]  # the fixture

PAGE = ROOT / "docs" / "procedures" / "revoke.md"


class Line:
    """The command line in this process, on a data directory of its own."""

    def __init__(self, folder: Path, shown: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._shown = shown

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What the command prints."""
        self._shown.readouterr()
        ended = run(arguments)
        out, err = self._shown.readouterr()
        assert ended == code, (arguments, out, err)
        return out

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Line:
    monkeypatch.setenv("FLEETSEAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FLEETSEAL_HTTPS_SOAK_SECONDS", "0")
    monkeypatch.chdir(tmp_path)
    return Line(tmp_path, capsys)


def served(folder: Path, camera: dict[str, Any], name: str) -> Path:
    """The certificate that the camera serves now."""
    place = f"{camera['address']}:{camera['https_port']}"
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", place], input=b"", capture_output=True, timeout=30, check=False
    )
    text = shown.stdout.decode()
    file = folder / name
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    file.write_text(begin + text.split(begin, 1)[1].split(end, 1)[0] + end + "\n")
    return file


def witness(folder: Path, certificate: Path) -> subprocess.CompletedProcess[str]:
    (issuing_crl,) = [file for file in (folder / "crls").glob("*.pem") if b"Issuing" in issuer_of(file)]
    command = ["openssl", "verify", "-crl_check", "-CAfile", "bundle.pem", "-CRLfile", str(issuing_crl)]
    return subprocess.run(
        [*command, str(certificate)], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )


def issuer_of(crl: Path) -> bytes:
    shown = subprocess.run(
        ["openssl", "crl", "-in", str(crl), "-noout", "-issuer"], capture_output=True, timeout=30, check=True
    )
    return shown.stdout


@pytest.mark.timeout(240)
def test_a_stolen_key_as_the_page_says(line: Line, camera: dict[str, Any]) -> None:
    lines = commands(PAGE)
    assert len(lines) == 6
    passphrase, password = line.file("passphrase", "x"), line.file("password", camera["password"])
    ports = ("--http-port", str(camera["http_port"]), "--https-port", str(camera["https_port"]))
    line("ca", "create", "--name", "Site", "--key-type", "ec", "--passphrase-file", passphrase)
    line("device", "add", camera["address"], *ports, "--username", camera["username"], "--password-file", password)
    line("https", "enable", camera["address"])
    line("ca", "export", "--output", "bundle.pem")
    stolen, serial = served(line.folder, camera, "stolen.pem"), ""
    for command in lines[:4]:
        words = shlex.split(command.replace(ADDRESS, camera["address"]).replace("SERIAL", serial))
        assert words[0] == "fleetseal"
        if words[1:3] == ["certificate", "revoke"]:
            assert line(*words[1:], code=2) == "", "nobody could be asked"
            words.append("--yes")
        line(*words[1:])
        if words[1:3] == ["certificate", "issued"]:
            shown = json.loads(line(*words[1:], "--json"))
            assert [(one["state"], one["task"]) for one in shown] == [("superseded", 1), ("installed", 2)]
            serial = shown[0]["serial"]
            members = ("serial", "device", "mac", "subject", "names", "not_before", "not_after", "state", "task")
            assert set(members) <= set(shown[0])
    refused_by = witness(line.folder, stolen)
    assert (refused_by.returncode, "certificate revoked" in refused_by.stderr) == (2, True), refused_by
    accepted = witness(line.folder, served(line.folder, camera, "now.pem"))
    assert accepted.returncode == 0, accepted.stderr
    line("certificate", "revoke", serial, "--yes", code=2)
    removed = json.loads(line("device", "remove", camera["address"], "--revoke", "--yes", "--json"))
    listed = json.loads(line("certificate", "issued", "--device", removed[0]["mac"], "--json"))
    assert removed[0]["revoked"] == [listed[1]["serial"]]
    reasons = [(one["state"], one["reason"]) for one in listed]
    assert reasons == [("revoked", "keyCompromise"), ("revoked", "cessationOfOperation")]
    line("crl", "--output", "crls")
    assert witness(line.folder, line.folder / "now.pem").returncode == 2


def test_exit_codes_of_locked_keys_and_unknown_certificates(line: Line) -> None:
    assert "no CA here yet" in line("crl")
    passphrase, wrong = line.file("passphrase", "x"), line.file("wrong", "y")
    line("ca", "create", "--name", "Site", "--key-type", "ec", "--tiers", "1", "--passphrase-file", passphrase)
    (crl,) = json.loads(line("crl", "--json"))
    assert (crl["state"], crl["number"]) == ("current", 1), "made with the CA, whose key is locked again"
    line("crl", "--passphrase-file", wrong, code=4)
    (crl,) = json.loads(line("crl", "--passphrase-file", passphrase, "--json"))
    assert (crl["state"], crl["number"]) == ("current", 2)
    line("certificate", "revoke", "77", "--yes", "--passphrase-file", wrong, code=4)
    line("certificate", "revoke", "77", "--yes", code=3)
    line("certificate", "revoke", "no serial", "--yes", code=2)
    line("certificate", "issued", "--device", "192.0.2.7", code=3)
    assert json.loads(line("certificate", "issued", "--json")) == []
