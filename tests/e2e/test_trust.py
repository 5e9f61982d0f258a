"""Computers that come to trust the CA, by the commands of docs/procedures/trust-on-computers.md: a real browser, and
the system's own store in a mount namespace."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetseal.cli.main import run
from fleetseal.core.config import environment
from fleetseal.sim.fleet import SimulatedDevice
from tests.docs.test_docs import ROOT, commands
from tests.site import Site, site

PAGE = ROOT / "docs" / "procedures" / "trust-on-computers.md"
CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
QUIET = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking"
QUIET += " --disable-component-update --disable-sync --no-first-run --disable-quic"

needs_certutil = pytest.mark.skipif(
    shutil.which("certutil") is None, reason="NSS databases need certutil (Debian: libnss3-tools)"
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """Two secured cameras; the second does not send its chain."""
    async with site(tmp_path / "data", "12.11", "9.10") as made:
        for camera in made.fleet.devices:
            assert (await made.add(camera))["result"] == "added"
        assert {one["status"] for one in await made.enable()} == {"Finished"}
        yield made


def lines(heading: str) -> list[str]:
    """The commands under this heading of the page."""
    every = commands(PAGE)
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [line for line in every if f"$ {line}\n" in section]
    assert found, heading
    return found


class Computer:
    """Types commands in the home directory, where `data` is that of Fleetseal."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.data = home, home / "data"
        self._capsys = capsys

    async def type(self, line: str, *, code: int = 0, enter: Sequence[str] = ()) -> str:
        """What the command says on both streams; it ends with `code`. `enter` runs it elsewhere, in a new process."""
        ours = line.startswith("fleetseal ")
        words = [*shlex.split(line)[1:], "--data", str(self.data)]
        if ours and not enter:
            ended = await asyncio.to_thread(run, words)
            told = self._capsys.readouterr()
            said = told.out + told.err
        else:
            shell = shlex.join([sys.executable, "-m", "fleetseal", *words]) if ours else line
            command = [*enter, "sh", "-c", f"cd {shlex.quote(str(self.home))} && {shell}"]
            process = await asyncio.to_thread(
                subprocess.run, command, env=environment(), capture_output=True, text=True, timeout=100, check=False
            )
            ended, said = process.returncode, process.stdout + process.stderr
        assert ended == code, said
        assert "Traceback" not in said
        return said


