"""What the routes work with: the application that runs them, as they see it, and whoever asks."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

from fastapi import Depends, Request

from fleetseal.core.access import Caller
from fleetseal.operations.nights import Nights
from fleetseal.operations.services import Services
from fleetseal.web.auth import caller_of
from fleetseal.web.feed import Feeds

if TYPE_CHECKING:
    from fleetseal.jobs.engine import Engine


class Host(Protocol):
    """The application."""

    @property
    def services(self) -> Services: ...

    @property
    def serving(self) -> bool:
        """A server that stays, and renews; not a command that leaves."""

    @property
    def working(self) -> bool:
        """An engine runs: unfinished tasks go on."""

    @property
    def nights(self) -> Nights:
        """The nightly run."""

    @property
    def feeds(self) -> Feeds:
        """Who follows what changes."""

    async def engine(self) -> "Engine":
        """The engine, started if need be; from then on unfinished tasks go on."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """`work` runs beside the requests, until the application leaves."""


@dataclass(frozen=True)
class Backend:
    """The application, for one request."""

    host: Host
    caller: Caller

    @property
    def actor(self) -> str:
        """Who asks, for the audit trail."""
        return self.caller.actor

    @property
    def services(self) -> Services:
        return self.host.services

    @property
    def serving(self) -> bool:
        return self.host.serving

    @property
    def working(self) -> bool:
        return self.host.working

    @property
    def nights(self) -> Nights:
        return self.host.nights

    @property
    def feeds(self) -> Feeds:
        return self.host.feeds

    async def engine(self) -> "Engine":
        return await self.host.engine()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.host.spawn(work)


def _host(request: Request) -> Host:
    return cast(Host, request.app.state.backend)


def _backend(request: Request) -> Backend:
    return Backend(_host(request), caller_of(request))


Hosted = Annotated[Host, Depends(_host)]
"""The first argument of a route that everybody may ask."""

Asked = Annotated[Backend, Depends(_backend)]
"""The first argument of all other routes."""
