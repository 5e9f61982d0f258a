"""Who may ask what: every route says so, and everybody says who it is (WEB-DENY-DEFAULT, WEB-SAME-SITE)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import insert, select

from fleetseal.app import Application
from fleetseal.core.access import Role
from fleetseal.operations import accounts
from fleetseal.store import access as store
from fleetseal.store.accounts import session
from fleetseal.web.auth import VIEWER, Guarded, Need, needs, routes_of
from tests import people
from tests.people import add_user, signed_in, stranger

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with people.application(tmp_path / "data") as opened:
        yield opened


def every_route(application: Application) -> Iterator[tuple[str, str, Need]]:
    for path, methods, need in routes_of(application.api):
        for method in sorted(methods):
            yield (
                method,
                path.removeprefix("/api/v1") if path.startswith("/api/v1") else f"http://localhost{path}",
                need,
            )


async def silent() -> None:
    raise AssertionError("nobody may ask this")


@needs(VIEWER)
async def marked() -> None:
    raise AssertionError("nobody may ask this")


def test_a_route_that_names_no_role_cannot_be_declared() -> None:
    with pytest.raises(LookupError, match="/planted does not say who may ask it"):
        APIRouter(route_class=Guarded).add_api_route("/planted", silent)


def test_a_route_that_would_not_ask_is_not_served() -> None:
    """Of another kind, in a router that was included, or mounted beside the API."""
    router = APIRouter(prefix="/planted")
    router.add_api_route("", marked)
    served = FastAPI(openapi_url=None)
    served.include_router(router, prefix="/api/v1")
    with pytest.raises(LookupError, match="/api/v1/planted would not ask who comes"):
        list(routes_of(served))
    with pytest.raises(LookupError, match=r"openapi\.json would not ask who comes"):
        list(routes_of(FastAPI()))
    mounting = FastAPI(openapi_url=None)
    mounting.mount("/static", FastAPI())
    with pytest.raises(LookupError, match="/static would not ask who comes"):
        list(routes_of(mounting))


async def test_only_signing_in_is_public(application: Application) -> None:
    assert {(method, path) for method, path, need in every_route(application) if need.role is None} == {
        ("GET", "/session"),
        ("POST", "/session"),
        ("DELETE", "/session"),
        ("POST", "/session/setup"),
    }


MALFORMED = {"content": b"{", "headers": {"Content-Type": "application/json"}}
"""A body that is not read when the request is refused, and refused (422) when it is not: no route does its work."""


async def test_each_role_may_ask_what_its_routes_say(application: Application) -> None:
    """Every route, by nobody, and by session, confirmed session and token of each role: as declared, and no more.

    A path's members are words or numbers that nobody knows, and bodies are malformed.
    """
    asked = 0
    async with stranger(application.api) as nobody:
        for method, path, need in every_route(application):
            if need.role is not None:
                answer = await nobody.request(method, _filled(path), **MALFORMED)  # type: ignore[arg-type]  # as its members are
                assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in"), f"{method} {path}"
                assert answer.headers["www-authenticate"] == "Bearer"
    for role in Role:
        await add_user(application, role, role)
        clients = {
            "session": await signed_in(application, role),
            "confirmed": await people.confirmed(application, role),
            "token": await people.token(application, f"of-{role}", role),
        }
        for kind, client in clients.items():
            for method, path, need in every_route(application):
                if need.role is None or path.startswith("/session/") or (method, path) in APART:
                    continue
                answer = await client.request(method, _filled(path), **_body(method))
                code = answer.json().get("code") if answer.headers["content-type"].endswith("problem+json") else None
                assert _verdict(answer, code) == _declared(need, role, kind), f"{kind} of {role}: {method} {path}"
                assert answer.headers["cache-control"] == "no-store"
                asked += 1
    assert asked > 9 * 60


async def test_rights_that_end_while_the_body_comes_let_nobody_act(application: Application) -> None:
    """Every unsafe route: access ends between headers and body, as when the user is removed."""
    database, number = application.services.database, await add_user(application, "anna")
    browser = await people.confirmed(application, "anna")
    async with database.reading() as tx:
        (opened,) = await tx.execute(select(session))

    async def end() -> None:
        async with database.transaction() as tx:
            await store.end_access(tx, number)

    asked = 0
    for method, path, need in every_route(application):
        if need.role is not None and method in UNSAFE:
            answer = await browser.request(method, _filled(path), content=_coming(end))
            assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in"), f"{method} {path}"
            async with database.transaction() as tx:
                await tx.execute(insert(session).values(**opened._asdict()))
            asked += 1
    assert asked > 50


async def test_whoever_is_removed_while_the_body_comes_makes_no_token_under_a_key_either(
    application: Application,
) -> None:
    await add_user(application, "zoe")
    remove = partial(accounts.remove_user, application.services, await add_user(application, "anna"), actor="test")
    browser = await people.confirmed(application, "anna")
    body = b'{"name": "kept", "scope": "administrator"}'
    answer = await browser.post("/tokens", content=_coming(remove, body), headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in")
    assert await accounts.tokens(application.services) == []


async def _coming(before: Callable[[], Awaitable[object]], body: bytes = b"{") -> AsyncIterator[bytes]:
    await before()
    yield body


async def test_no_body_of_a_stranger_takes_room(application: Application) -> None:
    """What nobody is asked for is refused before it comes; what everybody may send is short."""
    for method, path, need in every_route(application):
        if method in UNSAFE:
            async with stranger(application.api) as nobody:
                headers = {"Content-Length": str(16 * 1024 + 1)}
                answer = await nobody.request(method, _filled(path), content=_unread(), headers=headers)
            refused = (422, "invalid-input") if need.role is None else (401, "not-signed-in")
            assert (answer.status_code, answer.json()["code"]) == refused, f"{method} {path}"


async def _unread() -> AsyncIterator[bytes]:
    yield b""
    raise AssertionError("this must not be read")


APART = {("GET", "/events"), ("DELETE", "/sessions")}
"""An answer that does not end, and what would end the sessions that ask."""


def _filled(path: str) -> str:
    parts = path.split("/")
    return "/".join("999999" if part.startswith("{") else part for part in parts)


def _body(method: str) -> dict[str, Any]:
    return dict(MALFORMED) if method in UNSAFE else {}


def _verdict(answer: httpx.Response, code: str | None) -> str:
    """`let in`: the route itself answered, in whatever way."""
    assert answer.status_code != 401
    if answer.status_code == 403:
        assert code in ("forbidden", "confirm-password")
        return str(code)
    assert answer.status_code < 500 or code != "internal-error", answer.text
    return "let in"


def _declared(need: Need, role: Role, kind: str) -> str:
    assert need.role is not None
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR]
    if order.index(role) < order.index(need.role) or (kind == "token" and not need.tokens):
        return "forbidden"
    return "confirm-password" if need.confirmed and kind == "session" else "let in"


async def test_requests_of_other_sites_have_no_effect(application: Application) -> None:
    """Every unsafe route, with the cookie of an administrator: as other sites' forms and scripts can send it."""
    await add_user(application, "anna")
    browser = await people.confirmed(application, "anna")
    origin, evil = "http://localhost", "https://evil.example"
    foreign: list[dict[str, str]] = [
        {"Sec-Fetch-Site": "cross-site", "X-Fleetseal": "1", "Origin": evil},
        {"Sec-Fetch-Site": "same-site", "X-Fleetseal": "1", "Origin": "http://other.localhost"},
        {"Sec-Fetch-Site": "none", "X-Fleetseal": "1"},
        {"Sec-Fetch-Site": "same-origin"},  # a form of our own page: we have none
        {"Origin": origin},
        {"Origin": evil, "X-Fleetseal": "1"},
        {"Origin": "null", "X-Fleetseal": "1"},
        {"Origin": "http://[", "X-Fleetseal": "1"},
        {"X-Fleetseal": "1"},
        {},
    ]
    before = [await _state(application)]
    for method, path, _ in every_route(application):
        for headers in foreign if method in UNSAFE else ():
            browser.headers = httpx.Headers(headers)
            answer = await browser.request(method, _filled(path), json={})
            assert answer.status_code == 403, f"{method} {path} {headers}"
            assert answer.json()["detail"] == "This request was not sent by a page of Fleetseal. Nothing was done."
    assert [await _state(application)] == before
    browser.headers = httpx.Headers({"Origin": origin, "X-Fleetseal": "1"})  # an older browser, on our own page
    assert (await browser.put("/settings/https.soak-seconds", json={"value": "3"})).status_code == 200


