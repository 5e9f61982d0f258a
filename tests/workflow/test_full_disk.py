"""STO-FULL-SAFE: when nothing can be stored, effects stop before they happen, and work continues afterwards."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from fleetseal.core.config import environment
from fleetseal.core.errors import StoreError
from fleetseal.core.model import TaskAction
from fleetseal.core.secrets import Secret
from fleetseal.operations import authorities, tasks
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import certificates
from fleetseal.store import tasks as store
from tests.site import Site, site

UNLIMITED = 1_000_000_000


class Storage:
    """How many more transactions can be written: 0 is a full disk, or a directory without the right to write."""

    def __init__(self, here: Site) -> None:
        self.room = UNLIMITED
        engine = here.services.database._engine.sync_engine
        event.listen(engine, "begin", self._begin)
        event.listen(engine.pool, "checkout", self._again)

    def _begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get("fleetseal_writes", False):
            connection.exec_driver_sql(f"PRAGMA query_only={int(self.room <= 0)}")
            self.room -= 1

    def _again(self, connection: Any, *_: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=0")
        cursor.close()


async def assert_nothing_unrecorded(here: Site, camera: SimulatedDevice) -> None:
    """ISS-NOT-FORGOTTEN and DEV-NO-LEFTOVERS: what is on the device is on record, with its undo."""
    device = await here.device(camera)
    async with here.services.database.reading() as tx:
        lineage = {record.der for record in await certificates.of_device(tx, device.id)}
        (task,) = await store.unfinished_tasks(tx)
        steps = await store.steps_of_task(tx, task.id)
    journal = [step for of_job in steps.values() for step in of_job]
    if any(step.name == "record" and step.state == "done" for step in journal):
        return  # proved and confirmed: nothing is undone any more
    undos = [step.undo for step in journal if step.undo is not None]
    for alias in camera.aliases:
        assert not alias.startswith("fleetseal-") or {"verb": "remove-alias", "alias": alias} in undos
    assert camera.served not in lineage or any(undo["verb"] == "restore-https" for undo in undos)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("profile", ["12.11", "9.10"])
async def test_enable_stops_before_each_effect_and_continues_by_itself(tmp_path: Path, profile: str) -> None:
    """Storage ends at one commit after the other of the same task."""
    async with site(tmp_path / "data", profile) as here:
        (camera,) = here.fleet.devices
        await here.add(camera)
        storage, stopped, task = Storage(here), 0, None
        for room in range(60):
            storage.room = room
            try:
                if task is None:
                    task = await here.request(TaskAction.ENABLE_HTTPS, camera)
                else:
                    await here.engine.submit(task)
                break
            except StoreError as error:
                refused = error.message
            assert "Give this user the right to write" in refused
            stopped += 1
            storage.room = UNLIMITED
            if not (unfinished := await tasks.unfinished(here.services)):
                assert dict(camera.effects) == {}, "not even the task could be recorded"
                continue
            (task,) = unfinished
            await assert_nothing_unrecorded(here, camera)
        assert stopped > 4
        assert task is not None
        shown = await here.ended(task)
        assert [one["status"] for one in shown["devices"]] == ["Finished"], shown
        assert camera.effects["create_key"] == 1
        assert camera.served == (await here.device(camera)).served_der


async def test_no_ca_is_made_when_it_cannot_be_recorded(tmp_path: Path) -> None:
    async with site(tmp_path / "data", authority=False) as here:
        storage = Storage(here)
        folder = here.services.data / "ca"
        folder.write_text("a file where the directory of CA keys has to be")
        with pytest.raises(StoreError, match="cannot be written"):
            await authorities.create(here.services, actor="test", name="x", key_type="ec", passphrase=Secret("x"))
        assert await authorities.list_(here.services) == []
        folder.unlink()
        for room in range(3):
            storage.room = room
            with pytest.raises(StoreError, match="right to write"):
                await authorities.create(here.services, actor="test", name="x", key_type="ec", passphrase=Secret("x"))
            assert await authorities.list_(here.services) == []
        storage.room = UNLIMITED
        made = await authorities.create(here.services, actor="test", name="x", key_type="ec", passphrase=Secret("x"))
        assert made["state"] == "ready"


LIMITED = """
import resource, sys
from fleetseal.cli.main import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit for the size of files")
def test_the_command_line_says_that_nothing_can_be_written(tmp_path: Path) -> None:
    """Files cannot grow, as on a full disk: one sentence, exit code 1, nothing stored."""
    data = str(tmp_path / "data")
    clean = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}

    def limited(size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-B", "-c", LIMITED, str(size), *arguments, "--data", data]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean, check=False)

    nothing = limited(0, "settings", "set", "https.soak-seconds", "5")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "cannot be written" in nothing.stderr
    assert limited(UNLIMITED, "settings", "set", "https.soak-seconds", "7").returncode == 0
    full = limited(4096, "settings", "set", "https.soak-seconds", "9")
    assert (full.returncode, full.stdout) == (1, "")
    assert len(full.stderr.splitlines()) == 1, full.stderr
    assert limited(UNLIMITED, "settings", "get", "https.soak-seconds").stdout == "7\n"
