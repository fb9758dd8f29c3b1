"""Reads one live migration's job, as often as its share of the budget allows, and tells what that means: for every engine."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

import anyio

from ..atlas.budget import TokenBucket
from ..atlas.client import AtlasClient
from ..atlas.errors import ApiError, AtlasError, KeysRefusedError
from ..atlas.shares import Priority
from ..atlas.wire import Job
from ..core.checkpoints import Checkpoint, unwatched
from ..core.events import Event
from ..core.migration import BEFORE_THE_PUT, MigrationState, Phase
from ..core.next_step import Policy, Read, Reading, ReadKind
from ..core.observations import look_failed, looked, observe, observe_failure
from ..core.polling import fair_share, poll_wait
from ..core.settings import Polling
from ..core.workflow import Migration

_PRIORITY = {ReadKind.GATE: Priority.GATE, ReadKind.POLL: Priority.POLL, ReadKind.LOOK: Priority.GATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyRead:
    """A *job*, and when the request left that read it: by the clock of rules (*asked_at*), and by the event loop's (*left*)."""

    job: Job
    asked_at: float
    left: float


class JobReader:
    """Reads the job of *migration*.

    Args:
        client: Asks Atlas.
        migration: Whose job it is.
        polling: The backoff between reads.
        now: The clock of rules and events, Unix seconds.
        random: For jitter.
        on_refused: Is told that the keys are refused, before the caller is.
        checkpoint: See `core.checkpoints`.
        first: Gives what was read of the job already, if anything, in place of the first read, by the time of the event loop's
            clock that it is called with.
    """

    __slots__ = (
        "_checkpoint",
        "_client",
        "_first",
        "_last_left",
        "_migration",
        "_now",
        "_on_refused",
        "_polling",
        "_random",
    )

    def __init__(
        self,
        client: AtlasClient,
        migration: Migration,
        *,
        polling: Polling,
        now: Callable[[], float],
        random: Random,
        on_refused: Callable[[KeysRefusedError], None],
        checkpoint: Checkpoint = unwatched,
        first: Callable[[float], Awaitable[EarlyRead | None]] | None = None,
    ) -> None:
        self._first = first
        self._client = client
        self._migration = migration
        self._polling = polling
        self._now = now
        self._random = random
        self._on_refused = on_refused
        self._checkpoint = checkpoint
        self._last_left = -math.inf  # when the last read left, or was tried, by the event loop's clock

    async def ask(self, state: MigrationState, priority: Priority, *, until: float | None = None) -> Reading:
        """Read the job, before others where its application stands still.

        *until* (by the clock of the rules): how long the budget is waited for.

        Raises:
            AtlasError: There was no answer, or none that makes sense.
        """
        now, migration = self._now, self._migration
        take, self._first = self._first, None
        asked_at, tried = now(), anyio.current_time()
        if state.prepared and state.phase in BEFORE_THE_PUT:
            priority = min(priority, Priority.CUTOVER)

        def leaves() -> bool:
            nonlocal asked_at
            asked_at = now()  # it may have waited for its token, and be sent more than once
            self._last_left = anyio.current_time()
            return True

        deadline = None if until is None else anyio.current_time() + max(0.0, until - now())
        try:
            if take is not None and (early := await take(math.inf if deadline is None else deadline)) is not None:
                self._last_left = early.left
                return reading_of(early.job, took=now() - early.asked_at)
            job = await self._client.job(
                migration.group_id,
                migration.live_migration_id,
                priority=priority,
                deadline=deadline,
                may_leave=leaves,
            )
        except AtlasError as error:
            # One that never left, as there is nothing to sign it with, is waited after as well.
            self._last_left = max(self._last_left, tried)
            if isinstance(error, KeysRefusedError):
                self._on_refused(error)
            raise
        return reading_of(job, took=now() - asked_at)

    async def read(
        self,
        read: Read,
        state: Callable[[], MigrationState],
        policy: Callable[[], Policy],
        *,
        priority: Priority | None = None,
    ) -> tuple[Event, ...]:
        """Read the job when *read* is due; what that means for the migration in *state*, by the *policy* that it has when the answer is there."""
        migration = self._migration.name
        bucket = self._client.bucket(self._migration.group_id)
        followed_as = _PRIORITY[read.kind]
        starts = followed_as is Priority.GATE and not read.attempt  # a PUT may follow
        kind = priority if priority is not None else Priority.START if starts else followed_as
        with bucket.following(Priority.START if starts else followed_as):
            if read.attempt > 0:
                await self._wait(read, state(), bucket, followed_as)
            self._checkpoint("polling")
            until = read.deadline if kind is followed_as else self._now() + policy().longest_wait
            try:
                reading = await self.ask(state(), kind, until=until)
            except AtlasError as error:
                if read.kind is ReadKind.LOOK:
                    return look_failed(state(), str(error), migration=migration, now=self._now())
                answered = error if isinstance(error, ApiError) else None
                return observe_failure(
                    state(),
                    str(error),
                    policy(),
                    migration=migration,
                    now=self._now(),
                    refused=answered is not None and answered.lasting,
                    gone=answered is not None and answered.status == HTTPStatus.NOT_FOUND,
                )
            tell = looked if read.kind is ReadKind.LOOK else observe
            return tell(state(), reading, policy(), migration=migration, now=self._now())

    async def _wait(self, read: Read, state: MigrationState, bucket: TokenBucket, kind: Priority) -> None:
        """Wait as long after the last read has left as the job's fair share of the budget asks for."""
        jobs, rate, spare = bucket.budget(kind)
        share = fair_share(jobs=jobs, rate=rate, spare=spare, per=bucket.account.per)
        wait = poll_wait(self._polling, read.attempt, share=share, random=self._random.random())
        if read.attempt > 1 or state.phase is not Phase.ACCEPTED:  # whose first wait begins with it
            wait -= anyio.current_time() - self._last_left
        await anyio.sleep(max(0.0, min(wait, read.deadline - self._now())))


def reading_of(job: Job, *, took: float) -> Reading:
    """What *job* shows, read *took* seconds after it was asked for."""
    return Reading(status=job.status, ready=job.ready, lag=job.lag, error_message=job.error_message, took=took)
