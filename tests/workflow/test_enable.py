"""Enable HTTPS, end to end on virtual devices: real TLS, real logins, keys made on the device."""

from pathlib import Path

import pytest

from tests.site import site


@pytest.mark.parametrize("profile", ["12.11", "12.11-self-signed", "11.6", "10.12", "9.10", "7.30"])
async def test_enable_on_every_generation(tmp_path: Path, profile: str) -> None:
    async with site(tmp_path, profile) as here:
        camera = here.fleet.devices[0]
        added = await here.add(camera)
        assert added["result"] == "added", added
        outcome = (await here.enable(camera))[0]
        assert outcome["status"] == "Finished", outcome
        device = await here.device(camera)
        assert device.trust_level == "verified"
        assert camera.served == device.served_der
