"""What the tasks of one session (one process working on one run) share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from ..atlas.client import AtlasClient
from ..atlas.errors import KeysRefusedError
from ..cutover import Policy
from ..events import CutoverInDoubt, CutoversStopped, RunResumed, RunStarted
from ..instants import in_words
from ..migrationstate import MigrationState, starts_afresh
from ..outcomes import Outcome
from ..polling import PollPolicy
from ..run import RunState
from ..waiting import Slots
from ..workflow import Gate, Hooks, Migration, Wave, Workflow
from .admission import Admission
from .clock import SessionClock
from .hookrunner import HookRunner
from .recorder import Recorder
from .valve import Valve


def doubts_of_earlier_puts(
    workflow: Workflow,
    state: RunState,
    first: RunStarted | RunResumed,
    puts: Mapping[tuple[str, str], tuple[str, float]],
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
            run_id, sent_at = put
            reason = f"run {run_id} sent a PUT at {in_words(sent_at)}"
            doubts.append(CutoverInDoubt(at=first.at, migration=migration.name, reason=reason, settle=settle))
    return tuple(doubts)


@dataclass(slots=True, kw_only=True)
class Session:
    """One process's work on one run.

    Args:
        state: The fold, changed by the recorder alone.
        client: Calls to Atlas.
        recorder: Takes every event in.
        polling: The backoff between reads.
        settle: Seconds; how long a PUT that got no answer may still arrive, or not show in reads.
        clock: What time it is.
        random: For jitter.
        hooks: How hooks are run.
    """

    state: RunState
    client: AtlasClient
    recorder: Recorder
    polling: PollPolicy
    settle: float
    clock: SessionClock
    random: Random
    hooks: HookRunner
    valve: Valve = field(default_factory=Valve)
    slots: Mapping[str, Slots] = field(default_factory=dict)
    admissions: Mapping[str, Admission] = field(default_factory=dict)
    _policies: dict[tuple[Gate | None, float, Hooks], Policy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.admissions = {wave.name: Admission() for wave in self.state.workflow.waves}
        self.slots = {wave.name: Slots(wave.concurrency or len(wave.migrations)) for wave in self.state.workflow.waves}

    def now(self) -> float:
        """Unix seconds by the session's clock, for events and rules."""
        return self.clock.now()

    def policy(self, migration: Migration) -> Policy:
        """The rules for *migration*; migrations of the same settings share them."""
        key = (migration.gate, migration.timeout, migration.hooks)
        policy = self._policies.get(key)
        if policy is None:
            policy = self._policies[key] = Policy(
                gate=migration.gate,
                timeout=migration.timeout,
                settle=self.settle,
                reports_readiness=self.client.api == "v2",
                before_hooks=len(migration.hooks.before),
                after_success_hooks=len(migration.hooks.after_success),
                after_failure_hooks=len(migration.hooks.after_failure),
            )
        return policy

    def stop(self, reason: str) -> None:
        """No further cutover starts in this session, for *reason*."""
        if self.valve.stopped is None:
            self.recorder.record(CutoversStopped(at=self.now(), reason=reason))
            self.valve.stop(reason)

    def heed_refusal(self, error: KeysRefusedError) -> None:
        """Start nothing more if Atlas refuses the keys altogether: that says nothing about any job, so none has failed."""
        if error.everywhere:
            self.stop(f"Atlas refuses the keys, for this project and all others ({error}): mend them, then `resume`")

    def stop_if_too_many_failed(self, wave: Wave) -> None:
        """Heed *wave*'s `max_failures`."""
        if self.state.too_many_failures(wave):
            failed = self.state.failures(wave)
            self.stop(f"{failed} of wave {wave.name!r} ended without SUCCESS, max_failures is {wave.max_failures}")

    def outcome(self, migration: Migration) -> Outcome:
        """How *migration* stands."""
        return self.state.result(migration.name).outcome
