"""`plan`: what a run would do, and when it will have done it. Nothing is sent or written."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..core.arguments import moment
from ..core.errors import BusyError, InputError, JournalError
from ..core.forecast import Forecast
from ..core.forecast_words import in_sentences, no_history
from ..core.history import History
from ..core.readiness import SOON, Expiring, FirstSeen, expiring
from ..core.settings import Settings
from ..core.window import Span, why_over
from ..core.workflow import Gate, HookKind, Hooks, Wave, Workflow
from ..store.journal import journal_in, open_journal
from ..text.durations import format_duration
from ..text.instants import in_words
from .find import settings_or_usual, workflow_given
from .forecasting import history_of, least_seconds, make_forecast
from .foresight import foresee_going_on
from .options import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One cutover that would be requested."""

    migration: str
    group_id: str
    live_migration_id: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePlan:
    """One wave: *concurrency* cutovers at once, in *projects* projects, its PUTs leaving in *shortest_seconds* at best.

    *gates*, *timeouts*: in words, with how many of its migrations have which where they differ. *hooks*: each list of commands, as
    `before: ./stop.sh`, those around the wave as `wave before: ...`.
    """

    name: str
    migrations: int
    concurrency: int
    max_failures: int | None
    approval: bool
    approval_timeout: float | None
    soak: float
    projects: int
    shortest_seconds: float
    gates: tuple[str, ...]
    timeouts: tuple[str, ...]
    hooks: tuple[str, ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """The unfinished run that `run` would continue, and what that would still do: names of migrations, as in `core.consent`.

    *refusal*: why it would not, and the ways on.
    """

    run_id: str | None
    starts: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole run."""

    workflow: str
    """Its name."""
    base_url: str
    migrations: int
    """How many."""
    shortest_seconds: float
    """From the first request to the last PUT, by the request budget alone."""
    opening: Span | None
    """Of its window, the one in which it would begin; None: there is none."""
    fits_window: bool | None
    """Whether all fits into that; None: there is no window, or nothing that tells."""
    forecast: Forecast | None
    """None: there is nothing to make one of."""
    expiring: tuple[Expiring, ...]
    """Jobs that Atlas lets expire before that opening closes (within a day, where there is none), by when the journal saw them ready."""
    notes: tuple[str, ...]
    """What else there is to say of it, in words."""
    run_hooks: tuple[str, ...]
    """Those around the run, each list as `before: ./stop.sh`."""
    goes_on: GoingOn | None
    """The run that it would continue; None: it would be a new one."""
    waves: tuple[WavePlan, ...]


def plan(workflow: Workflow, settings: Settings | None = None, *, now: float | None = None) -> Plan:
    """The plan for *workflow* under *settings*.

    Args:
        workflow: What is to be cut over.
        settings: Where, and how fast; None: what environment and defaults say.
        now: Unix seconds; it tells which opening of a recurring window is next. None: now.

    Raises:
        InputError: One of them is something else, or what the environment says cannot be.
    """
    workflow_given(workflow)
    settings = settings_or_usual(settings)
    now = time.time() if now is None else moment("now", now)
    least = least_seconds(workflow, settings)
    seconds = sum(least.values())
    opening = None if workflow.window is None else workflow.window.span_at_or_after(now)
    goes_on = _going_on(workflow, settings, now)
    known = _journaled(workflow, settings)
    expected = _forecast(workflow, settings, known, goes_on, now)
    closes = None if opening is None else opening.closes
    over_soon = expiring(workflow, known.first_seen, until=now + SOON if closes is None else closes)
    return Plan(
        workflow=workflow.name,
        base_url=settings.atlas.base_url,
        migrations=sum(len(wave.migrations) for wave in workflow.waves),
        shortest_seconds=seconds,
        opening=opening,
        fits_window=_fits(workflow, opening, expected, seconds, now),
        forecast=expected,
        expiring=over_soon,
        notes=(
            *_window_notes(workflow, opening),
            *(_why_no_forecast(workflow, settings, known, now) if expected is None else in_sentences(expected)),
            _budget_note(settings),
            *_budget_notes(opening, seconds, now),
        ),
        run_hooks=_hooks(workflow.hooks),
        goes_on=goes_on,
        waves=tuple(_wave_plan(wave, settings, least[wave.name]) for wave in workflow.waves),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Journaled:
    """What the journal knows: the *history* of cutovers, when jobs were *first_seen* ready; *error*: why it cannot be read."""

    history: History
    first_seen: FirstSeen
    error: str | None = None


def _journaled(workflow: Workflow, settings: Settings) -> _Journaled:
    nothing = _Journaled(history=History(by=workflow.forecast_by), first_seen={})
    try:
        if not journal_in(settings.state_dir):
            return nothing
        with open_journal(settings.state_dir, readonly=True) as journal:
            history = history_of(journal, workflow, rehearsal=False)
            return _Journaled(history=history, first_seen=journal.first_seen_ready())
    except JournalError as error:
        return replace(nothing, error=str(error))


def _forecast(
    workflow: Workflow, settings: Settings, known: _Journaled, goes_on: GoingOn | None, now: float
) -> Forecast | None:
    """The forecast of what would be done."""
    left = None if goes_on is None or goes_on.run_id is None else goes_on
    selected = workflow.names() if left is None else {*left.starts, *left.repeats, *left.follows}
    return make_forecast(workflow, selected, settings, known.history, now=now, rehearsal=False)


def _why_no_forecast(workflow: Workflow, settings: Settings, known: _Journaled, now: float) -> Iterable[str]:
    if known.error is not None:
        yield f"no forecast: {known.error}"
    elif not known.history.count and not workflow.window_over(now):
        yield no_history(str(settings.state_dir))


def _fits(
    workflow: Workflow, opening: Span | None, expected: Forecast | None, seconds: float, now: float
) -> bool | None:
    if workflow.window is None:
        return None
    if opening is None or max(opening.opens, now) + seconds >= opening.last_start:
        return False
    return None if expected is None else expected.fits


def _wave_plan(wave: Wave, settings: Settings, seconds: float) -> WavePlan:
    base = settings.atlas.base_url
    return WavePlan(
        name=wave.name,
        migrations=len(wave.migrations),
        concurrency=min(wave.concurrency or len(wave.migrations), len(wave.migrations)),
        max_failures=wave.max_failures,
        approval=wave.approval,
        approval_timeout=wave.approval_timeout,
        soak=wave.soak,
        projects=len({migration.group_id for migration in wave.migrations}),
        shortest_seconds=seconds,
        gates=_counted(_gate(m.gate) for m in wave.migrations),
        timeouts=_counted(format_duration(m.timeout) for m in wave.migrations),
        hooks=(
            *dict.fromkeys(line for m in wave.migrations for line in _hooks(m.hooks)),
            *(f"wave {line}" for line in _hooks(wave.hooks)),
        ),
        calls=tuple(
            Call(
                migration=m.name,
                group_id=m.group_id,
                live_migration_id=m.live_migration_id,
                request=f"PUT {base}/groups/{m.group_id}/liveMigrations/{m.live_migration_id}/cutover",
            )
            for m in wave.migrations
        ),
    )


def _counted(words: Iterable[str]) -> tuple[str, ...]:
    """Each of *words* once, with how many there are of it where they differ."""
    counts = Counter(words)
    return tuple(word if len(counts) == 1 else f"{word} ({count})" for word, count in counts.items())


def _gate(gate: Gate | None) -> str:
    if gate is None:
        return "off"
    return f"ready, lag at most {format_duration(gate.max_lag)}, waits {format_duration(gate.timeout)}"


def _hooks(hooks: Hooks) -> tuple[str, ...]:
    lists = {kind: hooks.of(kind) for kind in HookKind}
    took = f" (each at most {format_duration(hooks.timeout)})"
    return tuple(
        f"{name}: {'; '.join(shlex.join(argv) for argv in argvs)}{took}" for name, argvs in lists.items() if argvs
    )


def _going_on(workflow: Workflow, settings: Settings, now: float) -> GoingOn | None:
    try:
        intention = foresee_going_on(workflow, settings, Options(engine=settings.engine), now=now)
    except (BusyError, InputError, JournalError) as error:
        return GoingOn(run_id=None, refusal=str(error))
    if intention is None:
        return None
    return GoingOn(
        run_id=intention.run_id, starts=intention.starts, repeats=intention.repeats, follows=intention.follows
    )


def _budget_note(settings: Settings) -> str:
    limit = settings.rate_limit
    scope = "project" if limit.scope == "group" else "account"
    return f"request budget: {limit.requests} in {format_duration(limit.per)}, burst {limit.burst}, per {scope}"


def _window_notes(workflow: Workflow, opening: Span | None) -> Iterable[str]:
    if workflow.window is None:
        return
    if opening is None:
        yield f"{why_over(workflow.window)}: no cutover would start"
        return
    reserve = opening.closes - opening.last_start
    before = f" (no cutover starts in its last {format_duration(reserve)})" if reserve else ""
    yield f"window: {in_words(opening.opens)} to {in_words(opening.closes)}"
    yield f"the last moment at which a cutover may start: {in_words(opening.last_start)}{before}"


def _budget_notes(opening: Span | None, seconds: float, now: float) -> Iterable[str]:
    if not seconds:
        yield "the requests alone take no time: the budget lets all of them leave at once"
        return
    shown = format_duration(round(seconds))
    yield f"the requests alone take {shown}, at least"
    if opening is not None and max(opening.opens, now) + seconds >= opening.last_start:
        yield "the requests alone do NOT fit the window: spread the migrations over more nights, or projects"
