"""Who asks, and what that one may ask. Each route says where it is declared what it needs, and one that does not is not
served (WEB-DENY-DEFAULT). It is looked at twice: before a request's body is read, so that nothing is taken from those
who may not ask, and after it, because rights may have gone while it came.

Whoever comes by a way that only this user of the computer has is this user. Others show an API token, or a browser
shows the cookie of a session; the browser must have sent the request from a page of ours (WEB-SAME-SITE).
"""

import ipaddress
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import compile_path

from fleetseal.core.access import Caller, Role
from fleetseal.core.errors import ConfirmPassword, Forbidden, InvalidInput, NotSignedIn
from fleetseal.operations import access
from fleetseal.operations.services import Services
from fleetseal.web.listener import Asgi, Scope
from fleetseal.web.repeats import once

VIEWER: Final = Role.VIEWER
OPERATOR: Final = Role.OPERATOR
ADMINISTRATOR: Final = Role.ADMINISTRATOR

_LOCAL: Final = "fleetseal.local"  # in the scope of a request that came by a way which only this user has
_CALLER: Final = "fleetseal.caller"  # in the scope of a request that was admitted
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE: Final = "fleetseal_session"
_LONGEST_PUBLIC: Final = 16 * 1024  # bytes of a body that everybody may send
_NOBODY: Final = "Nobody is signed in, or the session has ended. Sign in, and repeat."

Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, Any]])


# ---------------------------------------------------------------- what routes need


@dataclass(frozen=True)
class Need:
    """What a route asks of its caller. Without a role: nothing."""

    role: Role | None
    confirmed: bool = False  # a session: its password was given within the last minutes
    tokens: bool = True  # an API token will do
    reads: bool = False  # it changes nothing, whatever its method: no answer is kept


