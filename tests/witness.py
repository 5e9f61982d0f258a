"""The independent witness: the openssl command, which knows nothing of this project."""

import asyncio
import base64
import subprocess
from pathlib import Path

from fleetseal.operations import authorities
from fleetseal.sim.fleet import SimulatedDevice
from tests.site import Site


async def bundle(here: Site, folder: Path) -> Path:
    """What `ca export` gives to clients, as a file."""
    path = folder / "bundle.pem"
    (file,) = (await authorities.export(here.services))["files"]
    path.write_bytes(base64.b64decode(file["content"]))
    return path


async def openssl_says(camera: SimulatedDevice, anchors: Path, *, name: str | None = None) -> str:
    """`Verify return code` of `openssl s_client` for this device, dialled by address: `0 (ok)` if all is well.

    `name` None: the certificate has to name the address.
    """
    old = ["-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"] if camera.profile.tls.highest == "TLSv1" else []
    wanted = ["-verify_ip", camera.address] if name is None else ["-verify_hostname", name]
    host = f"[{camera.address}]" if ":" in camera.address else camera.address
    where = f"{host}:{camera.https_port}"
    command = ["openssl", "s_client", "-connect", where, "-CAfile", str(anchors), "-x509_strict", *wanted, *old]
    found = await asyncio.to_thread(
        subprocess.run, command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    codes = {line.strip() for line in found.stdout.splitlines() if "Verify return code:" in line}
    assert len(codes) == 1, found.stdout + found.stderr
    return codes.pop().removeprefix("Verify return code: ")
