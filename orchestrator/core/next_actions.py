"""What a run has to do next, and whether a cutover may be requested now. Pure.

    agenda = next_actions(run, now, wall, at_work)    what the whole run does next: waves, window, approval, hooks
    step = migration_step(run, name, policy, now, wall)
                                                      what one of its migrations does next, within its run
    not_yet = may_start(run, wave, now, wall)         None: the wave may start
    why_not = may_request(run, name, now, wall)       None: the PUT may leave at this very moment

An engine carries the agenda out: it records what is to be recorded and asks again; it runs the hook, or takes the migrations
of a wave through their steps, unless it does so already. It asks again after every event, when its work on a wave has ended, and at `look_again`.

The order of a run: the window, the run's `before` hooks, then wave by wave: approval, doubts that could exceed `max_failures`,
the wave's `before` hooks, its migrations, its `after_…` hooks; at last the run's. What an earlier session has left under way
is followed from the beginning on, whatever wave it belongs to. Once stopped, a run starts nothing more, follows what is under
way, undoes what was prepared, and runs the hooks that it owes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from ..text.durations import format_duration
from . import last_look
from .agenda import Action, Agenda, Drive, HookOf, NotYet, Record, RunGroupHook, Wait, WaitsFor
from .approvals import expires_at
from .events import (
    ApprovalWaiting,
    CutoverAdmitted,
    CutoversStopped,
    Event,
    VerificationFailed,
    WaveApproved,
    WaveFinished,
    WaveRejected,
    WaveSoaking,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from .migration import BEFORE_THE_PUT, UNDER_WAY, MigrationState, Phase, after_hook_left, undo_left
from .next_step import Done, Finish, Policy, Read, ReadKind, RunHook, SendPut, Step, next_step, too_old
from .outcomes import Outcome
from .run import APPROVAL_TIMEOUT, RunState
from .steered import with_reason
from .verification import next_verification
from .wave_state import WaveState
from .window import Span, Window, why_closed, why_over
from .workflow import HookKind, Migration, Wave, outcome_told

NOT_PREPARED = "the run's before hooks have not run"


def next_actions(run: RunState, now: float, wall: float, at_work: Container[str | HookOf] = ()) -> Agenda:
    """What the run has to do at *now*.

    Args:
        run: The fold of its events.
        now: Unix seconds by the session's clock, which nobody sets.
        wall: Unix seconds by the wall clock: windows are what people mean by a time of day.
        at_work: The waves whose migrations somebody is still taking through their steps, and those (or the run) of which a hook is at work.
    """
    event = _stop(run, now) or _window(run, now, wall)
    if event is not None:
        return Agenda(actions=(Record(event=event),))
    actions: list[Action] = []
    again = [_look_again(run)]
    over = True
    for wave in run.workflow.waves:
        known = run.waves[wave.name]
        if over:
            agenda = _wave(run, wave, now, wall, at_work)
            if not agenda.over:
                over = False
                actions += agenda.actions
                again.append(agenda.look_again)
        if known.counts.under_way or known.counts.owing:
            over = False
            actions.append(_drive(run, wave))
    if over:
        agenda = _after_hook(run, None, now, wall, at_work)
        if agenda.over:
            return agenda
        actions += agenda.actions
        again.append(agenda.look_again)
    records = tuple(action for action in actions if isinstance(action, Record))
    look_again = min((at for at in again if at is not None), default=None)
    return Agenda(actions=records or tuple(dict.fromkeys(actions)), look_again=look_again)


def to_drive(run: RunState, wave: Wave) -> list[Migration]:
    """The migrations of *wave* that have steps left: under way, with hooks owed, prepared for nothing, to be looked at, or still to start."""
    starts = run.stopped is None and run.waves[wave.name].started
    groups = _groups_to_tell(run, wave)
    return [
        migration
        for migration in wave.migrations
        if _has_steps(run, migration, starts=starts) or _is_owed_a_look(run, migration.name, groups)
    ]


def migration_step(run: RunState, name: str, policy: Policy, now: float, wall: float) -> Step | Wait:
    """What migration *name* does next, as its run allows; *now* and *wall* as in `next_actions`."""
    step = _step(run, name, policy, now, wall)
    if isinstance(step, RunHook) and step.hook is HookKind.AFTER_FAILURE:
        looks = last_look.is_owed(run, run.migrations[name], policy, now)
    else:
        looks = isinstance(step, Done) and _is_owed_a_look(
            run, name, _groups_to_tell(run, run.wave_and_migration(name)[0])
        )
    return Read(kind=ReadKind.LOOK, attempt=0, deadline=now) if looks else step


def _step(run: RunState, name: str, policy: Policy, now: float, wall: float) -> Step | Wait:
    state = run.migrations[name]
    wave, migration = run.wave_and_migration(name)
    known = run.waves[wave.name]
    if state.phase not in BEFORE_THE_PUT and name not in run.selected:
        step = next_step(state, policy, now)
        # A look has found it over: its hooks are run by a session that is about it.
        return Done() if isinstance(step, RunHook) else step
    if state.phase is Phase.VERIFYING and wave.soak and run.stopped is None:
        if known.counts.waiting or known.counts.under_way:
            return Wait(what=WaitsFor.SOAK)
        step = next_step(state, policy, now)
        soaked = _soaks_until(run, wave, now)
        return replace(step, not_before=soaked) if soaked is not None and isinstance(step, RunHook) else step
    if state.phase not in BEFORE_THE_PUT:
        return next_step(state, policy, now)
    if run.stopped is not None or name not in run.selected or run.withdrawn(name) is not None:
        return _undo(state, migration)
    if known.started and known.hooks.refused:
        return Finish(outcome=Outcome.FAILED, error_message="the wave's before hook failed")
    if not known.is_open or not run.run_hooks.prepared:
        return Wait(what=WaitsFor.WAVE)
    if state.phase is Phase.READY and not state.admitted:
        return Wait(what=WaitsFor.SLOT)
    step = next_step(state, policy, now, held=not _door_is_open(run, wall))
    if isinstance(step, (RunHook, SendPut)) and not _door_is_open(run, wall):
        return Wait(what=WaitsFor.DOOR)
    return step


def may_request(run: RunState, name: str, now: float, wall: float) -> str | None:
    """Why the PUT of *name* may not leave; None: it may. Asked right before the wire; *now* and *wall* as in `next_actions`."""
    state = run.migrations[name]
    wave, _ = run.wave_and_migration(name)
    if name not in run.selected:
        return "it is not selected"
    held = why_held(run, wall) or run.withdrawn(name) or _why_to_stop(run)
    if held is not None:
        return held
    if not run.waves[wave.name].is_open:
        return "its wave has not started"
    if not run.run_hooks.prepared:
        return NOT_PREPARED
    if state.phase not in (Phase.READY, Phase.REQUESTED) or not state.admitted:
        return "it has no slot"
    return too_old(state, now)


def may_start(
    run: RunState, wave: Wave, now: float, wall: float, at_work: Container[str | HookOf] = ()
) -> NotYet | None:
    """Why *wave* may not start: the first of these conditions that is not met. None: it may. The arguments are those of `next_actions`.

    One reason is not asked for here: what stops the whole run (`_why_to_stop`), as `next_actions` has recorded that before it asks.
    """
    for before in run.workflow.waves[: run.workflow.waves.index(wave)]:
        if not _wave(run, before, now, wall, at_work).over:
            return NotYet(reason=f"wave {before.name!r} is not over")
    known = run.waves[wave.name]
    if known.rejected_by is not None:
        rejected = f"wave {wave.name!r} {known.rejection}"
        return NotYet(reason=rejected, action=Record(event=CutoversStopped(at=now, reason=rejected)))
    if (held := why_held(run, wall)) is not None:
        return NotYet(reason=held)
    if not run.run_hooks.prepared:
        return NotYet(reason=NOT_PREPARED, action=_before_hook(run, None))
    if wave.approval and known.approved_by is None:
        return _approval(run, wave, now, wall)
    if run.doubts_may_be_too_many(wave):
        return NotYet(reason="max_failures would be exceeded if what is in doubt stays in doubt")
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
        return with_reason(f"aborted by {run.aborted_by}", run.aborted_for)
    for wave in run.workflow.waves:
        if run.too_many_failures(wave):
            failed, most = run.ended_badly(wave), wave.max_failures
            return f"{failed} of wave {wave.name!r} ended without SUCCESS, max_failures is {most}"
        if run.waves[wave.name].hooks.unverified is not None:
            return f"wave {wave.name!r} is not verified: {run.waves[wave.name].hooks.unverified}"
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


def _wave(run: RunState, wave: Wave, now: float, wall: float, at_work: Container[str | HookOf]) -> Agenda:
    """What *wave* does next; nothing is left where it is over, or will not start."""
    known = run.waves[wave.name]
    counts = known.counts
    if HookOf(wave.name) in at_work:
        # One after the other: what a `before` hook does is undone when it has ended, and so on.
        return _do(*([_drive(run, wave)] if counts.under_way or counts.owing or counts.undoing else ()))
    if counts.waiting and run.stopped is None:
        return _towards_the_puts(run, wave, now, wall, at_work)
    soaked = _soaks_until(run, wave, now)
    if soaked is not None and not counts.under_way and known.soak_until != soaked:
        return _do(Record(event=WaveSoaking(at=now, wave=wave.name, until=soaked)))
    if counts.under_way or counts.owing or counts.undoing:
        return _do(_drive(run, wave))
    if wave.name in at_work:
        return _do()
    if (known.started or known.worked_on) and known.finished_at is None:
        return _do(Record(event=WaveFinished(at=now, wave=wave.name, counts=run.outcomes_of(wave))))
    if not counts.keeps_wave_open:  # in doubt, and nobody was asked to look: not over
        agenda = _after_hook(run, wave, now, wall, at_work)
        if not agenda.over:
            return agenda
    if soaked is not None and _starts_another(run, wave):
        return Agenda(look_again=_by_the_wall(soaked, now, wall))
    return Agenda(over=True)


def _towards_the_puts(run: RunState, wave: Wave, now: float, wall: float, at_work: Container[str | HookOf]) -> Agenda:
    """What has to be done before *wave*'s cutovers may be requested, in this order."""
    known = run.waves[wave.name]
    if HookOf(None) in at_work:
        return _do()
    if not known.started:
        obstacle = may_start(run, wave, now, wall, at_work)
        if obstacle is not None:
            return Agenda(actions=() if obstacle.action is None else (obstacle.action,), look_again=obstacle.look_again)
        members = known.counts.waiting
        concurrency = min(wave.concurrency or members, members)
        return _do(Record(event=WaveStarted(at=now, wave=wave.name, migrations=members, concurrency=concurrency)))
    for group in (None, wave):  # the run's were there when the wave started; what they did may have been undone since
        hooks = run.hooks_of(group)
        if not hooks.prepared and not hooks.refused:
            return _do(_before_hook(run, group)) if _door_is_open(run, wall) else _do()
    name = run.next_for_slot(wave)
    if name is not None and known.counts.slots < (wave.concurrency or len(wave.migrations)):
        return _do(Record(event=CutoverAdmitted(at=now, migration=name)))
    return _do(_drive(run, wave))


