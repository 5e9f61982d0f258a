"""Actions with an `Idempotency-Key`: done once, however often they are asked for."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from fleetseal.app import Application, open_application
from fleetseal.core.errors import Conflict, InvalidInput, TooManyAttempts
from fleetseal.operations import repeats
from fleetseal.operations.repeats import Answer, Asked
from fleetseal.operations.services import Services
from fleetseal.store.repeats import repeat
from fleetseal.web.auth import local, needs_of
from tests.site import make_services
from tests.support import FakeClock

ONE = {"content": "address\n192.0.2.10", "form": "csv"}
KEY = {"Idempotency-Key": "3c1f-1"}


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with open_application(tmp_path / "data", environment={}) as opened:
        yield opened


def client_of(application: Application, user: str = "anna") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(local(application.api, user), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test/api/v1")


@pytest.fixture
async def api(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application) as client:
        yield client


async def devices(api: httpx.AsyncClient) -> int:
    return len((await api.get("/devices")).json())


async def imports(api: httpx.AsyncClient) -> int:
    return len([one for one in (await api.get("/audit")).json()["items"] if one["action"] == "device import"])


# ---------------------------------------------------------------- once


async def test_the_first_answer_is_given_again_and_nothing_is_done_again(api: httpx.AsyncClient) -> None:
    first = await api.post("/devices/import", json=ONE, headers=KEY)
    again = await api.post("/devices/import", json=ONE, headers=KEY)
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert await imports(api) == 1
    anew = await api.post("/devices/import", json=ONE, headers={"Idempotency-Key": "another"})
    assert anew.json() != first.json(), "by then it is known"


async def test_of_many_at_once_one_is_done_and_all_are_answered(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(api.post("/devices/import", json=ONE, headers=KEY) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await imports(api) == 1


async def test_what_failed_is_answered_alike_and_not_tried_again(api: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"action": "Refresh", "selection": {"all": True}}
    first = await api.post("/tasks", json=asked, headers=KEY)
    assert first.status_code == 422, "there is no device"
    await api.post("/devices/import", json=ONE)
    again = await api.post("/tasks", json=asked, headers=KEY)
    assert (again.status_code, again.json()) == (422, first.json())
    assert again.headers["content-type"] == "application/problem+json"


async def test_what_was_malformed_leaves_the_key_free(api: httpx.AsyncClient) -> None:
    assert (await api.post("/devices/import", json={}, headers=KEY)).status_code == 422
    assert (await api.post("/devices/import", json=ONE, headers=KEY)).status_code == 200


@pytest.mark.parametrize("path", ["/devices/import", "/devices/import?x=1", "/devices/setup"])
async def test_a_key_is_for_one_request(api: httpx.AsyncClient, path: str) -> None:
    await api.post("/devices/import", json=ONE, headers=KEY)
    other = ONE if path != "/devices/import" else {**ONE, "content": "address\n192.0.2.11"}
    answer = await api.post(path, json=other, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert "Something else" in answer.json()["detail"]
    assert await devices(api) == 1


async def test_each_caller_has_keys_of_its_own(application: Application, api: httpx.AsyncClient) -> None:
    await api.post("/devices/import", json=ONE, headers=KEY)
    async with client_of(application, "berta") as other:
        answer = await other.post("/devices/import", json={**ONE, "content": "address\n192.0.2.11"}, headers=KEY)
    assert answer.status_code == 200
    assert await devices(api) == 2


@pytest.mark.parametrize("key", ["", " ", "x" * 65, "a b", "\xe4"])
async def test_a_key_that_is_none_is_refused(api: httpx.AsyncClient, key: str) -> None:
    answer = await api.post("/devices/import", json=ONE, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert await devices(api) == 0


async def test_reading_takes_no_notice_of_a_key(api: httpx.AsyncClient) -> None:
    assert (await api.get("/devices", headers=KEY)).json() == []
    assert (await api.post("/devices/import", json=ONE, headers=KEY)).status_code == 200
    assert len((await api.get("/devices", headers=KEY)).json()) == 1


# ---------------------------------------------------------------- secrets, and what nobody knows


async def test_neither_secrets_that_were_sent_nor_answers_that_may_hold_one_are_kept(
    api: httpx.AsyncClient, tmp_path: Path
) -> None:
    body = {"name": "Site", "key_type": "ec", "passphrase": "c4n4ry of the root"}
    assert (await api.post("/authorities", json=body, headers=KEY)).status_code == 201
    again = await api.post("/authorities", json=body, headers=KEY)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert "This was done before (status 201)" in again.json()["detail"]
    assert len((await api.get("/authorities")).json()) == 1
    for file in (tmp_path / "data").glob("fleetseal.db*"):
        assert b"c4n4ry" not in file.read_bytes()
    with sqlite3.connect(tmp_path / "data" / "fleetseal.db") as connection:
        assert connection.execute("select status, content from repeat").fetchall() == [(201, None)]
    connection.close()


async def test_what_was_asked_for_before_a_crash_is_not_known(
    application: Application, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    """The process ended between the action and the note of its answer: a note that cannot be written is the same."""
    with sqlite3.connect(tmp_path / "data" / "fleetseal.db") as connection:
        connection.execute("create trigger x before update on repeat begin select raise(abort, 'no'); end")
    connection.close()
    assert (await api.post("/devices/import", json=ONE, headers=KEY)).status_code == 200, "it was done"
    again = await api.post("/devices/import", json=ONE, headers=KEY)
    assert again.status_code == 409
    assert "whether it was done is not known" in again.json()["detail"]
    assert await imports(api) == 1


# ---------------------------------------------------------------- how long


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[tuple[Services, FakeClock]]:
    clock = FakeClock()
    made = await make_services(tmp_path / "alone", None, clock=clock)
    yield made, clock
    await made.database.close()


@pytest.mark.parametrize(("later", "known"), [(24, True), (24.1, False), (-23, True), (-25, False)])
async def test_a_key_is_known_for_a_day(services: tuple[Services, FakeClock], later: float, known: bool) -> None:
    made, clock = services
    asked, answer = Asked.of(made, "anna", "k", b"POST", b"/x"), Answer(200, "application/json", b"{}")
    assert await repeats.begin(made, asked) is None
    await repeats.end(made, asked, answer)
    clock.advance(timedelta(hours=later) / timedelta(seconds=1))
    assert await repeats.begin(made, asked) == (answer if known else None)


async def test_an_answer_that_is_too_long_is_not_kept(services: tuple[Services, FakeClock]) -> None:
    made, _ = services
    asked = Asked.of(made, "anna", "k", b"POST")
    await repeats.begin(made, asked)
    await repeats.end(made, asked, Answer(200, "application/json", made.rng.bytes(repeats.LONGEST + 1)))
    with pytest.raises(Conflict, match="too long"):
        await repeats.begin(made, asked)


async def test_only_the_newest_answers_are_kept(services: tuple[Services, FakeClock]) -> None:
    """Of each actor and of all; nothing is done again for that."""
    made, clock = services
    answer, actors = Answer(200, "application/json", b"{}"), [f"user{number}" for number in range(9)]
    for actor in actors:
        for number in range(repeats.ANSWERS + 1):
            clock.advance(1)
            asked = Asked.of(made, actor, str(number), b"POST")
            assert await repeats.begin(made, asked) is None
            await repeats.end(made, asked, answer)

    async def kept(actor: str, key: object) -> bool:
        asked = Asked.of(made, actor, str(key), b"POST")
        try:
            return await repeats.begin(made, asked) == answer
        except Conflict:
            return False

    of_last = [await kept(actors[-1], number) for number in range(repeats.ANSWERS + 1)]
    assert of_last == [False] + [True] * repeats.ANSWERS
    assert len(actors) * repeats.ANSWERS > repeats.ALL_ANSWERS
    assert not await kept(actors[0], repeats.ANSWERS)


async def test_keys_are_bounded_by_actor(services: tuple[Services, FakeClock]) -> None:
    made, clock = services
    rows = [
        {"actor": "anna", "key": str(number), "digest": b"", "begun": clock.now(), "status": 200}
        for number in range(repeats.KEYS)
    ]
    async with made.database.transaction() as tx:
        await tx.execute(insert(repeat), rows)
    with pytest.raises(TooManyAttempts, match="Ask without the key"):
        await repeats.begin(made, Asked.of(made, "anna", "one-more", b"POST"))
    assert await repeats.begin(made, Asked.of(made, "berta", "one-more", b"POST")) is None


async def test_what_changes_nothing_takes_no_key(
    application: Application, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Searches, plans and previews by POST: as often as asked for, and nothing is kept."""
    reading = {path for (path, method), need in needs_of(application.api).items() if method == "POST" and need.reads}
    assert reading == {f"/api/v1/{path}" for path in READING}
    for _ in range(2):
        assert (await api.post("/devices/export", json={}, headers=KEY)).status_code == 200
        assert (await api.post("/devices/export", json={"form": "json"}, headers=KEY)).status_code == 200
    with sqlite3.connect(tmp_path / "data" / "fleetseal.db") as connection:
        assert connection.execute("select count(*) from repeat").fetchone() == (0,)
    connection.close()


READING = {"audit/verification", "devices/export", "devices/shown", "discovery", "tasks/plan"}


async def test_parts_of_a_request_do_not_run_together(services: tuple[Services, FakeClock]) -> None:
    made, _ = services
    await repeats.begin(made, Asked.of(made, "anna", "k", b"ab", b"c"))
    with pytest.raises(InvalidInput):
        await repeats.begin(made, Asked.of(made, "anna", "k", b"a", b"bc"))
