"""SEC-RESTORABLE: the whole system into one file and back, on a clean directory; wrong files change nothing."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, text

from fleetseal.app import open_application
from fleetseal.core import archive
from fleetseal.core.archive import Writer
from fleetseal.core.config import environment
from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput, Locked, StoreError
from fleetseal.core.model import Login, TaskAction
from fleetseal.core.runtime import SystemClock
from fleetseal.core.secrets import ChunkCipher, Secret
from fleetseal.operations import authorities, contact, revocation, tasks
from fleetseal.operations import backup as backups
from fleetseal.operations.restore import restore
from fleetseal.operations.services import Services
from fleetseal.sim.fleet import SimulatedDevice
from fleetseal.store import audit, certificates, copy
from fleetseal.store import inventory as rows
from fleetseal.store import tasks as store
from fleetseal.store.database import SCHEMA_REVISION, Database
from fleetseal.store.schema import issuance
from tests.site import PASSPHRASE as CA_PASSPHRASE
from tests.site import Direct, Site, make_services, site
from tests.support import FakeRng

PASSPHRASE = Secret("a backup's own words")
LOGIN = "c4n4ry login of ten thousand"


async def back_up(services: Services, path: Path) -> dict[str, Any]:
    return await backups.backup(services, actor="test", path=path, passphrase=PASSPHRASE)


async def restored(data: Path, source: Path, passphrase: Secret = PASSPHRASE) -> dict[str, Any]:
    data.mkdir(mode=0o700, exist_ok=True)
    return await restore(data, source, passphrase, clock=SystemClock(), actor="test")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def of_audit(services: Services, action: str) -> list[audit.Record]:
    async with services.database.reading() as tx:
        return await audit.of_action(tx, action)


# ---------------------------------------------------------------- the drill


@dataclass
class Drill:
    """A device that was renewed after the backup from which everything was restored."""

    here: Site
    camera: SimulatedDevice
    renewed: bytes  # what it serves
    told: dict[str, Any]


@pytest.fixture
async def drill(tmp_path: Path) -> AsyncIterator[Drill]:
    async with site(tmp_path / "old", "12.11") as before:
        (camera,) = before.fleet.devices
        await before.add(camera)
        assert [one["status"] for one in await before.enable(camera)] == ["Finished"]
        await add_many(before.services, 10_000)
        await back_up(before.services, tmp_path / "all.backup")
        assert [one["status"] for one in await before.enable(camera, renew=True)] == ["Finished"]
        assert camera.served is not None
        told = await restored(tmp_path / "new", tmp_path / "all.backup")
        services = await make_services(tmp_path / "new", before.fleet)
        yield Drill(Site(services, before.fleet, Direct(services)), camera, camera.served, told)  # type: ignore[arg-type]  # it runs jobs as the engine does
        await services.database.close()


async def add_many(services: Services, number: int) -> None:
    columns = {"http_port": 80, "https_port": 443, "site": "default", "tags": [], "model": "M", "firmware": "12.11"}
    columns |= {"added": services.clock.now(), "last_seen": services.clock.now()}
    many = [
        (
            {**columns, "serial": f"ACCC8E{n:06X}", "address": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"},
            Login("root", LOGIN),
        )
        for n in range(number)
    ]
    async with services.database.transaction() as tx:
        await rows.add_all(tx, services.sealer, many)


@pytest.mark.timeout(180)
async def test_a_restored_site_goes_on_where_its_devices_are(drill: Drill, tmp_path: Path) -> None:
    """10,001 devices come back; the one that was renewed meanwhile is known again, and is renewed once more."""
    here, camera = drill.here, drill.camera
    assert (drill.told["devices"], drill.told["certificates"], drill.told["ended"]) == (10_001, 1, [])
    async with here.services.database.reading() as tx:
        some = await rows.find(tx, "ACCC8E0003E7")
        login = await rows.login(tx, here.services.sealer, some.id)
        assert (await audit.verify(tx)).broken is None
    assert login == Login("root", LOGIN)

    await contact.refresh_device(here.services, await here.id_of(camera))
    shown = await here.show(camera)
    assert (shown["status"], shown["trust"]) == ("OK", "verified")
    (adopted,) = await of_audit(here.services, "certificate adopted")
    device = await here.device(camera)
    async with here.services.database.reading() as tx:
        first, second = await certificates.of_device(tx, device.id)
    assert (first.state, second.state, second.der) == ("superseded", "installed", drill.renewed)
    assert (second.alias, second.mac, second.serial) == (device.bound_alias, camera.serial, adopted.object)
    assert second.renew_at is not None
    assert second.renew_at > here.services.clock.now() + timedelta(days=300)

    (unchanged,) = await here.enable(camera)
    assert unchanged["status"] == "Unchanged", unchanged
    (again,) = await here.enable(camera, renew=True)
    assert again["status"] == "Finished", again
    assert camera.served not in (None, drill.renewed)
    assert second.alias not in camera.aliases, "what was adopted is removed like any other"
    assert len(await of_audit(here.services, "certificate adopted")) == 1


async def test_a_job_after_a_restore_looks_first(drill: Drill) -> None:
    """Nobody refreshed: the job itself finds what was signed in between."""
    (renewed,) = await drill.here.enable(drill.camera, renew=True)
    assert renewed["status"] == "Finished", renewed
    assert drill.camera.served != drill.renewed


@pytest.mark.parametrize(
    "doubt", ["none", "no restore", "signed after it", "another serial", "another address", "known key"]
)
async def test_what_was_not_forgotten_by_a_restore_is_not_adopted(tmp_path: Path, doubt: str) -> None:
    """The record of what a device serves is gone. Only if nothing speaks against it did a restore do that."""
    async with site(tmp_path / "data", "12.11", "12.11") as here:
        camera, other = here.fleet.devices
        for one in (camera, other):
            await here.add(one)
        await here.enable(camera)
        device = await here.device(camera)
        async with here.services.database.transaction() as tx:
            (record,) = await certificates.of_device(tx, device.id)
            made = here.services.clock.now() + timedelta(days=2 if doubt == "signed after it" else -2)
            restored_at = here.services.clock.now() + timedelta(days=3 if doubt == "signed after it" else 0)
            if doubt != "no restore":
                detail = {"made": made.isoformat()}
                await audit.record(tx, now=restored_at, actor="x", action="restore", object="x", detail=detail)
            await tx.execute(delete(issuance).where(issuance.c.id == record.id))
            if doubt == "another address":
                await rows.change(tx, device.id, address="localhost")
            if doubt == "known key":
                await tx.execute(text("UPDATE device_key SET device_id = :other"), {"other": await here.id_of(other)})
            if doubt == "another serial":
                await rows.change(tx, device.id, serial="ACCC8EFFFFFF")
        await contact.refresh_device(here.services, device.id)
        expected = 1 if doubt == "none" else 0
        assert len(await of_audit(here.services, "certificate adopted")) == expected
        async with here.services.database.reading() as tx:
            assert len(await certificates.of_device(tx, device.id)) == expected


async def test_an_intent_that_was_signed_after_the_backup_is_completed(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11") as here:
        (camera,) = here.fleet.devices
        await here.add(camera)
        await here.enable(camera)
        device = await here.device(camera)
        async with here.services.database.transaction() as tx:
            (before,) = await certificates.of_device(tx, device.id)
            now = here.services.clock.now()
            await certificates.change(tx, before.id, state="abandoned", der=None, sha256=None, renew_at=None)
            detail = {"made": (now - timedelta(minutes=1)).isoformat()}
            await audit.record(tx, now=now, actor="x", action="restore", object="x", detail=detail)
        await contact.refresh_device(here.services, device.id)
        async with here.services.database.reading() as tx:
            (after,) = await certificates.of_device(tx, device.id)
        assert (after.id, after.state, after.der) == (before.id, "installed", camera.served)
        assert after.content == before.content


# ---------------------------------------------------------------- work that was open


async def test_open_jobs_are_ended_and_can_be_retried(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11", "10.12") as here:
        for camera in here.fleet.devices:
            await here.add(camera)
        async with here.services.database.transaction() as tx:
            every = [(device, True) for device in await rows.every(tx)]
            now = here.services.clock.now()
            task = await store.add_task(
                tx, action=TaskAction.ENABLE_HTTPS, wish={}, actor="test", devices=every, now=now
            )
            begun = await store.begin_run(tx, (await store.jobs_of(tx, task))[0].id, now=now)
            undo = {"verb": "restore-https"}
            await store.write_step(tx, begun, "bind", kind="device", state="begun", now=now, undo=undo)
        await back_up(here.services, tmp_path / "b")
        told = await restored(tmp_path / "new", tmp_path / "b")
        assert [one["task"] for one in told["ended"]] == [task, task]
        services = await make_services(tmp_path / "new", here.fleet)
        try:
            shown = await tasks.show(services, task, working=False)
            assert shown["finished"] is not None
            assert [one["status"] for one in shown["devices"]] == ["Failed", "Cancelled"]
            assert all("What became of it is not on record" in one["description"] for one in shown["devices"])
            async with services.database.reading() as tx:
                assert [step.undo for step in await store.steps_of(tx, begun.id)] == [None]
            after = Site(services, here.fleet, Direct(services))  # type: ignore[arg-type]  # it runs jobs as the engine does
            again = await after.ended(await tasks.retry(services, after.engine, task, actor="test"))
            assert {one["status"] for one in again["devices"]} == {"Finished"}, again
        finally:
            await services.database.close()


async def test_no_number_of_a_crl_is_used_again(tmp_path: Path) -> None:
    async with site(tmp_path / "data") as here:
        await back_up(here.services, tmp_path / "b")
        before = {row["id"]: row["number"] for row in await revocation.list_crls(here.services)}
        for _ in range(2):
            await revocation.renew_crls(here.services, actor="test", anew=True)
        highest = max(row["number"] for row in await revocation.list_crls(here.services))
        assert highest > max(before.values())
    await restored(tmp_path / "new", tmp_path / "b")
    services = await make_services(tmp_path / "new", None)
    try:
        assert {row["id"]: row["number"] for row in await revocation.list_crls(services)} == before
        await authorities.unlock(services, actor="test", passphrase=CA_PASSPHRASE)
        await revocation.renew_crls(services, actor="test", anew=True)
        assert min(row["number"] for row in await revocation.list_crls(services)) > highest
    finally:
        await services.database.close()


# ---------------------------------------------------------------- a full disk

LIMITED = """
import resource, sys
from fleetseal.cli.main import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit for the size of files")
@pytest.mark.parametrize("size", [30_000, 120_000])
def test_a_full_disk_leaves_nothing_behind(small: Path, tmp_path: Path, size: int) -> None:
    """Files cannot grow: no backup, and no part of a restored system; the backup before is still whole."""
    (tmp_path / "words").write_text(PASSPHRASE.reveal())
    (tmp_path / "before").write_bytes(small.read_bytes())
    clean = {name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")}

    def limited(data: Path, *arguments: str) -> None:
        command = [sys.executable, "-B", "-c", LIMITED, str(size), *arguments, "--data", str(data)]
        command += ["--passphrase-file", str(tmp_path / "words")]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean, check=False)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert len(ended.stderr.splitlines()) == 1, ended.stderr

    shutil.copytree(small.parent / "data", tmp_path / "data")
    limited(tmp_path / "data", "backup", "--output", str(tmp_path / "before"))
    assert (tmp_path / "before").read_bytes() == small.read_bytes()
    limited(tmp_path / "new", "restore", str(tmp_path / "before"))
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {"lock"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "data", "new", "words"]


