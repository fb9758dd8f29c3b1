"""The workflow that is one session of a run. It knows no rule: it asks the core what comes next, and has it done.

It holds the fold of the run's events, asks `next_actions` after each of them, and takes its migrations through their steps. When its
history has become long it goes on with an empty one, and what its batches are doing goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from ...core.agenda import Action, Agenda, Drive, HookOf, Record, RunGroupHook
from ...core.events import CutoversStopped, RunFinished
from ...core.needed_sets import needed_sets, one_will_do
from ...core.next_actions import next_actions, to_drive
from ...core.outcomes import ExitCode, RunOutcome
from ...core.run import RunState
from ...core.standstill import Whose, standstills, to_tell
from ...core.steering import decide
from ...core.workflow import Migration, Wave
from ...text.escaping import one_line
from . import forms, names
from .alarm import Alarm, now
from .asked import Once
from .batch import AGAIN, Batch
from .driver import Driver
from .errands import MIGRATIONS_PER_BATCH, Errand, Errands
from .hooks import Hooks, group_hook_of, whose_group
from .ledger import Ledger

LEAVES_WITHIN = 0.3
"""Of a lease: a PUT leaves so long after its worker was told that it still may, or never."""
DEAD_BY = 0.4
"""Of a lease; by then the process that has not let it go is dead."""
_ANOTHERS = 1.0  # seconds until an activity is asked again for which somebody else has answered
_STANDING = 30.0  # seconds between two looks at applications that stand still
_HUSH = 10.0  # seconds that batches get to end what they are saying
_HOOKS = "hooks"  # the key of the batch that runs those of waves and of the run


@workflow.defn(name="Run")
class Run:
    """One session of a run."""

    @workflow.init
    def __init__(self, order: forms.Order) -> None:
        info = workflow.info()
        session = forms.Session(workflow=info.workflow_id, first=info.first_execution_run_id)
        self._order = order
        self._ledger = Ledger(order.run_id, order.events)
        self._errands = Errands(session, order.lease)
        self._hooks = Hooks(order, self._ledger, self._errands)
        self._drivers: dict[str, Driver] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._at_work: Counter[str | HookOf] = Counter()
        self._begun: set[Action] = set()  # asked for members alone
        self._told: dict[Whose, float] = {}
        self._batch_keys = _batch_keys(self._state)
        self._over = False
        self._fits = True
        self._once = Once(order.run_id, info.run_id)
        self._failure: BaseException | None = None
        self._goes_on = not order.carried
        if order.carried:
            carried = forms.unpacked(order.carried)
            self._goes_on = carried["once"]["execution"] == info.continued_run_id
            self._ledger.take_up(carried["ledger"])
            self._errands.take_up(carried["errands"])
            self._once.take_up(carried["once"])
            self._told = {(wave, migration): at for wave, migration, at in carried["told"]}

    @property
    def _state(self) -> RunState:
        return self._ledger.state

    # -- from outside ----------------------------------------------------------------------------------------------

    @workflow.query
    def news(self, after: int) -> forms.News:
        """The journaled events after the first *after* ones."""
        return self._ledger.news(after, over=self._over)

    @workflow.signal
    async def returned(self, message: forms.Message) -> None:
        """A batch says what has come of its errands."""
        if not self._errands.take_in(message):
            stray: workflow.ExternalWorkflowHandle[Batch] = workflow.get_external_workflow_handle_for(
                Batch.run, message.batch
            )
            stop = forms.Message(batch=message.batch, number=_LAST, body=forms.packed([{"item": "stop"}]))
            with suppress(FailureError):  # it has ended
                await stray.signal(Batch.errands, stop)

    @workflow.signal
    async def left(self, asked: forms.Asked) -> None:
        """Do what holds the run up and has met no worker. Temporal keeps a signal; an update that no worker has taken up it may lose."""
        if self._once.why_not_left(asked, now=now()) is None:
            self._once.take_left(asked, now=now())
            self._heed(asked)

    def _heed(self, asked: forms.Asked) -> list[str | None]:
        """Do what is *asked*; why each did nothing, or None."""
        answers: list[str | None] = []
        for data in asked.requests:
            decided = decide(self._state, forms.request_of(data), at=now())
            if isinstance(decided, str):
                answers.append(decided)
            else:
                self._ledger.record(decided)
                answers.append(None)
        return answers

    @workflow.update
    async def steer(self, asked: forms.Asked) -> forms.Answered:
        """Do what people ask for; why each did nothing, or None. After the answer no PUT leaves that they have held up."""
        self._once.take(asked)
        answers = self._heed(asked)
        flying = [(driver, driver.flying) for driver in self._drivers.values() if driver.flying is not None]
        held = [errand for driver, errand in flying if driver.why_held() is not None]
        await workflow.wait_condition(lambda: all(errand.call_off_confirmed or errand.returned for errand in held))
        with suppress(TimeoutError):  # what has not left by then does not leave any more
            gone = DEAD_BY * self._order.lease
            await workflow.wait_condition(lambda: all(errand.returned for errand in held), timeout=gone)
        return forms.Answered(asked=asked.number, answers=answers)

    @steer.validator
    def _is_to_be_heeded(self, asked: forms.Asked) -> None:
        why_not = self._once.why_not(asked, now=now())
        if why_not is not None:
            raise ApplicationError(why_not, non_retryable=True)

    # -- the session -------------------------------------------------------------------------------------------------

    @workflow.run
    async def run(self, order: forms.Order) -> dict[str, Any]:
        """Work until every selected migration has ended, or no more may be started."""
        if not self._goes_on:  # somebody has begun it with what a run had taken along, who need not have a key for that
            raise ApplicationError(
                "it has not gone on by itself, so it does nothing: what it was begun with is not its own"
            )
        code = None
        if not order.carried:
            held = await self._activity("claim", self._claims("claim"))
            if held == forms.OVERTAKEN:  # nothing is recorded: whoever finds it goes by what was there before
                workflow.upsert_memo({forms.DID_NOTHING: True})
                return {"run_id": order.run_id, "exit_code": int(ExitCode.BUSY), "events": 0}
            code = await self._enter(held)
        if code is None:
            await self._work()
        return await self._finish(code)

    async def _enter(self, held: Any) -> ExitCode | None:
        """Go in with what `claim` answers, and see that Atlas is reached; what the run ends with if that fails."""
        who = forms.given_up_by(held)
        if who is not None:
            reason = (
                f"nothing was begun: the run was ended by {one_line(who)[:200]} with another state directory, which this one had not heard of; "
                f"`atlas-cutover abort {self._state.run_id}` ends it here, too"
            )
            self._ledger.record(CutoversStopped(at=now(), reason=reason))
            return ExitCode.INVALID
        if held:
            name, job, other = held[0]
            reason = f"live migration {job.partition('/')[2]} ({name}) is held by {forms.holder(job, other)}"
            self._ledger.record(CutoversStopped(at=now(), reason=reason))
            return ExitCode.BUSY
        reach = forms.Reach(
            task=self._task("reach"),
            sets=list(needed_sets(self._state, now())),
            lease=self._order.lease,
            one_will_do=one_will_do(self._state),
        )
        trouble = await self._activity("reach", reach)
        if trouble:
            self._ledger.record(CutoversStopped(at=now(), reason=trouble))
            return ExitCode.UNREACHABLE
        return None

    def _task(self, name: str) -> str:
        """What the activity *name* of this execution is called, which has one of each."""
        return f"{workflow.info().run_id}/{name}"

    async def _activity(self, name: str, asked: forms.Claims | forms.Reach) -> Any:
        """What the activity *name* answers to what is *asked*; what answers something else is asked again."""
        while True:
            result = await workflow.execute_activity(
                name,
                asked,
                start_to_close_timeout=timedelta(minutes=30),
                heartbeat_timeout=timedelta(seconds=self._order.lease),
                retry_policy=AGAIN,
            )
            if forms.of_task(result, asked.task):
                return result["what"]
            await asyncio.sleep(_ANOTHERS)

    async def _work(self) -> None:
        """Do what the core says until nothing is left, or the history is long: then go on with an empty one."""
        self._go_on_with_what_is_left()
        alarm, standing = Alarm(), Alarm()
        while not (agenda := self._agenda()).over:
            self._ledger.changed = False
            for action in agenda.actions:
                self._carry_out(action)
            alarm.set(agenda.look_again)
            self._watch_for_standstills(standing)
            await workflow.wait_condition(lambda: self._ledger.changed or alarm.rung or standing.rung)
            if self._failure is not None:
                raise self._failure
            if self._is_to_turn():
                await self._turn()
        alarm.set(None)
        standing.set(None)

    async def _finish(self, code: ExitCode | None) -> dict[str, Any]:
        state = self._state
        await self._errands.end()
        keep = bool(state.unsettled())
        refused_to_begin = code is ExitCode.BUSY
        await self._activity("release", self._claims("release", keep=keep))
        finished = RunFinished(
            at=now(),
            outcome=RunOutcome.INCOMPLETE if code is not None and not keep else state.outcome(),
            exit_code=int(state.exit_code() if code is None else code),
            unfinished=state.is_unfinished() and not refused_to_begin,
            requests=self._ledger.request_statistics(),
            keep_claims=keep,
            polls=self._ledger.polls_to_keep(),
        )
        self._ledger.record(finished)
        self._over = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return {"run_id": state.run_id, "exit_code": finished.exit_code, "events": self._ledger.journaled}

    def _claims(self, name: str, *, keep: bool = False) -> forms.Claims:
        state = self._state
        rows = [migration for _, migration in state.workflow.migrations()]
        scopes = dict.fromkeys(self._scope(m) for m in rows if m.name in state.selected)
        return forms.Claims(
            task=self._task(name),
            keep=keep,
            run_id=state.run_id,
            workflow=workflow.info().workflow_id,
            jobs=[] if state.rehearsal else [[m.name, f"{m.group_id}/{m.live_migration_id}"] for m in rows],
            scopes=list(scopes),
            queue=self._order.queue,
            lease=self._order.lease,
            aborted_by=state.aborted_by,
            session=self._order.session,
        )

    def _scope(self, migration: Migration) -> str:
        return names.scope_of(migration.group_id, migration.credentials, account=self._order.account)

    def _queue(self, migration: Migration) -> str:
        return names.project_queue(self._order.queue, self._scope(migration))

    # -- what is to be done --------------------------------------------------------------------------------------------

    def _agenda(self) -> Agenda:
        """What is to be done now, when all that there was to record has been recorded."""
        while True:
            agenda = next_actions(self._state, now(), now(), self._at_work)
            events = [action.event for action in agenda.actions if isinstance(action, Record)]
            if not events:
                return agenda
            self._ledger.record(*events)

    def _carry_out(self, action: Action) -> None:
        """Begin *action*, unless that has been done."""
        if action in self._begun:
            return
        self._begun.add(action)
        match action:
            case RunGroupHook(wave=name):
                wave = None if name is None else self._state.wave(name)
                hooks = self._state.workflow.hooks if wave is None else wave.hooks
                errand = self._hooks.begin(
                    hooks, action.hook, action.index, outcome=action.outcome, wave=wave, batch_key=_HOOKS
                )
                self._begin_group_hook(action, errand)
            case Drive(wave=name):
                wave = self._state.wave(name)
                for migration in to_drive(self._state, wave):
                    if migration.name not in self._drivers:
                        self._drive(wave, migration)

    def _begin(self, name: str, doing: Any) -> None:
        self._tasks[name] = asyncio.create_task(self._guarded(doing))

    async def _guarded(self, doing: Any) -> None:
        """A fault of the program stops the run where it stands, for an operator to see; it is no outcome of any job."""
        try:
            await doing
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._failure = self._failure or error
            self._ledger.changed = True

    def _begin_group_hook(self, action: RunGroupHook, errand: Errand) -> None:
        self._at_work[HookOf(action.wave)] += 1
        self._begin(whose_group(action.wave), self._group_hook(action, errand))

    async def _group_hook(self, action: RunGroupHook, errand: Errand) -> None:
        try:
            await self._hooks.running(errand)
            self._begun.discard(action)
        finally:
            self._leave(HookOf(action.wave))

    def _drive(self, wave: Wave, migration: Migration) -> None:
        """Take *migration* through its steps."""
        self._at_work[wave.name] += 1
        self._ledger.bells[migration.name] = asyncio.Event()
        driver = self._drivers[migration.name] = Driver(
            wave,
            migration,
            order=self._order,
            ledger=self._ledger,
            errands=self._errands,
            hooks=self._hooks,
            queue=self._queue,
            batch_key=self._batch_keys[migration.name],
        )
        self._begin(migration.name, self._driving(driver, wave.name, migration.name))

    async def _driving(self, driver: Driver, wave: str, name: str) -> None:
        try:
            await driver.drive()
        finally:
            del self._drivers[name], self._ledger.bells[name], self._tasks[name]
            self._leave(wave)

    def _leave(self, whose: str | HookOf) -> None:
        self._at_work[whose] -= 1
        if not self._at_work[whose]:
            del self._at_work[whose]
        self._ledger.changed = True

    def _watch_for_standstills(self, alarm: Alarm) -> None:
        """Tell of applications that stand still while their PUT does not leave."""
        at = now()
        standing = list(standstills(self._state, at))
        for event in to_tell(standing, self._told, at):
            self._told[event.wave, event.migration] = at
            self._ledger.record(event)
        if not standing:
            alarm.set(None)
        elif alarm.rung or not alarm.is_set:
            alarm.set(at + _STANDING)

    # -- going on with an empty history --------------------------------------------------------------------------------

    def _is_to_turn(self) -> bool:
        info = workflow.info()
        is_long = info.get_current_history_length() >= self._order.turn_after or info.is_continue_as_new_suggested()
        return self._fits and is_long and workflow.all_handlers_finished()

    async def _turn(self) -> None:
        """Go on with an empty history, if that can be done now: not while somebody steers, nor while messages are on their way.

        Temporal takes no end of a workflow that has been told something meanwhile; so batches are asked to be quiet first.
        """
        self._errands.hush()
        with suppress(TimeoutError):  # one whose worker has just died says nothing, either
            await workflow.wait_condition(
                lambda: self._errands.is_quiet or not workflow.all_handlers_finished(), timeout=_HUSH
            )
        if self._errands.is_idle and workflow.all_handlers_finished() and self._failure is None:
            order = replace(self._order, events=self._ledger.events(), carried=self._carried())
            self._fits = len(order.events) + len(order.carried) <= forms.MOST_CARRIED
            if self._fits:
                workflow.continue_as_new(order)
        self._errands.speak()

    def _carried(self) -> str:
        return forms.packed(
            {
                "ledger": self._ledger.carried(),
                "errands": self._errands.carried(),
                "once": self._once.carried(),
                "told": [[wave, migration, at] for (wave, migration), at in self._told.items()],
            }
        )

    def _go_on_with_what_is_left(self) -> None:
        """Wait for what an earlier execution has begun, before anything else is decided."""
        for whose in self._errands.left():
            if whose in self._state.migrations:
                self._drive(*self._state.wave_and_migration(whose))
                continue
            errand = self._errands.left_for(whose)
            assert errand is not None
            action = group_hook_of(errand)
            self._begun.add(action)
            self._begin_group_hook(action, errand)
        self._errands.speak()


_LAST = 2**31
"""The number of a message after which none is read."""


def _batch_keys(state: RunState) -> dict[str, str]:
    """By migration: whose batch does its errands."""
    return {
        migration.name: f"{number}.{index // MIGRATIONS_PER_BATCH}"
        for number, wave in enumerate(state.workflow.waves)
        for index, migration in enumerate(wave.migrations)
    }
