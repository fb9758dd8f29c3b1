"""The report as facts: the fold of a run's events in the words of docs/report.md, schema version 1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..core.advice import Advice, advise, facts_of
from ..core.events import NOT_YET, HookFinished
from ..core.migration import Phase
from ..core.needs import INTERRUPTION, NEED_URGENCY, Need, needs
from ..core.no_return import SIDES, Point, Side, last_start, point_in, what_is_right
from ..core.outcomes import ExitCode, Outcome, RunOutcome
from ..core.outlook import outlook
from ..core.run import RunState
from ..core.standing import verdict
from ..core.times import cutover_seconds, downtime_seconds
from ..core.vars import Vars
from ..core.window import RecurringWindow, Span, window_in_words
from ..core.workflow import HookKind, Migration, Wave
from ..text.instants import iso
from .forecast import ForecastReport, report_forecast
from .percentiles import Statistics, statistics_of
from .steering import DecisionReport, report_steering

SCHEMA_VERSION = 1

OUTCOME_URGENCY = (
    *(kind for kind in NEED_URGENCY if isinstance(kind, Outcome) and kind is not Outcome.NOT_STARTED),
    Outcome.NOT_STARTED,
)
"""The outcomes other than SUCCESS, the most urgent first."""

OTHERS = (("Not started", Outcome.NOT_STARTED),)
"""Those that need nobody now, with the title that every format gives them."""

OUTPUT_AT_MOST = 4000  # characters of a failed hook's output
OUTPUT_OF_SUCCESS = 400  # characters of a good hook's output: 5,000 migrations may have one each
_OPENINGS_AT_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """One migration. Times are ISO 8601 in UTC; `core.times` says what *cutover_seconds* and *downtime_seconds* are.

    *phase*: how far it has come (`core.migration.Phase`); *outcome* is what that would mean, were the run to end now.
    *side*, *point*: where it is, seen from its point of no return (`core.no_return`).
    """

    name: str
    wave: str
    group_id: str
    live_migration_id: str
    outcome: Outcome
    remote_status: str | None
    error_message: str | None
    gate_waiting_since: str | None
    gate_opened_at: str | None
    requested_at: str | None
    accepted_at: str | None
    finished_at: str | None
    verified_at: str | None
    cutover_seconds: float | None
    downtime_seconds: float | None
    cutover_requests: int
    polls: int
    phase: Phase
    side: Side
    point: Point
    vars: Vars


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveReport:
    """One wave, its selected migrations counted by outcome."""

    name: str
    migrations: int
    counts: dict[str, int]
    started_at: str | None
    finished_at: str | None
    approved_by: str | None
    statistics: Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class HookReport:
    """One hook that was run. *output* is its end, at most 4,000 characters (400 where it ended well)."""

    hook: str
    wave: str | None
    migration: str | None
    argv: tuple[str, ...]
    exit_code: int | None
    seconds: float
    error: str | None
    output: str
    finished_at: str

    @property
    def ok(self) -> bool:
        """Whether the hook ended with 0, or is a `verify` hook that asked to be run again: that is no failure."""
        return self.exit_code == 0 or (self.hook == HookKind.VERIFY and self.exit_code == NOT_YET)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningReport:
    """One opening of the window. Cutovers start before *last_start*, which is *closes* without a reserve."""

    opens: str
    closes: str
    last_start: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReport:
    """The workflow's window: its *rule* in words, its *openings* during the run (else the next one; of a rehearsal its own last one).

    *over*: it does not open any more, so that the run cannot start anything it has not started. *timezone*: in which the workflow gives it,
    such as `Europe/Berlin`; None: it gives instants.
    """

    rule: str
    timezone: str | None
    openings: tuple[OpeningReport, ...]
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PointReport:
    """A *point* where some migrations are, which *side* of no return that is, *what_is_right* to do there, and their *names*."""

    side: Side
    point: Point
    what_is_right: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Migrations that ended alike: the same *outcome* other than SUCCESS, the same *message*."""

    outcome: Outcome
    message: str
    migrations: tuple[MigrationReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The whole report; `json_.document` makes report.json of it.

    Attributes:
        unfinished: `resume` would go on with something.
        hooks_left: `after_…` hooks are among it.
        sessions: How many processes worked on the run.
        forecast: Made when the run began, with what became of it.
        outlook: Of what is left of a run under way, made now.
        holder: The process that works on the run now: all of this says how it stands, not how it ended. None: nobody does.
        interrupted: The run's process has ended without recording why: *outcome* and *exit_code* are what it would have come to, and nobody has seen them.
        events_missing: Why events of it may not be known here, PUTs among them, so that *outcome* and *exit_code* are what is left of it; None: all are.
        stands: How the run stands then, in a word or two.
        last_start: The last moment at which a cutover may still start; None: there is no window, or none may.
    """

    run_id: str
    workflow: str
    workflow_sha256: str
    base_url: str
    rehearsal: bool
    started_at: str | None
    finished_at: str | None
    duration_seconds: float
    outcome: RunOutcome
    exit_code: int
    unfinished: bool
    hooks_left: bool
    stopped: str | None
    aborted_by: str | None
    successor: str | None
    too_many_failures: bool
    who: str
    version: str
    sessions: int
    window: WindowReport | None
    forecast: ForecastReport | None
    outlook: ForecastReport | None
    totals: dict[str, int]
    statistics: Statistics
    last_start: str | None
    point_of_no_return: tuple[PointReport, ...]
    waves: tuple[WaveReport, ...]
    migrations: tuple[MigrationReport, ...]
    hooks: tuple[HookReport, ...]
    steering: tuple[DecisionReport, ...]
    requests: dict[str, Any]
    advice: Advice
    needs: tuple[Need, ...]
    holder: str | None
    interrupted: bool
    events_missing: str | None
    stands: str | None

    def names_of_vars(self) -> list[str]:
        """The names of all variables that any of the migrations has, in the order of the workflow."""
        return list(dict.fromkeys(name for m in self.migrations for name in m.vars.names))

    def problems(self) -> list[Problem]:
        """The migrations that ended without SUCCESS, the most urgent outcome first, those of one outcome and message together."""
        groups: dict[tuple[int, str], list[MigrationReport]] = {}
        for m in self.migrations:
            if m.outcome is not Outcome.SUCCESS and (self.holder is None or m.phase is Phase.FINISHED):
                groups.setdefault((OUTCOME_URGENCY.index(m.outcome), m.error_message or ""), []).append(m)
        found = sorted(groups.items(), key=lambda item: item[0][0])
        return [
            Problem(outcome=OUTCOME_URGENCY[rank], message=message, migrations=tuple(members))
            for (rank, message), members in found
        ]

    def other_problems(self) -> list[tuple[str, list[Problem]]]:
        """`problems` that are not among `needs`, under the titles of `OTHERS`, those without any left out."""
        problems = self.problems()
        kinds = ((title, [p for p in problems if p.outcome is outcome]) for title, outcome in OTHERS)
        return [(title, found) for title, found in kinds if found]

    def failed_hooks(self) -> list[HookReport]:
        """The hooks that did not end with 0."""
        return [hook for hook in self.hooks if not hook.ok]


def build(
    state: RunState,
    *,
    now: float,
    exit_code: ExitCode | None = None,
    holder: str | None = None,
    silent: float | None = None,
) -> RunReport:
    """The report of *state*.

    Args:
        state: The fold of the run's events.
        now: Unix seconds; stands in for the end of a run that has none yet.
        exit_code: What the process ends with; None: what was recorded, else what the outcome says.
        holder: The process that works on the run now; None: nobody does.
        silent: Since when (Unix seconds) that gives no sign of life.
    """
    facts = facts_of(state, now, goes_on=holder is not None)
    interrupted = holder is None and exit_code is None and state.finished_at is None
    end = state.finished_at or now
    start = end if state.started_at is None else state.started_at
    migrations = tuple(report_migration(state, wave, migration) for wave, migration in state.rows())
    by_wave: dict[str, list[MigrationReport]] = {}
    for m in migrations:
        by_wave.setdefault(m.wave, []).append(m)
    return RunReport(
        run_id=state.run_id,
        workflow=_text(state.workflow.name),
        workflow_sha256=state.workflow.sha256,
        base_url=_text(state.base_url),
        rehearsal=state.rehearsal,
        started_at=_iso(state.started_at),
        finished_at=_iso(state.finished_at),
        duration_seconds=round(max(0.0, end - start), 3),
        outcome=state.outcome(),
        exit_code=_exit_code(state, exit_code),
        unfinished=facts.unfinished,
        hooks_left=facts.hooks_left,
        stopped=_text_or_none(state.stopped),
        aborted_by=_text_or_none(state.aborted_by),
        successor=state.successor,
        too_many_failures=facts.too_many_failures,
        who=_text(state.who),
        version=_text(state.version),
        sessions=state.sessions,
        window=report_window(state, now),
        forecast=report_forecast(state.forecast, state, rehearsal=state.rehearsal),
        outlook=report_forecast(outlook(state, now), rehearsal=state.rehearsal)
        if holder is not None and silent is None
        else None,
        totals={"migrations": len(migrations), **{str(outcome): facts.totals.get(outcome, 0) for outcome in Outcome}},
        statistics=_statistics(migrations),
        last_start=_iso(last_start(state, now)) if facts.unfinished else None,
        point_of_no_return=_points(
            migrations, goes_on=holder is not None, over=not facts.unfinished, successor=state.successor
        ),
        waves=tuple(
            _wave(state, wave, by_wave[_text(wave.name)])
            for wave in state.workflow.waves
            if _text(wave.name) in by_wave
        ),
        migrations=migrations,
        hooks=tuple(report_hook(hook) for hook in state.finished_hooks),
        steering=report_steering(state.steering, text=_text),
        requests=state.request_statistics(),
        advice=_advice(advise(facts), goes_on=holder is not None),
        needs=tuple(
            _need(need)
            for need in needs(state, now, holder=holder, silent=silent)
            if interrupted or need.kind != INTERRUPTION
        ),
        holder=_text_or_none(holder),
        interrupted=interrupted,
        events_missing=_text_or_none(state.missing or None),
        stands=None if holder is None else verdict(state, silent=silent is not None),
    )


def _iso(at: float | None) -> str | None:
    return None if at is None else iso(at)


def _exit_code(state: RunState, given: ExitCode | None) -> int:
    if state.missing and state.outcome() is RunOutcome.IN_DOUBT:
        return int(state.exit_code())  # whatever the session ended with that is the last to be known
    if given is not None:
        return int(given)
    return int(state.exit_code()) if state.recorded_exit_code is None else state.recorded_exit_code


def report_migration(state: RunState, wave: Wave, migration: Migration) -> MigrationReport:
    """How *migration* of *wave* stands, were the run to end now."""
    known = state.migrations[migration.name]
    result = state.result(migration.name)
    point = point_in(state, migration.name)
    return MigrationReport(
        name=_text(migration.name),
        wave=_text(wave.name),
        group_id=migration.group_id,
        live_migration_id=migration.live_migration_id,
        outcome=result.outcome,
        remote_status=_text_or_none(known.remote_status),
        error_message=_text_or_none(result.error_message),
        gate_waiting_since=_iso(known.gate_since),
        gate_opened_at=_iso(known.gate_opened_at),
        requested_at=_iso(known.requested_at),
        accepted_at=_iso(known.accepted_at),
        finished_at=_iso(known.finished_at if known.ended_at is None else known.ended_at),
        verified_at=_iso(known.verified_at),
        cutover_seconds=_rounded(cutover_seconds(known)),
        downtime_seconds=_rounded(downtime_seconds(known, migration.hooks)),
        cutover_requests=known.cutover_requests,
        polls=known.polls,
        phase=known.phase,
        side=SIDES[point],
        point=point,
        vars=migration.vars,
    )


def _points(
    migrations: tuple[MigrationReport, ...], *, goes_on: bool, over: bool, successor: str | None
) -> tuple[PointReport, ...]:
    names: dict[Point, list[str]] = {}
    for migration in migrations:
        names.setdefault(migration.point, []).append(migration.name)
    return tuple(
        PointReport(
            side=SIDES[point],
            point=point,
            what_is_right=what_is_right(point, goes_on=goes_on, over=over, successor=successor),
            names=tuple(names[point]),
        )
        for point in Point
        if point in names
    )


def _wave(state: RunState, wave: Wave, members: list[MigrationReport]) -> WaveReport:
    known = state.waves[wave.name]
    return WaveReport(
        name=_text(wave.name),
        migrations=len(members),
        counts=state.outcomes_of(wave),
        started_at=_iso(known.first_started_at),
        finished_at=_iso(known.finished_at),
        approved_by=_text_or_none(known.approved_by),
        statistics=_statistics(members),
    )


def _statistics(members: tuple[MigrationReport, ...] | list[MigrationReport]) -> Statistics:
    return statistics_of(
        [m.cutover_seconds for m in members if m.cutover_seconds is not None],
        [m.downtime_seconds for m in members if m.downtime_seconds is not None],
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _advice(advice: Advice, *, goes_on: bool) -> Advice:
    """*goes_on*: a process works on the run, which nobody else can continue then."""
    return Advice(
        command=None if goes_on else _text_or_none(advice.command),
        condition=None if goes_on else _text_or_none(advice.condition),
        outcomes={outcome: _text(text) for outcome, text in advice.outcomes.items()},
    )


def _need(need: Need) -> Need:
    return replace(
        need,
        what=_text(need.what),
        said=_text(need.said),
        expiry=_text(need.expiry),
        to_do=_text(need.to_do),
        wave=_text_or_none(need.wave),
        command=_text_or_none(need.command),
        about=tuple(replace(each, name=_text(each.name), wave=_text(each.wave)) for each in need.about),
    )


def report_hook(hook: HookFinished) -> HookReport:
    """How *hook* ended."""
    return HookReport(
        hook=hook.hook,
        wave=_text_or_none(hook.wave),
        migration=_text_or_none(hook.migration),
        argv=tuple(_text(word) for word in hook.argv),
        exit_code=hook.exit_code,
        seconds=round(hook.seconds, 3),
        error=_text_or_none(hook.error),
        output=_text(hook.output)[-(OUTPUT_OF_SUCCESS if hook.ok else OUTPUT_AT_MOST) :],
        finished_at=iso(hook.at),
    )


def report_window(state: RunState, now: float) -> WindowReport | None:
    """The window of the run as it is at *now* (Unix seconds); None: there is none."""
    window = state.workflow.window
    end = state.finished_at or now
    start = end if state.started_at is None else state.started_at
    if window is None:
        return None
    rule = window_in_words(window)
    zone = window.timezone if isinstance(window, RecurringWindow) else None
    if state.rehearsal:
        rule += "; this rehearsal did not wait for it, its window opened at once, for as long as the real one"
        last = () if state.opening is None else (_opening(state.opening),)
        return WindowReport(rule=rule, timezone=zone, openings=last, over=False)
    openings: list[OpeningReport] = []
    span = window.span_at_or_after(start)
    while span is not None and len(openings) < _OPENINGS_AT_MOST and (not openings or span.opens < end):
        openings.append(_opening(span))
        span = window.span_at_or_after(span.closes)
    return WindowReport(rule=rule, timezone=zone, openings=tuple(openings), over=state.window_over(now))


def _opening(span: Span) -> OpeningReport:
    return OpeningReport(opens=iso(span.opens), closes=iso(span.closes), last_start=iso(span.last_start))


def _text(text: str) -> str:
    """*text* without lone surrogates, which JSON from Atlas may hold and no file can."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _text_or_none(text: str | None) -> str | None:
    return None if text is None else _text(text)
