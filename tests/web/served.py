"""The web application over a virtual site, on a loopback port."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from fleetseal import __version__
from fleetseal.app import Application, open_application
from fleetseal.core.model import Login
from fleetseal.core.passwords import Passwords
from fleetseal.operations import inventory, settings
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from fleetseal.web.door import Door
from fleetseal.web.listener import Asgi, Scope
from fleetseal.web.pages import Pages, files
from tests.people import CHEAP
from tests.site import template


@dataclass
class Served:
    """A running server whose devices are not in the inventory yet."""

    origin: str
    application: Application
    fleet: Fleet

    async def add(self, *devices: SimulatedDevice) -> list[dict[str, Any]]:
        """The rows of virtual devices (all, when none is named), added with their logins."""
        found = []
        for device in devices or self.fleet.devices:
            found += await inventory.add(
                self.application.services,
                actor="test",
                targets=[device.address],
                http_port=device.http_port,
                https_port=device.https_port,
                login=Login(device.username, device.password),
            )
        return found


@asynccontextmanager
async def serving(
    data: Path, *specs: str | DeviceSpec, authority: bool = True, door: bool = False
) -> AsyncIterator[Served]:
    """The server works on `data`, with a CA unless not wanted. `door`: whoever comes must sign in; otherwise everybody
    is an administrator."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())  # an engine that ended took the one before
    shutil.copytree(await template(authority=authority), data, dirs_exist_ok=True)
    async with Fleet(specs) as fleet:
        await fleet.maker.open()
        roots = data / "maker-roots.pem"
        roots.write_bytes(fleet.maker.roots_pem)
        async with (
            open_application(data, work=True, environment={}, passwords=Passwords(CHEAP)) as application,
            asyncio.TaskGroup() as group,
        ):
            await settings.set_(application.services, actor="test", key="devices.maker-roots", value=str(roots))
            api = application.api if door else _stand_in(application)
            opened = Door(Pages(api, files()), "127.0.0.1", 0)
            await opened.open(group)
            yield Served(f"http://127.0.0.1:{opened.port}", application, fleet)
            await opened.close()


def _stand_in(application: Application) -> Asgi:
    """An administrator is signed in."""
    own = FastAPI()

    @own.get("/api/v1/session")
    async def session() -> dict[str, Any]:
        user = {"id": 1, "name": "anna", "role": "administrator"}
        return {"state": "open", "user": user, "confirmed_until": None, "version": __version__}

    async def both(scope: Scope, receive: Any, send: Any) -> None:
        here = scope["path"] == "/api/v1/session"
        await (own if here else application.local)(scope, receive, send)

    return both