def _before_hook(run: RunState, wave: Wave | None) -> RunGroupHook:
    name, hooks = wave.name if wave else None, run.hooks_of(wave)
    return RunGroupHook(wave=name, hook=HookKind.BEFORE, index=hooks.before_done)


def _approval(run: RunState, wave: Wave, now: float, wall: float) -> NotYet:
    """It is asked for; a rehearsal may give it by itself, and when nobody has given it in time, the wave is rejected."""
    waits, until = "it waits for its approval", expires_at(run, wave)
    if run.waves[wave.name].approval_since is None:
        return NotYet(reason=waits, action=Record(event=ApprovalWaiting(at=now, wave=wave.name)))
    if run.approves:
        return NotYet(reason=waits, action=Record(event=WaveApproved(at=now, wave=wave.name, who="rehearsal")))
    if until is None or wave.approval_timeout is None:
        return NotYet(reason=waits)
    if now < until:
        return NotYet(reason=waits, look_again=_by_the_wall(until, now, wall))
    reason = f"nobody approved it within {format_duration(wave.approval_timeout)}"
    rejected = WaveRejected(at=now, wave=wave.name, who=APPROVAL_TIMEOUT, reason=reason)
    return NotYet(reason=reason, action=Record(event=rejected))


def _soaks_until(run: RunState, wave: Wave, now: float) -> float | None:
    """When *wave*'s soak is over (Unix seconds); None: it is, there is none, or nothing more will start."""
    known = run.waves[wave.name]
    if not wave.soak or known.last_end is None or run.stopped is not None:
        return None
    until = known.last_end + wave.soak
    return until if now < until else None


