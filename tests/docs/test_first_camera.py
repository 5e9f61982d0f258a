"""The five commands of the README, typed at a terminal by somebody who answers the questions."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.config import environment

from .test_docs import ROOT, commands

ADDRESS = "192.0.2.10"
PASSPHRASE = "correct horse battery staple"
SURROUNDINGS = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "openpty"), reason="nobody can type here: there are no pseudo-terminals"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the witness of the last command"),
]


def typed(line: str, folder: Path, answers: dict[str, str]) -> str:
    """What a terminal shows while `line` runs there; a question that ends like a key of `answers` is answered."""
    ours, theirs = os.openpty()
    scripts = str(Path(sys.executable).parent)
    surroundings = {**SURROUNDINGS, "FLEETSEAL_DATA": str(folder / "data"), "FLEETSEAL_HTTPS_SOAK_SECONDS": "1"}
    surroundings["COLUMNS"] = "200"  # no sentence is folded
    surroundings["PATH"] = scripts + os.pathsep + surroundings["PATH"]
    process = subprocess.Popen(
        line,
        shell=True,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,  # without a controlling terminal passwords are asked on standard input
        cwd=folder,
        env=surroundings,
    )
    os.close(theirs)
    shown, answered = "", 0
    try:
        while True:
            try:
                read = os.read(ours, 4096)
            except OSError:  # the other side is closed
                read = b""
            if not read:
                break
            shown += read.decode()
            question = next((end for end in answers if shown[answered:].endswith(end)), None)
            if question is not None:
                answered = len(shown)
                os.write(ours, (answers[question] + "\n").encode())
        assert process.wait(timeout=60) == 0, shown
    finally:
        process.kill()
        os.close(ours)
    assert "Traceback" not in shown
    return shown


@pytest.fixture
def camera() -> Iterator[dict[str, Any]]:
    """A simulated camera in a process of its own."""
    command = [sys.executable, "-m", "fleetseal", "simulate", "--profile", "12.11", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=SURROUNDINGS) as simulator:
        try:
            assert simulator.stdout is not None
            text = ""
            while not text.endswith("\n}\n"):
                line = simulator.stdout.readline()
                assert line, "the simulator ended"
                text += line
            yield json.loads(text)["devices"][0]
        finally:
            simulator.kill()


@pytest.mark.timeout(240)
def test_the_first_camera_in_five_commands(tmp_path: Path, camera: dict[str, Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    lines = [line for line in commands(ROOT / "README.md") if not line.startswith("make ")]
    assert len(lines) == 5
    assert readme.index("## The first real camera") < readme.index(lines[0])
    ports = f" --http-port {camera['http_port']} --https-port {camera['https_port']}"
    answers = {"passphrase: ": PASSPHRASE, "passphrase, again: ": PASSPHRASE, "Password: ": camera["password"]}
    shown = []
    for line in lines:
        here = line.replace(f"{ADDRESS}:443", f"{camera['address']}:{camera['https_port']}")
        here = here.replace(ADDRESS, camera["address"])
        if shlex.split(here)[1:3] == ["device", "add"]:
            here += ports
        shown.append(typed(here, tmp_path, answers))
    assert "HTTPS works with a certificate valid until" in shown[2]
    assert "Verification: OK" in shown[4]
    assert PASSPHRASE not in "".join(shown)
    assert camera["password"] not in "".join(shown[:2])
