"""Applications that stand still and whose cutover does not leave: who they are, since when, and why. Pure.

A `before` hook has stopped an application, and now its PUT waits: for the end of a pause, the window, an approval, its gate, a
slot, the request budget. Each of these waits is right, and somebody has to know that the application is down meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..text.durations import format_duration
from .events import ApplicationWaiting
from .migration import BEFORE_THE_PUT, MigrationState, Phase
from .next_actions import why_held
from .run import RunState

FIRST_TOLD = 60.0
"""Seconds that an application has stood still for nothing before somebody is told."""

SELDOM = 3600.0
"""Seconds after which it is said again at the latest; before that, whenever the time has doubled."""

Whose = tuple[str | None, str | None]
"""The wave and the migration whose hooks have stopped an application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """*migration*'s application (None: what the hooks of *wave*, or of the run, have stopped) stands still *since* then."""

    wave: str | None
    migration: str | None
    since: float
    reason: str


def standstills(run: RunState, wall: float) -> Iterator[Standstill]:
    """Those whose `before` hooks have run and whose PUT has not left, nor will be given up; *wall*: as in `next_actions`."""
    if run.stopped is not None:
        return  # what was prepared is undone
    door = why_held(run, wall)
    yield from _groups(run, door)
    for wave in run.workflow.waves:
        for migration in wave.migrations:
            state = run.migrations[migration.name]
            if state.prepared_since is None or state.before_at_work or state.phase not in BEFORE_THE_PUT:
                continue  # what a hook at work stops, it stops for its PUT
            if migration.name not in run.selected:
                continue
            reason = door or ("" if run.waves[wave.name].started else "its wave has not started") or _reason(state)
            yield Standstill(wave=wave.name, migration=migration.name, since=state.prepared_since, reason=reason)


def to_tell(standing: Iterable[Standstill], told: Mapping[Whose, float], now: float) -> list[ApplicationWaiting]:
    """What is to be said of those that are *standing*, of which something was last *told* then."""
    return [
        ApplicationWaiting(
            at=now,
            wave=still.wave,
            migration=still.migration,
            seconds=round(now - still.since, 1),
            reason=still.reason,
        )
        for still in standing
        if is_to_be_told(still.since, told.get((still.wave, still.migration)), now)
    ]


def is_to_be_told(since: float, told_at: float | None, now: float) -> bool:
    """Whether it is time to say (again) that something has stood still *since* then, which was last *told_at*."""
    if told_at is None:
        return now - since >= FIRST_TOLD
    return now - told_at >= min(max(told_at - since, FIRST_TOLD), SELDOM)


def _groups(run: RunState, door: str | None) -> Iterator[Standstill]:
    """What the hooks of waves and of the run have stopped, and the door or an approval holds up altogether."""
    held_since = run.window_waits_since if run.paused_at is None else run.paused_at
    approvals = [(name, known.approval_since) for name, known in run.waves.items() if known.approval_since is not None]
    anything = any(known.counts.under_way for known in run.waves.values())
    since = run.run_hooks.before_at
    if since is not None and not anything and (door is not None or approvals):
        if door is not None:
            yield Standstill(wave=None, migration=None, since=max(since, held_since), reason=door)
        else:
            name, asked = approvals[0]
            reason = f"wave {name!r} waits for its approval"
            yield Standstill(wave=None, migration=None, since=max(since, asked), reason=reason)
    for name, known in run.waves.items():
        since = known.hooks.before_at
        if door is not None and since is not None and known.counts.waiting and not known.counts.under_way:
            yield Standstill(wave=name, migration=None, since=max(since, held_since), reason=door)


def _reason(state: MigrationState) -> str:
    match state.phase:
        case Phase.NEW:
            return "its job is to be read first"
        case Phase.GATE if state.note:
            return f"its gate is closed: {state.note}"
        case Phase.GATE if state.ready is not True:
            return f"its gate is closed: the job is {state.remote_status or 'without status'} and not ready for cutover"
        case Phase.GATE:
            lag = "unknown" if state.lag is None else format_duration(state.lag)
            return f"its gate is closed: the lag is {lag}"
        case _ if not state.admitted:
            return "it waits for a slot of its wave"
    return state.note or "its request waits for the budget, the journal or a connection"
