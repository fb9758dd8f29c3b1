"""A run as the page shows it: what `reports.shape` says of its migrations, and what only a run that goes on has. Pure."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from ..core.advice import advise, facts_of
from ..core.approvals import covered, expires_at, mark_of
from ..core.events import HookFinished
from ..core.migration import UNDER_WAY, Phase
from ..core.no_return import last_start
from ..core.outcomes import EXIT_MEANINGS, Outcome, RunOutcome
from ..core.run import RunState
from ..core.standing import is_skipped
from ..core.workflow import Wave
from ..observers.terminal.tally import Tally
from ..reports import shape
from ..reports.model import report_hook, report_migration, report_window
from ..reports.steering import report_steering, rows
from ..reports.words import plain
from ..store.journal import RunRow
from ..text.instants import iso

ORDER = (
    "IN_DOUBT",
    "UNDER_WAY",
    "TIMED_OUT",
    "UNVERIFIED",
    "FAILED",
    "DOUBT",
    "CUTOVER",
    "REQUESTED",
    "VERIFYING",
    "READY",
    "GATE",
    "WAITING",
    "SKIPPED",
    "NOT_STARTED",
    "SUCCESS",
)
"""How a migration may stand, the most urgent first: the order of the page's table, by `rank` in `assets/words.js`. One of which a hook failed comes no later than what FAILED."""
RANK = {state: rank for rank, state in enumerate(ORDER)}


DECISIONS = 50
"""How many of the last decisions are shown."""
NO_DECISIONS: dict[str, Any] = {"count": 0, "decided": 0, "newest": []}
DECIDED = 400
"""Characters of what one is about, of who, and of why: all of it is in the report."""


class Job(NamedTuple):
    """What never changes about a migration: its *number* in the workflow's order, and the rest as *text*, a JSON list."""

    number: int
    text: str


class Row(NamedTuple):
    """How a migration stands: its *state*, and all of it as *text*, the JSON list that browsers get: made once, however many look."""

    state: str
    text: str


