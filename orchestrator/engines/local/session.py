"""What the tasks of one session (one process working on one run) share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import anyio

from ...atlas.clients import Clients
from ...atlas.errors import KeysRefusedError
from ...core.checkpoints import Checkpoint, unwatched
from ...core.credentials_refused import credentials_refused
from ...core.errors import JournalError
from ...core.events import CutoverInDoubt, CutoversStopped, Event, RunResumed, RunStarted
from ...core.migration import MigrationState, starts_afresh
from ...core.next_step import Policy
from ...core.outcomes import Outcome
from ...core.run import RunState
from ...core.settings import Polling
from ...core.typed import mended_first
from ...core.workflow import Gate, Hooks, Migration, Workflow
from ...store.reader import EarlierPuts
from ...text.instants import in_words
from ..clock import SessionClock
from ..hook_runner import HookRunner
from ..recorder import Recorder
from .first_reads import FirstReads

CLOCK_CHECK = 30.0
"""Seconds after which a long sleep looks at the wall clock again, which may be set meanwhile."""


def doubts_of_earlier_puts(
    workflow: Workflow,
    state: RunState,
    first: RunStarted | RunResumed,
    puts: EarlierPuts,
    *,
    settle: float,
) -> tuple[CutoverInDoubt, ...]:
    """What the session that *first* begins puts in doubt, as *another run* has sent a PUT: it is read before anything else.

    *state* is that of the run before *first*, *puts* are `Journal.earlier_puts`, *settle* is `atlas.settle`.
    """
    doubts = []
    for _, migration in workflow.migrations():
        put = puts.get((migration.group_id, migration.live_migration_id))
        if put is None or migration.name not in first.selected:
            continue
        known = state.migrations.get(migration.name, MigrationState())
        if starts_afresh(known, retry_failed=isinstance(first, RunResumed) and first.retry_failed):
            there = f" to {put.elsewhere}, another server," if put.elsewhere else ""
            reason = f"run {put.run_id} sent a PUT{there} at {in_words(put.at)}, or may have"
            doubts.append(
                CutoverInDoubt(
                    at=first.at, migration=migration.name, reason=reason, settle=settle, elsewhere=put.elsewhere
                )
            )
    return tuple(doubts)


@dataclass(slots=True, kw_only=True)
class Session:
    """One process's work on one run.

    Args:
        state: The fold, changed by the recorder alone.
        clients: Calls to Atlas, by the credentials of migrations.
        recorder: Takes every event in.
        polling: The backoff between reads.
        settle: Seconds; how long a PUT that got no answer may still arrive, or not show in reads.
        clock: What time it is.
        random: For jitter.
        hooks: How hooks are run.
        checkpoint: Is told of each moment at which losing the process would leave something half done.
        first_reads: What was read of jobs while the session was being begun.
        in_trouble: Whether it was stopped by something that neither the workflow nor anybody who is known has asked for (`stop`).
    """

    state: RunState
    clients: Clients
    recorder: Recorder
    polling: Polling
    settle: float
    clock: SessionClock
    random: Random
    hooks: HookRunner
    checkpoint: Checkpoint = unwatched
    first_reads: FirstReads | None = None
    in_trouble: bool = False
    _interruptible: set[anyio.CancelScope] = field(default_factory=set)
    _policies: dict[tuple[Gate | None, float, Hooks], Policy] = field(default_factory=dict)

    def now(self) -> float:
        """Unix seconds by the session's clock, for events and rules."""
        return self.clock.now()

    def policy(self, migration: Migration) -> Policy:
        """The rules for *migration*; migrations of the same settings share them."""
        key = (migration.gate, migration.timeout, migration.hooks)
        policy = self._policies.get(key)
        if policy is None:
            policy = self._policies[key] = Policy.of(migration, settle=self.settle)
        return policy

    def stop(self, reason: str, *, in_trouble: bool = False) -> None:
        """No further cutover starts in this session, for *reason*. The first reason stays.

        *in_trouble*: nothing of the workflow, and nobody who is known, has ended it so: no other run may have its live migrations before it goes on.
        """
        self.in_trouble = self.in_trouble or in_trouble
        if self.state.stopped is None:
            self.recorder.record(CutoversStopped(at=self.now(), reason=reason))

    async def commit(self, intent: Event) -> bool:
        """Write down what is about to be done; False: it cannot be, so nothing more starts in this session."""
        try:
            await self.recorder.commit(intent)
        except JournalError as error:
            self.stop_without_journal(error)
            return False
        return True

    def stop_without_journal(self, error: JournalError) -> None:
        """No further cutover starts in this session: its intent could not be written, as *error* says."""
        self.stop(f"the journal failed: {mended_first(str(error), self.state.run_id)}", in_trouble=True)

    def heed_refusal(self, error: KeysRefusedError, credentials: str | None) -> None:
        """Start nothing more with the set *credentials* if Atlas refuses it altogether (`core.credentials_refused`)."""
        if error.everywhere:
            sets = len(self.clients.all())
            event = credentials_refused(self.state, credentials, str(error), sets=sets, at=self.now())
            if event is not None:
                self.recorder.record(event)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Do something on the way to a cutover: it is cancelled when cutovers are stopped."""
        with anyio.CancelScope() as scope:
            if self.state.stopped is not None:
                scope.cancel()
            self._interruptible.add(scope)
            try:
                yield
            finally:
                self._interruptible.discard(scope)

    def interrupt(self) -> None:
        """Cutovers have been stopped: give up what is on the way to one."""
        for scope in tuple(self._interruptible):
            scope.cancel()

    def outcome(self, migration: Migration) -> Outcome:
        """How *migration* stands."""
        return self.state.outcome_of(migration.name)
