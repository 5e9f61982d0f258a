"""The first start of a server: whoever began it, and nobody else, can make the first administrator."""

import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from fleetseal.app import Offered
from fleetseal.cli import serve
from fleetseal.core.config import environment
from fleetseal.core.secrets import Secret

PASSWORD = "a long password of anna's"
CLEAN = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}


@contextmanager
def serving(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "fleetseal", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**CLEAN, "FLEETSEAL_WEB_PORT": "0"}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """Its lines up to the first with this text."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError("".join(lines))


def ask(address: str, path: str, body: Any = None) -> Any:
    headers = {"Sec-Fetch-Site": "same-origin", "X-Fleetseal": "1", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address + path, data, headers), timeout=30) as answer:
        return json.load(answer)


def set_up(address: str, code: str, name: str = "anna") -> Any:
    return ask(address, "api/v1/session/setup", {"code": code, "name": name, "password": PASSWORD})


def test_the_code_lies_in_a_file_where_the_log_is_kept(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "data" / "setup-code"
    with serving("serve", "--data", str(data)) as server:
        lines = said(server, "The setup code is in")
        address = next(line.split()[-1] for line in lines if "The web application is at" in line)
        code = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert code not in "".join(lines)
        assert ask(address, "api/v1/session")["state"] == "setup"
        with pytest.raises(urllib.error.HTTPError) as refused:
            set_up(address, "aaaa-aaaa-aaaa-aaaa")
        assert refused.value.code == 401
        refused.value.close()
        assert set_up(address, code)["user"]["role"] == "administrator"
        assert set_up(address, code)["state"] == "open", "as if the first answer had been lost"
        with pytest.raises(urllib.error.HTTPError) as refused:
            set_up(address, code, "eve")
        assert refused.value.code == 401
        refused.value.close()
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=60)
        assert server.returncode == 0, rest
        assert code not in rest
    with serving("serve", "--data", str(data)) as server:
        lines = said(server, "The web application is at")
        address = lines[-1].split()[-1]
        assert ask(address, "api/v1/session")["state"] == "login"
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=60)
    assert "setup code" not in rest
    assert not file.exists()


def test_on_a_terminal_the_code_is_two_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    file, shown = tmp_path / "setup-code", Terminal()
    file.write_text("of an earlier start")
    monkeypatch.setattr(sys, "stderr", shown)
    serve.tell(file, Offered("http://127.0.0.1:8443/", Secret("abcd-efgh")), to_file=False)
    first, second = shown.getvalue().splitlines()
    assert "http://127.0.0.1:8443/" in first
    assert second.startswith("abcd-efgh ")
    assert not file.exists()
    serve.tell(file, Offered("http://127.0.0.1:8443/", Secret("abcd-efgh")), to_file=True)
    assert file.read_text() == "abcd-efgh\n", "lines of JSON stay such"
    for nothing in (Offered("http://127.0.0.1:8443/", None), None):
        serve.tell(file, nothing, to_file=False)
        assert not file.exists()
    assert len(shown.getvalue().splitlines()) == 2


@pytest.mark.timeout(240)
def test_the_demonstration_ends_at_the_page_with_half_of_the_site(tmp_path: Path) -> None:
    with serving("demo", "--devices", "2", "--stay") as demo:
        lines = said(demo, "All of it stays until Ctrl-C")
        shown = "".join(lines)
        assert "1 of 1 cameras serve HTTPS" in shown
        address = next(line.split()[1] for line in lines if "make the first administrator" in line)
        code = next(line.split()[0] for line in lines if "(good once" in line)
        assert set_up(address, code)["state"] == "open"
        folder = Path(next(line for line in lines if "FLEETSEAL_DATA=" in line).rpartition("=")[2].strip())
        listed = subprocess.run(
            [sys.executable, "-m", "fleetseal", "device", "list", "--json"],
            env={**CLEAN, "FLEETSEAL_DATA": str(folder)},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert sorted(one["https"].partition(" ")[0] for one in json.loads(listed.stdout)) == ["Disabled", "Enabled"]
        os.kill(demo.pid, signal.SIGINT)
        rest, _ = demo.communicate(timeout=60)
        assert demo.returncode == 0, rest
    assert not folder.exists()
