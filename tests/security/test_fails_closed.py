"""AUD-FAILS-CLOSED: what cannot be written into the audit trail does not happen."""

import sqlite3
from pathlib import Path

import pytest

from fleetseal.core.errors import StoreError
from fleetseal.operations import alarms, authorities, inventory, signing
from fleetseal.store import alarms as open_alarms
from tests.site import PASSPHRASE, site
from tests.workflow.test_enable_faults import state_of

REFUSE = "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END"


def on_disk(data: Path, statement: str) -> None:
    connection = sqlite3.connect(data / "fleetseal.db")
    with connection:
        connection.execute(statement)
    connection.close()


async def test_a_key_that_cannot_be_audited_stays_locked(tmp_path: Path) -> None:
    async with site(tmp_path, authority=False) as here:
        await authorities.create(here.services, actor="test", name="One", tiers=1, key_type="ec", passphrase=PASSPHRASE)
        await authorities.lock(here.services, actor="test")
        on_disk(tmp_path, REFUSE)
        with pytest.raises(StoreError):
            await authorities.unlock(here.services, actor="test", passphrase=PASSPHRASE)
        assert await signing.is_locked(here.services)
        on_disk(tmp_path, "DROP TRIGGER refuse")
        await authorities.unlock(here.services, actor="test", passphrase=PASSPHRASE)
        assert not await signing.is_locked(here.services)


async def test_a_forgotten_device_leaves_no_alarm(tmp_path: Path) -> None:
    """ALM-TRUE."""
    async with site(tmp_path, "12.11") as here:
        camera = here.fleet.devices[0]
        await here.add(camera)
        before, device = state_of(camera), await here.device(camera)
        async with here.services.database.transaction() as tx:
            await open_alarms.raise_alarm(
                tx,
                now=here.services.clock.now(),
                cause="needs-hands",
                object=device.label,
                severity="critical",
                message="Needs hands.",
            )
        await inventory.remove(here.services, actor="test", references=[camera.serial])
        assert await alarms.list_(here.services) == []
        assert state_of(camera) == before
