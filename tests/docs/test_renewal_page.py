"""Somebody follows docs/procedures/renewal.md on a simulated site, command by command."""

import shlex
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.test_cli_site import ENVIRONMENT, Line, site

from .test_docs import ROOT, commands

__all__ = ["site"]  # a fixture


@pytest.mark.timeout(300)
def test_the_page_is_followed(site: Line) -> None:
    lines = commands(ROOT / "docs" / "procedures" / "renewal.md")
    assert [shlex.split(line)[1] for line in lines] == ["settings", "settings", "nightly", "serve", "alarm"]
    site.run("https", "enable", "--all")
    shown: dict[str, str] = {}
    server: subprocess.Popen[str] | None = None
    try:
        for line in lines:
            words = shlex.split(line)[1:]
            if words == ["serve"]:
                server = site.begin(*words)
                deadline = time.monotonic() + 60
                while not _serving(site):
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            else:
                shown[words[0]] = site.run(*words)[0]
        assert "Nightly run: 0 renewed, 0 failed, 0 skipped, 0 alarms are open." in shown["nightly"]
        assert "There is no alarm." in shown["alarm"]
        again, _ = site.run("https", "enable", "--all")
        assert "They are renewed by themselves before that." in again
    finally:
        if server is not None:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
    assert server is not None
    assert server.returncode == 0


def _serving(site: Line) -> bool:
    """A server answers: what the command line itself asks."""
    program = (
        "import asyncio, sys; from pathlib import Path; from fleetseal.app import running_server\n"
        "sys.exit(asyncio.run(running_server(Path(sys.argv[1]))) is None)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(site.data)], check=False, env=ENVIRONMENT, timeout=60)
    return done.returncode == 0
