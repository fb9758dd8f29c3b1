"""Drives one live migration: asks the pure core what comes next, does it, and records what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import anyio

from ...atlas.budget import Permit
from ...atlas.errors import AtlasError, KeysRefusedError, NotSentError
from ...atlas.shares import Priority
from ...core import last_look
from ...core.agenda import Wait, WaitsFor
from ...core.events import CutoverRequested
from ...core.migration import BEFORE_THE_PUT, MigrationState, Phase, after_hook_left, undo_left
from ...core.next_actions import may_request, migration_step, why_held
from ...core.next_step import (
    GATE_CHANGED,
    Answer,
    Done,
    Finish,
    Policy,
    Read,
    ReadKind,
    RunHook,
    SendPut,
    Step,
    age_of_knowledge,
    in_vain,
    too_old,
)
from ...core.observations import answered, finished, look_failed, observe_before_sending, put_not_sent
from ...core.outcomes import Outcome
from ...core.polling import backoff
from ...core.workflow import HookKind, Migration, Wave
from ..putting import ALONE, send_put
from ..reading import JobReader
from .session import CLOCK_CHECK, Session

_LAST_LOOK = 10.0
"""Seconds for which whoever is cancelled waits for a look at its job."""


class Driver:
    """Takes one migration from where it stands to its end.

    Args:
        session: What it shares with the others, among it the state that says where the migration stands.
        wave: Its wave.
        migration: The migration, as the run began with it; its gate may be changed since.
    """

    __slots__ = (
        "_announced",
        "_client",
        "_migration",
        "_news",
        "_policy",
        "_put_since",
        "_reader",
        "_session",
        "_waits",
        "_wave",
    )

    def __init__(self, session: Session, wave: Wave, migration: Migration) -> None:
        self._session = session
        self._wave = wave
        self._migration = migration
        self._client = session.clients.of(migration.credentials)
        self._policy = self._policy_now()
        self._reader = JobReader(
            self._client,
            migration,
            polling=session.polling,
            now=session.now,
            random=session.random,
            on_refused=self._heed_refusal,
            checkpoint=session.checkpoint,
            first=partial(session.first_reads.take, migration.name) if session.first_reads else None,
        )
        self._announced = 0  # the last attempt of its PUT that was told as a repetition
        self._put_since: float | None = None  # when its PUT came next, and nothing else has since but a read before it
        self._news = anyio.Event()
        self._waits: anyio.CancelScope | None = None  # around what is given up when it is steered

    def notice(self) -> None:
        """Something has happened that it may be waiting for."""
        self._news.set()

    def steer(self) -> None:
        """Somebody has decided about this migration: give up what is on the way to its cutover, and ask again."""
        self._policy = self._policy_now()
        if self._waits is not None:
            self._waits.cancel()

    def _policy_now(self) -> Policy:
        """Its rules, with the gate that it has by now."""
        _, migration = self._session.state.wave_and_migration(self._migration.name)
        return self._session.policy(migration)

    async def run(self) -> None:
        """Return when the migration has its outcome, or will not be started in this session.

        What its `before` hooks did is undone then if no PUT has left, also when this is cancelled.
        """
        try:
            while await self._step():
                pass
        finally:
            with anyio.CancelScope(shield=True):  # bounded by the timeouts of the hooks
                for index in self._undo_left():
                    await self._run_hook(RunHook(hook=HookKind.AFTER_FAILURE, index=index), look_for=_LAST_LOOK)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Do something on the way to a cutover: it is given up when cutovers are stopped, or this one is steered."""
        with self._session.interruptible(), anyio.CancelScope() as scope:
            self._waits = scope
            try:
                yield
            finally:
                self._waits = None

    @property
    def _state(self) -> MigrationState:
        return self._session.state.migrations[self._migration.name]

    def _next(self) -> Step | Wait:
        session = self._session
        return migration_step(session.state, self._migration.name, self._policy, session.now(), session.clock.wall())

    async def _step(self) -> bool:
        """Do what comes next; False: nothing does."""
        step = self._next()
        if not (isinstance(step, SendPut) or (isinstance(step, Read) and self._state.phase is Phase.READY)):
            self._put_since = None
        match step:
            case Done():
                return False
            case Wait(what=what):
                self._news = anyio.Event()
                await self._wait(at_the_door=what is WaitsFor.DOOR)
            case RunHook(not_before=later) if later > self._session.now():
                await self._wait_until(later)
            case Finish(outcome=outcome, error_message=message):
                self._finish(outcome, message)
            case Read() as read if read.kind is ReadKind.LOOK or self._state.phase not in BEFORE_THE_PUT:
                await self._read(read)
            case Read() as read:
                with self._interruptible():
                    await self._read(read)
            case RunHook(hook=HookKind.BEFORE) as hook:
                await self._before_hook(hook)
            case RunHook() as hook:
                await self._run_hook(hook)
            case SendPut() as request:
                with self._interruptible():
                    await self._request(request)
        return True

    async def _wait(self, *, at_the_door: bool) -> None:
        """Wait for news; *at_the_door* also for a window that a clock opens unheard, set back and forth meanwhile."""
        session = self._session
        while not self._news.is_set():
            with anyio.move_on_after(CLOCK_CHECK if at_the_door else None):
                await self._news.wait()
            if why_held(session.state, session.clock.wall()) is None:
                return

    async def _wait_until(self, when: float) -> None:
        """Wait until *when* (by the session's clock), or for news."""
        self._news = anyio.Event()
        with anyio.move_on_after(when - self._session.now()):
            await self._news.wait()

    def _finish(self, outcome: Outcome, message: str | None) -> None:
        name, now = self._migration.name, self._session.now()
        self._session.recorder.record(finished(self._state, outcome, message, migration=name, now=now))

    # -- reading -----------------------------------------------------------------------------------------------------

    def _heed_refusal(self, error: KeysRefusedError) -> None:
        self._session.heed_refusal(error, self._migration.credentials)

    async def _read(self, read: Read, *, priority: Priority | None = None) -> None:
        events = await self._reader.read(read, lambda: self._state, lambda: self._policy, priority=priority)
        self._session.recorder.record(*events)

    # -- the cutover -------------------------------------------------------------------------------------------------

    async def _request(self, request: SendPut) -> None:
        """Send the PUT, if that is still what comes next once its token has been had."""
        session, state = self._session, self._state
        if request.attempt > 0 and state.not_begun_at is not None:
            pause = max(0.0, state.not_begun_at + backoff(session.polling, request.attempt) - session.now())
            if state.cutover_requests and self._announced < request.attempt:
                self._announced = request.attempt
                self._announce_repeat(request.attempt + 1, pause)
            await anyio.sleep(pause)
        if not isinstance(self._next(), SendPut):
            return  # it has waited long: the job is read again first
        deadline = anyio.current_time() + self._policy.longest_wait
        self._put_since = session.now() if self._put_since is None else self._put_since
        try:
            permit = await self._client.reserve(self._migration.group_id, deadline=deadline, age=self._age())
        except NotSentError as error:
            self._give_up_in_vain(error.message)
            return  # else the job is read again now, which succeeds, or says the same
        try:
            if await self._is_still_next(permit):
                with anyio.CancelScope(shield=True):  # bounded by the journal's commit
                    recorded = await self._record_intent()
                if recorded and await self._is_fresh(permit):
                    with anyio.CancelScope(shield=True):  # bounded by the request timeout
                        await self._put(permit)
        finally:
            permit.give_back()

    def _give_up_in_vain(self, why: str) -> None:
        """End the migration if its PUT has been held up for too long, by the budget: *why*."""
        if self._put_since is not None and self._session.now() - self._put_since >= self._policy.timeout:
            end = in_vain(self._state, self._policy, why)
            self._finish(end.outcome, end.error_message)

    def _announce_repeat(self, attempt: int, wait: float) -> None:
        migration = self._migration
        self._client.announce_repeat(
            migration.group_id,
            migration.live_migration_id,
            reason="the last PUT was not carried out",
            attempt=attempt,
            wait=wait,
        )

    async def _is_still_next(self, permit: Permit) -> bool:
        """Whether the PUT still comes next; if its token was long in coming, the job is read again beside its *permit*."""
        while isinstance(step := self._next(), Read) and self._state.phase is Phase.READY:
            if permit.alone:  # it is read in its place, and the PUT waits anew
                self._give_up_in_vain(ALONE)
                return False
            await self._read(step, priority=Priority.LAST_READ)
        return isinstance(step, SendPut)

    async def _record_intent(self) -> bool:
        """Write down that the PUT is about to leave; False: it cannot be, so nothing more is sent in this session."""
        session, name = self._session, self._migration.name
        session.checkpoint("before_intent")
        recorded = await session.commit(CutoverRequested(at=session.now(), migration=name))
        if recorded:
            session.checkpoint("after_intent")
        return recorded

    async def _is_fresh(self, permit: Permit) -> bool:
        """Whether the PUT may leave on what is known of the job, which is read again if the journal took long, or its gate was changed meanwhile.

        The intent stays recorded meanwhile: with one more commit after each read, a slow disk would let no PUT leave.
        """
        session, name = self._session, self._migration.name
        reason = too_old(self._state, session.now())
        if reason is None:
            return True
        if permit.alone:
            self._record_not_sent(f"{reason}, and {ALONE}")
            return False
        try:
            reading = await self._reader.ask(self._state, Priority.LAST_READ)
        except AtlasError as error:
            self._record_not_sent(f"{reason}, and it could not be read again: {error}")
            return False
        except anyio.get_cancelled_exc_class():
            changed = GATE_CHANGED if self._state.gate_changed else None
            self._record_not_sent(session.state.stopped or changed or "the run was stopped")
            raise
        events = observe_before_sending(
            self._state, reading, self._policy, reason=reason, migration=name, now=session.now()
        )
        session.recorder.record(*events)
        return self._state.phase is Phase.REQUESTED

    def _record_not_sent(self, reason: str) -> None:
        session = self._session
        session.recorder.record(put_not_sent(reason, migration=self._migration.name, now=session.now()))

    async def _put(self, permit: Permit) -> None:
        session, migration = self._session, self._migration
        if self._state.cutover_requests > 1 and self._state.not_begun_at is not None and self._why_not_now() is None:
            session.clients.statistics.retries += 1
        answer = await self._answer(permit)
        session.checkpoint("put_answered")
        events = answered(self._state, answer, self._policy, migration=migration.name, now=session.now())
        session.recorder.record(*events)
        session.checkpoint("answer_posted")

    def _age(self) -> float:
        return age_of_knowledge(self._state, self._session.now())

    async def _answer(self, permit: Permit) -> Answer:
        return await send_put(
            self._client,
            self._migration,
            permit,
            age=self._age(),
            why_not_now=self._why_not_now,
            on_refused=self._heed_refusal,
        )

    def _why_not_now(self) -> str | None:
        """Why the PUT may not leave at this moment; None: it may."""
        session = self._session
        return may_request(session.state, self._migration.name, session.now(), session.clock.wall())

    # -- hooks -------------------------------------------------------------------------------------------------------

    async def _before_hook(self, hook: RunHook) -> None:
        """Run a `before` hook when its turn comes, if a cutover may start then: no application is stopped for nothing."""
        session = self._session
        async with session.hooks.before_turns:
            step = self._next()
            if isinstance(step, Read):  # it has waited long
                with self._interruptible():
                    await self._read(step)
            if self._next() == hook:
                started = session.hooks.start_of(self._wave, self._migration, hook.hook, hook.index)
                if await session.commit(started) and self._next() == hook:
                    await self._run_hook(hook, turn=True)

    def _undo_left(self) -> range:
        return undo_left(self._state, on_failure=len(self._migration.hooks.after_failure))

    def _is_owed(self, hook: RunHook) -> bool:
        if hook.index in self._undo_left():
            return True
        return after_hook_left(self._state, self._migration.hooks) == (hook.hook, hook.index)

    async def _look(self, within: float) -> None:
        """Read the job, to see who is in charge; after so many seconds nobody knows."""
        with anyio.move_on_after(within) as limit:
            await self._read(Read(kind=ReadKind.LOOK, attempt=0, deadline=self._session.now()))
        if limit.cancelled_caught:
            name, now = self._migration.name, self._session.now()
            self._session.recorder.record(*look_failed(self._state, "it was not waited for", migration=name, now=now))

    async def _run_hook(self, hook: RunHook, *, turn: bool = False, look_for: float = math.inf) -> None:
        """Run a hook and record it; *turn*: its turn has come already; *look_for*: how long (seconds) a look at the job is waited for."""
        session = self._session
        done = Outcome.SUCCESS if hook.hook is HookKind.VERIFY else session.outcome(self._migration)
        outcome = None if hook.hook is HookKind.BEFORE else done
        async with nullcontext() if turn else session.hooks.after_turns:
            if hook.hook is HookKind.AFTER_FAILURE and last_look.is_owed(
                session.state, self._state, self._policy, session.now()
            ):  # it has waited long, or nobody has looked
                await self._look(look_for)
                if not self._is_owed(hook):
                    return
            ended = await session.hooks.run_for_migration(
                self._wave, self._migration, hook.hook, hook.index, outcome=outcome
            )
        session.recorder.record(ended)