def _starts_another(run: RunState, wave: Wave) -> bool:
    """Whether a wave after *wave* is to start."""
    later = run.workflow.waves[run.workflow.waves.index(wave) + 1 :]
    return any(run.waves[each.name].counts.waiting for each in later)


def _after_hook(run: RunState, wave: Wave | None, now: float, wall: float, at_work: Container[str | HookOf]) -> Agenda:
    """The `verify` or `after_…` hook of *wave*, or of the run (None), that is owed next, by this session or an earlier one."""
    hooks = run.hooks_of(wave)
    if HookOf(wave.name if wave else None) in at_work:
        return _do()
    if not hooks.owed or not any(hooks.commands.of(kind) for kind in HookKind if kind is not HookKind.BEFORE):
        return Agenda(over=True)  # to tell how the wave has ended costs the number of its migrations
    hook = run.after_hook(wave)
    left = hooks.left(hook)
    if not left:
        return Agenda(over=True)
    name = wave.name if wave else None
    if hook is HookKind.AFTER_FAILURE and (looks := _looks(run, wave, at_work)) is not None:
        return _do(*looks)
    if hook is not HookKind.VERIFY:
        return _do(RunGroupHook(wave=name, hook=hook, index=left.start, outcome=outcome_told(hook)))
    again = next_verification(hooks.commands, since=hooks.verify_since, last=hooks.not_yet_at)
    if again is None:
        reason = f"{hooks.commands.verify[left.start][0]} did not pass within {format_duration(hooks.commands.verify_timeout)}"
        return _do(Record(event=VerificationFailed(at=now, wave=name, reason=reason)))
    if wave is not None:
        again = max(again, _soaks_until(run, wave, now) or again)
    if now < again:
        return Agenda(look_again=_by_the_wall(again, now, wall))
    return _do(RunGroupHook(wave=name, hook=hook, index=left.start, outcome=Outcome.SUCCESS))


