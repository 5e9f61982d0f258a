"""The API against its own description: what it says of requests, answers and errors is so, for data that nobody would
send too, and for one request after another (schemathesis)."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import uvicorn

from fleetseal.app import Application
from fleetseal.core.errors import Unreachable
from fleetseal.core.runtime import SystemClock
from fleetseal.web.auth import local
from tests.site import make_services

LEFT_OUT = (
    "make_backup",  # writes wherever it is told to
    "download_backup",  # makes a key of each passphrase, on purpose slowly
    "back_authority_up",  # the same
    "search_devices",  # sends to the network
    "follow_events",  # does not end
    "start_nightly",  # a night of its own
)

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)

SEED = 11
EXAMPLES = 4
"""Of each kind of request, for each operation."""


class Nobody:
    """A network without devices."""

    def __getattr__(self, name: str) -> Any:
        def absent(*_: Any, **__: Any) -> NoReturn:
            raise Unreachable("It does not answer.")

        return absent

    async def resolve(self, _: str) -> tuple[str, ...]:
        return ()


@asynccontextmanager
async def served(data: Path) -> AsyncIterator[str]:
    """The address of the API over an empty data directory, for its administrator."""
    services = replace(await make_services(data, None, send=Nobody().send), connect=lambda _: Nobody())
    async with asyncio.TaskGroup() as group:
        application = Application(services, group, serving=False)
        config = uvicorn.Config(
            local(application.api, "fuzz"), port=0, log_config=None, access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        running = group.create_task(server.serve())
        while not server.started:
            await SystemClock().sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await running
            await application.leave()
    await services.database.close()


@pytest.mark.timeout(300)
async def test_requests_and_answers_are_as_they_are_described(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as address:
        async with httpx.AsyncClient(base_url=address) as client:
            description = (await client.get("/api/v1/openapi.json")).json()
        (tmp_path / "api.json").write_text(json.dumps(_of_local(description)))
        words = ["run", str(tmp_path / "api.json"), "--url", address, "--checks", ",".join(CHECKS)]
        words += ["--seed", str(SEED), "--max-examples", str(EXAMPLES), "--suppress-health-check", "all"]
        words += [f"--exclude-operation-id={one}" for one in LEFT_OUT]
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), *words), stdout=-1, stderr=-2, cwd=tmp_path
        )
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()


def _of_local(description: dict[str, Any]) -> dict[str, Any]:
    """As it is for who comes by the local way: nothing is shown to get in. Keys for repetitions, few and often the same
    here, would keep most requests from the routes: tests/contract/test_api_repeats.py is about them."""
    for operations in description["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
            given = operation.get("parameters", ())
            operation["parameters"] = [one for one in given if one["name"] != "Idempotency-Key"]
    return description
