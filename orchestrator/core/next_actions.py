"""What a run has to do next, and whether a cutover may be requested now. Pure.

    agenda = next_actions(run, now, wall, at_work)    what the whole run does next: waves, window, approval, hooks
    step = migration_step(run, name, policy, now, wall)
                                                      what one of its migrations does next, within its run
    not_yet = may_start(run, wave, now, wall)         None: the wave may start
    why_not = may_request(run, name, now, wall)       None: the PUT may leave at this very moment

An engine carries the agenda out: it records what is to be recorded and asks again; it runs the hook, or takes the migrations
of a wave through their steps, unless it does so already. It asks again after every event, when its work on a wave has ended, and at `look_again`.

The order of a run: the window, the run's `before` hooks, then wave by wave: approval, doubts that could use up `max_failures`,
the wave's `before` hooks, its migrations, its `after_…` hooks; at last the run's. What an earlier session has left under way
is followed from the beginning on, whatever wave it belongs to. Once stopped, a run starts nothing more, follows what is under
way, undoes what was prepared, and runs the hooks that it owes.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from .events import (
    ApprovalWaiting,
    CutoverAdmitted,
    CutoversStopped,
    Event,
    WaveApproved,
    WaveFinished,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from .migration import BEFORE_THE_PUT, UNDER_WAY, MigrationState, Phase, undo_left
from .next_step import Done, Finish, Policy, Request, RunHook, Step, next_step, too_old
from .outcomes import Outcome
from .run import RunState
from .window import Span, Window, why_closed, why_over
from .workflow import Migration, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record *event*."""

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroupHook:
    """Run hook number *index* of *hook* of a wave, or of the run (None). *outcome*: how that ended, for `after_…` hooks."""

    wave: str | None
    hook: str
    index: int
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Take each migration of *wave* that has steps left (`to_drive`) through them (`migration_step`), until it has none.

    A migration is driven by one task of the engine, from its first read to its last hook. Who has steps left changes when the wave
    starts (*started*) and when the run is *stopped*; so a `Drive` that differs in these is another thing to do, and an engine does
    each once, leaving alone what is being driven already.
    """

    wave: str
    started: bool
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Why a wave may not start, and what is to be done about that: nothing where *action* is None, then it is waited for."""

    reason: str
    action: Record | RunGroupHook | None = None


Action = Record | RunGroupHook | Drive


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What is to be done now. *look_again*: when something changes by itself (Unix seconds, wall clock). *over*: nothing is left."""

    actions: tuple[Action, ...] = ()
    look_again: float | None = None
    over: bool = False


class WaitsFor(StrEnum):
    """What a migration waits for on its way to the PUT."""

    WAVE = "its wave"
    SLOT = "a slot of its wave"
    DOOR = "the window, the end of a pause, or the operator's word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is to be done before something happens to the run or to this migration."""

    what: WaitsFor


def next_actions(run: RunState, now: float, wall: float, at_work: Container[str] = ()) -> Agenda:
    """What the run has to do at *now*.

    Args:
        run: The fold of its events.
        now: Unix seconds by the session's clock, which nobody sets.
        wall: Unix seconds by the wall clock: windows are what people mean by a time of day.
        at_work: The waves whose migrations somebody is still taking through their steps.
    """
    event = _stop(run, now) or _window(run, now, wall)
    if event is not None:
        return Agenda(actions=(Record(event=event),))
    actions: list[Action] = []
    over = True
    for wave in run.workflow.waves:
        known = run.waves[wave.name]
        if over:
            steps = _wave(run, wave, now, wall, at_work)
            if steps is not None:
                over = False
                actions += steps
        if known.counts.under_way or known.counts.owing:
            over = False
            actions.append(_drive(run, wave))
    if over:
        hook = _after_hook(run, None)
        if hook is None:
            return Agenda(over=True)
        actions.append(hook)
    records = tuple(action for action in actions if isinstance(action, Record))
    return Agenda(actions=records or tuple(dict.fromkeys(actions)), look_again=_look_again(run))


def to_drive(run: RunState, wave: Wave) -> list[Migration]:
    """The migrations of *wave* that have steps left: under way, with hooks owed, prepared for nothing, or still to start."""
    starts = run.stopped is None and run.waves[wave.name].started
    return [migration for migration in wave.migrations if _has_steps(run, migration, starts=starts)]


