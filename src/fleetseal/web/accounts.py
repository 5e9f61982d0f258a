"""Users and API tokens. No answer holds a password; a token is told once, when it is made."""

from typing import Any

from fastapi import APIRouter

from fleetseal.core.access import Role
from fleetseal.core.errors import Conflict
from fleetseal.core.secrets import Secret
from fleetseal.operations import access, accounts
from fleetseal.web.auth import ADMINISTRATOR, Guarded, needs
from fleetseal.web.backend import Asked
from fleetseal.web.lists import RowId
from fleetseal.web.schemas import TokenAddition, UserAddition, UserChange, secret

router = APIRouter(tags=["users and tokens"], route_class=Guarded)

Row = dict[str, Any]


@router.get("/users", summary="The users")
@needs(ADMINISTRATOR)
async def list_users(backend: Asked) -> list[Row]:
    return await accounts.users(backend.services)


@router.post("/users", status_code=201, summary="One more user")
@needs(ADMINISTRATOR, confirmed=True)
async def add_user(backend: Asked, body: UserAddition) -> Row:
    password = Secret(body.password.get_secret_value())
    return await accounts.add_user(
        backend.services, actor=backend.actor, name=body.name, role=Role(body.role), password=password
    )


@router.post("/users/setup-code", status_code=201, summary="A new code, by which the first administrator is made")
@needs(ADMINISTRATOR, confirmed=True)
async def make_setup_code(backend: Asked) -> dict[str, str]:
    code = await access.make_setup_code(backend.services, actor=backend.actor)
    if code is None:
        raise Conflict(
            "There are users already: an administrator makes more. Forgotten password: fleetseal user change"
        )
    return {"code": code.reveal()}


@router.patch("/users/{user_id:int}", summary="Change a user; with another role or password, sessions and tokens end")
@needs(ADMINISTRATOR, confirmed=True)
async def change_user(backend: Asked, user_id: RowId, body: UserChange) -> Row:
    return await accounts.change_user(
        backend.services,
        user_id,
        actor=backend.actor,
        name=body.name,
        role=None if body.role is None else Role(body.role),
        password=secret(body.password),
    )


@router.delete("/users/{user_id:int}", summary="Remove a user, with sessions and tokens; those that are left")
@needs(ADMINISTRATOR, confirmed=True)
async def remove_user(backend: Asked, user_id: RowId) -> list[Row]:
    return await accounts.remove_user(backend.services, user_id, actor=backend.actor)


@router.post("/users/{user_id:int}/unlock", summary="Forget wrong guesses at a password, and those of every address")
@needs(ADMINISTRATOR, confirmed=True)
async def unlock_user(backend: Asked, user_id: RowId) -> list[Row]:
    await access.unlock(backend.services, user_id, actor=backend.actor)
    return await accounts.users(backend.services)


@router.get("/tokens", summary="The API tokens, without what they consist of")
@needs(ADMINISTRATOR)
async def list_tokens(backend: Asked) -> list[Row]:
    return await accounts.tokens(backend.services)


@router.post("/tokens", status_code=201, summary="One more API token; it is told this once")
@needs(ADMINISTRATOR, confirmed=True)
async def add_token(backend: Asked, body: TokenAddition) -> Row:
    return await accounts.add_token(
        backend.services, backend.caller, name=body.name, scope=Role(body.scope), days=body.days
    )


@router.delete("/tokens/{token_id:int}", summary="Remove an API token; those that are left")
@needs(ADMINISTRATOR, confirmed=True)
async def remove_token(backend: Asked, token_id: RowId) -> list[Row]:
    return await accounts.remove_token(backend.services, token_id, actor=backend.actor)