# ---------------------------------------------------------------- bad files


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a few chunks: 900 devices."""
    folder = tmp_path_factory.mktemp("small")

    async def make() -> None:
        async with site(folder / "data") as here:
            await add_many(here.services, 900)
            await back_up(here.services, folder / "b")

    asyncio.run(make())
    assert 3 * CHUNK < (folder / "b").stat().st_size < 20 * CHUNK
    return folder / "b"


CHUNK = (1 << 16) + ChunkCipher.OVERHEAD
HEAD = 19 + 32 + 16


def _swapped(file: bytes) -> bytes:
    first, second = (file[HEAD + n * CHUNK : HEAD + (n + 1) * CHUNK] for n in (0, 1))
    return file[:HEAD] + second + first + file[HEAD + 2 * CHUNK :]


BROKEN: dict[str, tuple[Callable[[bytes], bytes], type[FleetsealError], str]] = {
    "empty": (lambda file: b"", InvalidInput, "no backup"),
    "something else": (lambda file: b"PK" + file[2:], InvalidInput, "no backup"),
    "a newer format": (lambda file: b"fleetseal backup 2\n" + file[19:], InvalidInput, "newer version"),
    "another salt": (lambda file: file[:20] + bytes([file[20] ^ 1]) + file[21:], Locked, "passphrase is wrong"),
    "only the head": (lambda file: file[:HEAD], InvalidInput, "damaged"),
    "cut within a chunk": (lambda file: file[: HEAD + CHUNK + 1000], InvalidInput, "damaged"),
    "cut between chunks": (lambda file: file[: HEAD + 2 * CHUNK], InvalidInput, "damaged"),
    "the last byte is missing": (lambda file: file[:-1], InvalidInput, "damaged"),
    "something is added": (lambda file: file + b"\0", InvalidInput, "damaged"),
    "a bit is changed": (lambda file: file[:-500] + bytes([file[-500] ^ 1]) + file[-499:], InvalidInput, "damaged"),
    "chunks are swapped": (_swapped, InvalidInput, "damaged"),
    "a chunk is left out": (lambda file: file[:HEAD] + file[HEAD + CHUNK :], InvalidInput, "damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_damaged_file_changes_nothing(small: Path, tmp_path: Path, name: str) -> None:
    damage, error, words = BROKEN[name]
    (tmp_path / "b").write_bytes(damage(small.read_bytes()))
    with pytest.raises(error, match=words):
        await restored(tmp_path / "data", tmp_path / "b")
    assert list((tmp_path / "data").iterdir()) == []


async def test_a_wrong_passphrase_changes_nothing(small: Path, tmp_path: Path) -> None:
    with pytest.raises(Locked, match="passphrase is wrong"):
        await restored(tmp_path / "data", small, Secret("a backup's own word"))
    assert list((tmp_path / "data").iterdir()) == []


def written(path: Path, *values: Any) -> Path:
    """A whole archive under the right passphrase."""
    with path.open("wb") as file:
        writer = Writer(file, PASSPHRASE, FakeRng())
        for value in values:
            writer.line(value)
        writer.finish()
    return path


START = {"fleetseal": "0.1.0", "made": "2026-11-23T12:00:00Z", "schema": SCHEMA_REVISION}
KEY = {"file": "secrets.key", "content": "AAAA"}
END = {"end": True}
TRY = {"table": "credential_try", "columns": ["credential_id", "device_id", "day"], "rows": 1}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        pytest.param([], InvalidInput, id="nothing"),
        pytest.param([{**START, "schema": "9999"}, KEY, END], StoreError, id="newer-schema"),
        pytest.param([{**START, "schema": "base"}, KEY, END], InvalidInput, id="no-revision"),
        pytest.param([{**START, "made": "2026-11-23"}, KEY, END], InvalidInput, id="no-time-zone"),
        pytest.param([START, KEY], InvalidInput, id="no-end"),
        pytest.param([START, END], InvalidInput, id="no-key"),
        pytest.param([START, KEY, END, KEY], InvalidInput, id="after-the-end"),
        pytest.param([START, {"file": "../x", "content": ""}, KEY, END], InvalidInput, id="outside"),
        pytest.param([START, {"file": "ca/../../x.key", "content": ""}, KEY, END], InvalidInput, id="outside-ca"),
        pytest.param([START, {**KEY, "content": "?"}, END], InvalidInput, id="no-base64"),
        pytest.param([START, {"table": "nothing", "columns": [], "rows": 0}, KEY, END], InvalidInput, id="table"),
        pytest.param([START, {"table": "setting", "columns": ["x"], "rows": 0}, KEY, END], InvalidInput, id="column"),
        pytest.param(
            [START, {"table": "setting", "columns": ["key", "value", "changed"], "rows": 9}, KEY, END],
            InvalidInput,
            id="rows-missing",
        ),
        pytest.param(
            [START, KEY, TRY, [7, 1, "2026-11-23"], END],
            StoreError,
            id="dangling-reference",
        ),
    ],
)
async def test_an_archive_that_is_not_in_order_changes_nothing(
    tmp_path: Path, values: list[Any], error: type[FleetsealError]
) -> None:
    with pytest.raises(error):
        await restored(tmp_path / "data", written(tmp_path / "b", *values))
    assert list((tmp_path / "data").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


# ---------------------------------------------------------------- old schemas


async def test_a_backup_of_the_first_schema_is_brought_to_this_one(tmp_path: Path) -> None:
    old = await copy.open_empty(tmp_path / "old.db", "0001")
    async with old.transaction() as tx:
        names = [row.name for row in await tx.execute(text("PRAGMA table_info(setting)"))]
        assert names == ["key", "value", "changed"]
        await tx.execute(text("INSERT INTO setting VALUES ('https.policy', 'both', '2026-01-01T00:00:00.000000Z')"))
        await tx.execute(text("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'device'"))
        await tx.execute(text("INSERT OR IGNORE INTO sqlite_sequence VALUES ('device', 41)"))
    async with old.reading() as tx:
        lines: list[Any] = [{**START, "schema": await copy.revision(tx)}, KEY]
        async for table, columns, found in copy.dump(tx):
            lines += [{"table": table, "columns": list(columns), "rows": len(found)}, *found]
    await old.close()
    assert lines[0]["schema"] == "0001"
    await restored(tmp_path / "data", written(tmp_path / "b", *lines, END))
    new = await Database.open(tmp_path / "data" / "fleetseal.db")
    async with new.transaction() as tx:
        assert await copy.revision(tx) == SCHEMA_REVISION
        assert await tx.scalar(text("SELECT value FROM setting")) == "both"
        now = SystemClock().now()
        ports = {"http_port": 80, "https_port": 443}
        fresh = await rows.add(tx, address="10.0.0.1", site="default", added=now, **ports)
        assert fresh.id == 42, "an id is never used again"
    await new.close()


# ---------------------------------------------------------------- the directory


async def test_nothing_is_written_over(small: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "fleetseal.toml").write_text("")
    before = contents(data)
    with pytest.raises(Conflict, match=r"is not empty \(fleetseal\.toml\)"):
        await restored(data, small)
    assert contents(data) == before


async def test_an_interrupted_restore_opens_nothing_and_is_repeated(small: Path, tmp_path: Path) -> None:
    """Killed while the parts were moved: keys are in place, the database is not."""
    data = tmp_path / "data"
    await restored(data, small)
    (data / ".restoring").mkdir()
    shutil.move(data / "fleetseal.db", data / ".restoring" / "fleetseal.db")
    with pytest.raises(Conflict, match="Repeat it: fleetseal restore"):
        async with open_application(data, environment={}):
            pass
    assert not (data / "fleetseal.db").exists()
    (data / "mine.txt").write_text("put there since")
    with pytest.raises(Conflict, match=r"mine\.txt"):
        await restored(data, small)
    (data / "mine.txt").unlink()
    assert (await restored(data, small))["devices"] == 900
    async with open_application(data, environment={}) as application, application.services.database.reading() as tx:
        assert await rows.number(tx) == 900


async def test_a_backup_is_whole_and_private_or_not_there(tmp_path: Path) -> None:
    async with site(tmp_path / "data") as here:
        services, target = here.services, tmp_path / "b"
        target.write_text("holiday pictures")
        with pytest.raises(Conflict, match="is no backup"):
            await back_up(services, target)
        assert target.read_text() == "holiday pictures"
        target.unlink()
        for wrong, error in (
            (Path("relative"), InvalidInput),
            (tmp_path / "none" / "b", InvalidInput),
            (tmp_path, Conflict),
        ):
            with pytest.raises(error):
                await back_up(services, wrong)
        with pytest.raises(InvalidInput, match="passphrase"):
            await backups.backup(services, actor="test", path=target, passphrase=Secret(""))
        assert await of_audit(services, "backup") == []
        for _ in range(2):  # the second replaces the first
            told = await back_up(services, target)
            assert (target.stat().st_size, target.stat().st_mode & 0o777) == (told["bytes"], 0o600)
        assert len(await of_audit(services, "backup")) == 2
        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []


async def test_the_file_reveals_nothing(small: Path, tmp_path: Path) -> None:
    """And with its passphrase it holds passwords and CA keys only as the data directory does: sealed."""
    file = small.read_bytes()
    data = small.parent / "data"
    secrets = [LOGIN.encode(), b"PRIVATE KEY", b"ACCC8E", b"default", b"device", b"secrets.key"]
    assert not any(secret in file for secret in secrets)
    assert not any((data / name).read_bytes() in file for name in ("secrets.key", "signer.key"))
    with small.open("rb") as opened:
        values = list(archive.lines(opened, PASSPHRASE))
    plain = "\n".join(json.dumps(value) for value in values)
    assert LOGIN not in plain
    assert {value["file"] for value in values if "file" in value} >= {"secrets.key", "signer.key"}
