"""A month without a person (`make torture`: a quarter of a year, with 500 devices)."""

from pathlib import Path

import pytest

from tests import torture


@pytest.mark.timeout(590)
async def test_30_nights_with_devices_that_fail_and_a_manager_that_dies(tmp_path: Path) -> None:
    found = await torture.torture(tmp_path, nights=30, devices=15)
    torture.check(found, nights=30, devices=15)
