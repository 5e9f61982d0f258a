"""Devices that a person marked in a list are met there: what is not possible on one of them is no failure."""

from pathlib import Path

import pytest

from fleetseal.core.model import Selection, TaskAction
from fleetseal.operations import preview, tasks
from tests.site import site


@pytest.mark.parametrize(("listed", "outcome"), [(True, "Skipped"), (False, "Failed")])
async def test_what_is_not_possible_on_a_marked_device_is_skipped(tmp_path: Path, listed: bool, outcome: str) -> None:
    async with site(tmp_path / "data", "5.51") as here:
        await here.add(here.fleet.devices[0])
        marked = Selection(refs=("1",), listed=listed)
        planned = await preview.plan(here.services, actor="test", selection=marked, wish={"policy": "keep"})
        assert [one["plan"] for one in planned] == [outcome]
        task_id = await tasks.request(
            here.services,
            here.engine,
            actor="test",
            action=TaskAction.ENABLE_HTTPS,
            selection=marked,
            wish={"policy": "keep"},
        )
        assert [one["status"] for one in (await here.ended(task_id))["devices"]] == [outcome]
