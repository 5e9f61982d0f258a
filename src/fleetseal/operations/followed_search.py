"""A search that somebody follows while it runs, and may stop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput
from fleetseal.core.runtime import Clock
from fleetseal.core.text import timestamp
from fleetseal.operations import places
from fleetseal.operations.discover import Discovery, Search
from fleetseal.operations.listing import Row

_log = logging.getLogger(__name__)


class FollowedSearch:
    """The search that was begun last, in memory: what it found is lost with the process."""

    def __init__(self, discovery: Discovery, clock: Clock) -> None:
        self._discovery = discovery
        self._clock = clock
        self._state = ""
        self._begun: datetime | None = None
        self._problem: str | None = None
        self._rows: list[Row] = []
        self._others = 0
        self._work: asyncio.Task[None] | None = None

    def begin(self, search: Search) -> Coroutine[Any, Any, None]:
        """A search runs from now on, until it has ended or the coroutine is cancelled. Raises what `Discovery.search`
        raises before anything is sent."""
        self._discovery.check(search)
        if self._state == "running":
            raise Conflict("A search runs already. Wait for its end. Nothing was sent.")
        self._state, self._begun, self._problem = "running", self._clock.now(), None
        self._rows, self._others = [], 0
        self._work = None
        return self._run(search)

    def shown(self, after: int = 0, limit: int = 1000) -> Row | None:
        """None, where there was no search yet; or `{"state","begun","progress","count","devices","next","others",
        "problem"}`; `state` is `running`, `finished`, `stopped` or `failed`.

        `devices` are at most `limit` beyond the first `after`: while it runs, in the order in which they are identified
        and as far as they are known; afterwards as they finally are. `next` is the `after` of those that follow, null
        where none do yet. Raises InvalidInput for an `after` or a limit that is none.
        """
        places.check(limit)
        if after < 0:
            raise InvalidInput("The place to continue from is a number of devices.")
        if self._begun is None:
            return None
        running, end = self._state == "running", after + limit
        return {
            "state": self._state,
            "begun": timestamp(self._begun),
            "progress": self._discovery.progress if running else None,
            "count": len(self._rows),
            "devices": self._rows[after:end],
            "next": end if end < len(self._rows) else None,
            "others": self._others,
            "problem": self._problem,
        }

    async def stop(self) -> None:
        """It does not run any more; nothing more is sent."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        elif self._state == "running":
            self._state = "stopped"  # before its first step

    async def _run(self, search: Search) -> None:
        if self._state != "running":
            return
        try:
            async with asyncio.TaskGroup() as group:
                self._work = group.create_task(self._search(search, self._rows.append))
        except* Exception as defects:
            _log.error("A search was ended by a defect", exc_info=defects)  # the server goes on

    async def _search(self, search: Search, found: Callable[[Row], None]) -> None:
        state = "failed"
        problem: str | None = "A defect ended the search, see the log of the server."
        try:
            answer = await self._discovery.search(search, found)
            self._rows, self._others = answer["devices"], answer["others"]
            state, problem = "finished", None
        except asyncio.CancelledError:
            state, problem = "stopped", None
            raise
        except FleetsealError as error:
            problem = error.message
        finally:
            self._state, self._problem = state, problem