def compact(document: Any) -> str:
    """*document* as JSON without blanks."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def jobs(state: RunState, names: Container[str]) -> dict[str, Job]:
    """What never changes about those of the selected migrations that are in *names*, by name."""
    waves = {wave.name: number for number, wave in enumerate(state.workflow.waves)}
    return {
        m.name: Job(number, compact(shape.job(m, waves[wave.name], m.vars.as_dict())))
        for number, (wave, m) in enumerate(state.rows())
        if m.name in names
    }


def stands(state: RunState, name: str, *, running: bool) -> str:
    """How migration *name* stands, in a word of `ORDER`; *running*: a process works on the run."""
    if _goes_on(state, name, running=running):
        known = state.migrations[name]
        return shape.SKIPPED if is_skipped(known) else shape.PHASES[known.phase]
    return str(state.outcome_of(name))


def _goes_on(state: RunState, name: str, *, running: bool) -> bool:
    known = state.migrations[name]
    moves = known.phase in UNDER_WAY or known.phase is Phase.VERIFYING or state.stopped is None
    return known.outcome is None and running and moves and not state.missing


def row(state: RunState, name: str, *, running: bool, hooks: Iterable[HookFinished] = ()) -> Row:
    """How migration *name* stands; *running*: a process works on the run, *hooks*: those of its hooks that failed."""
    failed = [report_hook(hook) for hook in hooks]
    known = state.migrations[name]
    report = report_migration(state, *state.wave_and_migration(name))
    if _goes_on(state, name, running=running):
        stands = shape.SKIPPED if is_skipped(known) else shape.PHASES[known.phase]
        values = shape.row(report, state=stands, note=known.note, lag=known.lag, hooks=failed)
    else:
        values = shape.row(report, hooks=failed)
    return Row(values[0], compact(values))


def head(
    state: RunState,
    states: Mapping[str, Mapping[str, int]],
    *,
    holder: str | None,
    silent: float | None = None,
    outcome: str | None,
    since: Mapping[str, float],
    tally: Tally,
    now: float,
) -> dict[str, Any]:
    """All about the run but its migrations, and what to do next.

    *states*: how many selected migrations of each wave stand where; *tally*: how fast it goes; *holder*: the process that works on the run, *silent*: since when it gives no sign of life; *outcome*: as it was recorded;
    *since*: when what is not in the fold happened (`window`: the wait for the window began; `last`: the last event);
    *now*: Unix seconds.
    """
    running, left = holder is not None, tally.estimate()
    code = state.recorded_exit_code
    if state.missing and outcome is not None and state.outcome() is RunOutcome.IN_DOUBT:  # as in the report
        outcome, code = RunOutcome.IN_DOUBT, int(state.exit_code())
    return {
        "run_id": state.run_id,
        "workflow": state.workflow.name,
        "rehearsal": state.rehearsal,
        "base_url": state.base_url,
        "who": state.who,
        "version": state.version,
        "sessions": state.sessions,
        "started_at": _iso(state.started_at),
        "finished_at": None if running else _iso(state.finished_at),
        "last_at": _iso(since.get("last")),
        "outcome": None if running else outcome,
        "exit_code": None if running else code,
        "exit_meaning": None if running else EXIT_MEANINGS.get(code or 0),
        "unfinished": state.recorded_unfinished,
        "running": running,
        "holder": holder,
        "silent": holder is not None and silent is not None,
        "paused": None if state.paused_by is None else {"who": state.paused_by, "since": _iso(state.paused_at)},
        "unconfirmed_since": _iso(state.unconfirmed_since),
        "aborted_by": state.aborted_by,
        "stopped": state.stopped,
        "last_start": _iso(last_start(state, now)),
        "points": shape.points(
            goes_on=running, over=not running and not state.recorded_unfinished, successor=state.successor
        ),
        "window": None if (window := report_window(state, now)) is None else asdict(window),
        "opening": _opening(state, since.get("window")),
        "waves": [_wave(state, wave, states.get(wave.name, {})) for wave in state.workflow.waves],
        "paces": [
            {"wave": name, "ends": its.ends, "since": iso(its.since), "left": its.left}
            for name, its in tally.paces(state).items()
        ]
        if running
        else [],
        "cutovers_left": [left.low, left.high] if running and left is not None and left.high else None,
    }


def way_on(state: RunState, now: float, options: str) -> dict[str, Any]:
    """What to do next about a run on which nobody works; *options*: what is added to commands, a space before each."""
    return asdict(advise(facts_of(state, now)).with_options(options))


def decisions(state: RunState) -> dict[str, Any]:
    """What people have decided, the newest first, in the words of the report: as many as are shown, how many rows there are, and of how many decisions."""
    found = rows(report_steering(state.steering, text=plain))
    newest = [asdict(each) for each in found[: -DECISIONS - 1 : -1]]
    return {
        "count": len(found),
        "decided": len(state.steering),
        "newest": [{name: value[:DECIDED] for name, value in each.items()} for each in newest],
    }


def _iso(at: float | None) -> str | None:
    return None if at is None else iso(at)


def _opening(state: RunState, since: float | None) -> dict[str, Any] | None:
    if state.opening is None:
        return None
    return {
        "opens": _iso(state.window_opens),
        "closes": _iso(state.opening.closes),
        "last_start": _iso(state.opening.last_start),
        "waiting_since": _iso(since),
    }


def _wave(state: RunState, wave: Wave, states: Mapping[str, int]) -> dict[str, Any]:
    known = state.waves[wave.name]
    asks = known.waits_for_approval or known.rejected_by is not None  # to count those costs the number of them
    covers = covered(state, wave, between_sessions=False) if asks else None
    return {
        "name": wave.name,
        "migrations": sum(states.values()),
        "to_cut_over": known.counts.waiting if covers is None else len(covers),
        "covers": None if covers is None else mark_of(covers),
        "concurrency": wave.concurrency,
        "max_failures": wave.max_failures,
        "failures": state.ended_badly(wave),
        "approval": wave.approval,
        "approval_since": _iso(known.approval_since),
        "expires_at": _iso(expires_at(state, wave)) if known.waits_for_approval else None,
        "approved_by": known.approved_by,
        "rejected_by": known.rejected_by,
        "timed_out": known.timed_out,
        "started_at": _iso(known.first_started_at),
        "finished_at": _iso(known.over_since),
        "under_way": known.is_under_way,
        "states": {word: count for word, count in states.items() if count},
    }


def listed(run: RunRow, *, holder: str | None, stands: str | None, missing: str = "") -> dict[str, Any]:
    """A run as the list of runs shows it; *stands*: in a word, where a process works on it; *missing*: as `RunFacts.missing`."""
    running = holder is not None
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "rehearsal": run.rehearsal,
        "migrations": run.migrations,
        "started_at": iso(run.started_at),
        "finished_at": None if running else _iso(run.finished_at),
        "outcome": None if running else Outcome.IN_DOUBT if missing else run.outcome,
        "exit_code": None if running else run.exit_code,
        "unfinished": run.unfinished,
        "running": running,
        "events_missing": missing or None,
        "stands": stands,
    }
