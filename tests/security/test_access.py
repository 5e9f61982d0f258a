"""Signing in, sessions, tokens, guesses: what lets somebody in, what no longer does, and what no sink may hold."""

import asyncio
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from fleetseal.app import Application
from fleetseal.core import passwords
from fleetseal.core.access import Caller, Role
from fleetseal.core.errors import Conflict, InvalidInput, SignInRefused, StoreError, TooManyAttempts
from fleetseal.core.passwords import Cost, Passwords
from fleetseal.core.secrets import Secret
from fleetseal.operations import access, accounts
from fleetseal.store.schema import audit
from tests import people
from tests.people import PASSWORD, add_user, confirmed, own, signed_in, stranger
from tests.site import make_services, template
from tests.support import FakeClock

COOKIE = "fleetseal_session"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def application(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Application]:
    """Without tasks of its own that sleep on the clock."""
    shutil.copytree(await template(authority=False), tmp_path / "data")
    services = people.cheap(await make_services(tmp_path / "data", None, clock=clock))
    async with asyncio.TaskGroup() as group:
        yield Application(services, group, serving=False)
    await services.database.close()


async def state(client: httpx.AsyncClient) -> str:
    return str((await client.get("/session")).json()["state"])


async def attempt(client: httpx.AsyncClient, name: str, password: str) -> httpx.Response:
    return await client.post("/session", json={"name": name, "password": password})


# ---------------------------------------------------------------- the first administrator


async def test_the_first_administrator_is_made_by_the_code_once(application: Application) -> None:
    browser, other = stranger(application.api), stranger(application.api)
    assert await state(browser) == "setup"
    code = await access.make_setup_code(application.services, actor="test")
    assert code is not None
    body = {"code": code.reveal().upper(), "name": "Anna", "password": PASSWORD}
    made = await browser.post("/session/setup", json=body)
    assert made.status_code == 200, made.text
    assert made.json()["user"] == {"id": 1, "name": "anna", "role": "administrator"}
    assert (await state(browser), await state(other)) == ("open", "login")
    again = await other.post("/session/setup", json=body | {"name": "eve"})
    assert (again.status_code, again.json()["code"]) == (401, "sign-in-refused")
    assert "was made already" in again.json()["detail"]
    lost = await other.post("/session/setup", json=body)  # the answer did not come: asked for again
    assert (lost.status_code, lost.json()["user"]) == (200, made.json()["user"])
    assert (await state(browser), await state(other)) == ("open", "open")
    await other.delete("/session")
    assert await access.make_setup_code(application.services, actor="test") is None
    assert [one["name"] for one in await accounts.users(application.services)] == ["anna"]