async def _state(application: Application) -> list[Any]:
    async with people.own(application) as own:
        return [(await own.get(path)).json() for path in ("/audit", "/settings", "/users", "/tokens", "/devices")]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", ""])
async def test_on_loopback_no_other_name_reaches_the_api(application: Application, host: str) -> None:
    """DNS rebinding: another site's name that points here."""
    async with stranger(application.api) as browser:
        answer = await browser.get("/session", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8443", "[::1]:8443", "LOCALHOST:1"])
async def test_on_loopback_its_own_names_do(application: Application, host: str) -> None:
    async with stranger(application.api) as browser:
        assert (await browser.get("/session", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("path", ["/tasks", "/tasks/1/retry", "/nightly"])
async def test_the_passphrase_of_the_authority_is_for_confirmed_administrators(
    application: Application, path: str
) -> None:
    """Whatever it comes with: it opens the key as "unlock" does."""
    body: dict[str, Any] = {"passphrase": "correct horse"}
    if path == "/tasks":
        body |= {"action": "Enable HTTPS", "selection": {"all": True}}
    for name, role, code in (("oscar", Role.OPERATOR, "forbidden"), ("anna", Role.ADMINISTRATOR, "confirm-password")):
        await add_user(application, name, role)
        answer = await (await signed_in(application, name)).post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    answer = await (await people.confirmed(application, "anna")).post(path, json=body)
    assert answer.status_code != 403


async def test_removing_with_revocation_is_for_confirmed_administrators(application: Application) -> None:
    body = {"devices": ["999999"], "revoke": True}
    await add_user(application, "oscar", Role.OPERATOR)
    await add_user(application, "anna")
    for name, status, code in (("oscar", 403, "forbidden"), ("anna", 403, "confirm-password")):
        browser = await signed_in(application, name)
        answer = await browser.post("/devices/removal", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        plain = await browser.post("/devices/removal", json=body | {"revoke": False})
        assert plain.json()["code"] == "not-found"
