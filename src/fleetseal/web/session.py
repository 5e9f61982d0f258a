"""Signing in and out. Beside the files of the pages, the only routes that everybody may ask."""

from typing import Any

from fastapi import APIRouter, Request, Response

from fleetseal import __version__
from fleetseal.core.access import Caller
from fleetseal.core.errors import InvalidInput
from fleetseal.core.secrets import Secret
from fleetseal.core.text import timestamp
from fleetseal.operations import access
from fleetseal.operations.access import Opened
from fleetseal.web.auth import (
    VIEWER,
    Guarded,
    address_of,
    caller_if_any,
    clear_cookie,
    cookie_of,
    needs,
    public,
    set_cookie,
)
from fleetseal.web.backend import Asked, Hosted
from fleetseal.web.schemas import FirstSignIn, PasswordChange, PasswordConfirmation, SignIn

router = APIRouter(prefix="/session", tags=["session"], route_class=Guarded)

Row = dict[str, Any]


@router.get("", summary="Who is signed in here, or what to do first")
@public
async def show_session(host: Hosted, request: Request) -> Row:
    if (caller := caller_if_any(request)) is not None:
        return _open(caller)
    return _closed(setup=await access.needs_setup(host.services))


@router.post("", summary="Sign in: a new session for this browser")
@public
async def sign_in(host: Hosted, request: Request, answer: Response, body: SignIn) -> Row:
    opened = await access.sign_in(
        host.services,
        name=body.name,
        password=Secret(body.password.get_secret_value()),
        address=address_of(request),
        before=cookie_of(request),
    )
    return _opened(request, answer, opened)


@router.delete("", summary="Sign out: the session of this browser ends")
@public
async def sign_out(host: Hosted, request: Request, answer: Response) -> Row:
    caller, cookie = caller_if_any(request), cookie_of(request)
    if caller is not None and caller.session is not None and cookie is not None:
        await access.sign_out(host.services, caller, cookie)
    clear_cookie(request, answer)
    return _closed(setup=await access.needs_setup(host.services))


@router.post("/setup", summary="Make the first administrator by the setup code, and sign in as that one")
@public
async def set_up(host: Hosted, request: Request, answer: Response, body: FirstSignIn) -> Row:
    opened = await access.set_up(
        host.services,
        code=Secret(body.code.get_secret_value()),
        name=body.name,
        password=Secret(body.password.get_secret_value()),
        address=address_of(request),
    )
    return _opened(request, answer, opened)


@router.post("/confirm", summary="Give the password again: sensitive actions are allowed for some minutes")
@needs(VIEWER, tokens=False)
async def confirm_password(backend: Asked, request: Request, body: PasswordConfirmation) -> Row:
    _require_session(backend.caller)
    password = Secret(body.password.get_secret_value())
    return _open(await access.confirm(backend.services, backend.caller, password, address=address_of(request)))


@router.post("/password", summary="Change one's own password; other sessions, and tokens, of this user end")
@needs(VIEWER, tokens=False)
async def change_password(backend: Asked, request: Request, answer: Response, body: PasswordChange) -> Row:
    _require_session(backend.caller)
    opened = await access.change_password(
        backend.services,
        backend.caller,
        old=Secret(body.old.get_secret_value()),
        new=Secret(body.new.get_secret_value()),
        address=address_of(request),
    )
    return _opened(request, answer, opened)


def _require_session(caller: Caller) -> None:
    if caller.session is None:
        raise InvalidInput(
            "There is no session here: whoever uses this computer as the server's user needs no password. "
            "Passwords of users: fleetseal user change"
        )


def _opened(request: Request, answer: Response, opened: Opened) -> Row:
    set_cookie(request, answer, opened.value.reveal())
    return _open(opened.caller)


def _open(caller: Caller) -> Row:
    until = None if caller.confirmed_until is None else timestamp(caller.confirmed_until)
    user = {"id": caller.account, "name": caller.actor, "role": caller.role}
    return {"state": "open", "user": user, "confirmed_until": until, "version": __version__}


def _closed(*, setup: bool) -> Row:
    return {"state": "setup" if setup else "login", "user": None, "confirmed_until": None, "version": __version__}
