"""Pages of lists: what every list of the API can be asked, and the position that `GET /events` goes on from."""

from typing import Annotated, Any

from fastapi import Depends, Path, Query, Response

from fleetseal.operations import pages
from fleetseal.operations.paging import Wanted
from fleetseal.web.backend import Asked

POSITION = "X-Fleetseal-Position"

Rows = list[dict[str, Any]]

RowId = Annotated[int, Path(ge=0, le=2**53)]
"""In a path. Declared as `{name:int}`, so that what is no number is another path."""

Filters = Annotated[list[str], Query(alias="filter", default_factory=list, description="Words that a row must have")]
Limit = Annotated[int | None, Query(description="Rows of a page; without it, the whole list as an array")]
After = Annotated[str | None, Query(description="`next` of the page before")]
Sort = Annotated[str | None, Query(description="A column, with `-` before it the other way round")]


def _wanted(filters: Filters, sort: Sort = None, limit: Limit = None, after: After = None) -> Wanted | None:
    return None if limit is None else Wanted(limit, after, tuple(filters), sort)


WantedPage = Annotated[Wanted | None, Depends(_wanted)]
"""None: the whole list is wanted."""


async def tell_position(backend: Asked, response: Response) -> None:
    """Read before the list is: whoever goes on from there misses nothing."""
    response.headers[POSITION] = str(await pages.position(backend.services))
