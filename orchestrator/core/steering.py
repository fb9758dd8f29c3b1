"""What people decide about a run while it is under way, or before it goes on: what it means, or why it does nothing. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..text.counts import names_listed
from ..text.likeness import closest
from .approvals import covered
from .events import (
    Event,
    GateChanged,
    MigrationRetried,
    MigrationSkipped,
    RunAborted,
    RunPaused,
    RunUnpaused,
    WaveApproved,
    WaveRejected,
)
from .migration import BEFORE_THE_PUT, MigrationState, after_hook_left, starts_afresh
from .outcomes import Outcome
from .run import APPROVAL_TIMEOUT, RunState
from .steered import Command
from .workflow import Gate, Wave

ABOUT_A_WAVE = (Command.APPROVE, Command.REJECT)
ABOUT_MIGRATIONS = (Command.SKIP, Command.RETRY, Command.GATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChange:
    """What a gate is to be: *max_lag* and *timeout* in seconds; None: as it is, or where it is off, the default."""

    max_lag: float | None = None
    timeout: float | None = None

    def of(self, gate: Gate | None) -> Gate:
        """*gate*, changed."""
        known = gate or Gate()
        return replace(
            known,
            max_lag=known.max_lag if self.max_lag is None else self.max_lag,
            timeout=known.timeout if self.timeout is None else self.timeout,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringRequest:
    """*command* is asked by *who*, for *reason*.

    *wave* and *migration* are what it is about; *gate* is what changes of its gate (None: off). *covers*: the migrations that
    an approval is for, as whoever asks was told; None: those that it is for when it is heeded.
    """

    command: Command
    who: str
    reason: str = ""
    wave: str | None = None
    migration: str | None = None
    gate: GateChange | None = None
    covers: tuple[str, ...] | None = None


def decide(run: RunState, request: SteeringRequest, *, at: float) -> Event | str:
    """The event that *request* means for *run* at *at* (Unix seconds), or why it does nothing, in words for who asked."""
    if request.who == APPROVAL_TIMEOUT:
        return f"{APPROVAL_TIMEOUT!r} is not a person's name: it stands for nobody's answer, so say otherwise who asks"
    if run.aborted_by is not None and request.command is not Command.ABORT:
        return f"it is aborted, by {run.aborted_by}"
    if request.migration is not None:
        return _about_a_migration(run, request, request.migration, at=at)
    if request.wave is not None:
        return _about_a_wave(run, request, request.wave, at=at)
    who, reason = request.who, request.reason
    match request.command:
        case Command.PAUSE if run.paused_by is None:
            return RunPaused(at=at, who=who, reason=reason)
        case Command.PAUSE:
            return f"it is already paused, by {run.paused_by}"
        case Command.UNPAUSE if run.paused_by is not None:
            return RunUnpaused(at=at, who=who, reason=reason)
        case Command.UNPAUSE:
            return "it is not paused"
        case Command.ABORT if run.aborted_by is None:
            return RunAborted(at=at, who=who, reason=reason)
        case Command.ABORT:
            return f"it was already aborted, by {run.aborted_by}"
    return f"`{request.command}` has to name what it is about"


def _about_a_wave(run: RunState, request: SteeringRequest, name: str, *, at: float) -> Event | str:
    if name not in run.waves:
        meant = closest(name, run.waves)
        there = f"did you mean {meant!r}?" if meant else f"it has {names_listed(list(run.waves), 20)}"
        return f"it has no wave {name!r}; {there}"
    wave, known = run.wave(name), run.waves[name]
    if request.command is Command.APPROVE and not wave.approval and known.rejected_by is None:
        return f"wave {name!r} needs no approval; `pause` holds a run"
    if known.started or (known.finished_at is not None and run.stopped is None):
        return f"wave {name!r} has started already"
    if request.command is Command.REJECT:
        if known.rejected_by is not None:
            return f"wave {name!r} {known.rejection} already"
        return WaveRejected(at=at, wave=name, who=request.who, reason=request.reason)
    if known.approved_by is not None and known.rejected_by is None:
        return f"wave {name!r} was already approved, by {known.approved_by}"
    approved = WaveApproved(at=at, wave=name, who=request.who, reason=request.reason)
    if request.covers is None:
        return approved
    told_of = frozenset(request.covers)
    left = covered(run, wave, between_sessions=True)  # all that it is for within a session is in that, too
    if told_of.issuperset(left):
        return approved
    if told_of.isdisjoint(left):
        return f"wave {name!r} is left with other migrations than those that it was approved for"
    return replace(approved, migrations=tuple(each for each in left if each in told_of))


def _about_a_migration(run: RunState, request: SteeringRequest, name: str, *, at: float) -> Event | str:
    state = run.migrations.get(name)
    if state is None:
        return f"it has no migration {name!r}"
    match request.command:
        case Command.SKIP:
            why = _why_no_skip(name, state)
            return why or MigrationSkipped(at=at, migration=name, who=request.who, reason=request.reason)
        case Command.RETRY:
            why = _why_no_retry(name, state) or _why_not_yet(run, name)
            return why or MigrationRetried(at=at, migration=name, who=request.who, reason=request.reason)
    if state.phase not in BEFORE_THE_PUT:
        return f"{name}: {_how_it_stands(state)}, so its gate does not matter any more"
    gate = None if request.gate is None else request.gate.of(run.wave_and_migration(name)[1].gate)
    return GateChanged(
        at=at,
        migration=name,
        max_lag=gate.max_lag if gate else None,
        timeout=gate.timeout if gate else None,
        who=request.who,
        reason=request.reason,
    )


def _why_no_skip(name: str, state: MigrationState) -> str | None:
    if state.skipped is not None:
        return f"{name}: already {state.skipped}"
    if state.phase not in BEFORE_THE_PUT and state.outcome is not Outcome.NOT_STARTED:
        return f"{name}: {_how_it_stands(state)}, so it cannot be skipped"
    return None


def _why_no_retry(name: str, state: MigrationState) -> str | None:
    if state.skipped is not None or state.outcome is Outcome.UNVERIFIED:
        return None
    if state.outcome is Outcome.FAILED:
        if starts_afresh(state, retry_failed=True):
            return None
        return f"{name}: it FAILED after its PUT, and a cutover is not sent twice: look at the live migration in Atlas"
    return f"{name}: {_how_it_stands(state)}, so there is nothing to retry"


def _why_not_yet(run: RunState, name: str) -> str | None:
    """`after_…` hooks, its own, its wave's or the run's, undo what `before` hooks did, and nobody else can know how far they are: it starts again after them."""
    if run.finished_at is not None:
        return None
    mine, migration = run.wave_and_migration(name)
    state = run.migrations[name]
    own = after_hook_left(state, migration.hooks) if state.outcome is not None else None
    if own is not None and name in run.selected:
        return _have_not_ended(name, f"its own {own[0]} hooks")
    for wave in run.workflow.waves:
        if _has_more_before_its_hooks(run, wave):
            return None  # nor has any group after it come to its hooks
        left = not run.waves[wave.name].counts.keeps_wave_open and run.hooks_of(wave).left(run.after_hook(wave))
        if left and wave.name != mine.name:
            return None
        if left:
            return _not_ended(run, name, wave)
    return _not_ended(run, name, None) if run.run_hooks.left(run.after_hook(None)) else None


def _has_more_before_its_hooks(run: RunState, wave: Wave) -> bool:
    """Whether a migration of *wave* has steps left, so that the wave's `after_…` hooks are not at work (`next_actions`)."""
    counts = run.waves[wave.name].counts
    return bool((counts.waiting and run.stopped is None) or counts.under_way or counts.owing or counts.undoing)


def _not_ended(run: RunState, name: str, wave: Wave | None) -> str:
    whose = f"its wave {wave.name!r}" if wave else "the run"
    return _have_not_ended(name, f"the {run.after_hook(wave)} hooks of {whose}")


def _have_not_ended(name: str, hooks: str) -> str:
    after = "retry it once they have (where the process has died: once `resume` has run them)"
    return f"{name}: {hooks} have not ended: {after}"


def _how_it_stands(state: MigrationState) -> str:
    if state.outcome is not None:
        return f"it has ended ({state.outcome})"
    return "it has not ended" if state.phase in BEFORE_THE_PUT else "its cutover has been requested"
