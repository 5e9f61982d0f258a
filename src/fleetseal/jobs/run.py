"""The journal: one run of one job.

There is no separate recovery code: after a crash the same function runs again from the top
(JOB-RESUME-IS-RUN). Finished local steps give back their recorded result; device steps look again.

- `device`: at least once. Look, act only if needed, look again. The undo is committed before the act.
- `local`: exactly once. Effect and journal row commit together.
- `confirm`: no undo after this point.

Undos are data; `unwind` runs them last-first, each recorded, each allowed to fail without stopping the next.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from fleetseal.core.errors import (
    DeviceError,
    FleetsealError,
    NotSupported,
    OutcomeUnknown,
    ProtocolViolation,
    Rejected,
    StandDown,
    StoreError,
)
from fleetseal.core.model import JobId, JobStatus
from fleetseal.core.runtime import Clock
from fleetseal.store import tasks
from fleetseal.store.database import Database, Transaction
from fleetseal.store.tasks import JobRecord, StepRecord

T = TypeVar("T")

CONFIRMING = "record"
"""The local step that calls `confirm`, with a result that is not None: later runs see by it that nothing is undone."""

Undo = dict[str, Any]
"""{"verb": …, and what that verb needs}: any process and any version can run it."""


class Cancelled(FleetsealError):
    """A person cancelled the task; read between steps."""

    code = "cancelled"


class NoEffect(Rejected):
    """The device accepted a write, and shows no effect of it."""

    code = "no-effect"


class Run:
    """One run of one job. Made by `begin`."""

    def __init__(self, database: Database, clock: Clock, job: JobRecord, steps: tuple[StepRecord, ...]) -> None:
        self.job = job
        self.database = database
        self.clock = clock
        self._steps = {step.name: step for step in steps}
        self._confirmed = False
        self._failpoint: Callable[[str], None] = lambda _: None

    @classmethod
    async def begin(
        cls, database: Database, clock: Clock, job_id: JobId, *, failpoint: Callable[[str], None] | None = None
    ) -> "Run":
        """The job is running under a new run number. `failpoint` is told the name of every point at which a
        crash would matter; tests end the process there. Raises StandDown if the job has ended already."""
        async with database.transaction() as tx:
            job = await tasks.begin_run(tx, job_id, now=clock.now())
            steps = await tasks.steps_of(tx, job_id)
        if not job.active:
            raise StandDown(f"Job {job_id} has ended.")
        run = cls(database, clock, job, steps)
        run._confirmed = run.recorded(CONFIRMING) is not None
        if failpoint is not None:
            run._failpoint = failpoint
        return run

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that fails with StandDown if another run of this job has begun."""
        async with self.database.transaction() as tx:
            await tasks.guard(tx, self.job)
            yield tx

    def recorded(self, name: str) -> Any | None:
        """The result of a finished step, or None."""
        step = self._steps.get(name)
        return step.result if step is not None and step.state == "done" else None

    def step(self, name: str) -> StepRecord | None:
        return self._steps.get(name)

    def steps(self) -> tuple[StepRecord, ...]:
        return tuple(self._steps.values())

    async def device(
        self,
        name: str,
        *,
        look: Callable[[], Awaitable[T | None]],
        act: Callable[[], Awaitable[object]],
        undo: Undo | None = None,
        detail: str = "",
    ) -> T:
        """What `look` finds once the device is as wished; `act` ran only if it was not.

        The outcome of a write is what the device shows afterwards (DEV-READ-BACK): a lost answer is not an
        error, an accepted write without effect is `NoEffect`. Raises Cancelled before anything is done.
        """
        await self._check_cancelled()
        self._failpoint(f"{name}:look")
        found = await look()
        if found is None:
            self._failpoint(f"{name}:before-undo-recorded")
            await self._write(name, kind="device", state="begun", undo=undo, detail=detail)
            self._failpoint(f"{name}:undo-recorded")
            refusal = await self._act(act)
            self._failpoint(f"{name}:acted")
            found = await look()
            if found is None:
                raise refusal or NoEffect("The device accepted the change and shows no effect of it.")
        await self._write(name, kind="device", state="done", detail=detail)
        self._failpoint(f"{name}:recorded")
        return found

    async def local(self, name: str, act: Callable[[Transaction], Awaitable[T]], *, detail: str = "") -> T:
        """The recorded result if this step has finished; else `act`'s, committed with the step's row.

        The result must be JSON. Raises Cancelled before anything is done.
        """
        if (step := self._steps.get(name)) is not None and step.state == "done":
            return step.result  # type: ignore[no-any-return]  # what `act` returned, by way of JSON
        await self._check_cancelled()
        self._failpoint(f"{name}:before")
        async with self.transaction() as tx:
            result = await act(tx)
            await tasks.write_step(
                tx,
                self.job,
                name,
                kind="local",
                state="done",
                now=self.clock.now(),
                result=result,
                detail=detail,
            )
            self._failpoint(f"{name}:before-commit")
        self._remember(name, kind="local", state="done", result=result, detail=detail)
        self._failpoint(f"{name}:recorded")
        return result

    async def undo(self, name: str, execute: Callable[[Undo], Awaitable[str]]) -> None:
        """Undo this one step now, as part of going forward another way. Raises what `execute` raises."""
        step = self._steps.get(name)
        if step is None or step.undo is None or step.state == "undone":
            return
        self._failpoint(f"{name}:before-undo")
        await self._mark(name, "undone", await execute(step.undo))

    async def confirm(self, tx: Transaction) -> None:
        """No undo after `tx` has committed, and no cancelling: the change is there to stay."""
        await tasks.drop_undos(tx, self.job)
        self._steps = {name: replace(step, undo=None) for name, step in self._steps.items()}
        self._confirmed = True

    async def begin_unwinding(self, reason: str, *, error_code: str) -> None:
        """From here on, in this run or a later one, the job only puts back what it changed."""
        async with self.database.transaction() as tx:
            await tasks.guarded_update(tx, self.job, unwinding=reason, error_code=error_code)
        self.job = replace(self.job, unwinding=reason, error_code=error_code)
        self._failpoint("unwind:recorded")

    async def unwind(self, execute: Callable[[Undo], Awaitable[str]]) -> tuple[str, ...]:
        """Every recorded undo was run, last-first. Returns what could not be put back, for people. Raises StandDown,
        and StoreError: a later run goes on with the rest."""
        left: list[str] = []
        for name, step in reversed(list(self._steps.items())):
            if step.undo is None or step.state == "undone":
                continue
            self._failpoint(f"{name}:before-undo")
            try:
                detail = await execute(step.undo)
            except (StandDown, StoreError):
                raise
            except FleetsealError as error:
                left.append(error.message)
                await self._mark(name, "failed", error.message)
            else:
                await self._mark(name, "undone", detail)
            self._failpoint(f"{name}:undo-recorded-done")
        return tuple(left)

    async def end(
        self,
        status: JobStatus,
        description: str,
        *,
        error_code: str | None = None,
        harmed: bool = False,
        also: Callable[[Transaction], Awaitable[object]] | None = None,
    ) -> None:
        """The job has its outcome; `also` commits with it. The device is free once `run_job` has returned."""
        async with self.transaction() as tx:
            if also is not None:
                await also(tx)
            await tasks.guarded_update(
                tx,
                self.job,
                status=status,
                description=description,
                error_code=error_code,
                harmed=harmed,
                active=False,
                finished=self.clock.now(),
            )

    async def _act(self, act: Callable[[], Awaitable[object]]) -> DeviceError | None:
        """Nothing, or what the device answered, which stands if the look afterwards finds no effect."""
        try:
            await act()
        except (OutcomeUnknown, Rejected, NotSupported, ProtocolViolation) as error:
            return error
        return None

    async def _check_cancelled(self) -> None:
        async with self.database.reading() as tx:
            cancelled = (await tasks.get_task(tx, self.job.task_id)).cancelled
        if cancelled and not self._confirmed:
            raise Cancelled("The task was cancelled.")

    async def _write(
        self, name: str, *, kind: str, state: str, undo: Undo | None = None, result: Any = None, detail: str = ""
    ) -> None:
        async with self.database.transaction() as tx:
            await tasks.write_step(
                tx,
                self.job,
                name,
                kind=kind,
                state=state,
                now=self.clock.now(),
                undo=undo,
                result=result,
                detail=detail,
            )
        self._remember(name, kind=kind, state=state, undo=undo, result=result, detail=detail)

    async def _mark(self, name: str, state: str, detail: str) -> None:
        async with self.database.transaction() as tx:
            await tasks.mark_step(tx, self.job, name, state=state, detail=detail, now=self.clock.now())
        self._steps[name] = replace(self._steps[name], state=state, detail=detail)

    def _remember(
        self, name: str, *, kind: str, state: str, undo: Undo | None = None, result: Any = None, detail: str = ""
    ) -> None:
        before = self._steps.get(name)
        if before is not None and before.undo is not None and before.state != "undone":
            undo = before.undo
        self._steps[name] = StepRecord(name, kind, state, undo, result, detail, self.clock.now())
