"""Nightly runs in tests: carried out here and now, without a server."""

from collections.abc import Coroutine
from typing import Any

from fleetseal.jobs.engine import Engine
from fleetseal.operations import alarms, nights
from fleetseal.operations.nights import Nights
from tests.site import Site


class Evening:
    """The `Nights` of a site; what it spawns waits until it is awaited."""

    def __init__(self, here: Site) -> None:
        self.here = here
        self.spawned: list[Coroutine[Any, Any, None]] = []
        self.nights = Nights(here.services, self._engine, self.spawned.append)

    async def command(self, *, opened: bool = False, clock_is_right: bool = False) -> dict[str, Any]:
        """The report of `fleetseal nightly`."""
        night_id = await self.nights.start(actor="test", opened=opened, clock_is_right=clock_is_right)
        while self.spawned:
            await self.spawned.pop(0)
        report: dict[str, Any] = (await nights.show(self.here.services, night_id))["report"]
        return report

    async def _engine(self) -> Engine:
        return self.here.engine


async def causes(here: Site) -> dict[tuple[str, str], str]:
    """The open alarms: (cause, object) -> message."""
    return {(one["cause"], one["object"]): one["message"] for one in await alarms.list_(here.services)}
