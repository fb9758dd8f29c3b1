"""On which side of its point of no return a migration is, and what is right to do there. Pure.

A cutover cannot be undone once its PUT has taken effect. Before that everything can still be called off; after it only one way leads on.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from .migration import BEFORE_THE_PUT, UNDER_WAY, MigrationState, Phase, may_be_anothers
from .outcomes import Outcome
from .run import RunState
from .window import Span


class Side(StrEnum):
    """Where a migration is, seen from the point of no return."""

    NOTHING_SENT = "nothing sent"  # or nothing that has taken effect
    SENT = "sent"  # a PUT may have taken effect, and its end is not known
    OVER = "over"  # Atlas has brought the cutover to its end


class Point(StrEnum):
    """The same, as far as it makes a difference to what is right to do."""

    WAITS = "waits"  # nothing was sent, and nothing done yet
    PREPARED = "prepared"  # nothing was sent, and `before` hooks have stopped the application
    NOT_CUT_OVER = "not cut over"  # nothing was sent, and nothing will be
    SENT = "sent"
    DOUBT = "in doubt"
    TIMED_OUT = "timed out"
    CUT_OVER = "cut over"
    NOT_PROVEN = "not proven good"  # cut over, and not verified, or not yet
    FAILED_AT_ATLAS = "failed at Atlas"


SIDES: dict[Point, Side] = {
    Point.WAITS: Side.NOTHING_SENT,
    Point.PREPARED: Side.NOTHING_SENT,
    Point.NOT_CUT_OVER: Side.NOTHING_SENT,
    Point.SENT: Side.SENT,
    Point.DOUBT: Side.SENT,
    Point.TIMED_OUT: Side.SENT,
    Point.CUT_OVER: Side.OVER,
    Point.NOT_PROVEN: Side.OVER,
    Point.FAILED_AT_ATLAS: Side.OVER,
}


class InCharge(StrEnum):
    """Where the application may write, as far as the run knows."""

    SOURCE = "source"  # no PUT has taken effect
    TARGET = "target"  # it is cut over
    UNKNOWN = "unknown"  # a cutover is under way, in doubt, or has failed at Atlas: no writer may go anywhere before somebody has looked
    MIXED = "mixed"  # of a wave or a run: some of its migrations here, others there


_IN_CHARGE = {
    Point.WAITS: InCharge.SOURCE,
    Point.PREPARED: InCharge.SOURCE,
    Point.NOT_CUT_OVER: InCharge.SOURCE,
    Point.CUT_OVER: InCharge.TARGET,
    Point.NOT_PROVEN: InCharge.TARGET,
}


def in_charge(points: Iterable[Point]) -> InCharge:
    """Who is in charge of migrations that are at *points*: of one, or of all of a wave or a run."""
    found = {_IN_CHARGE.get(point, InCharge.UNKNOWN) for point in points}
    if InCharge.UNKNOWN in found:
        return InCharge.UNKNOWN
    return found.pop() if len(found) == 1 else InCharge.MIXED


WHAT_IS_RIGHT: dict[Point, str] = {
    Point.WAITS: (
        "No PUT has taken effect: the source is in charge, and the application may write there. It can still be called off: `skip` for "
        "one, `reject` for a wave, `pause` or `abort` for all."
    ),
    Point.PREPARED: (
        "No PUT has taken effect: the source is in charge, though `before` hooks have stopped the application. It can still be called "
        "off: `skip` and `abort` run the `after_failure` hooks, which undo what `before` did."
    ),
    Point.NOT_CUT_OVER: "No PUT has taken effect: the source is in charge, and the application may write there.",
    Point.SENT: (
        "The PUT was sent, and nothing takes it back: let no writer return to the source, and send nothing by hand. Wait for its end, to "
        "which the run follows it."
    ),
    Point.DOUBT: (
        "A PUT may have taken effect: let no writer return to the source before it is known, and send nothing by hand. The job is read until it "
        "shows which. Once the timeout has passed, nobody reads it: look at it in the Atlas UI."
    ),
    Point.TIMED_OUT: (
        "Atlas accepted the cutover and has not ended it in time: let no writer return to the source, and watch it in the Atlas UI. No run "
        "follows it any more."
    ),
    Point.CUT_OVER: "It is cut over: the new cluster is in charge. Writers go there, and never back to the source.",
    Point.NOT_PROVEN: (
        "It is cut over and not proven good (yet): the new cluster is in charge. Mend what is wrong there; let no writer return to the source."
    ),
    Point.FAILED_AT_ATLAS: (
        "Atlas ended the cutover as FAILED: look at both clusters in the Atlas UI before any writer is let in anywhere. The run does nothing more to it."
    ),
}

_LEFT: dict[Point, str] = {
    Point.WAITS: (
        "No PUT has taken effect: the source is in charge, and the application may write there. No process works on the run, so none is sent "
        "until somebody continues it."
    ),
    Point.PREPARED: (
        "No PUT has taken effect: the source is in charge, though `before` hooks have stopped the application, and no process works on the run. "
        "`resume` goes on with it, or runs the `after_failure` hooks that undo that; `abort` of an interrupted run does not."
    ),
    Point.SENT: (
        "The PUT was sent, and nothing takes it back: let no writer return to the source, and send nothing by hand. No process works on the "
        "run: continue it, so that the cutover is followed to its end."
    ),
    Point.DOUBT: (
        "A PUT may have taken effect: let no writer return to the source before it is known, and send nothing by hand. No process works on the "
        "run, so nobody reads the job: look at it in the Atlas UI."
    ),
}
"""What differs there while no process works on the run."""

_OVER = (
    "No PUT has taken effect: the source is in charge, though `before` hooks have stopped the application. The run is over and runs no hook any "
    "more: look at the job in the Atlas UI, and unless somebody has cut it over meanwhile, let the application write to the source by hand."
)
"""What is right where hooks have stopped the application, and nobody goes on with the run."""


_TAKEN_OVER: dict[Point, str] = {
    Point.DOUBT: "A PUT may have taken effect: let no writer return to the source before it is known, and send nothing by hand.",
    Point.PREPARED: "No PUT of this run has taken effect, though `before` hooks have stopped the application.",
    Point.NOT_CUT_OVER: "No PUT of this run has taken effect.",
}
"""What is known of these in a run whose place another has taken, which goes on with them or has."""


def what_is_right(point: Point, *, goes_on: bool, over: bool = False, successor: str | None = None) -> str:
    """What is right to do at *point* of a run; *goes_on*: a process works on it; *over*: none ever will, and *successor* has taken its place, if that is one."""
    if over and successor is not None and point in _TAKEN_OVER:
        return f"{_TAKEN_OVER[point]} Run {successor} has taken this run's place, and may have cut it over since: look there who is in charge."
    if over and point is Point.PREPARED:
        return _OVER
    return WHAT_IS_RIGHT[point] if goes_on else _LEFT.get(point, WHAT_IS_RIGHT[point])


def point_of(state: MigrationState) -> Point:
    """Where the migration in *state* is."""
    match state.outcome:
        case Outcome.SUCCESS:
            return Point.CUT_OVER
        case Outcome.UNVERIFIED:
            return Point.NOT_PROVEN
        case Outcome.TIMED_OUT:
            return Point.TIMED_OUT
        case Outcome.IN_DOUBT:
            return Point.DOUBT
        case Outcome.FAILED if took_effect(state):
            return Point.FAILED_AT_ATLAS
    if state.phase is Phase.VERIFYING:
        return Point.NOT_PROVEN
    if state.phase in UNDER_WAY:
        return Point.DOUBT if state.phase is Phase.DOUBT else Point.SENT
    if may_be_anothers(state):
        return Point.DOUBT  # somebody else's PUT
    if state.prepared_since is not None:
        return Point.PREPARED
    return Point.WAITS if state.phase in BEFORE_THE_PUT and state.skipped is None else Point.NOT_CUT_OVER


def point_in(run: RunState, name: str) -> Point:
    """Where migration *name* of *run* is: hooks of its wave or of the run may have stopped its application, too, and a run may be over."""
    if run.missing and run.outcome_of(name) is Outcome.IN_DOUBT:
        return Point.DOUBT
    point = point_of(run.migrations[name])
    over = run.finished_at is not None and not run.recorded_unfinished
    if point is Point.SENT and over:
        return Point.DOUBT  # nobody follows it
    if point is not Point.WAITS:
        return point
    groups = (run.run_hooks, run.waves[run.wave_and_migration(name)[0].name].hooks)
    if any(hooks.down_since is not None for hooks in groups):
        return Point.PREPARED
    return Point.NOT_CUT_OVER if over else point


def took_effect(state: MigrationState) -> bool:
    """Whether a PUT for the job of a migration that FAILED may have taken effect: one that this run sent, or one of another's that was in doubt."""
    if state.requested_at is None:
        return state.doubted and state.not_begun_at is None
    return not state.came_to_nothing


def last_start(run: RunState, now: float) -> float | None:
    """The last moment (Unix seconds) at which a cutover of *run* may still start; None: it has no window, or none may start any more."""
    if run.workflow.window is None or run.stopped is not None:
        return None
    span = run.opening if _is_open(run.opening, now) else _next(run, now)
    return None if span is None else span.last_start


def _is_open(span: Span | None, now: float) -> bool:
    return span is not None and now < span.last_start


def _next(run: RunState, now: float) -> Span | None:
    window = run.workflow.window
    if window is None:
        return None
    return window.rehearsed(now) if run.rehearsal else window.span_at_or_after(now)