def migration_step(run: RunState, name: str, policy: Policy, now: float, wall: float) -> Step | Wait:
    """What migration *name* does next, as its run allows; *now* and *wall* as in `next_actions`."""
    state = run.migrations[name]
    if state.phase not in BEFORE_THE_PUT:
        return next_step(state, policy, now)
    wave, migration = run.place_of(name)
    known = run.waves[wave.name]
    if run.stopped is not None or name not in run.selected or run.withdrawn(name) is not None:
        return _undo(state, migration)
    if known.started and known.hooks.refused:
        return Finish(outcome=Outcome.FAILED, error_message="the wave's before hook failed")
    if not known.is_open:
        return Wait(what=WaitsFor.WAVE)
    if state.phase is Phase.READY and not state.admitted:
        return Wait(what=WaitsFor.SLOT)
    step = next_step(state, policy, now, held=not _door_is_open(run, wall))
    if isinstance(step, (RunHook, Request)) and not _door_is_open(run, wall):
        return Wait(what=WaitsFor.DOOR)
    return step


def may_request(run: RunState, name: str, now: float, wall: float) -> str | None:
    """Why the PUT of *name* may not leave; None: it may. Asked right before the wire; *now* and *wall* as in `next_actions`."""
    state = run.migrations[name]
    wave, _ = run.place_of(name)
    if name not in run.selected:
        return "it is not selected"
    held = why_held(run, wall) or run.withdrawn(name) or _why_to_stop(run)
    if held is not None:
        return held
    if not run.waves[wave.name].is_open:
        return "its wave has not started"
    if state.phase not in (Phase.READY, Phase.REQUESTED) or not state.admitted:
        return "it has no slot"
    return too_old(state, now)


def may_start(run: RunState, wave: Wave, now: float, wall: float, at_work: Container[str] = ()) -> NotYet | None:
    """Why *wave* may not start: the first of these conditions that is not met. None: it may. The arguments are those of `next_actions`."""
    for before in run.workflow.waves[: run.workflow.waves.index(wave)]:
        if _wave(run, before, now, wall, at_work) is not None:
            return NotYet(reason=f"wave {before.name!r} is not over")
    if (held := why_held(run, wall)) is not None:
        return NotYet(reason=held)
    if not run.run_hooks.prepared:
        hook = RunGroupHook(wave=None, hook="before", index=run.run_hooks.before_done)
        return NotYet(reason="the run's before hooks have not run", action=hook)
    if wave.approval and run.waves[wave.name].approved_by is None:
        return NotYet(reason="it waits for its approval", action=_towards_approval(run, wave, now))
    if run.doubts_may_be_too_many(wave):
        return NotYet(reason="max_failures is used up if what is in doubt stays so")
    return None


def why_held(run: RunState, wall: float) -> str | None:
    """Why no cutover of the run may start at the moment, whichever it is; None: one may."""
    if run.stopped is not None:
        return run.stopped
    if run.paused_by is not None:
        return "the run is paused"
    if run.unconfirmed_since is not None:
        return "it is not confirmed"
    return None if _window_is_open(run, wall) else "the window is not open"


# -- the run -------------------------------------------------------------------------------------------------------------


def _stop(run: RunState, now: float) -> Event | None:
    """No further cutover starts, if that has not been recorded."""
    reason = None if run.stopped is not None else _why_to_stop(run)
    return None if reason is None else CutoversStopped(at=now, reason=reason)


def _why_to_stop(run: RunState) -> str | None:
    """Why no further cutover of the run may start in this session; None: nothing has happened that says so."""
    if run.aborted_by is not None:
        return f"aborted by {run.aborted_by}"
    for wave in run.workflow.waves:
        if run.too_many_failures(wave):
            failed, most = run.failures(wave), wave.max_failures
            return f"{failed} of wave {wave.name!r} ended without SUCCESS, max_failures is {most}"
    return "the run's before hook failed" if run.run_hooks.refused else None


def _window(run: RunState, now: float, wall: float) -> Event | None:
    """What there is to record about the window, which is held against the wall clock."""
    window, told = run.workflow.window, run.opening
    if window is None or run.stopped is not None:
        return None
    was_open = told is not None and run.window_opens is None
    if told is not None and wall < told.last_start and told.holds(wall) == was_open:
        return None
    span = _opening(run, window, wall)
    if told is not None and was_open and wall >= told.last_start and (span is None or span.opens > told.closes):
        return CutoversStopped(at=now, reason=why_closed(told))
    if span is None:
        return CutoversStopped(at=now, reason=why_over(window))
    if span.holds(wall):
        return WindowOpened(at=now, opens=span.opens, closes=span.closes, last_start=span.last_start)
    if span == told and not was_open:
        return None
    return WindowWaiting(at=now, opens=span.opens, closes=span.closes, last_start=span.last_start)


def _opening(run: RunState, window: Window, wall: float) -> Span | None:
    """The opening of *window* that counts at *wall*, or the next one. A rehearsal waits for none: it opens when a session begins."""
    told = run.opening
    if not run.rehearsal:
        return window.span_at_or_after(wall)
    if told is None or wall < told.opens:
        return window.rehearsed(wall)
    return told if wall < told.last_start else None


