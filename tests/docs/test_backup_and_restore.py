"""docs/procedures/backup-and-restore.md, typed line by line: backed up beside a running server, restored elsewhere."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.config import environment

from .test_docs import ROOT, commands

PAGE = ROOT / "docs" / "procedures" / "backup-and-restore.md"
SURROUNDINGS = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}


class Place:
    """A folder in which somebody types; `data` is the data directory in use."""

    def __init__(self, folder: Path, device: dict[str, Any]) -> None:
        self.folder = folder
        self.device = device
        self.data = folder / "old"

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fleetseal", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**SURROUNDINGS, "FLEETSEAL_DATA": str(self.data), "FLEETSEAL_WEB_PORT": "0"},
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, (arguments, out, err)
        assert "Traceback" not in err
        return out if code == 0 else err

    def typed(self, line: str) -> str:
        program, *arguments = shlex.split(line)
        assert program == "fleetseal"
        return self.run(*arguments)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A secured device, and the two files with passphrases."""
    command = [sys.executable, "-m", "fleetseal", "simulate", "--json", "--maker-roots", str(tmp_path / "roots.pem")]
    with subprocess.Popen(
        [*command, "--profile", "12.11"], stdout=subprocess.PIPE, text=True, env=SURROUNDINGS
    ) as simulator:
        try:
            assert simulator.stdout is not None
            text = ""
            while not text.endswith("\n}\n"):
                text += simulator.stdout.readline()
            (device,) = json.loads(text)["devices"]
            here = Place(tmp_path, device)
            for name, words in (("backup-words", "words of backups"), ("ca-words", "words of the CA")):
                (tmp_path / name).write_text(words + "\n")
            (tmp_path / "login").write_text(device["password"])
            here.run("settings", "set", "devices.maker-roots", str(tmp_path / "roots.pem"))
            here.run("settings", "set", "https.soak-seconds", "0")
            here.run("ca", "create", "--name", "Site", "--key-type", "ec", "--passphrase-file", "ca-words")
            ports = ["--http-port", str(device["http_port"]), "--https-port", str(device["https_port"])]
            login = ["--username", device["username"], "--password-file", "login"]
            here.run("device", "add", device["address"], *ports, *login)
            here.run("https", "enable", "--all")
            yield here
        finally:
            simulator.kill()


@pytest.mark.timeout(400)
def test_the_page_leads_to_a_site_that_works(place: Place) -> None:
    lines = commands(PAGE)
    verbs = [" ".join(word for word in shlex.split(line)[1:3] if not word.startswith(("-", "site"))) for line in lines]
    assert verbs == [
        "backup",
        "ca backup",
        "restore",
        "device refresh",
        "task list",
        "ca show",
        "https enable",
        "ca restore",
    ]
    backup, ca_backup, restore, refresh, task_list, ca_show, enable, ca_restore = lines

    server = place.begin("serve")
    try:
        deadline = time.monotonic() + 60
        while not (place.data / "fleetseal.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "The backup, with every key, is in" in place.typed(backup)
        assert "site-ca-issuing.p12" in place.typed(ca_backup)
        place.run("https", "enable", "--all", "--renew")  # what the backup does not know
        assert "works on" in place.run("restore", "site.backup", "--passphrase-file", "backup-words", code=2)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    served = json.loads(place.run("device", "list", "--json"))[0]["certificate"]["serial"]

    assert "is not empty" in place.run("restore", "site.backup", "--passphrase-file", "backup-words", code=2)
    place.data = place.folder / "new"
    assert "wrong" in place.run("restore", "site.backup", "--passphrase-file", "ca-words", code=4)
    assert "no backup" in place.run("restore", "ca-words", "--passphrase-file", "backup-words", code=2)
    assert "devices: 1, certificates: 1" in place.typed(restore)
    place.typed(refresh)
    (device,) = json.loads(place.run("device", "list", "--json"))
    assert (device["status"], device["trust"], device["certificate"]["serial"]) == ("OK", "verified", served)
    assert "Enable HTTPS" in place.typed(task_list)
    assert "ready" in place.typed(ca_show)
    assert "Enable HTTPS successful on all devices" in place.typed(enable)

    shutil.rmtree(place.data / "ca")
    assert "locked" in place.typed(ca_show)
    place.typed(ca_restore)
    assert "ready" in place.typed(ca_show)
