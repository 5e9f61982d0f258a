"""The command line as processes: who owns a data directory, how others reach it, and what is left behind."""

import json
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetseal.cli.main import run
from fleetseal.core.config import environment

Run = Callable[..., subprocess.CompletedProcess[str]]


def _environment() -> dict[str, str]:
    """Servers of several tests run at once: each takes a free port for the web application."""
    clean = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}
    return {**clean, "FLEETSEAL_WEB_PORT": "0"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def fleetseal(data: Path) -> Run:
    def process(*arguments: str, directory: Path = data, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fleetseal", *arguments, "--data", str(directory)],
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=60,
            env=_environment(),
            check=False,
        )

    return process


@contextmanager
def served(data: Path, *, there: str = "fleetseal.sock") -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [sys.executable, "-m", "fleetseal", "serve", "--data", str(data)],
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    try:
        deadline = time.monotonic() + 40
        while not (data / there).exists():
            assert server.poll() is None, server.stderr.read() if server.stderr else ""
            assert time.monotonic() < deadline, "the server did not open its door"
            time.sleep(0.05)
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def test_json_is_one_document_and_nothing_else(fleetseal: Run) -> None:
    listed = fleetseal("settings", "list", "--json")
    assert listed.returncode == 0
    assert listed.stderr == ""
    assert {"key", "value", "default", "source", "allowed", "help"} <= set(json.loads(listed.stdout)[0])


def test_the_options_of_every_command_may_stand_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "first"
    for leading in (["--json", "--data", str(data)], [f"--data={data}", "--json"]):
        assert run([*leading, "settings", "get", "jobs.concurrency"]) == 0
        assert json.loads(capsys.readouterr().out)["value"] == 100
    assert data.is_dir()
    assert run(["--data"]) == 2


def test_the_data_directory_is_this_users_alone(fleetseal: Run, data: Path) -> None:
    fleetseal("settings", "list")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "secrets.key").stat().st_mode) == 0o600
    assert not (data / "fleetseal.sock").exists()


def test_a_reading_command_never_loads_the_job_engine(data: Path) -> None:
    code = (
        "import sys; from fleetseal.cli.main import run;"
        f"code = run(['device', 'list', '--data', {str(data)!r}]);"
        "print(code, sorted({'dbos', 'aiohttp', 'uvicorn', 'alembic'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, env=_environment(), timeout=60, check=True)
    second = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), timeout=60, check=True
    )
    assert second.stdout.splitlines()[-1] in ("0 []", "0 ['uvicorn']"), "uvicorn: only if it took long"
    assert not (data / "jobs.db").exists()


def test_a_running_server_serves_other_commands(fleetseal: Run, data: Path) -> None:
    with served(data) as server:
        assert stat.S_IMODE((data / "fleetseal.sock").stat().st_mode) == 0o600
        changed = fleetseal("settings", "set", "https.soak-seconds", "7")
        assert changed.stdout == "https.soak-seconds is 7.\n"
        assert fleetseal("settings", "get", "https.soak-seconds").stdout == "7\n"
        second = fleetseal("serve")
        assert second.returncode == 2
        assert "Another server or command works on" in second.stderr
        server.send_signal(signal.SIGINT)
        _, log = server.communicate(timeout=30)
        assert server.returncode == 0, log
        assert "Traceback" not in log
    assert not (data / "fleetseal.sock").exists()


def test_what_a_killed_server_left_is_no_obstacle(fleetseal: Run, data: Path) -> None:
    with served(data) as server:
        server.kill()
        server.wait()
    assert (data / "fleetseal.sock").exists()
    assert fleetseal("settings", "get", "https.soak-seconds").stdout == "60\n"


def test_an_owner_that_does_not_answer_is_said(fleetseal: Run, data: Path) -> None:
    with served(data) as server:
        server.send_signal(signal.SIGSTOP)
        try:
            refused = fleetseal("settings", "list")
        finally:
            server.send_signal(signal.SIGCONT)
    assert refused.returncode == 5
    assert "does not answer" in refused.stderr
    assert refused.stdout == ""