def _look_again(run: RunState) -> float | None:
    """When, by the wall clock, the window changes something by itself."""
    if run.workflow.window is None or run.stopped is not None or run.opening is None:
        return None
    return run.opening.last_start if run.window_opens is None else run.window_opens


def _window_is_open(run: RunState, wall: float) -> bool:
    if run.workflow.window is None:
        return True
    return run.window_opens is None and run.opening is not None and run.opening.holds(wall)


def _door_is_open(run: RunState, wall: float) -> bool:
    return why_held(run, wall) is None


# -- a wave --------------------------------------------------------------------------------------------------------------


def _wave(run: RunState, wave: Wave, now: float, wall: float, at_work: Container[str]) -> list[Action] | None:
    """What *wave* does next; None: it is over, or will not start."""
    known = run.waves[wave.name]
    counts = known.counts
    if counts.waiting and run.stopped is None:
        return _towards_the_puts(run, wave, now, wall, at_work)
    if counts.under_way or counts.owing or counts.undoing:
        return [_drive(run, wave)]
    if wave.name in at_work:
        return []
    if (known.started or known.worked_on) and known.finished_at is None:
        return [Record(event=WaveFinished(at=now, wave=wave.name, counts=run.counts(wave)))]
    hook = None if counts.unsettled else _after_hook(run, wave)  # in doubt, and nobody was asked to look: not over
    return None if hook is None else [hook]


def _towards_the_puts(run: RunState, wave: Wave, now: float, wall: float, at_work: Container[str]) -> list[Action]:
    """What has to be done before *wave*'s cutovers may be requested, in this order."""
    known = run.waves[wave.name]
    if not known.started:
        obstacle = may_start(run, wave, now, wall, at_work)
        if obstacle is not None:
            return [] if obstacle.action is None else [obstacle.action]
        members = known.counts.waiting
        concurrency = min(wave.concurrency or members, members)
        return [Record(event=WaveStarted(at=now, wave=wave.name, migrations=members, concurrency=concurrency))]
    if not known.hooks.prepared and not known.hooks.refused:
        if not _door_is_open(run, wall):
            return []
        return [RunGroupHook(wave=wave.name, hook="before", index=known.hooks.before_done)]
    name = run.next_for_slot(wave)
    if name is not None and known.counts.slots < (wave.concurrency or len(wave.migrations)):
        return [Record(event=CutoverAdmitted(at=now, migration=name))]
    return [_drive(run, wave)]


def _towards_approval(run: RunState, wave: Wave, now: float) -> Record | None:
    """That it is asked for; a rehearsal may give it by itself."""
    if run.waves[wave.name].approval_since is None:
        return Record(event=ApprovalWaiting(at=now, wave=wave.name))
    return Record(event=WaveApproved(at=now, wave=wave.name, who="rehearsal")) if run.approves else None


def _after_hook(run: RunState, wave: Wave | None) -> RunGroupHook | None:
    """The `after_…` hook of *wave*, or of the run (None), that is owed next, by this session or one that did not come to it."""
    hooks = run.hooks_of(wave)
    if not hooks.owed or not (hooks.hooks.after_success or hooks.hooks.after_failure):
        return None  # to tell how the wave has ended costs the number of its migrations
    hook = run.after_hook(wave)
    left = hooks.left(hook)
    if not left:
        return None
    outcome = "SUCCESS" if hook == "after_success" else "FAILED"
    return RunGroupHook(wave=wave.name if wave else None, hook=hook, index=left.start, outcome=outcome)


def _drive(run: RunState, wave: Wave) -> Drive:
    return Drive(wave=wave.name, started=run.waves[wave.name].started, stopped=run.stopped is not None)


# -- a migration ---------------------------------------------------------------------------------------------------------


def _has_steps(run: RunState, migration: Migration, *, starts: bool) -> bool:
    state, selected = run.migrations[migration.name], migration.name in run.selected
    if state.phase in UNDER_WAY:
        return selected
    if state.phase is Phase.FINISHED:
        hook = migration.hooks.after_success if state.outcome is Outcome.SUCCESS else migration.hooks.after_failure
        return selected and state.after_hooks_done < len(hook)
    if starts and selected and run.withdrawn(migration.name) is None:
        return True
    return not isinstance(_undo(state, migration), Done)


def _undo(state: MigrationState, migration: Migration) -> RunHook | Done:
    """The `after_failure` hook that undoes what `before` hooks did for a PUT that does not leave."""
    left = undo_left(state, on_failure=len(migration.hooks.after_failure))
    return RunHook(hook="after_failure", index=left.start) if left else Done()