@pytest.fixture
def computer(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Computer:
    for name in list(environment()):
        if name.startswith("FLEETSEAL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Computer(tmp_path, capsys)


@pytest.fixture
async def authority(tmp_path: Path) -> AsyncIterator[None]:
    """A data directory with a CA and no camera."""
    async with site(tmp_path / "data"):
        yield


# ---------------------------------------------------------------- browsers


async def visit(camera: SimulatedDevice, home: Path) -> str:
    """What Chromium shows of a page of the camera, or the error it shows instead."""
    page = f"{camera.address}:{camera.https_port}/axis-cgi/param.cgi?action=list&group=root.Brand"
    url = f"https://{camera.username}:{camera.password}@{page}"
    command = [str(CHROMIUM), *QUIET.split(), f"--user-data-dir={home / 'profile'}", "--dump-dom", url]
    ended = await asyncio.to_thread(
        subprocess.run,
        command,
        env={**environment(), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    failed = re.search(r"Page load failed: (\S+)", ended.stderr)
    return failed.group(1) if failed else ended.stdout


@needs_certutil
@pytest.mark.skipif(CHROMIUM is None, reason="no browser is the witness here (Debian: chromium)")
async def test_a_browser_opens_secured_cameras_without_a_warning(
    here: Site, computer: Computer, tmp_path: Path
) -> None:
    complete, leaf_only = here.fleet.devices
    assert await visit(leaf_only, tmp_path) == "net::ERR_CERT_AUTHORITY_INVALID"
    install = next(line for line in commands(PAGE) if line.endswith("install --store chromium"))
    await computer.type(install)
    assert "root.Brand.ProdShortName=AXIS P3265-V" in await visit(complete, tmp_path)
    assert "root.Brand.ProdShortName=AXIS M1065-LW" in await visit(leaf_only, tmp_path)
    await computer.type(install.replace("install", "remove"))
    assert await visit(complete, tmp_path) == "net::ERR_CERT_AUTHORITY_INVALID"


@needs_certutil
@pytest.mark.usefixtures("authority")
async def test_the_page_on_browsers_is_true(computer: Computer, tmp_path: Path) -> None:
    install_chromium, install_firefox, remove_firefox, remove_chromium = lines(
        "Firefox, Chromium, Chrome and Edge on Linux"
    )
    assert "There is no Firefox profile under" in await computer.type(install_firefox, code=3)
    profiles = [tmp_path / ".mozilla" / "firefox" / name for name in ("a", "b")]
    (tmp_path / "primary").write_text("c4n4ry\n")
    for profile, options in zip(profiles, ("--empty-password", f"-f {tmp_path}/primary"), strict=True):
        profile.mkdir(parents=True)
        await computer.type(f"certutil -N {options} -d sql:{profile}")
    before = await computer.type(f"certutil -L -d sql:{profiles[0]}")
    told = await computer.type(install_firefox, code=1)
    assert "is protected by a primary password: give the right one by --password-file." in told
    assert told.count("added ") == 2, "the other profile is done"
    again = json.loads(await computer.type(f"{install_firefox} --json --password-file primary"))
    assert [one["result"] for one in again] == ["present", "present", "added", "added"]
    assert {"store", "role", "subject", "sha256", "result"} == set(again[0])
    assert (await computer.type(remove_firefox)).count("removed ") == 4
    assert await computer.type(f"certutil -L -d sql:{profiles[0]}") == before
    await computer.type(f"{install_chromium} --root-only")
    assert "intermediate" not in await computer.type(f"certutil -L -d sql:{tmp_path}/.pki/nssdb")
    assert "absent " in await computer.type(f"{remove_chromium} --plan")
    await computer.type(remove_chromium)
    assert "fleetseal" not in await computer.type(f"certutil -L -d sql:{tmp_path}/.pki/nssdb")


# ---------------------------------------------------------------- Debian


@pytest.fixture
def enter(tmp_path: Path) -> Iterator[list[str]]:
    """What runs a command where the system's trust store is a copy; on a disposable computer, the store itself."""
    if not Path("/usr/sbin/update-ca-certificates").exists():
        pytest.skip("Debian's update-ca-certificates is not on this computer")
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, timeout=30, check=False).returncode != 0:
        if os.geteuid() == 0 and environment().get("CI"):
            yield []
            return
        pytest.skip("namespaces are not allowed here, and this computer's own trust store is not for tests")
    mounts = (
        "mount -t tmpfs -o mode=555 none /usr/local/share/ca-certificates && "
        'cp -r /etc/ssl/certs "$0" && mount --bind "$0" /etc/ssl/certs && echo ready && exec sleep 300'
    )
    command = ["unshare", "-rm", "sh", "-c", mounts, str(tmp_path / "certs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
            yield ["nsenter", "-t", str(holder.pid), "-m", "-U", "--preserve-credentials"]
        finally:
            holder.kill()


REFUSED = 60
"""curl(1): the certificate could not be verified."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is the witness of the system's store")
async def test_the_page_on_debian_is_true(here: Site, computer: Computer, enter: list[str]) -> None:
    plan, install, curl, remove = lines("Debian and its relatives")
    visits = [curl.replace("192.0.2.10", f"{camera.address}:{camera.https_port}") for camera in here.fleet.devices]
    await computer.type(visits[0], code=REFUSED, enter=enter)
    assert (await computer.type(plan, enter=enter)).count("would be added ") == 2
    try:
        if enter:  # root without its rights; a disposable computer has nobody else
            told = await computer.type(install, code=2, enter=[*enter, "setpriv", "--bounding-set=-all"])
            assert "may not be changed by this user. Nothing was changed. Type: sudo " in told
            install = told.partition("Type: sudo ")[2]
        await computer.type(install, enter=enter)
        for visit in visits:
            await computer.type(visit, enter=enter)
        strict = visits[1].replace("curl --output page.html https://", "openssl s_client -brief -connect ").rstrip("/")
        assert "Verification: OK" in await computer.type(f"{strict} -verify_ip 127.0.0.1 </dev/null", enter=enter)
    finally:
        assert (await computer.type(remove, enter=enter)).count("removed ") == 2
    await computer.type(visits[0], code=REFUSED, enter=enter)


@pytest.mark.usefixtures("authority")
async def test_the_steps_for_debian_are_true(computer: Computer, enter: list[str]) -> None:
    show = next(line for line in commands(PAGE) if "--platform debian" in line)

    async def follow(options: str) -> list[str]:
        told = json.loads(await computer.type(f"{show} {options} --json"))
        typed = [step["command"].removeprefix("sudo ") for step in told["steps"]]
        return [await computer.type(f"cd files && {command}", enter=enter) for command in typed]

    try:
        assert (await follow(""))[-1].endswith(".crt: OK\n")
        told = await computer.type("fleetseal trust install --plan", enter=enter)
        assert told.count("present ") == 2, "the names are those of the command"
    finally:
        await follow("--remove")
    check = "cd files && openssl verify *-root-*.crt"
    assert "self-signed certificate" in await computer.type(check, code=2, enter=enter)


# ---------------------------------------------------------------- the command itself


@pytest.mark.usefixtures("authority")
async def test_a_bundle_and_the_files_for_windows(computer: Computer, tmp_path: Path) -> None:
    install, remove = lines("A bundle file")
    await computer.type(install)
    assert (tmp_path / "bundle.pem").read_text().count("BEGIN CERTIFICATE") == 2
    await computer.type(remove)
    assert not (tmp_path / "bundle.pem").exists()
    told = await computer.type(next(line for line in lines("Other computers") if "windows" in line))
    files = sorted(path.name for path in (tmp_path / "files").iterdir())
    assert [re.sub("[0-9a-f]{16}", "…", name) for name in files] == [
        "Test.p7b",
        "fleetseal-Test-intermediate-….crt",
        "fleetseal-Test-root-….crt",
    ]
    assert all(name in told for name in files)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--store", "sytem"), 2, "There is no trust store 'sytem'. Allowed: system, firefox, chromium, or the path"),
        (("--store", "./new.pem"), 3, "There is no CA here yet."),
        (("--store", "{folder}"), 2, "is a directory and no NSS database. Nothing was done. To make one: certutil -N"),
    ],
)
@needs_certutil
def test_what_cannot_be_done_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[Any], code: int, sentence: str
) -> None:
    typed = [word.format(folder=tmp_path) for word in arguments]
    assert run(["trust", "install", *typed, "--data", str(tmp_path / "data")]) == code
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "new.pem").exists()
