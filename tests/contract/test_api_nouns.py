"""The API's nouns over a real data directory, without devices."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fleetseal.app import open_application
from fleetseal.core.errors import InUse
from fleetseal.core.runtime import SystemClock


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_application(tmp_path / "data", environment={}) as application:
        transport = httpx.ASGITransport(application.local, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            yield client


async def test_settings_are_set_and_refused(api: httpx.AsyncClient) -> None:
    assert (await api.get("/settings/https.soak-seconds")).json()["value"] == 60
    answer = await api.put("/settings/https.soak-seconds", json={"value": "3"})
    assert (answer.json()["value"], answer.json()["source"]) == (3, "database")
    refused = await api.put("/settings/https.soak-seconds", json={"value": "601"})
    assert refused.status_code == 422
    assert "0 to 600" in refused.json()["detail"]
    assert (await api.get("/settings/https.soak-seconds")).json()["value"] == 3
    assert (await api.get("/settings/no.such")).status_code == 422


async def test_a_ca_is_made_shown_and_exported(api: httpx.AsyncClient) -> None:
    assert (await api.get("/authorities/current")).status_code == 404
    assert (await api.get("/authorities/current/lock")).json() == {"locked": False}
    body = {"name": "Site", "key_type": "ec", "passphrase": "hunter2-canary"}
    made = await api.post("/authorities", json=body)
    assert made.status_code == 201
    assert "hunter2-canary" not in made.text
    shown = (await api.get("/authorities/current")).json()
    assert (shown["role"], shown["tiers"], shown["state"]) == ("root", 2, "ready")
    assert [one["role"] for one in shown["issuing"]] == ["intermediate"]
    second = await api.post("/authorities", json=body)
    assert second.status_code == 409
    files = (await api.get("/authorities/current/export", params={"directory": "true"})).json()["files"]
    assert [file["name"] for file in files] == ["Site-root.crt", "Site.p7b", "Site-bundle.pem"]
    assert base64.b64decode(files[2]["content"]).count(b"BEGIN CERTIFICATE") == 2
    trust = (await api.get("/authorities/current/trust")).json()
    assert [one["role"] for one in trust["certificates"]] == ["root", "intermediate"]
    assert trust["certificates"][0]["sha256"] == shown["sha256"]
    assert "".join(one["pem"] for one in trust["certificates"]).encode() == base64.b64decode(files[2]["content"])


async def test_a_one_tier_ca_locks_its_signing_key(api: httpx.AsyncClient) -> None:
    made = await api.post(
        "/authorities", json={"name": "Site", "key_type": "ec", "tiers": 1, "passphrase": "hunter2-canary"}
    )
    assert made.status_code == 201
    await api.post("/authorities/current/lock")
    assert (await api.get("/authorities/current/lock")).json() == {"locked": True}
    task = {"action": "Enable HTTPS", "selection": {"all": True}}
    assert (await api.post("/tasks", json=task)).status_code == 423
    assert (await api.post("/tasks", json={**task, "passphrase": "wrong"})).status_code == 423
    unlock = await api.post("/authorities/current/unlock", json={"passphrase": "hunter2-canary"})
    assert unlock.status_code == 422
    assert unlock.json()["detail"] == "No server is running: give --passphrase-file to the command that signs."


async def test_a_file_that_is_not_base64_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/authorities/import", json={"files": ["not base64!"]})
    assert answer.status_code == 422
    assert (await api.get("/authorities")).json() == []


async def test_a_user_name_needs_a_password(api: httpx.AsyncClient) -> None:
    answer = await api.post("/devices", json={"targets": ["192.0.2.1"], "username": "root"})
    assert answer.status_code == 422
    assert (await api.get("/devices")).json() == []


async def test_devices_that_are_not_verified_are_counted(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/devices/unverified")).json()
    assert (answer["unverified"], answer["devices"]) == (0, 0)


async def test_nothing_to_do_is_said(api: httpx.AsyncClient) -> None:
    assert (await api.get("/tasks")).json() == []
    assert (await api.get("/tasks/suspended")).json() == []
    assert (await api.post("/tasks/resume", json={})).json() == []
    assert (await api.get("/server")).json()["working"] is False, "resuming nothing starts no engine"
    assert (await api.get("/tasks/1")).status_code == 404
    assert (await api.post("/alarms/1/acknowledge")).status_code == 404


async def test_a_night_without_devices_does_nothing_and_says_so(api: httpx.AsyncClient) -> None:
    status = (await api.get("/nightly")).json()
    assert (status["automatic"], status["renews"], status["last"], status["waits"]) == (True, False, None, None)
    assert (await api.get("/nightly/1")).status_code == 404
    assert (await api.post("/nightly", json={"passphrase": "a", "no": 1})).status_code == 422
    begun = await api.post("/nightly", json={})
    assert begun.status_code == 202
    clock = SystemClock()
    deadline = clock.monotonic() + 60
    while (night := (await api.get(f"/nightly/{begun.json()['id']}")).json())["finished"] is None:
        assert clock.monotonic() < deadline
        await clock.sleep(0.1)
    assert night["state"] == "succeeded"
    nothing: list[object] = []
    assert night["report"] == {
        **dict.fromkeys(("renewed", "failed", "skipped", "problems"), nothing),
        "alarms": 0,
        "waited": False,
    }
    assert (await api.get("/nightly")).json()["renews"] is True, "a command that runs each day renews as well"


async def test_a_data_directory_has_one_owner(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", environment={}):
        with pytest.raises(InUse):
            async with open_application(tmp_path / "data", environment={}):
                pass
    async with open_application(tmp_path / "data", environment={}):
        pass


async def test_what_the_block_raises_leaves_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_application(tmp_path / "data", environment={}):
            raise KeyError("mine")
