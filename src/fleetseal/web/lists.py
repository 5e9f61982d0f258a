"""Pages of lists: what every list of the API can be asked, and the position that `GET /events` goes on from."""

from typing import Annotated, Any

from fastapi import Depends, Query, Response

from fleetseal.operations import pages
from fleetseal.operations.paging import Wanted
from fleetseal.web.backend import Asked

POSITION = "X-Fleetseal-Position"

Rows = list[dict[str, Any]]

Filters = Annotated[list[str] | None, Query(alias="filter", description="Words that a row must have")]
Limit = Annotated[int | None, Query(description="Rows of a page; without it, the whole list as an array")]
After = Annotated[str | None, Query(description="`next` of the page before")]
Sort = Annotated[str | None, Query(description="A column, with `-` before it the other way round")]


def _wanted(filters: Filters = None, sort: Sort = None, limit: Limit = None, after: After = None) -> Wanted | None:
    return None if limit is None else Wanted(limit, after, tuple(filters or ()), sort)


WantedPage = Annotated[Wanted | None, Depends(_wanted)]
"""None: the whole list is wanted."""


async def tell_position(backend: Asked, response: Response) -> None:
    """Read before the list is: whoever goes on from there misses nothing."""
    response.headers[POSITION] = str(await pages.position(backend.services))
