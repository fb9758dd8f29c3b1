"""The workflows: what the core says is asked of activities, and what came of them is recorded. They know no rule.

`Run` is one session of a run. It holds the fold of the run's events, asks `next_actions` and `migration_step` after each of
them, and takes its migrations through their steps. The command that schedules `cutover` is the intent: Temporal commits it
before anybody hears of it. `Project` gives a project's budget to one worker at a time; a claim is a workflow that nobody
serves, open as long as a run drives its job.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, CancelledError, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOutError

with workflow.unsafe.imports_passed_through():
    from ...core.events import (
        ApplicationWaiting,
        CutoverRequested,
        CutoversStopped,
        Event,
        GateChanged,
        HookFinished,
        MigrationEvent,
        MigrationFinished,
        MigrationRetried,
        MigrationSkipped,
        RunFinished,
        RunPaused,
        RunUnpaused,
        WindowOpened,
        WindowWaiting,
    )
    from ...core.hook_facts import facts_for_hook
    from ...core.migration import BEFORE_THE_PUT
    from ...core.next_actions import (
        Action,
        Agenda,
        Drive,
        Record,
        RunGroupHook,
        Wait,
        may_request,
        migration_step,
        next_actions,
        to_drive,
        why_held,
    )
    from ...core.next_step import (
        GATE_LIFE,
        Answer,
        AnswerKind,
        Done,
        Finish,
        MigrationState,
        Policy,
        Read,
        Request,
        RunHook,
        Step,
        answered,
        held_back,
    )
    from ...core.outcomes import ExitCode, Outcome, RunOutcome
    from ...core.polling import backoff
    from ...core.refusals import refused
    from ...core.run import RunState
    from ...core.standstill import is_to_be_told, standstills
    from ...core.steering import decide
    from ...core.workflow import Migration, Wave
    from . import forms, names

LEAVES_WITHIN = 0.3
"""Of a lease: a PUT leaves so long after its worker was told that it still may, or never."""
_DEAD_BY = 0.4  # of a lease; by then the process that has not let it go is dead
_PAGE = 500  # events in one answer to a query
_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=0.2), maximum_interval=timedelta(seconds=5))
_ONCE = RetryPolicy(maximum_attempts=1)
_CLEANING_UP = timedelta(seconds=60)  # what a hook gets beyond its own time, to be ended in order
_LONG = timedelta(days=30)
_STANDING = 30.0  # seconds between two looks at applications that stand still
_DOOR = (CutoversStopped, RunPaused, RunUnpaused, WindowOpened, WindowWaiting)
_STEERED = (MigrationSkipped, MigrationRetried, GateChanged)


@workflow.defn(name="Claim")
class Claim:
    """The claim of a run to a live migration, while it is open."""

    @workflow.run
    async def run(self) -> None:
        """Be open."""
        await workflow.wait_condition(lambda: False)


@workflow.defn(name="Project")
class Project:
    """Gives one budget to one worker, which then serves the task queue of its requests, as long as there are runs that need it."""

    def __init__(self) -> None:
        self._holders: dict[str, bool] = {}

    @workflow.signal
    def hold(self, run: str) -> None:
        """*run* needs it."""
        self._holders[run] = True

    @workflow.signal
    def release(self, run: str) -> None:
        """*run* needs it no more."""
        self._holders.pop(run, None)

    @workflow.run
    async def run(self, scope: str, lease: float) -> None:
        """Find an owner, and another when that one is silent for *lease* seconds."""
        await workflow.wait_condition(lambda: bool(self._holders))
        while self._holders:
            owner = workflow.start_activity(
                "own_project",
                args=[scope, lease],
                start_to_close_timeout=_LONG,
                heartbeat_timeout=timedelta(seconds=lease),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=0.1), maximum_interval=timedelta(seconds=1)
                ),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
            await workflow.wait_condition(lambda: not self._holders)
            owner.cancel()
            with suppress(ActivityError):  # it has let go, or is silent and lets go by itself
                await owner


class _Alarm:
    """Rings at a time. A timer is made anew only when that changes, as each takes two events of the history."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._timer: asyncio.Task[None] | None = None
        self.rung = False

    def set(self, at: float | None) -> None:
        """Ring at *at*, in place of what was set before; None: at no time."""
        if at == self._at and not self.rung:
            return
        self.rung = False
        if self._timer is not None and not self._timer.done():
            self._timer.cancel()
        self._at, self._timer = at, None
        if at is not None:
            self._timer = asyncio.create_task(self._ring(max(0.001, at - _now())))

    @property
    def is_set(self) -> bool:
        """Whether it rings, or has rung."""
        return self._at is not None

    async def _ring(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.rung = True


def _now() -> float:
    return workflow.now().timestamp()


@workflow.defn(name="Run")
class Run:
    """One session of a run."""

    @workflow.init
    def __init__(self, order: forms.Order) -> None:
        self._order = order
        self._polling = forms.polling_of(order.polling)
        self._state = RunState(run_id=order.run_id)
        self._log: list[Any] = []
        self._lengths: list[int] = []
        self._news: dict[str, bool] = {}  # by migration: something has happened that it may be waiting for
        self._door = 0  # how often the door has been opened or shut
        self._steered: Counter[str] = Counter()  # by migration: how often somebody has decided about it
        self._drives: dict[str, asyncio.Task[None]] = {}
        self._group_hooks: dict[Action, asyncio.Task[None]] = {}
        self._flying: set[str] = set()  # whose PUT may be on its way; asked whether it is empty, never for its order
        self._at_work: Counter[str] = Counter()
        self._begun: set[Action] = set()  # asked for members alone
        self._polls: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._retries = 0
        self._changed = False
        self._over = False
        self._failure: BaseException | None = None
        for event in forms.unpack(order.events):
            self._take_in(event, length=0)

    # -- from outside ----------------------------------------------------------------------------------------------

    @workflow.query
    def news(self, after: int) -> forms.News:
        """The journaled events after the first *after* ones."""
        page = slice(after, after + _PAGE)
        return forms.News(
            first=after,
            events=self._log[page],
            lengths=self._lengths[page],
            over=self._over and after + _PAGE >= len(self._log),
        )

    @workflow.update
    async def steer(self, requests: list[dict[str, Any]]) -> list[str | None]:
        """Do what people ask for; why each did nothing, or None. After the answer no PUT leaves that they have held up."""
        answers: list[str | None] = []
        for data in requests:
            decided = decide(self._state, forms.request_of(data), at=_now())
            if isinstance(decided, str):
                answers.append(decided)
            else:
                self._record(decided)
                answers.append(None)
        held = [name for name in self._state.migrations if name in self._flying and self._why_held(name) is not None]
        if held:
            gone = _DEAD_BY * self._order.lease  # what has not left by then does not leave any more
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: not any(name in self._flying for name in held), timeout=gone)
        return answers

    # -- the session -------------------------------------------------------------------------------------------------

    @workflow.run
    async def run(self, order: forms.Order) -> dict[str, Any]:  # noqa: ARG002 - as of __init__, which Temporal calls with it
        """Work until every selected migration has ended, or no more may be started."""
        claims = self._claims()
        lease = timedelta(seconds=self._order.lease)
        held = await workflow.execute_activity(
            "claim",
            claims,
            result_type=list[list[str]],
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=lease,
            retry_policy=_AGAIN,
        )
        if held:
            name, job, other = held[0]
            reason = f"live migration {job.partition('/')[2]} ({name}) is held by run {other}"
            self._record(CutoversStopped(at=_now(), reason=reason))
            return await self._finish(claims, ExitCode.BUSY)
        trouble = await workflow.execute_activity(
            "reach",
            args=[self._sets(), self._order.lease],
            result_type=str,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=lease,
            retry_policy=_AGAIN,
        )
        if trouble:
            self._record(CutoversStopped(at=_now(), reason=trouble))
            return await self._finish(claims, ExitCode.UNREACHABLE)
        alarm, standing = _Alarm(), _Alarm()
        told: dict[tuple[str | None, str | None], float] = {}
        while not (agenda := self._agenda()).over:
            self._changed = False
            for action in agenda.actions:
                self._carry_out(action)
            alarm.set(agenda.look_again)
            self._watch_for_standstills(standing, told)
            await workflow.wait_condition(lambda: self._changed or alarm.rung or standing.rung)
            if self._failure is not None:
                raise self._failure
        alarm.set(None)
        standing.set(None)
        return await self._finish(claims, None)

    async def _finish(self, claims: forms.Claims, code: ExitCode | None) -> dict[str, Any]:
        state = self._state
        keep = bool(state.unsettled())
        refused_to_begin = code is ExitCode.BUSY
        await workflow.execute_activity(
            "release",
            args=[claims, keep],
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(seconds=self._order.lease),
            retry_policy=_AGAIN,
        )
        finished = RunFinished(
            at=_now(),
            outcome=RunOutcome.INCOMPLETE if code is not None and not keep else state.outcome(),
            exit_code=int(state.exit_code() if code is None else code),
            unfinished=state.is_unfinished() and not refused_to_begin,
            requests={
                "total": self._requests.total(),
                "by_status": {status: self._requests[status] for status in sorted(self._requests)},
                "retries": self._retries,
            },
            keep_claims=keep,
        )
        self._record(finished)
        self._over = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return {"run_id": state.run_id, "exit_code": finished.exit_code, "events": len(self._log)}

    def _claims(self) -> forms.Claims:
        state = self._state
        rows = [migration for _, migration in state.workflow.migrations()]
        scopes = dict.fromkeys(self._scope(m) for m in rows if m.name in state.selected)
        return forms.Claims(
            run_id=state.run_id,
            workflow=workflow.info().workflow_id,
            jobs=[] if state.rehearsal else [[m.name, f"{m.group_id}/{m.live_migration_id}"] for m in rows],
            scopes=list(scopes),
            queue=self._order.queue,
            lease=self._order.lease,
        )

    def _sets(self) -> list[str | None]:
        return list(dict.fromkeys(migration.credentials for _, migration in self._state.rows()))

    # -- what happens --------------------------------------------------------------------------------------------------

    def _take_in(self, event: Event, *, length: int) -> None:
        self._state.apply(event)
        if event.journaled:
            self._log += forms.out([event])
            self._lengths.append(length)

    def _record(self, *events: Event) -> None:
        """Take *events* in: whoever waits for them goes on."""
        for event in events:
            self._take_in(event, length=workflow.info().get_current_history_length())
            migration = event.migration if isinstance(event, (MigrationEvent, HookFinished)) else None
            if migration is not None:
                self._news[migration] = True
                if isinstance(event, _STEERED):
                    self._steered[migration] += 1
            else:
                for name in self._drives:
                    self._news[name] = True
                self._door += isinstance(event, _DOOR)
            self._changed = True

    def _take(self, name: str, done: forms.Done) -> None:
        """Record what an activity for *name* has found out."""
        self._requests.update(done.requests)
        self._retries += done.retries
        self._polls[name] += done.polls
        self._record(*forms.events_of(done.told))
        if done.refused is not None:
            credentials = self._state.place_of(name)[1].credentials
            event = refused(self._state, credentials, done.refused, sets=len(self._sets()), at=_now())
            if event is not None:
                self._record(event)
        self._record(*forms.events_of(done.events))

    def _watch_for_standstills(self, alarm: _Alarm, told: dict[tuple[str | None, str | None], float]) -> None:
        """Tell of applications that stand still while their PUT does not leave."""
        now = _now()
        standing = list(standstills(self._state, now))
        for still in standing:
            who = still.wave, still.migration
            if is_to_be_told(still.since, told.get(who), now):
                told[who] = now
                seconds = round(now - still.since, 1)
                self._record(
                    ApplicationWaiting(
                        at=now, wave=still.wave, migration=still.migration, seconds=seconds, reason=still.reason
                    )
                )
        if not standing:
            alarm.set(None)
        elif alarm.rung or not alarm.is_set:
            alarm.set(now + _STANDING)

    # -- what is to be done --------------------------------------------------------------------------------------------

    def _agenda(self) -> Agenda:
        """What is to be done now, when all that there was to record has been recorded."""
        while True:
            agenda = next_actions(self._state, _now(), _now(), self._at_work)
            events = [action.event for action in agenda.actions if isinstance(action, Record)]
            if not events:
                return agenda
            self._record(*events)

    def _carry_out(self, action: Action) -> None:
        """Begin *action*, unless that has been done."""
        if action in self._begun:
            return
        self._begun.add(action)
        match action:
            case RunGroupHook():
                self._group_hooks[action] = asyncio.create_task(self._guarded(self._group_hook(action)))
            case Drive(wave=name):
                wave = self._state.wave(name)
                for migration in to_drive(self._state, wave):
                    if migration.name not in self._drives:
                        self._at_work[name] += 1
                        self._drives[migration.name] = asyncio.create_task(self._guarded(self._drive(wave, migration)))

    async def _guarded(self, doing: Any) -> None:
        """A fault of the program stops the run where it stands, for an operator to see; it is no outcome of any job."""
        try:
            await doing
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._failure = self._failure or error
            self._changed = True

    async def _group_hook(self, action: RunGroupHook) -> None:
        wave = None if action.wave is None else self._state.wave(action.wave)
        hooks = self._state.workflow.hooks if wave is None else wave.hooks
        finished = await self._run_hook(hooks, action.hook, action.index, outcome=action.outcome, wave=wave)
        self._begun.discard(action)
        if finished is not None:
            self._record(finished)
        self._changed = True

    # -- one migration -------------------------------------------------------------------------------------------------

    def _policy(self, name: str) -> Policy:
        return forms.policy_of(self._state.place_of(name)[1], self._order.settle)

    def _next(self, name: str) -> Step | Wait:
        return migration_step(self._state, name, self._policy(name), _now(), _now())

    async def _drive(self, wave: Wave, migration: Migration) -> None:
        """Take *migration* from where it stands to its end, or to where it is not started in this session."""
        name = migration.name
        try:
            while True:
                self._news[name] = False
                match self._next(name):
                    case Done():
                        return
                    case Wait():
                        await workflow.wait_condition(lambda: self._news[name])
                    case RunHook(not_before=later) if later > _now():
                        await self._wait_until(name, later)
                    case Finish(outcome=outcome, error_message=message):
                        self._end(name, outcome, message)
                    case Read():
                        await self._follow(name)
                    case RunHook() as hook:
                        await self._hook(wave, name, hook)
                    case Request() as request:
                        await self._request(name, request)
        finally:
            del self._drives[name]
            self._at_work[wave.name] -= 1
            if not self._at_work[wave.name]:
                del self._at_work[wave.name]
            self._changed = True

    async def _wait_until(self, name: str, when: float) -> None:
        """Wait until *when*, or for news."""
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._news[name], timeout=max(0.001, when - _now()))

    def _end(self, name: str, outcome: Outcome, message: str | None) -> None:
        state = self._state.migrations[name]
        polls = max(state.polls, self._polls[name])
        ended = MigrationFinished(
            at=_now(), migration=name, outcome=outcome, status=state.remote_status, error_message=message, polls=polls
        )
        self._record(ended)

    def _task(self, name: str, state: MigrationState) -> forms.Task:
        _, migration = self._state.place_of(name)
        known = state._replace(polls=max(state.polls, self._polls[name]))
        return forms.Task(
            run_id=self._state.run_id,
            migration=forms.migration_out(migration),
            state=forms.state_out(known),
            settle=self._order.settle,
            polling=self._order.polling,
            lease=self._order.lease,
            span=forms.span_out(self._state.opening if self._state.workflow.window is not None else None),
        )

    def _scope(self, migration: Migration) -> str:
        return names.scope_of(migration.group_id, migration.credentials, account=self._order.account)

    def _queue(self, name: str) -> str:
        return names.project_queue(self._order.queue, self._scope(self._state.place_of(name)[1]))

    async def _follow(self, name: str) -> None:
        """Have the job read until something follows from it; on the way to a cutover, also until somebody decides otherwise."""
        state = self._state.migrations[name]
        on_the_way = state.phase in BEFORE_THE_PUT
        door, steered = self._door, self._steered[name]
        held = why_held(self._state, _now()) is not None
        reading = workflow.start_activity(
            "follow",
            args=[self._task(name, state), held],
            result_type=forms.Done,
            task_queue=self._queue(name),
            start_to_close_timeout=timedelta(days=1),
            heartbeat_timeout=timedelta(seconds=self._order.lease),
            retry_policy=_AGAIN,
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
        )
        await workflow.wait_condition(
            lambda: reading.done() or (on_the_way and (door, steered) != (self._door, self._steered[name]))
        )
        if not reading.done():
            reading.cancel()
        try:
            done = await reading
        except ActivityError as error:
            if not isinstance(error.cause, CancelledError):
                raise
            return
        self._take(name, done)

    # -- the cutover -----------------------------------------------------------------------------------------------------

    def _why_held(self, name: str) -> str | None:
        """Why the PUT of *name* may not leave, whatever its age, which the worker sees to; None: it may."""
        return may_request(self._state, name, self._state.migrations[name].known_at or _now(), _now())

    async def _request(self, name: str, request: Request) -> None:
        """Have the PUT sent, once. What is committed with the order to do so is its intent."""
        state = self._state.migrations[name]
        if request.attempt > 0 and state.not_begun_at is not None:
            due = state.not_begun_at + backoff(self._polling, request.attempt)
            if due > _now():
                await self._wait_until(name, due)
                return
        if self._why_held(name) is not None:
            await workflow.wait_condition(lambda: self._news[name])
            return
        self._record(CutoverRequested(at=_now(), migration=name))
        self._flying.add(name)
        try:
            await self._put(name)
        finally:
            self._flying.discard(name)

    async def _put(self, name: str) -> None:
        migration, policy, lease = self._state.place_of(name)[1], self._policy(name), self._order.lease
        patience = migration.gate.timeout if migration.gate else migration.timeout
        sending = workflow.start_activity(
            "cutover",
            self._task(name, self._state.migrations[name]),
            result_type=forms.Done,
            task_queue=self._queue(name),
            schedule_to_start_timeout=timedelta(seconds=forms.FRESH),
            start_to_close_timeout=timedelta(seconds=patience + 4 * self._order.settle + 60),
            heartbeat_timeout=timedelta(seconds=lease),
            retry_policy=_ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: sending.done() or self._why_held(name) is not None)
        why = self._why_held(name)
        if not sending.done():
            sending.cancel()
        try:
            done = await sending
        except ActivityError as error:
            now, state = _now(), self._state.migrations[name]
            if isinstance(error.cause, TimedOutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START:
                reason = f"no worker took it up within {forms.FRESH:g} s"
                self._record(held_back(reason, migration=name, now=now))
            elif isinstance(error.cause, CancelledError):  # before anybody had it, or by who had not begun to send it
                self._record(held_back(why or "the run was stopped", migration=name, now=now))
            else:
                lost = Answer(kind=AnswerKind.LOST, reason="its worker was lost while the PUT may have been on its way")
                self._record(*answered(state, lost, policy, migration=name, now=now))
            return
        self._take(name, done)

    # -- hooks -----------------------------------------------------------------------------------------------------------

    async def _hook(self, wave: Wave, name: str, hook: RunHook) -> None:
        """Run a hook and record it."""
        migration = self._state.place_of(name)[1]
        state = self._state.migrations[name]
        done = Outcome.SUCCESS if hook.hook == "verify" else self._state.result(name).outcome
        outcome = None if hook.hook == "before" else done
        soon = hook.hook == "before" and not state.prepared  # no application is stopped on what was read long ago
        finished = await self._run_hook(
            migration.hooks, hook.hook, hook.index, outcome=outcome, wave=wave, migration=migration, soon=soon
        )
        if finished is not None:
            self._record(finished)

    async def _run_hook(
        self,
        hooks: Any,
        hook: str,
        index: int,
        *,
        outcome: str | None,
        wave: Wave | None,
        migration: Migration | None = None,
        soon: bool = False,
    ) -> HookFinished | None:
        """How the hook ended. None: *soon* no worker had time for it, and it has not begun."""
        state, argv = self._state, getattr(hooks, hook)[index]
        task = forms.HookTask(
            run_id=state.run_id,
            workflow=state.workflow.name,
            directory=state.workflow.directory,
            rehearsal=state.rehearsal,
            argv=list(argv),
            hook=hook,
            timeout=hooks.timeout,
            facts=forms.facts_out(facts_for_hook(state, wave, migration, outcome=outcome)),
            lease=self._order.lease,
            wave=None if wave is None else wave.name,
            migration=None if migration is None else forms.migration_out(migration),
        )
        began = _now()
        try:
            [finished] = forms.events_of(
                await workflow.execute_activity(
                    "hook",
                    task,
                    result_type=list[Any],
                    task_queue=names.hooks_queue(self._order.queue),
                    schedule_to_start_timeout=timedelta(seconds=GATE_LIFE) if soon else None,
                    start_to_close_timeout=timedelta(seconds=hooks.timeout) + _CLEANING_UP,
                    heartbeat_timeout=timedelta(seconds=self._order.lease),
                    retry_policy=_ONCE,
                )
            )
        except ActivityError as error:
            if isinstance(error.cause, TimedOutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START:
                return None
            return HookFinished(
                at=_now(),
                hook=hook,
                argv=argv,
                exit_code=None,
                seconds=round(_now() - began, 3),
                error="ended, because its worker was lost",
                wave=task.wave,
                migration=None if migration is None else migration.name,
                interrupted=True,
            )
        assert isinstance(finished, HookFinished)
        return finished
