"""The command line's way to the API: one code path, whoever serves it."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from fleetseal.app import Application, Reach, connect_or_open
from fleetseal.cli import output
from fleetseal.cli.common import Common
from fleetseal.core.errors import FleetsealError, InUse


class Problem(FleetsealError):
    """What the API refused, in its words. `problem` is the code of the error there."""

    def __init__(self, message: str, problem: str) -> None:
        super().__init__(message)
        self.problem = problem


class OwnerLeft(InUse):
    """The process that served the API has left."""


Query = Mapping[str, str | Sequence[str]]


class Client:
    """Asks the API. `application` is the one of this process, None when another process serves."""

    def __init__(self, http: httpx.AsyncClient, application: Application | None) -> None:
        self._http = http
        self.application = application

    async def get(self, *path: str | int, query: Query | None = None) -> Any:
        return await self._ask("GET", path, query=query)

    async def post(self, *path: str | int, body: Any = None) -> Any:
        return await self._ask("POST", path, body=body)

    async def put(self, *path: str | int, body: Any = None) -> Any:
        return await self._ask("PUT", path, body=body)

    async def patch(self, *path: str | int, body: Any = None) -> Any:
        return await self._ask("PATCH", path, body=body)

    async def delete(self, *path: str | int) -> Any:
        return await self._ask("DELETE", path)

    async def _ask(
        self, method: str, path: Sequence[str | int], *, query: Query | None = None, body: Any = None
    ) -> Any:
        url = "/api/v1/" + "/".join(quote(str(part), safe="") for part in path)
        try:
            answer = await self._http.request(method, url, params=query, json=body)
        except httpx.TransportError as error:
            raise OwnerLeft(
                "The process that served this command has left before it answered. See what is done, and repeat."
            ) from error
        if answer.is_success:
            return answer.json()
        raise _problem(answer)


@asynccontextmanager
async def connected(where: Common | Path) -> AsyncIterator[Client]:
    """A client of the API over a data directory, or, with `--url`, elsewhere. Over a data directory this process does
    the work when nobody else is there."""
    if isinstance(where, Common) and where.url is not None:
        from fleetseal.cli.remote import Remote

        remote = Remote(where.url, where.ca_file, where.directory)
        async with remote.client() as http:
            await remote.check(http)
            yield Client(http, None)
        return
    async with (
        connect_or_open(where.directory if isinstance(where, Common) else where) as reach,
        httpx.AsyncClient(
            transport=_transport(reach),
            base_url=_base_url(reach),
            headers=_headers(reach),
            timeout=httpx.Timeout(None),  # an answer takes as long as devices do
            trust_env=False,
        ) as http,
    ):
        yield Client(http, reach.application)


async def tell_suspended(client: Client) -> None:
    """Says on standard error what waits for somebody: tasks that nobody works on, and renewal without a key."""
    tasks = await client.get("tasks", "suspended")
    if tasks:
        number = "1 task is" if len(tasks) == 1 else f"{len(tasks)} tasks are"
        done, total = (sum(task[member] for task in tasks) for member in ("done", "total"))
        output.tell(f"{number} suspended: {done} of {total} devices done. Continue: fleetseal task resume")
    if waits := (await client.get("nightly"))["waits"]:
        output.tell(waits)


def _transport(reach: Reach) -> httpx.AsyncBaseTransport:
    if reach.application is not None:
        return httpx.ASGITransport(reach.application.local, raise_app_exceptions=False)
    return httpx.AsyncHTTPTransport(uds=None if reach.socket is None else str(reach.socket))


def _base_url(reach: Reach) -> str:
    return "http://localhost" if reach.port is None else f"http://127.0.0.1:{reach.port}"


def _headers(reach: Reach) -> dict[str, str]:
    return {} if reach.token is None else {"Authorization": f"Bearer {reach.token}"}


def _problem(answer: httpx.Response) -> Problem:
    try:
        problem = answer.json()
        return Problem(str(problem["detail"]), str(problem["code"]))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return Problem(
            f"The server answered in a way that is not understood (status {answer.status_code}).", "internal-error"
        )