def _looks(run: RunState, wave: Wave | None, at_work: Container[str | HookOf]) -> list[Drive] | None:
    """Whom to look at before an `after_failure` hook of *wave*, or of the run (None); nobody for the moment while some are; None: that was done."""
    waves = run.workflow.waves if wave is None else (wave,)
    if any(each.name in at_work for each in waves):
        return []
    since = last_look.stands_since(run, wave)
    unread = [
        each
        for each in waves
        if any(last_look.is_owed_to_group(run.migrations[one.name], since) for one in each.migrations)
    ]
    return [replace(_drive(run, each), look=since) for each in unread] or None


def _groups_to_tell(run: RunState, wave: Wave) -> list[float]:
    """Since when *wave* and the run stand, as far as they do, and may owe `after_failure` hooks."""
    return [
        last_look.stands_since(run, group)
        for group in (wave, None)
        if (hooks := run.hooks_of(group)).owed
        and hooks.commands.after_failure
        and all(_stands(run.waves[each.name]) for each in ((wave,) if group else run.workflow.waves))
    ]


def _stands(known: WaveState) -> bool:
    """Whether nothing goes on in a wave, as far as that is recorded."""
    return known.finished_at is not None or not (known.started or known.worked_on)


def _is_owed_a_look(run: RunState, name: str, groups: Iterable[float]) -> bool:
    return any(last_look.is_owed_to_group(run.migrations[name], since) for since in groups)


def _by_the_wall(at: float, now: float, wall: float) -> float:
    """When the wall clock shows what the session's clock shows at *at*. The difference first: near *at* it is exact, so nobody looks too early."""
    return wall + (at - now)


def _do(*actions: Action) -> Agenda:
    return Agenda(actions=actions)


def _drive(run: RunState, wave: Wave) -> Drive:
    known = run.waves[wave.name]
    return Drive(wave=wave.name, started=known.started, stopped=run.stopped is not None, retried=known.retried)


# -- a migration ---------------------------------------------------------------------------------------------------------


def _has_steps(run: RunState, migration: Migration, *, starts: bool) -> bool:
    state, selected = run.migrations[migration.name], migration.name in run.selected
    if state.phase in UNDER_WAY or state.phase is Phase.VERIFYING:
        return selected
    if state.phase is Phase.FINISHED:
        return selected and after_hook_left(state, migration.hooks) is not None
    if starts and selected and run.withdrawn(migration.name) is None:
        return True
    return not isinstance(_undo(state, migration), Done)


def _undo(state: MigrationState, migration: Migration) -> RunHook | Done:
    """The `after_failure` hook that undoes what `before` hooks did for a PUT that does not leave."""
    left = undo_left(state, on_failure=len(migration.hooks.after_failure))
    return RunHook(hook=HookKind.AFTER_FAILURE, index=left.start) if left else Done()
