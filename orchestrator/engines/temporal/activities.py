"""What workers do: read jobs, send PUTs, run hooks, own budgets, take claims. The keys are here, and nowhere else.

`follow` may run any number of times. `cutover` and `hook` run once: Temporal gives them to one worker, and when that one is
silent, to none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import anyio
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from ...atlas.client import AtlasClient
from ...atlas.clients import Clients
from ...atlas.errors import AtlasError, KeysRefusedError
from ...atlas.shares import Priority
from ...core import next_step as core
from ...core.events import Event, StatusPolled
from ...core.migration import apply
from ...core.next_step import AnswerKind, MigrationState, Phase, Policy
from ...core.workflow import Migration, Wave
from ...text.redaction import Redactor
from ..hooks import hook_environment, run_hook
from ..putting import send_put
from ..reading import JobReader
from . import forms, names
from .clocks import ServerClock
from .counting import Count, counted
from .guard import Departure
from .heart import Heart
from .lost import elsewhere
from .workflows import LEAVES_WITHIN, Claim, Project

_MOST_READS = 500  # in one activity: its result is kept in the history
_AT_ONCE = 20  # claims that are let go side by side
_REMEMBERED = 50_000  # errands that were taken up: those of a large night
_GUARD = 0.05  # of a lease, beyond the time for a PUT to leave


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
        guarded: Whether a process that is stopped at the wire is ended (`guard`).
    """

    client: Client
    clients: Clients
    serve: Callable[[str], Any]
    wall: Callable[[], float]
    environ: Mapping[str, str]
    secrets: tuple[str, ...]
    redactor: Redactor
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
        runs that name the same jobs one gets them.
        """
        _refuse_strangers(claims.task.partition("/")[0])
        async with self._alive(claims.lease):
            return forms.Did(task=claims.task, what=await self._held(claims))

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
        """The run that has a claim to *job*."""
        claim = await self.client.get_workflow_handle(names.claim_id(job)).describe()
        if claim.status is not WorkflowExecutionStatus.RUNNING:
            return None
        try:
            return str((await claim.memo()).get("run_id", "unknown"))
        except (KeyError, ValueError):  # made without the codec's key, or with one: not by a run of this worker's
            return "unknown"

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
        """Let go of what `claim` has taken, but for claims that are to be kept."""
        _refuse_strangers(claims.task.partition("/")[0])
        limit = anyio.CapacityLimiter(_AT_ONCE)

        async def let_go(job: str) -> None:
            async with limit:
                await self._let_go(job, claims.run_id)

        async with self._alive(claims.lease):
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
            return forms.Did(task=asked.task, what=await self._trouble_with(asked.sets))

    async def _trouble_with(self, sets: list[str | None]) -> str:
        known = self.clients.all()
        for name in sets:
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
                    step = core.next_step(way.state, way.policy, self.clock.now(), held=task.held)
                    over = not isinstance(step, core.Read)
                    if isinstance(step, core.Read):
                        found = await way.reader.read(step, lambda: way.state, way.policy)
                        way.take_in(*found)
                        polls += sum(isinstance(event, StatusPolled) for event in found)
                        over = any(not isinstance(event, StatusPolled) for event in found)
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
        putting = _Putting(self, task, way)
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
        environment = hook_environment(
            self.environ,
            run_id=task.run_id,
            workflow=task.workflow,
            rehearsal=task.rehearsal,
            wave=None if task.wave is None else Wave(name=task.wave, migrations=()),
            migration=migration,
            facts=forms.facts_of(task.facts),
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
                redact=self.redactor.text,
                wave=task.wave,
                migration=None if migration is None else migration.name,
            )
            group.cancel_scope.cancel()
        return forms.Did(task=task.task, what=forms.out([finished]))

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

    def _way(self, task: forms.Task) -> _Way:
        _refuse_strangers(task.execution)
        self.clock.hear(activity.info().started_time)
        migration = forms.migration_of(task.migration)
        known = self.clients.all()
        if migration.credentials not in known:
            raise ApplicationError(f"this worker has no credentials {migration.credentials!r}")
        return _Way(self, task, migration, known[migration.credentials])


def _refuse_strangers(execution: str) -> None:
    """Raise where who orders something is not the *execution* that it is of.

    Its name alone says little: once that is closed, anybody who reaches the cluster can give it to a workflow of their own, and order what it once had.
    """
    if activity.info().workflow_run_id != execution:
        raise ApplicationError("it was not ordered by whom it is of: somebody has copied it", non_retryable=True)


class _Way:
    """One migration, as far as one activity takes it."""

    def __init__(self, activities: Activities, task: forms.Task, migration: Migration, client: AtlasClient) -> None:
        self.migration = migration
        self.client = client
        self.policy: Policy = forms.policy_of(migration, task.settle)
        self.state: MigrationState = forms.state_of(task.state)
        self.refused: str | None = None
        self._events: list[Event] = []
        self.reader = JobReader(
            client,
            migration,
            polling=forms.polling_of(task.polling),
            now=activities.clock.now,
            random=activities.random,
            on_refused=self.refuse,
        )

    def refuse(self, error: KeysRefusedError) -> None:
        """The keys are refused: altogether, or for this project alone, which its events say."""
        if error.everywhere:
            self.refused = str(error)

    def take_in(self, *events: Event) -> None:
        """These follow."""
        for event in events:
            self.state = apply(self.state, event)
        self._events += events

    def done(self, count: Count, polls: int) -> forms.Done:
        """What came of it."""
        return forms.Done(
            events=forms.out(forms.without_idle_reads(self._events)),
            told=forms.out(event for event in count.told if event.journaled),
            requests=dict(count.sent.by_status),
            retries=count.sent.retries,
            polls=polls,
            refused=self.refused,
        )


class _Putting:
    """One PUT on its way: token, fresh, Temporal's word, wire."""

    def __init__(self, activities: Activities, task: forms.Task, way: _Way) -> None:
        self._activities = activities
        self._clock = activities.clock
        self._lease = task.lease
        self._session = task.session
        self._span = forms.span_of(task.span)
        self._way = way
        self._waits = anyio.CancelScope()
        self._given_up = False
        self.sending = False
        self._leave_by = -1.0  # steady seconds
        self._last_moment = self._clock.steady() + way.policy.longest_wait + 2 * task.settle
        self._heart = Heart(activities.client, activities.clock, lease=task.lease, on_unwanted=self.give_up)

    def give_up(self) -> None:
        """The run does not want it any more: what has not left does not leave."""
        self._given_up = True
        self._waits.cancel()

    async def run(self) -> forms.Done:
        """Send it, or do not."""
        polls = 0
        with counted() as count:
            async with anyio.create_task_group() as group:
                group.start_soon(self._heart.run)
                polls = await self._go()
                group.cancel_scope.cancel()
        return self._way.done(count, polls)

    async def _go(self) -> int:
        way = self._way
        deadline = anyio.current_time() + way.policy.longest_wait
        permit = None
        reads = 0
        try:
            with self._waits:
                permit = await way.client.reserve(way.migration.group_id, deadline=deadline)
                reason = core.too_old(way.state, self._clock.now())
                if reason is not None:
                    reading = await way.reader.ask(way.state, Priority.CUTOVER)
                    found = core.observe_before_sending(
                        way.state,
                        reading,
                        way.policy,
                        reason=reason,
                        migration=way.migration.name,
                        now=self._clock.now(),
                    )
                    reads = 1
                    way.take_in(*found)
                    if way.state.phase is not Phase.REQUESTED:
                        return reads
                asked_at = self._clock.steady()
                if (
                    await self._activities.is_open(self._session, self._lease)
                    and await self._heart.confirm() is not None
                ):
                    self._leave_by = asked_at + LEAVES_WITHIN * self._lease
            if self._given_up or permit is None or self._leave_by < 0.0:
                self._record_not_sent(
                    "the run does not want it any more" if self._given_up else "Temporal did not answer"
                )
                return reads
            self.sending = True
            await self._send(permit)
        except AtlasError as error:  # of the budget, or of the read before it: `_send` raises none
            self._record_not_sent(str(error))
        finally:
            if permit is not None:
                permit.give_back()
        return reads

    async def _send(self, permit: Any) -> None:
        way = self._way
        if way.state.cutover_requests > 1 and way.state.not_begun_at is not None:
            self._activities.clients.statistics.retries += 1
        answer = await send_put(
            way.client,
            way.migration,
            permit,
            age=self._clock.now() - (way.state.known_at or self._clock.now()),
            why_not_now=self._why_not_now,
            on_refused=way.refuse,
            departure=Departure(self._remaining) if self._activities.guarded else None,
        )
        if answer.kind is AnswerKind.NOT_CARRIED_OUT and not answer.sent and way.state.phase is not Phase.REQUESTED:
            return
        way.take_in(*core.answered(way.state, answer, way.policy, migration=way.migration.name, now=self._clock.now()))

    def _record_not_sent(self, reason: str) -> None:
        if self._way.state.phase is Phase.REQUESTED:
            self._way.take_in(core.put_not_sent(reason, migration=self._way.migration.name, now=self._clock.now()))

    def _remaining(self) -> float:
        return self._leave_by + _GUARD * self._lease - self._clock.steady()

    def _why_not_now(self) -> str | None:
        """Why it may not leave at this moment, by what the run has said and its worker knows; None: it may."""
        if self._given_up:
            return "the run does not want it any more"
        if self._clock.steady() >= self._last_moment:  # the run gives up waiting for its end, and holds it for doubtful
            return "it has taken too long"
        if self._clock.steady() >= self._leave_by:
            return "Temporal's word is too old to go by"
        if self._span is not None and not self._span.holds(self._activities.wall()):
            return "the window is not open"
        return core.too_old(self._way.state, self._clock.now())
