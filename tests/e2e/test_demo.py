"""The first command that a newcomer types."""

import shutil
import socket
import subprocess
import sys

import pytest


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the witness of the demonstration")
def test_the_demonstration_secures_every_camera_and_openssl_says_so() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "fleetseal", "demo"], capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout[-3000:]
    assert "7 of 7 cameras serve HTTPS with a certificate of the new CA, verified by openssl." in ran.stdout
    assert ran.stdout.count("verified, TLSv1") == 7
    assert "Enable HTTPS failed on 1 of 7 devices" in ran.stdout  # TLS dead on the new certificate: put back
    assert "Rolled back: " in ran.stdout
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("words", [["--devices", "0"], ["--port", "65530"], ["--port", "-1"]])
def test_what_cannot_be_is_one_sentence(words: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "fleetseal", "demo", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = subprocess.run(
            [sys.executable, "-m", "fleetseal", "demo", "--port", str(taken.getsockname()[1])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "--port" in ran.stderr
