"""`plan`: what a run would do, and how fast it could at best. Nothing is sent or written."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..core.errors import InputError, JournalError
from ..core.settings import Settings
from ..core.window import why_over
from ..core.workflow import Gate, Hooks, Wave, Workflow
from ..text.durations import format_duration
from .foresight import foresee_going_on
from .options import Options

REQUESTS_PER_CUTOVER = 2
"""At least: one read before the PUT, and the PUT. Reads that follow it come on top."""


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
    """The whole run. *shortest_seconds*: from the first request to the last PUT, by the request budget alone.

    *run_hooks*: those around it. *goes_on*: None: it would be a new one.
    """

    workflow: str
    base_url: str
    migrations: int
    shortest_seconds: float
    fits_window: bool | None
    notes: tuple[str, ...]
    run_hooks: tuple[str, ...]
    goes_on: GoingOn | None
    waves: tuple[WavePlan, ...]


def plan(workflow: Workflow, settings: Settings, *, now: float | None = None) -> Plan:
    """The plan for *workflow* under *settings*.

    Args:
        workflow: What is to be cut over.
        settings: Where, and how fast.
        now: Unix seconds; it tells which opening of a recurring window is next. None: now.
    """
    now = time.time() if now is None else now
    waves: list[WavePlan] = []
    used: Counter[str] = Counter()
    elapsed = 0.0
    for wave in workflow.waves:
        scopes = _requests_by_scope(wave, settings)
        used.update(scopes)
        # Tokens are spent from the start of the run on: the fullest bucket decides when this wave's last PUT can leave.
        earliest = max((_seconds(used[scope], settings) for scope in scopes), default=0.0)
        waves.append(_wave_plan(wave, settings, max(0.0, earliest - elapsed)))
        elapsed = max(elapsed, earliest)
    notes, fits = _window_notes(workflow, elapsed, now)
    return Plan(
        workflow=workflow.name,
        base_url=settings.atlas.base_url,
        migrations=sum(wave.migrations for wave in waves),
        shortest_seconds=elapsed,
        fits_window=fits,
        notes=(
            _budget_note(settings),
            f"shortest possible time for the requests alone: {format_duration(round(elapsed))}"
            if elapsed
            else "the request budget delays nothing",
            *notes,
        ),
        run_hooks=_hooks(workflow.hooks),
        goes_on=_going_on(workflow, settings, now),
        waves=tuple(waves),
    )


def _wave_plan(wave: Wave, settings: Settings, seconds: float) -> WavePlan:
    base = settings.atlas.base_url
    return WavePlan(
        name=wave.name,
        migrations=len(wave.migrations),
        concurrency=min(wave.concurrency or len(wave.migrations), len(wave.migrations)),
        max_failures=wave.max_failures,
        approval=wave.approval,
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
    lists = {"before": hooks.before, "after_success": hooks.after_success, "after_failure": hooks.after_failure}
    took = f" (each at most {format_duration(hooks.timeout)})"
    return tuple(
        f"{name}: {'; '.join(shlex.join(argv) for argv in argvs)}{took}" for name, argvs in lists.items() if argvs
    )


def _going_on(workflow: Workflow, settings: Settings, now: float) -> GoingOn | None:
    try:
        intention = foresee_going_on(workflow, settings, Options(), now=now)
    except (InputError, JournalError) as error:
        return GoingOn(run_id=None, refusal=str(error))
    if intention is None:
        return None
    return GoingOn(
        run_id=intention.run_id, starts=intention.starts, repeats=intention.repeats, follows=intention.follows
    )


def _requests_by_scope(wave: Wave, settings: Settings) -> Counter[str]:
    by_project = Counter(migration.group_id for migration in wave.migrations)
    if settings.rate_limit.scope == "account":
        return Counter({"account": REQUESTS_PER_CUTOVER * sum(by_project.values())})
    return Counter({project: REQUESTS_PER_CUTOVER * count for project, count in by_project.items()})


def _seconds(requests: int, settings: Settings) -> float:
    limit = settings.rate_limit
    return max(0.0, (requests - limit.burst) * limit.per / limit.requests)


def _budget_note(settings: Settings) -> str:
    limit = settings.rate_limit
    scope = "project" if limit.scope == "group" else "account"
    return f"request budget: {limit.requests} in {format_duration(limit.per)}, burst {limit.burst}, per {scope}"


def _window_notes(workflow: Workflow, seconds: float, now: float) -> tuple[list[str], bool | None]:
    if workflow.window is None:
        return [], None
    span = workflow.window.span_at_or_after(now)
    if span is None:
        return [f"{why_over(workflow.window)}: no cutover would start"], False
    opens, closes = (datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M UTC") for t in (span.opens, span.closes))
    left = span.last_start - max(span.opens, now)
    reserve = span.closes - span.last_start
    before = f", no cutover starts in its last {format_duration(reserve)}" if reserve else ""
    fits = seconds <= left
    verdict = "fit" if fits else "do NOT fit"
    note = (
        f"window: {opens} to {closes}{before}; cutovers may start for {format_duration(round(left))} from now on or its opening: "
        f"the requests {verdict}"
    )
    return [note], fits
