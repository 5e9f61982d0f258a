"""What the routes work with: the application that runs them, as they see it."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

from fastapi import Depends, Request

from fleetseal.operations.nights import Nights
from fleetseal.operations.services import Services

if TYPE_CHECKING:
    from fleetseal.jobs.engine import Engine


class Backend(Protocol):
    @property
    def services(self) -> Services: ...

    @property
    def actor(self) -> str:
        """Who asks, for the audit trail."""

    @property
    def serving(self) -> bool:
        """A server that stays, and renews; not a command that leaves."""

    @property
    def working(self) -> bool:
        """An engine runs: unfinished tasks go on."""

    @property
    def nights(self) -> Nights:
        """The nightly run."""

    async def engine(self) -> "Engine":
        """The engine, started if need be; from then on unfinished tasks go on."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """`work` runs beside the requests, until the application leaves."""


def _backend(request: Request) -> Backend:
    return cast(Backend, request.app.state.backend)


Asked = Annotated[Backend, Depends(_backend)]
"""A route's first argument."""
