"""Drives one live migration: asks the pure core what comes next, does it, and records what came of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus

import anyio

from ...atlas.budget import Permit, TokenBucket
from ...atlas.errors import ApiError, AtlasError, KeysRefusedError, NotSentError, Verdict
from ...atlas.shares import Priority
from ...atlas.wire import Job
from ...core import next_step as core
from ...core.errors import JournalError
from ...core.events import CutoverRequested, MigrationFinished
from ...core.migration import BEFORE_THE_PUT, undo_left
from ...core.next_actions import Wait, WaitsFor, may_request, migration_step, why_held
from ...core.next_step import Answer, AnswerKind, MigrationState, Reading, ReadKind
from ...core.outcomes import Outcome
from ...core.polling import backoff, fair_share, poll_wait
from ...core.workflow import Migration, Wave
from .session import Session

_CLOCK_CHECK = 30.0  # seconds

_PRIORITY = {ReadKind.GATE: Priority.GATE, ReadKind.POLL: Priority.POLL}
_KINDS = {
    Verdict.ACCEPTED: AnswerKind.LOST,  # there is no error with such a status
    Verdict.NOT_CARRIED_OUT: AnswerKind.NOT_CARRIED_OUT,
    Verdict.REFUSED: AnswerKind.REFUSED,
    Verdict.NONE: AnswerKind.LOST,
}


class Driver:
    """Takes one migration from where it stands to its end."""

    __slots__ = ("_announced", "_client", "_last_left", "_migration", "_news", "_policy", "_session", "_waits", "_wave")

    def __init__(self, session: Session, wave: Wave, migration: Migration) -> None:
        self._session = session
        self._wave = wave
        self._migration = migration
        self._client = session.clients.of(migration.credentials)
        self._policy = session.policy(session.state.place_of(migration.name)[1])
        self._last_left = -math.inf  # when the last read left, by the event loop's clock
        self._announced = 0  # the last attempt of its PUT that was told as a repetition
        self._news = anyio.Event()
        self._waits: anyio.CancelScope | None = None  # around what is given up when it is steered

    def notice(self) -> None:
        """Something has happened that it may be waiting for."""
        self._news.set()

    def steer(self) -> None:
        """Somebody has decided about this migration: give up what is on the way to its cutover, and ask again."""
        self._policy = self._session.policy(self._session.state.place_of(self._migration.name)[1])
        if self._waits is not None:
            self._waits.cancel()

    async def run(self) -> None:
        """Return when the migration has its outcome, or will not be started in this session."""
        try:
            while await self._step():
                pass
        finally:
            with anyio.CancelScope(shield=True):  # bounded by the timeouts of the hooks
                for index in undo_left(self._state, on_failure=len(self._migration.hooks.after_failure)):
                    await self._run_hook(core.RunHook(hook="after_failure", index=index))

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

    def _next(self) -> core.Step | Wait:
        session = self._session
        return migration_step(session.state, self._migration.name, self._policy, session.now(), session.clock.wall())

    async def _step(self) -> bool:
        """Do what comes next; False: nothing does."""
        match self._next():
            case core.Done():
                return False
            case Wait(what=what):
                self._news = anyio.Event()
                await self._wait(at_the_door=what is WaitsFor.DOOR)
            case core.RunHook(not_before=later) if later > self._session.now():
                await self._wait_until(later)
            case core.Finish(outcome=outcome, error_message=message):
                self._finish(outcome, message)
            case core.Read() as read if self._state.phase not in BEFORE_THE_PUT:
                await self._read(read)
            case core.Read() as read:
                with self._interruptible():
                    await self._read(read)
            case core.RunHook(hook="before") as hook:
                await self._before_hook(hook)
            case core.RunHook() as hook:
                await self._run_hook(hook)
            case core.Request() as request:
                with self._interruptible():
                    await self._request(request)
        return True

    async def _wait(self, *, at_the_door: bool) -> None:
        """Wait for news; *at_the_door* also for a window that a clock opens unheard, set back and forth meanwhile."""
        session = self._session
        while not self._news.is_set():
            with anyio.move_on_after(_CLOCK_CHECK if at_the_door else None):
                await self._news.wait()
            if why_held(session.state, session.clock.wall()) is None:
                return

    async def _wait_until(self, when: float) -> None:
        """Wait until *when* (by the session's clock), or for news."""
        self._news = anyio.Event()
        with anyio.move_on_after(when - self._session.now()):
            await self._news.wait()

    def _finish(self, outcome: Outcome, message: str | None) -> None:
        state = self._state
        self._session.recorder.record(
            MigrationFinished(
                at=self._session.now(),
                migration=self._migration.name,
                outcome=outcome,
                status=state.remote_status,
                error_message=message,
                polls=state.polls,
            )
        )

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _ask(self, priority: Priority, *, until: float | None = None) -> Reading:
        """Read the job, before others where its application stands still.

        *until* (by the session's clock): how long the budget is waited for.

        Raises:
            AtlasError: There was no answer, or none that makes sense.
        """
        session, migration = self._session, self._migration
        asked_at = session.now()
        if self._state.prepared and self._state.phase in BEFORE_THE_PUT:
            priority = Priority.CUTOVER

        def leaves() -> bool:
            nonlocal asked_at
            asked_at = session.now()  # it may have waited for its token, and be sent more than once
            self._last_left = anyio.current_time()
            return True

        try:
            job = await self._client.job(
                migration.group_id,
                migration.live_migration_id,
                priority=priority,
                deadline=None if until is None else anyio.current_time() + max(0.0, until - session.now()),
                may_leave=leaves,
            )
        except KeysRefusedError as error:
            session.heed_refusal(error, self._migration.credentials)
            raise
        return _reading(job, took=session.now() - asked_at)

    async def _read(self, read: core.Read, *, priority: Priority | None = None) -> None:
        session, migration = self._session, self._migration
        bucket = self._client.bucket(migration.group_id)
        followed_as = _PRIORITY[read.kind]
        starts = followed_as is Priority.GATE and not read.attempt  # a PUT may follow
        kind = priority if priority is not None else Priority.START if starts else followed_as
        with bucket.following(Priority.START if starts else followed_as):
            if read.attempt > 0:
                await self._wait_to_read(read, bucket, followed_as)
            self._session.checkpoint("polling")
            until = read.deadline if kind is followed_as else session.now() + self._longest_wait
            try:
                reading = await self._ask(kind, until=until)
            except AtlasError as error:
                answered = error if isinstance(error, ApiError) else None
                events = core.observe_failure(
                    self._state,
                    str(error),
                    self._policy,
                    migration=migration.name,
                    now=session.now(),
                    refused=answered is not None and answered.refused,
                    gone=answered is not None and answered.status == HTTPStatus.NOT_FOUND,
                )
            else:
                events = core.observe(self._state, reading, self._policy, migration=migration.name, now=session.now())
        session.recorder.record(*events)

    async def _wait_to_read(self, read: core.Read, bucket: TokenBucket, kind: Priority) -> None:
        """Wait as long after the last read has left as the job's fair share of the budget asks for."""
        session = self._session
        jobs, rate, spare = bucket.budget(kind)
        share = fair_share(jobs=jobs, rate=rate, spare=spare, per=bucket.account.per)
        wait = poll_wait(session.polling, read.attempt, share=share, random=session.random.random())
        if read.attempt > 1 or self._state.phase is not core.Phase.ACCEPTED:  # whose first wait begins with it
            wait -= anyio.current_time() - self._last_left
        await anyio.sleep(max(0.0, min(wait, read.deadline - session.now())))

    @property
    def _longest_wait(self) -> float:
        """Seconds that a PUT, or the read before it or before a gate, waits for the budget."""
        return self._policy.gate.timeout if self._policy.gate else self._policy.timeout

    # -- the cutover -------------------------------------------------------------------------------------------------

    async def _request(self, request: core.Request) -> None:
        """Send the PUT, if that is still what comes next once its token has been had."""
        session, state = self._session, self._state
        if request.attempt > 0 and state.not_begun_at is not None:
            pause = max(0.0, state.not_begun_at + backoff(session.polling, request.attempt) - session.now())
            if state.cutover_requests and self._announced < request.attempt:
                self._announced = request.attempt
                self._announce_repeat(request.attempt + 1, pause)
            await anyio.sleep(pause)
        if not isinstance(self._next(), core.Request):
            return  # it has waited long: the job is read again first
        deadline = anyio.current_time() + self._longest_wait
        try:
            permit = await self._client.reserve(self._migration.group_id, deadline=deadline)
        except NotSentError:
            return  # the job is read again now, which succeeds, or says the same
        try:
            if await self._is_still_next():
                with anyio.CancelScope(shield=True):  # bounded by the journal's commit
                    recorded = await self._record_intent()
                if recorded and await self._is_fresh():
                    with anyio.CancelScope(shield=True):  # bounded by the request timeout
                        await self._put(permit)
        finally:
            permit.give_back()

    def _announce_repeat(self, attempt: int, wait: float) -> None:
        migration = self._migration
        self._client.announce_repeat(
            migration.group_id,
            migration.live_migration_id,
            reason="the last PUT was not carried out",
            attempt=attempt,
            wait=wait,
        )

    async def _is_still_next(self) -> bool:
        """Whether the PUT still comes next; if its token was long in coming, the job is read again."""
        while isinstance(step := self._next(), core.Read) and self._state.phase is core.Phase.READY:
            await self._read(step, priority=Priority.CUTOVER)
        return isinstance(step, core.Request)

    async def _record_intent(self) -> bool:
        """Write down that the PUT is about to leave; False: it cannot be, so nothing more is sent in this session."""
        session, name = self._session, self._migration.name
        self._session.checkpoint("before_intent")
        try:
            await session.recorder.commit(CutoverRequested(at=session.now(), migration=name))
        except JournalError as error:
            session.stop(f"the journal failed: {error}")
            return False
        self._session.checkpoint("after_intent")
        return True

    async def _is_fresh(self) -> bool:
        """Whether the PUT may leave on what is known of the job, which is read again if the journal took long.

        The intent stays recorded meanwhile: with one more commit after each read, a slow disk would let no PUT leave.
        """
        session, name = self._session, self._migration.name
        reason = core.too_old(self._state, session.now())
        if reason is None:
            return True
        try:
            reading = await self._ask(Priority.CUTOVER)
        except AtlasError as error:
            self._hold_back(f"{reason}, and it could not be read again: {error}")
            return False
        except anyio.get_cancelled_exc_class():
            self._hold_back(session.state.stopped or "the run was stopped")
            raise
        events = core.observe_before_sending(
            self._state, reading, self._policy, reason=reason, migration=name, now=session.now()
        )
        session.recorder.record(*events)
        return self._state.phase is core.Phase.REQUESTED

    def _hold_back(self, reason: str) -> None:
        session = self._session
        session.recorder.record(core.held_back(reason, migration=self._migration.name, now=session.now()))

    async def _put(self, permit: Permit) -> None:
        session, migration = self._session, self._migration
        if self._state.cutover_requests > 1 and self._state.not_begun_at is not None and self._held_back() is None:
            session.clients.statistics.retries += 1
        answer = await self._answer(permit)
        self._session.checkpoint("put_answered")
        events = core.answered(self._state, answer, self._policy, migration=migration.name, now=session.now())
        session.recorder.record(*events)
        self._session.checkpoint("answer_posted")

    async def _answer(self, permit: Permit) -> Answer:
        session, migration = self._session, self._migration
        try:
            accepted = await self._client.cutover(
                migration.group_id,
                migration.live_migration_id,
                permit,
                age=session.now() - (self._state.known_at or session.now()),
                may_leave=lambda: self._held_back() is None,  # place, challenge and connection may be long in coming
            )
        except NotSentError as error:
            held_back = self._held_back()
            reason = f"not sent: {held_back}" if held_back else str(error)
            return Answer(kind=AnswerKind.NOT_CARRIED_OUT, reason=reason, sent=False)
        except KeysRefusedError as error:
            session.heed_refusal(error, self._migration.credentials)
            if (
                error.everywhere is not False or not error.sent
            ):  # it says nothing about this job, or the next read says it
                return Answer(kind=AnswerKind.NOT_CARRIED_OUT, reason=str(error), sent=error.sent)
            return Answer(kind=_KINDS[error.verdict], http_status=error.status, reason=str(error))
        except ApiError as error:
            return Answer(kind=_KINDS[error.verdict], http_status=error.status, reason=str(error))
        except AtlasError as error:
            return Answer(kind=AnswerKind.LOST, reason=str(error))
        reading = _reading(accepted.job, took=0.0) if accepted.job else None
        return Answer(kind=AnswerKind.ACCEPTED, http_status=accepted.http_status, reading=reading)

    def _held_back(self) -> str | None:
        """Why the PUT may not leave at this moment; None: it may."""
        session = self._session
        return may_request(session.state, self._migration.name, session.now(), session.clock.wall())

    # -- hooks -------------------------------------------------------------------------------------------------------

    async def _before_hook(self, hook: core.RunHook) -> None:
        """Run a `before` hook when its turn comes, if a cutover may start then: no application is stopped for nothing."""
        session = self._session
        async with session.hooks.before_turns:
            step = self._next()
            if isinstance(step, core.Read):  # it has waited long
                with self._interruptible():
                    await self._read(step)
            if self._next() == hook:
                await self._run_hook(hook, turn=True)

    async def _run_hook(self, hook: core.RunHook, *, turn: bool = False) -> None:
        """Run a hook and record it; *turn*: its turn has come already."""
        session = self._session
        done = Outcome.SUCCESS if hook.hook == "verify" else session.outcome(self._migration)
        outcome = None if hook.hook == "before" else done
        async with nullcontext() if turn else session.hooks.after_turns:
            finished = await session.hooks.run_for_migration(
                self._wave, self._migration, hook.hook, hook.index, outcome=outcome
            )
        session.recorder.record(finished)


def _reading(job: Job, *, took: float) -> Reading:
    return Reading(status=job.status, ready=job.ready, lag=job.lag, error_message=job.error_message, took=took)
