"""Who may ask what: each route says where it is declared what it needs, and one that does not is not served
(WEB-DENY-DEFAULT)."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts

from fleetseal.core.access import Caller, Role
from fleetseal.core.errors import Forbidden, NotSignedIn
from fleetseal.web.listener import Asgi, Scope
from fleetseal.web.repeats import once

VIEWER: Final = Role.VIEWER
OPERATOR: Final = Role.OPERATOR
ADMINISTRATOR: Final = Role.ADMINISTRATOR

_LOCAL: Final = "fleetseal.local"  # in the scope of a request that came by a way which only this user has
_CALLER: Final = "fleetseal.caller"  # in the scope of a request that was admitted

Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, Any]])


@dataclass(frozen=True)
class Need:
    """What a route asks of its caller. Without a role: nothing."""

    role: Role | None
    confirmed: bool = False  # a session: its password was given within the last minutes
    tokens: bool = True  # an API token will do


def needs(role: Role, *, confirmed: bool = False, tokens: bool | None = None) -> Callable[[Endpoint], Endpoint]:
    """Under the declaration of a route: who may ask it. `confirmed`: a browser must have given the password again;
    API tokens are then refused, unless `tokens` lets them in."""
    return _marked(Need(role, confirmed, not confirmed if tokens is None else tokens))


def public(endpoint: Endpoint) -> Endpoint:
    """Under the declaration of a route: everybody may ask it."""
    return _marked(Need(None))(endpoint)


class Guarded(APIRoute):
    """A route that finds out who asks before anything else of the request is read. Making one raises LookupError when
    it does not say who may ask it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler, need = super().get_route_handler(), _need(self)

        async def guarded(request: Request) -> Response:
            if need.role is None:
                return await handler(request)
            request.scope[_CALLER] = caller = await _admitted(request, need, need.role)
            return await once(request, caller.actor, handler, kept=not need.confirmed)

        return guarded


def routes_of(api: FastAPI) -> Iterator[tuple[str, frozenset[str], Need]]:
    """Path and methods of every route, and what it needs. Raises LookupError when one does not say, or would not ask
    (WEB-DENY-DEFAULT)."""
    for context in iter_route_contexts(api.routes):
        if not isinstance(context.original_route, Guarded):
            raise LookupError(f"{context.path} would not ask who comes: its router needs route_class=Guarded")
        yield str(context.path), frozenset(context.methods or ()), _need(context.original_route)


def caller_of(request: Request) -> Caller:
    """Who asks. Raises NotSignedIn on a public route, where nobody was asked."""
    caller = request.scope.get(_CALLER)
    if not isinstance(caller, Caller):
        raise NotSignedIn("Nobody is signed in. Sign in, and repeat.")
    return caller


def local(application: Asgi, user: str) -> Asgi:
    """The same application for a way that only this user of the computer has: whoever comes by it is this user, with
    every right, and needs no password beside the one of the computer."""
    caller = Caller(user, ADMINISTRATOR)

    async def known(
        scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await application({**scope, _LOCAL: caller}, receive, send)

    return known


async def still_admitted(request: Request, role: Role) -> bool:
    """Whether whoever asked this some time ago may still ask it."""
    try:
        await _admitted(request, Need(role), role)
    except (NotSignedIn, Forbidden):
        return False
    return True


async def _admitted(request: Request, need: Need, role: Role) -> Caller:
    """Raises NotSignedIn when nobody known asks, Forbidden when that one may not."""
    caller = request.scope.get(_LOCAL)
    if not isinstance(caller, Caller):
        raise NotSignedIn("Nobody is signed in. Sign in, and repeat.")
    if not caller.role.includes(role):
        raise Forbidden(f"This needs the role {role}, and {caller.actor} is {caller.role}. Nothing was done.")
    return caller


def _need(route: APIRoute) -> Need:
    need = getattr(route.endpoint, "fleetseal_need", None)
    if not isinstance(need, Need):
        raise LookupError(f"{route.path} does not say who may ask it: see needs() in web/auth.py")
    return need


def _marked(need: Need) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.fleetseal_need = need  # type: ignore[attr-defined]  # functions take attributes
        return endpoint

    return mark
