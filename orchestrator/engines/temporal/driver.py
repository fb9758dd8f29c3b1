"""One migration of a run, from where it stands to its end: what the core says comes next is begun as an errand of its batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from temporalio import workflow

from ...core.agenda import Wait
from ...core.events import CutoverRequested
from ...core.migration import BEFORE_THE_PUT, MigrationState
from ...core.migration_fold import read_so_often
from ...core.next_actions import may_request, migration_step, why_held
from ...core.next_step import (
    GATE_LIFE,
    Answer,
    AnswerKind,
    Done,
    Finish,
    Policy,
    Read,
    ReadKind,
    RunHook,
    SendPut,
    Step,
)
from ...core.observations import answered, finished, put_not_sent
from ...core.outcomes import Outcome
from ...core.polling import backoff
from ...core.workflow import HookKind, Migration, Wave
from . import forms
from .alarm import now
from .errands import Errand, Errands
from .forms import Failed
from .hooks import Hooks
from .ledger import Ledger

_LONGEST_READING = 86_400.0  # seconds, of one activity
_WHY_IN_DOUBT = {
    Failed.LOST: "its worker was lost while the PUT may have been on its way",
    Failed.ANOTHERS: "what was told of its PUT was told of something else, and it may have been on its way",
}


class Driver:
    """Takes one migration through its steps.

    Args:
        wave: Its wave.
        migration: The migration, as the workflow file has it.
        order: How to go about it.
        ledger: What has happened in the run.
        errands: What batches are doing.
        hooks: Runs hooks.
        queue: Where requests for a migration wait for the owner of its budget.
        batch_key: Whose batch does its errands.
    """

    def __init__(
        self,
        wave: Wave,
        migration: Migration,
        *,
        order: forms.Order,
        ledger: Ledger,
        errands: Errands,
        hooks: Hooks,
        queue: Callable[[Migration], str],
        batch_key: str,
    ) -> None:
        self._wave = wave
        self._name = migration.name
        self._order = order
        self._ledger = ledger
        self._errands = errands
        self._hooks = hooks
        self._queue = queue
        self._batch_key = batch_key
        self._bell = ledger.bells[migration.name]
        self.flying: Errand | None = None
        """Its PUT, which may be on its way."""
        self._not_taken_up = 0  # PUTs in a row that no worker had in time

    @property
    def _migration(self) -> Migration:
        return self._ledger.state.wave_and_migration(self._name)[1]  # its gate may have been changed

    @property
    def _state(self) -> MigrationState:
        return self._ledger.state.migrations[self._name]

    @property
    def _known(self) -> MigrationState:
        """`_state`, with the reads that no event has told of."""
        return read_so_often(self._state, self._ledger.polls[self._name])

    @property
    def _policy(self) -> Policy:
        return forms.policy_of(self._migration, self._order.settle)

    def _next(self) -> Step | Wait:
        return migration_step(self._ledger.state, self._name, self._policy, now(), now())

    async def drive(self) -> None:
        """Take it from where it stands to its end, or to where it is not started in this session."""
        left = self._errands.left_for(self._name)
        if left is not None:
            await self._go_on_with(left)
        while True:
            self._bell.clear()
            match self._next():
                case Done():
                    return
                case Wait():
                    await self._bell.wait()
                case RunHook(not_before=later) if later > now():
                    await self._wait_until(later)
                case Finish(outcome=outcome, error_message=message):
                    self._end(outcome, message)
                case Read(kind=kind):
                    await self._follow(look=kind is ReadKind.LOOK)
                case RunHook() as hook:
                    await self._hook(hook)
                case SendPut() as request:
                    await self._request(request)

    async def _go_on_with(self, errand: Errand) -> None:
        """Wait for what an earlier execution of the run has begun."""
        errand.bell = self._bell
        match errand.kind:
            case "follow":
                await self._reading(errand)
            case "hook":
                await self._hooks.running(errand)
            case _:
                await self._sending(errand)

    async def _wait_until(self, when: float) -> None:
        """Wait until *when*, or for news."""
        with suppress(TimeoutError):
            await workflow.wait_condition(self._bell.is_set, timeout=max(0.001, when - now()))

    async def _news(self) -> None:
        await self._bell.wait()
        self._bell.clear()

    def _end(self, outcome: Outcome, message: str | None) -> None:
        self._ledger.record(finished(self._known, outcome, message, migration=self._name, now=now()))

    def _task(self, *, held: bool = False, look: bool = False) -> forms.Task:
        run = self._ledger.state
        return forms.Task(
            session=self._errands.session,
            run_id=run.run_id,
            migration=forms.migration_out(self._migration),
            state=forms.state_out(self._known),
            settle=self._order.settle,
            polling=self._order.polling,
            lease=self._order.lease,
            held=held,
            look=look,
            refusal_known=run.stopped is not None or self._migration.credentials in run.refused,
            span=forms.span_out(run.opening if run.workflow.window is not None else None),
        )

    # -- reads -----------------------------------------------------------------------------------------------------------

    async def _follow(self, *, look: bool) -> None:
        """Have the job read until something follows from it; on the way to a cutover, also until somebody decides otherwise. *look*: once."""
        ledger = self._ledger
        errand = self._errands.begin(
            "follow",
            self._name,
            self._batch_key,
            self._task(held=why_held(ledger.state, now()) is not None, look=look),
            queue=self._queue(self._migration),
            to_close=_LONGEST_READING,
            notes={
                "on the way": not look and self._state.phase in BEFORE_THE_PUT,
                "decided": [ledger.door, ledger.steered[self._name]],
            },
            bell=self._bell,
        )
        await self._reading(errand)

    async def _reading(self, errand: Errand) -> None:
        ledger, notes = self._ledger, errand.notes
        while errand.returned is None:
            if notes["on the way"] and notes["decided"] != [ledger.door, ledger.steered[self._name]]:
                self._errands.call_off(errand)
            await self._news()
        returned = self._errands.noted(errand)
        if returned.failed is None:
            done = forms.Done(**returned.result)
            if notes["on the way"] and notes["decided"][1] != ledger.steered[self._name]:
                done = forms.without_open_gate(done)  # it was read for a gate that may have been changed since
            ledger.record_done(self._name, done)

    # -- the cutover -----------------------------------------------------------------------------------------------------

    def why_held(self) -> str | None:
        """Why its PUT may not leave, whatever its age, which the worker sees to; None: it may."""
        return may_request(self._ledger.state, self._name, self._state.known_at or now(), now())

    async def _request(self, request: SendPut) -> None:
        """Have the PUT sent, once. What is committed with the errand is its intent."""
        state, migration = self._state, self._migration
        if request.attempt > 0 and state.not_begun_at is not None:
            due = state.not_begun_at + backoff(forms.polling_of(self._order.polling), request.attempt)
            if due > now():
                await self._wait_until(due)
                return
        if self.why_held() is not None:
            await self._bell.wait()
            return
        self._ledger.record(CutoverRequested(at=now(), migration=self._name))
        errand = self._errands.begin(
            "cutover",
            self._name,
            self._batch_key,
            self._task(),
            queue=self._queue(migration),
            to_start=forms.seconds_to_start(self._not_taken_up),
            to_close=self._policy.longest_wait + 4 * self._order.settle + 60,
            bell=self._bell,
        )
        await self._sending(errand)

    async def _sending(self, errand: Errand) -> None:
        self.flying = errand
        try:
            await self._sent(errand)
        finally:
            self.flying = None

    async def _sent(self, errand: Errand) -> None:
        why: str | None = None
        while errand.returned is None:
            why = why or self.why_held()
            if why is not None:
                self._errands.call_off(errand)
            await self._news()
        returned = self._errands.noted(errand)
        name, policy, at = self._name, self._policy, now()
        match returned.failed:
            case None:
                self._not_taken_up = 0
                self._ledger.record_done(name, forms.Done(**returned.result))
            case Failed.NOT_TAKEN_UP:
                reason = f"no worker took it up within {forms.seconds_to_start(self._not_taken_up):g} s"
                self._not_taken_up += 1
                self._ledger.record(put_not_sent(reason, migration=name, now=at))
            case Failed.CALLED_OFF:
                reason = why or self.why_held() or "the run was stopped"
                self._ledger.record(put_not_sent(reason, migration=name, now=at))
            case Failed.LOST | Failed.ANOTHERS as failed:
                lost = Answer(kind=AnswerKind.LOST, reason=_WHY_IN_DOUBT[failed])
                self._ledger.record(*answered(self._state, lost, policy, migration=name, now=at))

    # -- hooks -----------------------------------------------------------------------------------------------------------

    async def _hook(self, hook: RunHook) -> None:
        """Run a hook and record it."""
        migration, run = self._migration, self._ledger.state
        done = Outcome.SUCCESS if hook.hook is HookKind.VERIFY else run.result(self._name).outcome
        outcome = None if hook.hook is HookKind.BEFORE else done
        # No application is stopped on what was read long ago.
        soon = hook.hook is HookKind.BEFORE and not self._state.prepared
        errand = self._hooks.begin(
            migration.hooks,
            hook.hook,
            hook.index,
            outcome=outcome,
            wave=self._wave,
            migration=migration,
            batch_key=self._batch_key,
            bell=self._bell,
            within=GATE_LIFE if soon else None,
        )
        await self._hooks.running(errand)
