"""A backup that is downloaded is the same whole system, and leaves nothing on the computer that made it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fleetseal.app import open_application
from fleetseal.core.errors import Locked
from fleetseal.core.runtime import SystemClock
from fleetseal.core.secrets import Secret
from fleetseal.operations import restore
from fleetseal.store.database import Database
from fleetseal.store.settings import stored

PASSPHRASE = "hunter2-canary of a backup"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_application(tmp_path / "data", environment={}) as application:
        transport = httpx.ASGITransport(application.local, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            yield client


def names(folder: Path) -> set[str]:
    """What lies there; the socket is opened when it is."""
    return {path.name for path in folder.iterdir()} - {"fleetseal.sock"}


async def test_a_download_restores_the_system(api: httpx.AsyncClient, tmp_path: Path) -> None:
    await api.put("/settings/certificate.validity-days", json={"value": "99"})
    before = names(tmp_path / "data")
    answer = await api.post("/backups/download", json={"passphrase": PASSPHRASE})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="fleetseal-2')
    assert b"validity-days" not in answer.content
    assert names(tmp_path / "data") == before, "nothing is left behind"
    (record,) = (await api.get("/audit", params={"filter": "action:backup"})).json()["items"]
    assert (record["action"], record["object"]) == ("backup", "download")
    assert PASSPHRASE not in str(record)

    (tmp_path / "site.backup").write_bytes(answer.content)
    (tmp_path / "new").mkdir(mode=0o700)

    async def put_back(passphrase: str) -> None:
        source = tmp_path / "site.backup"
        await restore.restore(tmp_path / "new", source, Secret(passphrase), clock=SystemClock(), actor="test")

    with pytest.raises(Locked):
        await put_back("another")
    await put_back(PASSPHRASE)
    database = await Database.open(tmp_path / "new" / "fleetseal.db")
    async with database.reading() as tx:
        assert await stored(tx) == {"certificate.validity-days": "99"}
    await database.close()


@pytest.mark.parametrize("body", [{"passphrase": ""}, {}, {"passphrase": PASSPHRASE, "file": "/tmp/x"}])
async def test_a_download_needs_a_passphrase_and_nothing_else(api: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await api.post("/backups/download", json=body)
    assert answer.status_code == 422
    assert PASSPHRASE not in answer.text
    assert (await api.get("/audit", params={"filter": "action:backup"})).json()["items"] == []


async def test_a_download_that_cannot_be_made_says_so(api: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "data" / "ca" / "one.key").mkdir(parents=True)  # a key file that cannot be read
    answer = await api.post("/backups/download", json={"passphrase": PASSPHRASE})
    assert answer.status_code == 503
    assert "No backup was made" in answer.json()["detail"]
