"""What workers do: read jobs, send PUTs, run hooks, own budgets, take claims. The keys are here, and nowhere else.

`follow` may run any number of times. `cutover` and `hook` run once: Temporal gives them to one worker, and when that one is
silent, to none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

import anyio
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from ...atlas.clients import Clients
from ...atlas.errors import AtlasError
from ...core.events import StatusPolled
from ...core.evidence import WORD_LIFE
from ...core.hook_facts import HookFacts
from ...core.next_step import Read, ReadKind, Step, next_step
from ...core.no_return import InCharge
from ...core.workflow import Wave
from ...machine.kept_groups import KeptGroups
from ...text.redaction import Redactor
from ..hooks import hook_environment, run_hook
from . import forms, names
from .clocks import ServerClock
from .counting import counted
from .heart import Heart
from .lost import elsewhere
from .memos import run_of
from .sending import Putting, Way
from .words import give_up, given_up_by, last_announced
from .workflows import Claim, Project

_MOST_READS = 500  # in one activity: its result is kept in the history
_AT_ONCE = 20  # claims that are let go side by side
_REMEMBERED = 50_000  # errands that were taken up: those of a large night


@dataclass(slots=True)
class Activities:
    """All of them, over one worker's connections.

    Args:
        client: Speaks to Temporal.
        clients: Speak to Atlas, by the names of their credentials.
        serve: Serves the task queue of a budget's requests until it is cancelled.
        wall: The wall clock, Unix seconds: the window goes by it.
        environ: The environment of hooks.
        secrets: What no hook may see.
        redactor: Takes secrets out of what is told of a hook.
        kept: Ends hooks if this process dies.
        guarded: Whether a process that is stopped at the wire is ended (`guard`).
    """

    client: Client
    clients: Clients
    serve: Callable[[str], Any]
    wall: Callable[[], float]
    environ: Mapping[str, str]
    secrets: tuple[str, ...]
    redactor: Redactor
    kept: KeptGroups
    guarded: bool = True
    clock: ServerClock = field(default_factory=ServerClock)
    random: Random = field(default_factory=Random)
    _owned: set[str] = field(default_factory=set)
    _taken_up: dict[str, None] = field(default_factory=dict)  # the newest at the end

    # -- a run's beginning and end ---------------------------------------------------------------------------------------

    @activity.defn(name="claim")
    async def claim(self, claims: forms.Claims) -> forms.Did:
        """Claim the jobs of a run, and see that their budgets have owners; those that another run drives, with its id.

        Where there is one, nothing is claimed. They are claimed in one order by all runs, one after another, so that of two
        runs that name the same jobs one gets them. Nor is anything claimed for a run that was given up (`forms.given_up_by`), or of which another
        session was announced (`forms.OVERTAKEN`): who began this one looked for that before, and it may have been on its way since.
        """
        _refuse_strangers(claims.task.partition("/")[0])
        async with self._alive(claims.lease):
            who = await self._given_up_by(claims.run_id)
            if who is not None:
                return forms.Did(task=claims.task, what=forms.given_up(who))
            if claims.session and not await self._was_announced_last(claims):
                return forms.Did(task=claims.task, what=forms.OVERTAKEN)
            return forms.Did(task=claims.task, what=await self._held(claims))

    async def _given_up_by(self, run_id: str) -> str | None:
        try:
            return await given_up_by(self.client, run_id)
        except (
            KeyError,
            RuntimeError,
            ValueError,
        ):  # left without the codec's key, or with one: it counts all the same
            return "somebody"

    async def _was_announced_last(self, claims: forms.Claims) -> bool:
        try:
            last = await last_announced(self.client, claims.run_id)
        except (KeyError, RuntimeError, TypeError, ValueError):  # not by anybody who has the codec's key
            return False
        return last is not None and last.session == claims.session

    async def _held(self, claims: forms.Claims) -> list[list[str]]:
        taken: list[str] = []
        for name, job in sorted(claims.jobs, key=lambda each: each[1]):
            other = await self._take(job, claims)
            if other is not None:
                for mine in taken:
                    await self._let_go(mine, claims.run_id)
                return [[name, job, other]]
            taken.append(job)
        for scope in claims.scopes:
            await self.client.start_workflow(
                Project.run,
                args=[scope, claims.lease],
                id=names.project_id(claims.queue, scope),
                task_queue=claims.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="hold",
                start_signal_args=[claims.workflow],
            )
        return []

    @asynccontextmanager
    async def _alive(self, lease: float) -> AsyncIterator[None]:
        """Beat meanwhile; what it does may be done again by another worker, as well."""
        heart = Heart(self.client, self.clock, lease=lease)
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            yield
            group.cancel_scope.cancel()

    async def _take(self, job: str, claims: forms.Claims) -> str | None:
        """Claim *job*; the run that has it already, if that is another."""
        try:
            await self.client.start_workflow(
                Claim.run,
                id=names.claim_id(job),
                task_queue=names.CLAIMS,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={"run_id": claims.run_id},
            )
        except WorkflowAlreadyStartedError:
            holder = await self._holder(job)
            if holder is None:
                raise ApplicationError(f"the claim to {job} is just being let go") from None
            return None if holder == claims.run_id else holder
        return None

    async def _holder(self, job: str) -> str | None:
        """The run that has a claim to *job*; empty: somebody who is none; None: nobody."""
        claim = await self.client.get_workflow_handle(names.claim_id(job)).describe()
        if claim.status is not WorkflowExecutionStatus.RUNNING:
            return None
        try:
            return run_of(await claim.memo())
        except (
            KeyError,
            RuntimeError,
            ValueError,
        ):  # made without the codec's key, or with one: not by a run of this worker's
            return ""

    async def _let_go(self, job: str, run_id: str) -> None:
        """Give the claim to *job* up, if run *run_id* has it."""
        try:
            if await self._holder(job) == run_id:
                await self.client.get_workflow_handle(names.claim_id(job)).terminate("the run has ended")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    @activity.defn(name="release")
    async def release(self, claims: forms.Claims) -> forms.Did:
        """Let go of what `claim` has taken, but for claims that are to be kept; of a run that was aborted nobody begins another session after that."""
        _refuse_strangers(claims.task.partition("/")[0])
        limit = anyio.CapacityLimiter(_AT_ONCE)

        async def let_go(job: str) -> None:
            async with limit:
                await self._let_go(job, claims.run_id)

        async with self._alive(claims.lease):
            if claims.aborted_by is not None:
                await give_up(self.client, claims.run_id, claims.aborted_by)
            async with anyio.create_task_group() as group:
                for _, job in () if claims.keep else claims.jobs:
                    group.start_soon(let_go, job)
            for scope in claims.scopes:
                project: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(
                    names.project_id(claims.queue, scope)
                )
                try:
                    await project.signal("release", claims.workflow)
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
        return forms.Did(task=claims.task, what=None)

    @activity.defn(name="reach")
    async def reach(self, asked: forms.Reach) -> forms.Did:
        """See that Atlas answers, and takes the credentials that are *asked* for; what is wrong, or nothing."""
        async with self._alive(asked.lease):
            return forms.Did(task=asked.task, what=await self._trouble_with_all(asked))

    async def _trouble_with_all(self, asked: forms.Reach) -> str:
        """What keeps a session from beginning: the first trouble, unless one set will do and is good."""
        first = ""
        for name in asked.sets:
            trouble = await self._trouble_with(name)
            if trouble and not asked.one_will_do:
                return trouble
            if not trouble and asked.one_will_do:
                return ""
            first = first or trouble
        return first

    async def _trouble_with(self, name: str | None) -> str:
        known = self.clients.all()
        if name not in known:
            return f"the worker has no credentials {name!r}" if name else "the worker has no credentials for Atlas"
        try:
            await known[name].check_access()
        except AtlasError as error:
            return f"Atlas was not reached by the worker: {error}"
        return ""

    # -- a budget --------------------------------------------------------------------------------------------------------

    @activity.defn(name="own_project")
    async def own_project(self, scope: str, lease: float) -> None:
        """Serve the requests that draw from the budget *scope*, until this worker is to end or another is the owner."""
        while scope in self._owned:  # noqa: ASYNC110 - it was the owner before, and lets go of it still
            await asyncio.sleep(lease / 20)
        self._owned.add(scope)
        unwanted = anyio.Event()
        heart = Heart(self.client, self.clock, lease=lease, on_unwanted=unwanted.set)
        try:
            async with anyio.create_task_group() as group:

                async def while_it_holds() -> None:
                    while heart.holds and not activity.is_worker_shutdown():
                        with anyio.move_on_after(lease / 20):
                            await unwanted.wait()
                    group.cancel_scope.cancel()

                group.start_soon(heart.run)
                group.start_soon(while_it_holds)
                await self.serve(scope)
        finally:
            self._owned.discard(scope)
        raise elsewhere("handed over to another worker")

    # -- reads -----------------------------------------------------------------------------------------------------------

    @activity.defn(name="follow")
    async def follow(self, task: forms.Task) -> forms.Did:
        """Read a job until something follows from it."""
        way = self._way(task)
        polls = 0
        with counted() as count:
            heart = Heart(self.client, self.clock, lease=task.lease)
            over = False
            async with anyio.create_task_group() as group:

                async def end_with_the_worker() -> None:
                    await activity.wait_for_worker_shutdown()
                    group.cancel_scope.cancel()

                group.start_soon(heart.run)
                group.start_soon(end_with_the_worker)
                while polls < _MOST_READS and heart.holds and not over:
                    step: Step = (
                        Read(kind=ReadKind.LOOK, attempt=0, deadline=self.clock.now())
                        if task.look
                        else next_step(way.state, way.policy, self.clock.now(), held=task.held)
                    )
                    over = not isinstance(step, Read)
                    if isinstance(step, Read):
                        found = await way.reader.read(step, lambda: way.state, lambda: way.policy)
                        way.take_in(*found)
                        polls += sum(isinstance(event, StatusPolled) for event in found)
                        over = task.look or any(not isinstance(event, StatusPolled) for event in found)
                        over = over or (way.refused is not None and not task.refusal_known)  # the run is told at once
                group.cancel_scope.cancel()
        if not over and polls < _MOST_READS:  # what was found out so far is found out again
            raise elsewhere("this worker ends, or has lost sight of Temporal: another one reads on")
        return forms.Did(task=task.task, what=way.done(count, polls))

    # -- the cutover -------------------------------------------------------------------------------------------------------

    @activity.defn(name="cutover")
    async def cutover(self, task: forms.Task) -> forms.Did:
        """Send the PUT whose intent is recorded, or do not; what became of it. It ends by itself, and by nobody's wish."""
        way = self._way(task)
        self._take_up_once(task.task)
        putting = Putting(self, task, way)
        doing = asyncio.create_task(putting.run())
        while True:
            try:
                return forms.Did(task=task.task, what=await asyncio.shield(doing))
            except asyncio.CancelledError:
                if not doing.done():
                    putting.give_up()
                elif putting.sending:
                    raise ApplicationError("ended while the PUT may have been on its way") from None
                else:
                    raise

    # -- hooks -------------------------------------------------------------------------------------------------------------

    @activity.defn(name="hook")
    async def hook(self, task: forms.HookTask) -> forms.Did:
        """Run a hook to its end, once."""
        _refuse_strangers(task.execution)
        self.clock.hear(activity.info().started_time)
        if not await self.is_open(task.session, task.lease):
            raise ApplicationError(
                "its run was closed, or Temporal does not say whether it is open", non_retryable=True
            )
        self._take_up_once(task.task)
        migration = None if task.migration is None else forms.migration_of(task.migration)

        def environment() -> dict[str, str]:
            return hook_environment(
                self.environ,
                run_id=task.run_id,
                workflow=task.workflow,
                rehearsal=task.rehearsal,
                wave=None if task.wave is None else Wave(name=task.wave, migrations=()),
                migration=migration,
                facts=self._still_true(forms.facts_of(task.facts), task.told_at),
                secrets=self.secrets,
            )

        heart = Heart(self.client, self.clock, lease=task.lease)
        async with anyio.create_task_group() as group:
            group.start_soon(heart.run)
            finished = await run_hook(
                tuple(task.argv),
                hook=task.hook,
                timeout=task.timeout,
                directory=task.directory,
                environment=environment,
                now=self.clock.now,
                kept=self.kept,
                redact=self.redactor.text,
                wave=task.wave,
                migration=None if migration is None else migration.name,
            )
            group.cancel_scope.cancel()
        return forms.Did(task=task.task, what=forms.out([finished]))

    def _still_true(self, facts: HookFacts, told_at: float) -> HookFacts:
        """*facts* as they may be told now: who is in charge of what nothing was sent for may be another by then."""
        if facts.in_charge in (InCharge.SOURCE, InCharge.MIXED) and self.clock.now() - told_at > WORD_LIFE:
            return replace(facts, in_charge=InCharge.UNKNOWN)
        return facts

    async def is_open(self, session: forms.Session, lease: float) -> bool:
        """Whether *session* goes on: its run is open, and was not begun anew meanwhile. No answer within a fraction of a lease is no."""
        run: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(session.workflow)
        try:
            known = await run.describe(rpc_timeout=timedelta(seconds=lease / 4))
        except RPCError:
            return False
        first = known.raw_description.workflow_execution_info.first_run_id
        return known.status is WorkflowExecutionStatus.RUNNING and first == session.first

    def _take_up_once(self, task: str) -> None:
        """Raise where this worker has taken up *task* before: Temporal gives each to one worker, once, and who has it ordered again is no batch."""
        if task in self._taken_up:
            raise ApplicationError("it has been taken up here before", non_retryable=True)
        self._taken_up[task] = None
        if len(self._taken_up) > _REMEMBERED:
            del self._taken_up[next(iter(self._taken_up))]

    def _way(self, task: forms.Task) -> Way:
        _refuse_strangers(task.execution)
        self.clock.hear(activity.info().started_time)
        migration = forms.migration_of(task.migration)
        known = self.clients.all()
        if migration.credentials not in known:
            raise ApplicationError(f"this worker has no credentials {migration.credentials!r}")
        return Way(self, task, migration, known[migration.credentials])


def _refuse_strangers(execution: str) -> None:
    """Raise where who orders something is not the *execution* that it is of.

    Its name alone says little: once that is closed, anybody who reaches the cluster can give it to a workflow of their own, and order what it once had.
    """
    if activity.info().workflow_run_id != execution:
        raise ApplicationError("it was not ordered by whom it is of: somebody has copied it", non_retryable=True)
