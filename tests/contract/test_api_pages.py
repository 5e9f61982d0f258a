"""Lists of the API page by page, over a real data directory, without devices on the network."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fleetseal.app import open_application


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_application(tmp_path / "data", environment={}) as application:
        transport = httpx.ASGITransport(application.local, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            yield client


async def add(api: httpx.AsyncClient, *addresses: str) -> None:
    content = "\n".join(["address", *addresses])
    answer = await api.post("/devices/import", json={"content": content, "form": "csv"})
    assert answer.status_code == 200, answer.text


async def test_pages_of_devices_hold_the_rows_of_the_whole_list(api: httpx.AsyncClient) -> None:
    await add(api, "192.0.2.10", "192.0.2.9", "198.51.100.1")
    whole = (await api.get("/devices", params={"sort": "address"})).json()
    first = await api.get("/devices", params={"sort": "address", "limit": 2})
    assert first.headers["content-type"] == "application/json"
    assert (first.json()["items"], first.json()["total"]) == (whole[:2], 3)
    second = await api.get("/devices", params={"sort": "address", "limit": 2, "after": first.json()["next"]})
    assert second.json() == {"items": whole[2:], "next": None, "total": 3}
    found = await api.get("/devices", params={"filter": "198.51", "limit": 2})
    assert found.json() == {"items": whole[2:], "next": None, "total": 1}


async def test_a_page_tells_its_position(api: httpx.AsyncClient) -> None:
    before = int((await api.get("/devices", params={"limit": 1})).headers["X-Fleetseal-Position"])
    await add(api, "192.0.2.10")
    assert int((await api.get("/devices", params={"limit": 1})).headers["X-Fleetseal-Position"]) > before


async def test_facets(api: httpx.AsyncClient) -> None:
    await add(api, "192.0.2.10", "192.0.2.9")
    answer = (await api.get("/devices/facets", params={"filter": "192.0.2.9"})).json()
    assert answer["total"] == 1
    assert answer["facets"]["trust"] == [{"value": "none", "count": 1}]
    assert answer["facets"]["tags"] == []


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 5001}, {"limit": 1, "sort": "colour"}, {"limit": 1, "after": "x"}, {"limit": "x"}]
)
async def test_what_is_no_page_is_refused(api: httpx.AsyncClient, wrong: dict[str, str]) -> None:
    answer = await api.get("/devices", params=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")


async def test_pages_of_tasks_and_alarms(api: httpx.AsyncClient) -> None:
    await add(api, "192.0.2.10", "192.0.2.9")
    for _ in range(3):
        assert (await api.post("/tasks", json={"action": "Refresh", "selection": {"all": True}})).status_code == 202
    whole = await api.get("/tasks")
    assert int(whole.headers["X-Fleetseal-Position"]) > 0
    first = (await api.get("/tasks", params={"limit": 2})).json()
    second = (await api.get("/tasks", params={"limit": 2, "after": first["next"]})).json()
    assert [one["id"] for one in first["items"] + second["items"]] == [one["id"] for one in whole.json()] == [3, 2, 1]
    assert (second["next"], second["total"]) == (None, 3)
    alarms = (await api.get("/alarms")).json()
    assert (await api.get("/alarms", params={"limit": 9})).json() == {
        "items": alarms,
        "next": None,
        "total": len(alarms),
    }


async def test_pages_of_issued_certificates(api: httpx.AsyncClient) -> None:
    assert (await api.get("/certificates/issued", params={"limit": 2})).json() == {
        "items": [],
        "next": None,
        "total": 0,
    }