def needs(
    role: Role, *, confirmed: bool = False, tokens: bool | None = None, reads: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Under the declaration of a route: who may ask it. `confirmed`: a browser must have given the password again;
    API tokens are then refused, unless `tokens` lets them in. `reads`: a POST that changes nothing."""
    return _marked(Need(role, confirmed, not confirmed if tokens is None else tokens, reads))


def public(endpoint: Endpoint) -> Endpoint:
    """Under the declaration of a route: everybody may ask it."""
    return _marked(Need(None))(endpoint)


class Guarded(APIRoute):
    """A route that finds out who asks before anything else of the request is read, and again right before what is
    asked for is done. Making one raises LookupError when it does not say who may ask it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler, need = super().get_route_handler(), _need(self)

        async def act(request: Request) -> Response:
            if request.method not in _SAFE:
                await request.body()
                request.scope[_CALLER] = await _admitted(request, need)
            return await handler(request)

        async def guarded(request: Request) -> Response:
            request.scope[_CALLER] = caller = await _admitted(request, need)
            if need.role is None:
                _require_short(request)
            if caller is None or need.role is None or need.reads:
                answer = await act(request)
            else:
                answer = await once(request, caller.actor, act, kept=not need.confirmed)
            answer.headers.setdefault("Cache-Control", "no-store")
            return answer

        return guarded


def routes_of(api: FastAPI) -> Iterator[tuple[str, frozenset[str], Need]]:
    """Path and methods of every route, and what it needs. Raises LookupError when one does not say, or would not ask
    (WEB-DENY-DEFAULT)."""
    for context in iter_route_contexts(api.routes):
        if not isinstance(context.original_route, Guarded):
            raise LookupError(f"{context.path} would not ask who comes: its router needs route_class=Guarded")
        yield compile_path(str(context.path))[1], frozenset(context.methods or ()), _need(context.original_route)


def needs_of(api: FastAPI) -> dict[tuple[str, str], Need]:
    """By path and method: what each route needs."""
    return {(path, method): need for path, methods, need in routes_of(api) for method in methods}


# ---------------------------------------------------------------- who asks


def local(application: Asgi, user: str) -> Asgi:
    """The same application for a way that only this user of the computer has: whoever comes by it is this user, with
    every right, and needs no password beside the one of the computer."""
    caller = Caller(user, ADMINISTRATOR)

    async def known(
        scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        await application({**scope, _LOCAL: caller}, receive, send)

    return known


def caller_if_any(request: Request) -> Caller | None:
    """Who asks, on a public route too; None when nobody is signed in."""
    caller = request.scope.get(_CALLER)
    return caller if isinstance(caller, Caller) else None


def caller_of(request: Request) -> Caller:
    """Who asks. Raises NotSignedIn when nobody is signed in."""
    if (caller := caller_if_any(request)) is None:
        raise NotSignedIn(_NOBODY)
    return caller


def require(caller: Caller, role: Role, *, confirmed: bool = False) -> None:
    """In a route, for what only some of its requests need. Raises Forbidden or ConfirmPassword."""
    _require_rights(caller, Need(role, confirmed), role)


async def still_admitted(request: Request, role: Role) -> bool:
    """Whether whoever asked this some time ago may still ask it. It does not keep a session from ending."""
    try:
        await _admitted(request, Need(role), noting=False)
    except (NotSignedIn, Forbidden):
        return False
    return True


def address_of(request: Request) -> str:
    """From where somebody asks."""
    return "local" if request.client is None else request.client.host


# ---------------------------------------------------------------- the cookie


def cookie_of(request: Request) -> str | None:
    """What the browser's session is known by."""
    return request.cookies.get(_cookie_name(request))


def set_cookie(request: Request, answer: Response, value: str) -> None:
    """The browser has this session from now on, until it is closed. No script reads it, no other site's page sends it,
    and over TLS no other host and no plain connection gets it (the prefix `__Host-`)."""
    answer.set_cookie(
        _cookie_name(request), value, path="/", secure=_over_tls(request), httponly=True, samesite="strict"
    )


def clear_cookie(request: Request, answer: Response) -> None:
    answer.delete_cookie(_cookie_name(request), path="/", secure=_over_tls(request), httponly=True, samesite="strict")


def _cookie_name(request: Request) -> str:
    return f"__Host-{_COOKIE}" if _over_tls(request) else _COOKIE


def _over_tls(request: Request) -> bool:
    return request.url.scheme == "https"


# ---------------------------------------------------------------- admission


async def _admitted(request: Request, need: Need, *, noting: bool = True) -> Caller | None:
    """Who asks, None on a public route where nobody is signed in.

    Raises NotSignedIn, Forbidden or ConfirmPassword.
    """
    caller = request.scope.get(_LOCAL)
    if not isinstance(caller, Caller):
        _require_known_host(request)
        caller = await _identified(request, unsure=need.role is None, noting=noting)
    if need.role is None:
        return caller
    if caller is None:
        raise NotSignedIn(_NOBODY)
    _require_rights(caller, need, need.role)
    return caller


async def _identified(request: Request, *, unsure: bool, noting: bool) -> Caller | None:
    """By token or session. Raises NotSignedIn when a token is shown that lets nobody in, Forbidden when a browser's
    request was not sent by a page of ours: one with a session, or, where anybody may ask (`unsure`), any."""
    services: Services = request.app.state.backend.services
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        caller = await access.by_token(services, token.strip())
        if caller is None:
            raise NotSignedIn("The API token is wrong, was removed, or has ended. Nothing was done.")
        return caller
    cookie = cookie_of(request)
    if request.method not in _SAFE and (unsure or cookie is not None):
        _require_own_page(request)
    return None if cookie is None else await access.by_session(services, cookie, noting=noting)


def _require_rights(caller: Caller, need: Need, role: Role) -> None:
    if not caller.role.includes(role):
        raise Forbidden(f"This needs the role {role}, and {caller.actor} is {caller.role}. Nothing was done.")
    if caller.token is not None and not need.tokens:
        raise Forbidden("This cannot be done by an API token: sign in as a user. Nothing was done.")
    if need.confirmed and caller.session is not None and caller.confirmed_until is None:
        raise ConfirmPassword("Give your password again for this. Nothing was done.")


def _require_own_page(request: Request) -> None:
    """A page of ours sent this request: the browser says so, and a header is there that no other site can send without
    being asked first, which is never answered. Raises Forbidden."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host", "")
    same = site == "same-origin" if site is not None else _netloc(origin) == host
    if not same or request.headers.get("x-fleetseal") != "1":
        raise Forbidden("This request was not sent by a page of Fleetseal. Nothing was done.")


def _require_known_host(request: Request) -> None:
    """On loopback, a page of another site must not reach us by a name of its own that it lets point here (DNS
    rebinding). Raises Forbidden."""
    here = str((request.scope.get("server") or ("",))[0])
    if _is_loopback(here) and not _is_loopback(_host_name(request.headers.get("host", ""))):
        raise Forbidden("This server is reached as localhost only. Nothing was done.")


def _require_short(request: Request) -> None:
    """Everybody may send this: it takes little room while it comes. Raises InvalidInput. On the network, requests that
    do not tell their length are refused before (`web/pages.py`)."""
    if int(request.headers.get("content-length", "0")) > _LONGEST_PUBLIC:
        raise InvalidInput(f"The request is longer than {_LONGEST_PUBLIC // 1024} kB. Nothing was done.")


def _netloc(origin: str | None) -> str | None:
    """The host and port of an origin; None of what is none."""
    try:
        return None if origin is None else urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; empty of what is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


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
