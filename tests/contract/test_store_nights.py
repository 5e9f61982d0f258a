"""What the night's planning reads costs what it finds; runs of the night are one for each window."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from fleetseal.core.errors import Conflict, NotFound
from fleetseal.core.model import DeviceId, TaskAction
from fleetseal.store import nights, renewals, tasks
from fleetseal.store.database import Database, Transaction
from fleetseal.store.nights import NightId
from fleetseal.store.schema import authority, device, issuance, job
from tests.support import NOW, open_database

DAY = timedelta(days=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Ten devices with a certificate each: number n is due n days from now."""
    database = await open_database(tmp_path / "fleetseal.db")
    async with database.transaction() as tx:
        await tx.execute(
            insert(authority).values(
                id=1, name="CA", role="root", tiers=1, signs_leaves=True, state="active", created=NOW
            )
        )
        for number in range(1, 11):
            await _device(tx, number)
    yield database
    await database.close()


async def _device(tx: Transaction, number: int) -> None:
    row = {"http_port": 80, "https_port": 443, "site": "default", "tags": [], "added": NOW, "password_version": 1}
    await tx.execute(insert(device).values(id=number, serial=f"B8A44F{number:06X}", address=f"192.0.2.{number}", **row))
    dates = {"not_before": NOW - DAY, "not_after": NOW + 99 * DAY, "created": NOW - DAY, "installed": NOW - DAY}
    await tx.execute(
        insert(issuance).values(
            id=number,
            authority_id=1,
            serial=f"{number:040x}",
            device_id=number,
            purpose="https",
            origin="device",
            content={},
            tbs_sha256="",
            spki_sha256="",
            state="installed",
            der=b"x",
            subject="",
            names=[],
            renew_at=NOW + number * DAY,
            **dates,
        )
    )


async def test_what_is_due_or_marked_is_found_in_order(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(update(issuance).where(issuance.c.id == 7).values(reissue="names"))
        await tx.execute(update(issuance).where(issuance.c.id == 2).values(state="superseded"))
        found = await renewals.due(tx, NOW + 3 * DAY)
        assert [one.id for one in found] == [1, 3, 7]
        assert (found[0].mac, found[0].busy) == ("B8:A4:4F:00:00:01", None)
        assert await renewals.due_by_date(tx, NOW + 3 * DAY) == 2
        assert await renewals.fleet_size(tx) == 9
        assert await renewals.fleet(tx) == [1, 3, 4, 5, 6, 7, 8, 9, 10]


async def test_planning_scans_neither_the_fleet_nor_its_history(database: Database) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database._engine.sync_engine, "before_cursor_execute", note)
    async with database.reading() as tx:
        await renewals.due(tx, NOW)
        await renewals.failures(tx, NOW)
        await renewals.issued_since(tx, NOW)
    statements = [one for one in asked if one[0].startswith("SELECT")]
    assert len(statements) == 3
    async with database.reading() as tx:
        for statement, parameters in statements:
            steps = [row.detail for row in await tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not [step for step in steps if step.startswith("SCAN")], steps
            assert any("ix_issuance_renewal (state=? AND renew_at" in step for step in steps) or any(
                "ix_issuance_created (created>" in step for step in steps
            ), steps


async def test_only_failures_of_renewals_since_the_installation_count(database: Database) -> None:
    async with database.transaction() as tx:
        candidate = (await renewals.due(tx, NOW + DAY))[0]
        for action, finished in (
            (TaskAction.RENEW_CERTIFICATE, NOW - 2 * DAY),
            (TaskAction.ENABLE_HTTPS, NOW),
            (TaskAction.RENEW_CERTIFICATE, NOW),
        ):
            task_id = await tasks.add_task(
                tx, action=action, wish={}, actor="test", devices=[(candidate, False)], now=NOW
            )
            ended = {"active": False, "status": "Failed", "error_code": "rejected", "finished": finished}
            await tx.execute(update(job).where(job.c.task_id == task_id).values(description=str(action), **ended))
        found = await renewals.failures(tx, NOW + DAY)
        assert [one.at for one in found[DeviceId(1)]] == [NOW]
        assert [one.device_id for one in await renewals.outcomes(tx, NOW - DAY)] == [1]


async def test_old_tasks_go_a_few_at_a_time_and_unfinished_ones_stay(database: Database) -> None:
    async with database.transaction() as tx:
        (candidate,) = await renewals.due(tx, NOW + DAY)
        for number in range(5):
            task_id = await tasks.add_task(tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=[], now=NOW)
            if number < 4:
                await tasks.finish_task(tx, task_id, now=NOW - 100 * DAY)
        await tasks.add_task(
            tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=[(candidate, False)], now=NOW
        )
        harmed = await tasks.add_task(
            tx,
            action=TaskAction.REFRESH,
            wish={},
            actor="test",
            devices=[(candidate._replace(id=DeviceId(2)), False)],
            now=NOW,
        )
        await tx.execute(update(job).where(job.c.task_id == harmed).values(harmed=True, active=False))
        await tasks.finish_task(tx, harmed, now=NOW - 100 * DAY)
        assert await tasks.prune(tx, before=NOW - 90 * DAY, limit=3) == 3
        assert await tasks.prune(tx, before=NOW - 90 * DAY, limit=3) == 1
        assert len(await tasks.list_tasks(tx)) == 3, "one goes on, one has no end, one left something on a device"


async def test_a_window_has_one_run_and_a_command_has_as_many_as_it_likes(database: Database) -> None:
    async with database.transaction() as tx:
        first = await nights.begin(tx, window="2026-11-23", now=NOW)
        assert [(await nights.begin(tx, window=None, now=NOW)) for _ in range(2)] == [2, 3]
    with pytest.raises(Conflict, match="This window had its nightly run"):
        async with database.transaction() as tx:
            await nights.begin(tx, window="2026-11-23", now=NOW)
    async with database.reading() as tx:
        assert [one.id for one in await nights.unfinished(tx)] == [1, 2, 3]
        found = await nights.of_window(tx, "2026-11-23")
        assert found is not None
        assert found.id == first
        with pytest.raises(NotFound):
            await nights.get(tx, NightId(9))


async def test_the_newest_run_and_the_last_good_one_are_kept(database: Database) -> None:
    async with database.transaction() as tx:
        for number in range(1, 5):
            night = await nights.begin(tx, window=None, now=NOW)
            await nights.change(tx, night, finished=NOW + number * DAY, succeeded=number == 2)
        await nights.prune(tx, before=NOW + 99 * DAY)
        assert await nights.last_success(tx) == NOW + 2 * DAY
        newest = await nights.latest(tx)
        assert newest is not None
        assert newest.id == 4
        with pytest.raises(NotFound):
            await nights.get(tx, NightId(3))
