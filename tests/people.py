"""Users for tests: passwords of little cost, and browsers that sign in."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from fleetseal.app import Application, open_application
from fleetseal.core.access import Role
from fleetseal.core.passwords import Cost, Passwords
from fleetseal.core.runtime import Clock
from fleetseal.core.secrets import Secret
from fleetseal.operations import accounts
from fleetseal.operations.services import Services

PASSWORD = "quiet morning tram"
CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "X-Fleetseal": "1"}
"""What a browser sends with a request of our page."""


@asynccontextmanager
async def application(data: Path, *, clock: Clock | None = None, **limits: int) -> AsyncIterator[Application]:
    async with open_application(data, environment={}, clock=clock, passwords=Passwords(CHEAP, **limits)) as opened:
        yield opened


def cheap(services: Services, *, cost: Cost = CHEAP, **limits: int) -> Services:
    return replace(services, passwords=Passwords(cost, **limits))


async def add_user(to: Application, name: str, role: Role = Role.ADMINISTRATOR) -> int:
    """The number of a new user, whose password is `PASSWORD`."""
    made = await accounts.add_user(to.services, actor="test", name=name, role=role, password=Secret(PASSWORD))
    return int(made["id"])


def stranger(at: Any, *, address: str = "192.0.2.7", url: str = "http://localhost") -> httpx.AsyncClient:
    """Somebody on the network, who keeps cookies and sends what a page of ours does."""
    transport = httpx.ASGITransport(at, raise_app_exceptions=False, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url=f"{url}/api/v1", headers=OWN_PAGE)


def own(at: Application) -> httpx.AsyncClient:
    """This user of the computer."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(at.local), base_url="http://localhost/api/v1")


def here() -> str:
    """How this user of the computer is named."""
    return f"{getpass.getuser()} (local)"


async def signed_in(at: Application, name: str, **options: str) -> httpx.AsyncClient:
    browser = stranger(at.api, **options)
    answer = await browser.post("/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return browser


async def confirmed(at: Application, name: str) -> httpx.AsyncClient:
    browser = await signed_in(at, name)
    assert (await browser.post("/session/confirm", json={"password": PASSWORD})).status_code == 200
    return browser


async def token(at: Application, name: str, scope: Role, *, days: int = 365) -> httpx.AsyncClient:
    """A program on the network."""
    async with own(at) as here:
        made = (await here.post("/tokens", json={"name": name, "scope": scope, "days": days})).json()
    client = stranger(at.api)
    client.headers = httpx.Headers({"Authorization": f"Bearer {made['token']}"})
    return client
