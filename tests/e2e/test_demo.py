"""The first command that a newcomer types."""

import shutil
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
