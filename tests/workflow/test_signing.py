"""A passphrase that comes with a command opens the signing key for its tasks, and no longer."""

from pathlib import Path

import httpx

from fleetseal.app import open_application
from fleetseal.core.runtime import SystemClock


async def test_the_key_is_closed_when_the_tasks_have_ended(tmp_path: Path) -> None:
    clock = SystemClock()
    async with open_application(tmp_path / "data", environment={}) as application:
        transport = httpx.ASGITransport(application.local, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as api:
            ceremony = {"name": "Site", "key_type": "ec", "tiers": 1, "passphrase": "correct"}
            assert (await api.post("/authorities", json=ceremony)).status_code == 201
            await api.post("/authorities/current/lock")
            task = {"action": "Enable HTTPS", "selection": {"all": True}, "passphrase": "correct"}
            refused = await api.post("/tasks", json=task)
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid-input"), "there is no device"
            assert (await api.get("/authorities/current/lock")).json() == {"locked": False}
            deadline = clock.monotonic() + 20
            while not (await api.get("/authorities/current/lock")).json()["locked"]:
                assert clock.monotonic() < deadline
                await clock.sleep(0.1)