def test_long_paths_use_a_loopback_port_with_a_token(fleetseal: Run, tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    with served(data, there="fleetseal.port"):
        kept = json.loads((data / "fleetseal.port").read_text())
        assert stat.S_IMODE((data / "fleetseal.port").stat().st_mode) == 0o600
        assert not (data / "fleetseal.sock").exists()
        assert fleetseal("settings", "set", "https.soak-seconds", "7", directory=data).returncode == 0
        assert fleetseal("settings", "get", "https.soak-seconds", directory=data).stdout == "7\n"
        for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
            request = urllib.request.Request(f"http://127.0.0.1:{kept['port']}/api/v1/settings", headers=headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            assert refused.value.code == 401
            assert refused.value.read() == b""
            refused.value.close()


def test_commands_at_the_same_time_take_turns(data: Path) -> None:
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "fleetseal", "settings", "set", "jobs.concurrency", str(n), "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        for n in (11, 12)
    ]
    outcomes = [command.communicate(timeout=60) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], outcomes


def test_a_directory_that_cannot_be_used_is_said(fleetseal: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = fleetseal("settings", "list", directory=tmp_path / "file" / "data")
    assert refused.returncode == 1
    assert "cannot be used" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["ca", "show"], 3, "There is no CA here yet"),
        (["device", "show", "10.0.0.1"], 3, "10.0.0.1"),
        (["settings", "set", "certificate.validity-days", "900"], 2, "1 to 825"),
        (["settings", "get", "no.such"], 2, "There is no setting"),
        (["https", "enable"], 2, "No device is named"),
        (["https", "enable", "x", "--all"], 2, "not both"),
        (["https", "enable", "--all", "--policy", "maybe"], 2, "policy"),
        (["https", "enable", "--all", "--no-wait"], 2, "No server is running"),
        (["https", "enable", "--all", "--policy", "https"], 2, "video management system"),
        (["device", "add"], 2, "ADDRESS"),
        (["device", "remove"], 2, "No device is named"),
        (["nonsense"], 2, "nonsense"),
        (["ca", "create"], 2, "name"),
        (["ca", "import", "/nonexistent/file"], 2, "cannot be read"),
        (["ca", "create", "--name", "x", "--passphrase-file", "/nonexistent"], 2, "cannot be read"),
        (["task", "show", "5"], 3, "5"),
        (["task", "show", "x"], 2, "x"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str
) -> None:
    assert run([*arguments, "--data", str(data)]) == code
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""
    assert "Traceback" not in said.err


def test_unlock_without_a_server_says_what_to_do(fleetseal: Run) -> None:
    refused = fleetseal("ca", "unlock", "--passphrase-file", "-", standard_input="x")
    assert refused.returncode == 2
    assert refused.stderr == "No server is running: give --passphrase-file to the command that signs.\n"


def test_passphrases_come_from_files_or_standard_input(fleetseal: Run, tmp_path: Path) -> None:
    """One trailing newline is dropped, and only one; the passphrase appears nowhere."""
    create = ["ca", "create", "--name", "Site", "--key-type", "ec", "--tiers", "1"]
    made = fleetseal(*create, "--passphrase-file", "-", standard_input="hunter2-canary\n")
    assert made.returncode == 0, made.stderr
    again = fleetseal(*create, "--passphrase-file", "-", standard_input="x\n")
    assert again.returncode == 2
    assert "ca renew" in again.stderr
    target = tmp_path / "out"
    target.mkdir()
    exported = fleetseal("ca", "export", "--output", str(target))
    assert exported.returncode == 0, exported.stderr
    assert sorted(path.name for path in target.iterdir()) == ["Site-bundle.pem", "Site-root.crt", "Site.p7b"]
    with served(tmp_path / "data"):
        secret = tmp_path / "passphrase"
        for content, code in (("wrong", 4), ("hunter2-canary\n\n", 4), ("hunter2-canary\n", 0)):
            secret.write_text(content)
            unlocked = fleetseal("ca", "unlock", "--passphrase-file", str(secret))
            assert unlocked.returncode == code, unlocked
            assert "hunter2" not in unlocked.stdout + unlocked.stderr
        assert json.loads(fleetseal("ca", "show", "--json").stdout)["state"] == "ready"
        assert fleetseal("ca", "lock").returncode == 0
        assert json.loads(fleetseal("ca", "show", "--json").stdout)["state"] == "locked"


def test_the_web_application_is_offered_where_its_port_is_free(fleetseal: Run, data: Path) -> None:
    with served(data) as server:
        assert server.stderr is not None
        address = next(line.split()[-1] for line in server.stderr if "The web application is at" in line)
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + "api/v1/settings", timeout=10)
        assert refused.value.code == 401, "who asks did not say who it is"
        refused.value.close()
        port = address.rstrip("/").rpartition(":")[2]
        second = fleetseal("serve", "--port", port, directory=data.with_name("second"))
    assert second.returncode == 2
    assert second.stderr.splitlines()[-1].startswith(f"Port {port} of 127.0.0.1 is taken by another program.")
    beyond = fleetseal("serve", "--host", "0.0.0.0", directory=data.with_name("second"))
    assert beyond.returncode == 2
    assert "by TLS only, and there is no CA here" in beyond.stderr
