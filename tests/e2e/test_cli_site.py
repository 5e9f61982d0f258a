"""A virtual site through the command line: real processes, real TLS."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.config import environment
from tests.e2e.prepared import prepare

ENVIRONMENT = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}
ENVIRONMENT["FLEETSEAL_WEB_PORT"] = "0"  # servers of several tests run at once


class Line:
    """The command line on one data directory, with a running simulator."""

    def __init__(self, data: Path, devices: list[dict[str, Any]]) -> None:
        self.data = data
        self.devices = devices

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fleetseal", *arguments, "--data", str(self.data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )

    def run(self, *arguments: str, code: int = 0, standard_input: str = "") -> tuple[str, str]:
        process = self.begin(*arguments)
        try:
            out, err = process.communicate(standard_input, timeout=90)
        finally:
            process.kill()
        assert process.returncode == code, (out, err)
        assert "Traceback" not in err
        return out, err

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code)[0])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Line]:
    """Two devices, added, with a CA."""
    roots = tmp_path / "roots.pem"
    command = [sys.executable, "-m", "fleetseal", "simulate", "--json", "--maker-roots", str(roots)]
    command += ["--profile", "12.11", "--profile", "9.10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as simulator:
        try:
            assert simulator.stdout is not None
            text = ""
            while not text.endswith("\n}\n"):
                text += simulator.stdout.readline()
            line = Line(tmp_path / "data", json.loads(text)["devices"])
            prepare(line.data, roots, line.devices, soak_seconds=3)
            yield line
        finally:
            simulator.kill()


@pytest.mark.timeout(400)
def test_ctrl_c_lets_devices_in_work_finish_and_resume_continues(site: Line) -> None:
    assert {one["plan"] for one in site.json("https", "enable", "--all", "--plan")} == {"Enable"}
    assert site.json("task", "list") == [], "a plan is no task"

    enable = site.begin("https", "enable", "--all")
    deadline = time.monotonic() + 60
    while not (site.data / "fleetseal.sock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while not site.json("task", "list"):
        assert time.monotonic() < deadline
    enable.send_signal(signal.SIGINT)
    out, err = enable.communicate(timeout=90)
    assert "Stopping: devices in work finish" in err
    assert "Traceback" not in err
    task = site.json("task", "list")[0]
    begun = {one["status"] for one in site.json("task", "show", str(task["id"]))["devices"]}
    assert begun <= {"Finished", "Waiting"}, "nothing is left half done"
    if task["finished"] is None:
        assert enable.returncode == 1
        _, notice = site.run("device", "list")
        done = task["done"]
        assert f"1 task is suspended: {done} of 2 devices done. Continue: fleetseal task resume" in notice
        out, _ = site.run("task", "resume")
        assert "Enable HTTPS successful on all devices" in out
        assert 'Nothing renews them unless "fleetseal serve"' in out
    devices = site.json("device", "list")
    assert {one["https"] for one in devices} == {"Enabled"}
    assert {one["trust"] for one in devices} == {"verified"}
    again = site.json("https", "enable", "--all")
    assert {one["status"] for one in again["devices"]} == {"Unchanged"}


@pytest.mark.timeout(400)
def test_a_killed_command_is_continued_by_the_next(site: Line) -> None:
    enable = site.begin("https", "enable", "--all")
    deadline = time.monotonic() + 60
    while not (site.data / "jobs.db").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    enable.kill()
    enable.communicate()
    if site.json("task", "list"):
        site.run("task", "resume")
    site.run("https", "enable", "--all")
    assert {one["https"] for one in site.json("device", "list")} == {"Enabled"}
