"""Tasks: what was asked for, on one or many devices, and what became of it."""

from typing import Any

from fastapi import APIRouter, Depends

from fleetseal.core.model import TaskAction, TaskId
from fleetseal.core.secrets import Secret
from fleetseal.operations import paging, preview, refreshing, settings, signing, tasks
from fleetseal.web import lists
from fleetseal.web.auth import ADMINISTRATOR, OPERATOR, VIEWER, Guarded, needs, require
from fleetseal.web.backend import Asked, Backend
from fleetseal.web.lists import RowId
from fleetseal.web.schemas import Continuation, EnableWish, PlanRequest, TaskRequest, secret

router = APIRouter(prefix="/tasks", tags=["tasks"], route_class=Guarded)

Row = dict[str, Any]


@router.get(
    "", summary="Every task, the newest first, without its devices", dependencies=[Depends(lists.tell_position)]
)
@needs(VIEWER)
async def list_tasks(backend: Asked, wanted: lists.WantedPage) -> list[Row] | Row:
    rows = await tasks.list_(backend.services, working=backend.working)
    if wanted is None:
        return rows
    return paging.page(rows, wanted, noun="tasks", columns=tasks.COLUMNS, newest_first=True)


@router.post("", status_code=202, summary="Ask for something on devices; the task and its outcome so far")
@needs(OPERATOR)
async def request_task(backend: Asked, body: TaskRequest) -> Row:
    action = TaskAction(body.action)
    wish = await _wish(backend, body.wish) if action is TaskAction.ENABLE_HTTPS else {}
    if action is TaskAction.ENABLE_HTTPS:
        await open_key(backend, secret(body.passphrase))
    engine = await backend.engine()
    task_id = await tasks.request(
        backend.services,
        engine,
        actor=backend.actor,
        action=action,
        selection=body.selection.chosen(),
        wish=wish,
    )
    if action is TaskAction.REFRESH:
        backend.spawn(refreshing.settle(backend.services, engine, task_id))
    return await tasks.show(backend.services, task_id, working=backend.working)


@router.post("/plan", summary='What "Enable HTTPS" would do to each device now; nothing is changed')
@needs(OPERATOR, reads=True)
async def plan_task(backend: Asked, body: PlanRequest) -> list[Row]:
    wish = await _wish(backend, body.wish)
    return await preview.plan(backend.services, actor=backend.actor, selection=body.selection.chosen(), wish=wish)


@router.get("/suspended", summary="Unfinished tasks that nobody works on")
@needs(VIEWER)
async def suspended_tasks(backend: Asked) -> list[Row]:
    return [] if backend.working else await tasks.suspended(backend.services)


@router.post("/resume", summary="Continue every unfinished task; their numbers")
@needs(OPERATOR)
async def resume_tasks(backend: Asked, body: Continuation) -> list[int]:
    unfinished = await tasks.unfinished(backend.services)
    if unfinished:
        await open_key(backend, secret(body.passphrase), required=False)
        await backend.engine()
    return [int(task_id) for task_id in unfinished]


@router.get("/{task_id:int}", summary="A task with the outcome and the steps of each device")
@needs(VIEWER)
async def show_task(backend: Asked, task_id: RowId) -> Row:
    return await tasks.show(backend.services, TaskId(task_id), working=backend.working)


@router.get("/{task_id:int}/progress", summary="How far a task is, in numbers")
@needs(VIEWER)
async def task_progress(backend: Asked, task_id: RowId) -> Row:
    return await tasks.progress(backend.services, TaskId(task_id), working=backend.working)


@router.post("/{task_id:int}/cancel", summary="Stop a task: devices in work are put back, the others not begun")
@needs(OPERATOR)
async def cancel_task(backend: Asked, task_id: RowId) -> Row:
    engine = await backend.engine() if backend.working else None
    await tasks.cancel(backend.services, engine, TaskId(task_id), actor=backend.actor)
    return await tasks.show(backend.services, TaskId(task_id), working=backend.working)


@router.post("/{task_id:int}/retry", status_code=202, summary="A new task for the devices that failed in this one")
@needs(OPERATOR)
async def retry_task(backend: Asked, task_id: RowId, body: Continuation) -> Row:
    await open_key(backend, secret(body.passphrase), required=False)
    new = await tasks.retry(backend.services, await backend.engine(), TaskId(task_id), actor=backend.actor)
    return await tasks.show(backend.services, new, working=backend.working)


async def open_key(backend: Backend, passphrase: Secret | None, *, required: bool = True) -> None:
    """As `signing.prepare`; a key that this opened is closed when the tasks have ended. Raises Forbidden and
    ConfirmPassword: who gives a passphrase does what "unlock" does."""
    services, actor = backend.services, backend.actor
    if passphrase is not None:
        require(backend.caller, ADMINISTRATOR, confirmed=True)
    if await signing.prepare(services, actor=actor, passphrase=passphrase, required=required):
        backend.spawn(signing.lock_after_tasks(services, actor=actor))


async def _wish(backend: Backend, body: EnableWish | None) -> Row:
    """As asked; without a policy, that of the settings."""
    wish = (body or EnableWish()).model_dump()
    if wish["policy"] is None:
        wish["policy"] = (await settings.in_force(backend.services)).https_policy
    return wish