async def test_of_two_who_use_the_code_at_once_one_is_let_in(application: Application) -> None:
    code = await access.make_setup_code(application.services, actor="test")
    assert code is not None
    bodies = [{"code": code.reveal(), "name": name, "password": PASSWORD} for name in ("anna", "eve")]
    browsers = [stranger(application.api) for _ in bodies]
    answers = await asyncio.gather(
        *(browser.post("/session/setup", json=body) for browser, body in zip(browsers, bodies, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert len(await accounts.users(application.services)) == 1


@pytest.mark.parametrize("jump", [timedelta(hours=24), timedelta(days=3650), timedelta(days=-1)])
async def test_a_setup_code_ends_by_time(application: Application, clock: FakeClock, jump: timedelta) -> None:
    """Also when the clock went back: a code of the future is none."""
    code = await access.make_setup_code(application.services, actor="test")
    assert code is not None
    clock.advance(jump.total_seconds())
    with pytest.raises(SignInRefused):
        await access.set_up(application.services, code=code, name="anna", password=Secret(PASSWORD), address="x")


async def test_a_setup_code_ends_after_ten_wrong_guesses(application: Application) -> None:
    services = application.services
    code = await access.make_setup_code(services, actor="test")
    assert code is not None
    for number in range(10):
        with pytest.raises(SignInRefused):
            await access.set_up(
                services, code=Secret("0" * 16), name="eve", password=Secret(PASSWORD), address=f"192.0.2.{number}"
            )
    with pytest.raises(SignInRefused, match="10 guesses"):
        await access.set_up(services, code=code, name="anna", password=Secret(PASSWORD), address="x")
    code = await access.make_setup_code(services, actor="test")
    assert code is not None
    await access.set_up(services, code=code, name="anna", password=Secret(PASSWORD), address="x")


async def test_guesses_at_a_setup_code_are_counted_by_address(application: Application) -> None:
    """Also where there is no code: a stranger fills neither the audit log nor the disk."""
    await add_user(application, "anna")
    guess = {"code": "0" * 16, "name": "eve", "password": PASSWORD}
    eve = stranger(application.api)
    answers = [(await eve.post("/session/setup", json=guess)).status_code for _ in range(25)]
    assert answers == [401] * 5 + [429] * 20
    async with application.services.database.reading() as tx:
        refused = [one for one in await tx.scalars(select(audit.c.action)) if one == "sign in refused"]
    assert len(refused) == 5
    assert (await attempt(stranger(application.api, address="192.0.2.8"), "anna", PASSWORD)).status_code == 200


# ---------------------------------------------------------------- sessions


async def test_the_session_id_changes_at_sign_in(application: Application) -> None:
    """A session that somebody planted, or had before, lets nobody in afterwards."""
    await add_user(application, "anna")
    browser = stranger(application.api)
    browser.cookies.set(COOKIE, "planted", domain="localhost.local")
    assert (await attempt(browser, "anna", PASSWORD)).status_code == 200
    first = browser.cookies[COOKIE]
    assert first != "planted"
    old = stranger(application.api)
    old.cookies.set(COOKIE, first)
    assert await state(old) == "open"
    again = await attempt(browser, "ANNA", PASSWORD)
    assert COOKIE in again.headers["set-cookie"]
    assert first not in again.headers["set-cookie"]
    assert await state(old) == "login"


@pytest.mark.parametrize(
    ("url", "name", "secure"), [("http://localhost", COOKIE, False), ("https://nvr.example", f"__Host-{COOKIE}", True)]
)
async def test_no_script_no_other_site_and_no_plain_connection_gets_the_cookie(
    application: Application, url: str, name: str, secure: bool
) -> None:
    await add_user(application, "anna")
    browser = stranger(application.api, url=url)
    told = (await attempt(browser, "anna", PASSWORD)).headers["set-cookie"]
    words = {word.strip().casefold() for word in told.split(";")[1:]}
    assert told.startswith(f"{name}=")
    assert words == {"httponly", "path=/", "samesite=strict"} | ({"secure"} if secure else set())
    assert await state(browser) == "open"


async def test_sessions_end_when_idle_and_after_half_a_day(application: Application, clock: FakeClock) -> None:
    await add_user(application, "anna")
    browser = await signed_in(application, "anna")
    for _ in range(28):
        clock.advance(25 * 60)
        assert await state(browser) == "open"
    clock.advance(25 * 60)
    assert await state(browser) == "login"  # 12 h 05 min
    browser = await signed_in(application, "anna")
    clock.advance(30 * 60)
    assert await state(browser) == "login"


async def test_what_no_person_asks_does_not_keep_a_session(application: Application, clock: FakeClock) -> None:
    """A page that is left open follows what changes; its stream looks again and again whether it may."""
    await add_user(application, "anna")
    value = (await signed_in(application, "anna")).cookies[COOKIE]
    for minutes in (10, 10):
        clock.advance(minutes * 60)
        assert await access.by_session(application.services, value, noting=False) is not None
    clock.advance(10 * 60)
    assert await access.by_session(application.services, value, noting=False) is None


@pytest.mark.parametrize("jump", [timedelta(days=-3650), timedelta(minutes=-10), timedelta(days=3650)])
async def test_after_a_jump_of_the_clock_one_signs_in_again(
    application: Application, clock: FakeClock, jump: timedelta
) -> None:
    await add_user(application, "anna")
    browser = await signed_in(application, "anna")
    clock.advance(60)
    assert await state(browser) == "open"
    clock.advance(jump.total_seconds())
    assert await state(browser) == "login"
    assert (await attempt(browser, "anna", PASSWORD)).status_code == 200
    assert await state(browser) == "open"


async def test_a_confirmed_password_counts_for_five_minutes(application: Application, clock: FakeClock) -> None:
    await add_user(application, "anna")
    browser = await signed_in(application, "anna")
    body = {"name": "x", "role": "viewer", "password": "a"}
    refused = await browser.post("/users", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "confirm-password")
    wrong = await browser.post("/session/confirm", json={"password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "sign-in-refused")
    assert (await browser.post("/users", json=body)).json()["code"] == "confirm-password"
    told = (await browser.post("/session/confirm", json={"password": PASSWORD})).json()
    assert told["confirmed_until"] == "2026-11-23T12:05:00Z"
    clock.advance(299)
    assert (await browser.post("/users", json=body)).json()["code"] == "invalid-input"
    clock.advance(1)
    assert (await browser.post("/users", json=body)).json()["code"] == "confirm-password"


async def test_a_key_that_was_refused_for_want_of_the_password_may_ask_again(application: Application) -> None:
    await add_user(application, "anna")
    browser = await signed_in(application, "anna")
    key, body = {"Idempotency-Key": "one"}, {"value": "99"}
    refused = await browser.put("/settings/certificate.validity-days", json=body, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "confirm-password")
    await browser.post("/session/confirm", json={"password": PASSWORD})
    done = await browser.put("/settings/certificate.validity-days", json=body, headers=key)
    assert (done.status_code, done.json()["value"]) == (200, 99)


async def test_no_token_takes_the_keys_away_in_a_backup(application: Application) -> None:
    await add_user(application, "anna")
    browser = await confirmed(application, "anna")
    made = await browser.post("/tokens", json={"name": "script", "scope": "administrator"})
    program = stranger(application.api)
    program.headers["Authorization"] = f"Bearer {made.json()['token']}"
    refused = await program.post("/backups/download", json={"passphrase": "of a thief, but long"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_a_host_that_is_none_is_refused(application: Application) -> None:
    browser = stranger(application.api)
    for host in ("[::1", "[", "evil.example"):
        assert (await browser.get("/session", headers={"Host": host})).status_code in (200, 403)


async def test_signing_out_ends_the_session_itself(application: Application) -> None:
    await add_user(application, "anna")
    browser = await signed_in(application, "anna")
    kept = stranger(application.api)
    kept.cookies.set(COOKIE, browser.cookies[COOKIE])
    assert (await browser.delete("/session")).json()["state"] == "login"
    assert COOKIE not in browser.cookies
    assert (await kept.get("/devices")).status_code == 401


async def change_role(application: Application, number: int) -> None:
    await accounts.change_user(application.services, number, actor="test", name=None, role=Role.VIEWER, password=None)


async def change_password(application: Application, number: int) -> None:
    new = Secret("another quiet tram")
    await accounts.change_user(application.services, number, actor="test", name=None, role=None, password=new)


async def remove(application: Application, number: int) -> None:
    await accounts.remove_user(application.services, number, actor="test")


@pytest.mark.parametrize("change", [change_role, change_password, remove])
async def test_what_changes_rights_ends_what_was_opened_before(application: Application, change: Any) -> None:
    await add_user(application, "root")
    number = await add_user(application, "anna")
    browser = await confirmed(application, "anna")
    made = (await browser.post("/tokens", json={"name": "hers", "scope": "viewer"})).json()
    program = stranger(application.api)
    program.headers = httpx.Headers({"Authorization": f"Bearer {made['token']}"})
    assert (await program.get("/devices")).status_code == 200
    await change(application, number)
    assert (await browser.get("/devices")).status_code == 401
    assert (await program.get("/devices")).status_code == 401


async def test_ones_own_password_changes_with_the_old_one(application: Application) -> None:
    await add_user(application, "anna")
    browser, other = await signed_in(application, "anna"), await signed_in(application, "anna")
    before = browser.cookies[COOKIE]
    new = "another quiet tram"
    wrong = await browser.post("/session/password", json={"old": new, "new": new})
    assert wrong.json()["code"] == "sign-in-refused"
    weak = await browser.post("/session/password", json={"old": PASSWORD, "new": "short"})
    assert weak.json()["code"] == "invalid-input"
    assert (await browser.post("/session/password", json={"old": PASSWORD, "new": new})).status_code == 200
    assert browser.cookies[COOKIE] != before
    assert (await state(browser), await state(other)) == ("open", "login")
    assert (await attempt(other, "anna", PASSWORD)).status_code == 401
    assert (await attempt(other, "anna", new)).status_code == 200


async def test_the_last_administrator_stays(application: Application) -> None:
    number = await add_user(application, "anna")
    await add_user(application, "oscar", Role.OPERATOR)
    for change in (remove, change_role):
        with pytest.raises(Conflict, match="the last administrator"):
            await change(application, number)
    second = await add_user(application, "berta")
    await change_role(application, number)
    with pytest.raises(Conflict, match="the last administrator"):
        await remove(application, second)


# ---------------------------------------------------------------- the sessions that are open


async def listed(client: httpx.AsyncClient) -> list[tuple[str, str, bool, bool]]:
    rows = (await client.get("/sessions")).json()
    return [(row["user"], row["address"], row["own"], row["current"]) for row in rows]


async def test_people_see_and_end_their_own_sessions(application: Application, clock: FakeClock) -> None:
    await add_user(application, "anna")
    await add_user(application, "oscar", Role.OPERATOR)
    await signed_in(application, "anna")
    phone = await signed_in(application, "oscar", address="192.0.2.9")
    clock.advance(61)
    desk = await signed_in(application, "oscar")
    assert await listed(desk) == [("oscar", "192.0.2.7", True, True), ("oscar", "192.0.2.9", True, False)]
    anna = next(row for row in (await own(application).get("/sessions")).json() if row["user"] == "anna")
    assert (await desk.delete(f"/sessions/{anna['id']}")).json()["code"] == "not-found"
    (other,) = [row for row in (await desk.get("/sessions")).json() if not row["current"]]
    left = await desk.delete(f"/sessions/{other['id']}")
    assert [row["current"] for row in left.json()] == [True]
    assert (await state(phone), await state(desk)) == ("login", "open")
    assert (await desk.delete(f"/sessions/{other['id']}")).status_code == 404
    phone, tablet = await signed_in(application, "oscar"), await signed_in(application, "oscar")
    assert len((await desk.delete("/sessions")).json()) == 1
    assert [await state(one) for one in (desk, phone, tablet)] == ["open", "login", "login"]
    async with application.services.database.reading() as tx:
        ends = list(await tx.scalars(select(audit.c.actor).where(audit.c.action == "session end")))
    assert ends == ["oscar"] * 3


async def test_administrators_see_and_end_those_of_everybody(application: Application, clock: FakeClock) -> None:
    """With their password again where it is another's; ended ones are not told."""
    for name, role in (("anna", Role.ADMINISTRATOR), ("oscar", Role.OPERATOR), ("vera", Role.VIEWER)):
        await add_user(application, name, role)
    await signed_in(application, "vera")
    clock.advance(1800)
    oscar, anna = await signed_in(application, "oscar"), await signed_in(application, "anna")
    assert [row[0] for row in await listed(anna)] == ["anna", "oscar"]
    theirs = next(row for row in (await anna.get("/sessions")).json() if row["user"] == "oscar")
    assert (await anna.delete(f"/sessions/{theirs['id']}")).json()["code"] == "confirm-password"
    assert await state(oscar) == "open"
    await anna.post("/session/confirm", json={"password": PASSWORD})
    assert [row["user"] for row in (await anna.delete(f"/sessions/{theirs['id']}")).json()] == ["anna"]
    assert await state(oscar) == "login"
    program = await people.token(application, "reader", Role.ADMINISTRATOR)
    for method in ("GET", "DELETE"):
        assert (await program.request(method, "/sessions")).json()["code"] == "forbidden"


# ---------------------------------------------------------------- tokens


async def test_tokens_end_in_time_and_when_removed(application: Application, clock: FakeClock) -> None:
    program = await people.token(application, "reader", Role.VIEWER)
    brief = await people.token(application, "brief", Role.VIEWER, days=1)
    clock.advance(86_400)
    assert (await program.get("/devices")).status_code == 200
    answer = await brief.get("/devices")
    assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in")
    here = own(application)
    rows = (await here.get("/tokens")).json()
    assert [(row["name"], row["last_used"] is None) for row in rows] == [("brief", True), ("reader", False)]
    assert all("token" not in row for row in rows)
    assert (await here.delete(f"/tokens/{rows[1]['id']}")).status_code == 200
    assert (await program.get("/devices")).status_code == 401
    for days in (0, 826):
        assert (await here.post("/tokens", json={"name": "x", "scope": "viewer", "days": days})).status_code == 422


async def test_the_audit_trail_names_who_asked(application: Application) -> None:
    await add_user(application, "anna")
    browser = await confirmed(application, "anna")
    program = await people.token(application, "backup-script", Role.ADMINISTRATOR)
    for number, client in enumerate((browser, program, own(application)), 1):
        assert (await client.put("/settings/https.soak-seconds", json={"value": str(number)})).status_code == 200
    records = (await own(application).get("/audit", params={"filter": "action:settings set"})).json()["items"]
    actors = [record["actor"] for record in records]
    assert actors[1:3] == ["token backup-script", "anna"]
    assert actors[0] == people.here()


async def test_nobody_is_named_as_the_user_of_the_computer(application: Application) -> None:
    for name in (people.here(), "root (local)", "(local)", "token x"):
        with pytest.raises(InvalidInput, match="A name has"):
            await add_user(application, name)


# ---------------------------------------------------------------- guesses


async def test_after_five_wrong_guesses_at_a_user_pauses_grow(application: Application, clock: FakeClock) -> None:
    await add_user(application, "anna")
    waits: list[int] = []
    for number in range(30):
        browser = stranger(application.api, address=f"192.0.2.{number}")
        answer = await attempt(browser, "anna", f"wrong {number}")
        while answer.status_code == 429:
            assert answer.json()["code"] == "too-many-attempts"
            waits.append(int(answer.headers["retry-after"]))
            refused = await attempt(browser, "anna", PASSWORD)  # the right one is not looked at either
            assert refused.status_code == 429
            clock.advance(waits[-1])
            answer = await attempt(browser, "anna", f"wrong {number}")
        assert answer.status_code == 401
        if len(waits) == 7:
            break
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    clock.advance(900)
    assert (await attempt(browser, "anna", PASSWORD)).status_code == 200
    assert (await attempt(browser, "anna", "wrong")).status_code == 401
    assert (await attempt(browser, "anna", "wrong")).status_code == 401  # counted anew


async def test_whoever_is_signed_in_is_not_locked_out_by_the_guesses_of_others(
    application: Application, clock: FakeClock
) -> None:
    """And has guesses of that session alone."""
    await add_user(application, "anna")
    browser, second = await signed_in(application, "anna"), await signed_in(application, "anna")
    eve = stranger(application.api)  # from the same address
    for _ in range(5):
        await attempt(eve, "anna", "wrong")
    assert (await attempt(eve, "anna", PASSWORD)).status_code == 429
    assert (await browser.post("/session/confirm", json={"password": PASSWORD})).status_code == 200
    answers = [await browser.post("/session/confirm", json={"password": f"wrong {n}"}) for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    change = {"old": PASSWORD, "new": "another quiet tram"}
    assert (await browser.post("/session/password", json=change)).status_code == 429
    assert (await second.post("/session/confirm", json={"password": PASSWORD})).status_code == 200
    (user,) = await accounts.users(application.services)
    await access.unlock(application.services, user["id"], actor="test")
    assert (await browser.post("/session/confirm", json={"password": PASSWORD})).status_code == 200


async def test_an_address_that_tries_many_names_waits_too(application: Application, clock: FakeClock) -> None:
    """A right password of its own does not clear it."""
    await add_user(application, "eve")
    eve = stranger(application.api, address="2001:db8::1")
    for number in range(20):
        assert (await attempt(eve, f"user{number}", "wrong")).status_code == 401
        if number < 19:
            assert (await attempt(eve, "eve", PASSWORD)).status_code == 200
    neighbour, other = (stranger(application.api, address=one) for one in ("2001:db8::2", "2001:db8:0:1::1"))
    assert (await attempt(eve, "eve", PASSWORD)).status_code == 429
    assert (await attempt(neighbour, "eve", PASSWORD)).status_code == 429  # the same /64
    assert (await attempt(other, "eve", PASSWORD)).status_code == 200
    (user,) = await accounts.users(application.services)
    await access.unlock(application.services, user["id"], actor="test")
    assert (await attempt(eve, "eve", PASSWORD)).status_code == 200


@pytest.mark.parametrize("jump", [timedelta(days=-3650), timedelta(days=1)])
async def test_a_jump_of_the_clock_locks_nobody_out(
    application: Application, clock: FakeClock, jump: timedelta
) -> None:
    await add_user(application, "anna")
    browser = stranger(application.api)
    for _ in range(5):
        await attempt(browser, "anna", "wrong")
    assert (await attempt(browser, "anna", PASSWORD)).status_code == 429
    clock.advance(jump.total_seconds())
    assert (await attempt(browser, "anna", PASSWORD)).status_code == 200


async def test_unknown_names_are_answered_and_cost_the_same(application: Application) -> None:
    await add_user(application, "anna")
    computed, answers = [], []
    for number, name in enumerate(("anna", "nobody", "anna\x00", "x" * 10_000)):
        before = application.services.passwords.checked
        answer = await attempt(stranger(application.api, address=f"192.0.2.{number}"), name, "wrong")
        computed.append(application.services.passwords.checked - before)
        answers.append((answer.status_code, answer.json()["code"], answer.json()["detail"]))
    assert computed == [1] * 4
    assert set(answers) == {(401, "sign-in-refused", "Name or password is wrong.")}


GUESSER = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from fleetseal.core.errors import SignInRefused, TooManyAttempts
from fleetseal.core.passwords import Cost, Passwords
from fleetseal.core.secrets import Secret
from fleetseal.operations import access
from fleetseal.store.database import Database
from tests.support import FakeClock

async def main():
    database = await Database.open(Path(sys.argv[1]) / "fleetseal.db", busy_seconds=60)
    services = SimpleNamespace(database=database, clock=FakeClock(), passwords=Passwords(Cost(8, 1, 1), waiting=1000))
    allowed = 0
    async def one(number):
        nonlocal allowed
        try:
            await access.sign_in(services, name="anna", password=Secret("wrong"),
                                 address=f"{sys.argv[2]}.{number}", before=None)
        except SignInRefused:
            allowed += 1
        except TooManyAttempts:
            pass
    await asyncio.gather(*(one(number) for number in range(60)))
    await database.close()
    print(allowed)

asyncio.run(main())
"""


async def test_limits_are_exact_across_processes(tmp_path: Path) -> None:
    """WEB-SHARED-LIMITS: four processes on one database, 240 guesses at one user, each from another address."""
    services = people.cheap(await make_services(tmp_path / "data", None, clock=FakeClock()))
    await accounts.add_user(services, actor="test", name="anna", role=Role.ADMINISTRATOR, password=Secret(PASSWORD))
    await services.database.close()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", GUESSER, str(tmp_path / "data"), f"10.0.{number}"],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for number in range(4)
    ]
    allowed = [int(process.communicate(timeout=120)[0]) for process in running]
    assert sum(allowed) == 5


async def test_so_many_hashes_at_once_and_no_more(application: Application) -> None:
    """Whoever comes when too many wait is sent away at once, and nothing is counted."""
    crowded = people.cheap(application.services, at_once=1, waiting=2)
    await add_user(application, "anna")

    async def one(number: int) -> str:
        try:
            await access.sign_in(
                crowded, name="anna", password=Secret(PASSWORD), address=f"192.0.2.{number}", before=None
            )
        except TooManyAttempts as error:
            return f"sent away for {error.seconds} s"
        return "let in"

    outcomes = await asyncio.gather(*(one(number) for number in range(10)))
    assert sorted(outcomes) == ["let in"] * 3 + ["sent away for 5 s"] * 7
    assert await one(11) == "let in"


# ---------------------------------------------------------------- audit


async def add_another(application: Application) -> None:
    await add_user(application, "berta")


async def add_token(application: Application) -> None:
    caller = Caller("test", Role.ADMINISTRATOR)
    await accounts.add_token(application.services, caller, name="reader", scope=Role.VIEWER, days=1)


async def sign_in(application: Application) -> None:
    await access.sign_in(application.services, name="anna", password=Secret(PASSWORD), address="x", before=None)


async def unlock(application: Application) -> None:
    await access.unlock(application.services, 1, actor="test")


async def on_anna(change: Any, application: Application) -> None:
    await change(application, 1)


@pytest.mark.parametrize(
    "act",
    [
        add_another,
        add_token,
        sign_in,
        unlock,
        *(partial(on_anna, one) for one in (change_role, change_password, remove)),
    ],
)
async def test_what_cannot_be_recorded_does_not_happen(application: Application, tmp_path: Path, act: Any) -> None:
    """AUD-FAILS-CLOSED."""
    await add_user(application, "anna")
    await add_user(application, "root")
    await attempt(stranger(application.api), "anna", "wrong")
    file = sqlite3.connect(tmp_path / "data" / "fleetseal.db")

    def rows() -> list[list[Any]]:
        return [
            file.execute(f"select * from {table} order by 1").fetchall()
            for table in ("account", "session", "api_token", "audit")
        ]

    before = rows()
    with file:
        file.execute("create trigger full before insert on audit begin select raise(abort, 'full'); end")
    with pytest.raises(StoreError):
        await act(application)
    assert rows() == before
    with file:
        file.execute("drop trigger full")
    await act(application)
    assert rows() != before
    file.close()


# ---------------------------------------------------------------- passwords


@pytest.mark.parametrize("text", ["short", "a" * 11, "a" * 40, "abababababababab", "Administrator1", "anna-anna-anna!",
                                  "fleetseal1234", "x" * 1025])  # fmt: skip
def test_passwords_that_are_guessed_first_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        passwords.check(Secret(text), name="anna")


@pytest.mark.parametrize("text", [PASSWORD, "correct horse", "Überraschung 12", "🙂🙃😉😊😋😌😍😎🤓🥳🤠🧐"])
def test_long_ones_of_any_kind_are_allowed(text: str) -> None:
    passwords.check(Secret(text), name="anna")


async def test_the_same_password_from_every_keyboard() -> None:
    hashes = Passwords(people.CHEAP)
    kept = await hashes.hash(Secret("caf\u00e9 au lait 12"))
    assert await hashes.matches(Secret("cafe\u0301 au lait 12"), kept)
    assert not await hashes.matches(Secret("cafe au lait 12"), kept)


async def test_a_hash_of_less_cost_is_made_anew_at_sign_in(application: Application, tmp_path: Path) -> None:
    await add_user(application, "anna")
    dearer = people.cheap(application.services, cost=Cost(memory_kib=16, passes=2, lanes=1))
    await access.sign_in(dearer, name="anna", password=Secret(PASSWORD), address="x", before=None)
    with sqlite3.connect(tmp_path / "data" / "fleetseal.db") as file:
        (kept,) = file.execute("select password from account").fetchone()
    file.close()
    assert kept.startswith("$argon2id$v=19$m=16,t=2,p=1$")


# ---------------------------------------------------------------- secrets


async def test_no_sink_holds_a_password_a_token_or_a_code(
    application: Application, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SEC-NO-LEAK: the database with its journal, logs at debug level, and every answer but the one that tells."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, logger="aiosqlite")  # as core/log.py has it
    code = await access.make_setup_code(application.services, actor="test")
    assert code is not None
    browser, answers = stranger(application.api), []
    wrong = "c4n4ry wrong password"
    body = {"code": code.reveal(), "name": "anna", "password": PASSWORD}
    answers.append(await browser.post("/session/setup", json=body))
    session = browser.cookies[COOKIE]
    answers.append(await browser.post("/session/confirm", json={"password": PASSWORD}))
    token = (await browser.post("/tokens", json={"name": "reader", "scope": "viewer"})).json()["token"]
    answers += [await attempt(stranger(application.api), wrong, wrong), await attempt(browser, "anna", wrong)]
    answers += [await browser.get(path) for path in ("/users", "/tokens", "/session", "/audit")]
    answers.append(await browser.get("/devices", headers={"Authorization": f"Bearer {token}x"}))
    told = b"".join(answer.content for answer in answers) + caplog.text.encode()
    told += b"".join(path.read_bytes() for path in (tmp_path / "data").glob("fleetseal.db*"))
    bare = code.reveal().replace("-", "")
    for secret in (PASSWORD, wrong, session, token, token.removeprefix("fst_"), code.reveal(), bare):
        assert secret.encode() not in told


def test_the_command_writes_a_token_for_this_user_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fleetseal.cli.main import run

    data, file = str(tmp_path / "data"), tmp_path / "token"
    assert run(["token", "add", "reader", "--scope", "viewer", "--output", str(file), "--data", data]) == 0
    value = file.read_text().strip()
    assert value.startswith("fst_")
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = capsys.readouterr()
    assert value not in said.out + said.err
    assert run(["token", "add", "second", "--scope", "viewer", "--output", str(file), "--data", data]) == 2
    assert file.read_text().strip() == value
    assert run(["token", "list", "--json", "--data", data]) == 0
    listed = capsys.readouterr().out
    assert '"reader"' in listed
    assert '"second"' not in listed
    assert run(["token", "remove", "reader", "--data", data]) == 0
    assert run(["token", "remove", "reader", "--data", data]) == 3
