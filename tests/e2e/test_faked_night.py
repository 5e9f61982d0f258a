"""A night of the installed program under a shifted clock: libfaketime, real processes, a simulated site."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.prepared import prepare
from tests.e2e.test_cli_site import ENVIRONMENT

pytestmark = pytest.mark.skipif(
    shutil.which("faketime") is None,
    reason="NOT TESTED: a night under a shifted clock. Install faketime (libfaketime).",
)


class Shifted:
    """Processes whose clock is that of a file, which all of them read each second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "time"
        self.shift("+0d")
        asked = subprocess.run(
            ["faketime", "-f", "+0d", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
        )
        self.environment = {
            **ENVIRONMENT,
            "LD_PRELOAD": asked.stdout.strip(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FLEETSEAL_DATA": str(folder / "data"),
            "PYTHONPATH": f"{Path(__file__).parent / 'faked'}:{ENVIRONMENT.get('PYTHONPATH', '')}",
        }

    def shift(self, offset: str) -> None:
        """E.g. `+330d`, for all of them at once."""
        new = self._file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.replace(self._file)
        time.sleep(1.5)  # they look into it each second

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fleetseal", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def run(self, *arguments: str) -> str:
        process = self.begin(*arguments)
        try:
            out, err = process.communicate(timeout=240)
        finally:
            process.kill()
        assert process.returncode == 0, (arguments, out, err)
        assert "Traceback" not in err
        return out


@pytest.fixture
def shifted(tmp_path: Path) -> Iterator[Shifted]:
    """Two devices with certificates of ours."""
    shifted, roots = Shifted(tmp_path), tmp_path / "roots.pem"
    simulator = shifted.begin(
        "simulate", "--json", "--maker-roots", str(roots), "--profile", "12.11", "--profile", "12.11-self-signed"
    )
    try:
        assert simulator.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            line = simulator.stdout.readline()
            assert line, "the simulator ended"
            text += line
        prepare(tmp_path / "data", roots, json.loads(text)["devices"], soak_seconds=0)
        shifted.run("https", "enable", "--all")
        yield shifted
    finally:
        simulator.kill()
        simulator.communicate()


def ends(shifted: Shifted) -> list[str]:
    devices: list[dict[str, Any]] = json.loads(shifted.run("device", "list", "--json"))
    return [one["certificate"]["not_after"] for one in devices]


@pytest.mark.timeout(540)
def test_a_night_eleven_months_later_renews_by_itself(shifted: Shifted) -> None:
    before = ends(shifted)
    report = json.loads(shifted.run("nightly", "--json"))
    assert (report["renewed"], report["failed"], report["skipped"], report["alarms"]) == ([], [], [], 0)
    shifted.shift("+332d")
    out = shifted.run("nightly")
    assert "Nightly run: 2 renewed, 0 failed, 0 skipped, 0 alarms are open." in out
    assert all(new[:4] > old[:4] for old, new in zip(before, ends(shifted), strict=True)), "a year later"
    assert {one["status"] for one in json.loads(shifted.run("device", "list", "--json"))} == {"OK"}
