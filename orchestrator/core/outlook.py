"""What of a workflow, or of a run under way, is still to be done, as a forecast wants to know it; and what a run's own cutovers took. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping

from .forecast import Forecast, Load, forecast
from .history import History, Past
from .migration import BEFORE_THE_PUT, UNDER_WAY, MigrationState, Phase
from .outcomes import CUT_OVER
from .run import RunState
from .times import cutover_seconds, downtime_seconds, slot_seconds
from .vars import Vars, variable_key
from .wave_state import WaveState
from .window import Span
from .workflow import Wave, Workflow


def kind_of(by: str | None) -> Callable[[Vars], str | None]:
    """What tells of a migration's variables which kind it is of: the value of *by*, in small or capital letters."""
    if by is None:
        return lambda _: None
    key = variable_key(by)
    return lambda given: next((value for name, value in given.items() if variable_key(name) == key), None)


def past_cutovers(run: RunState, by: str | None) -> list[Past]:
    """What the cutovers of *run* took that succeeded; *by*: the variable that tells their kinds apart.

    One that failed says nothing of how long a cutover takes.
    """
    kind = kind_of(by)
    found = []
    for wave, migration in run.workflow.migrations():
        state = run.migrations[migration.name]
        took = cutover_seconds(state) if state.outcome in CUT_OVER else None
        slot = slot_seconds(state, migration.hooks, soaks=wave.soak > 0)
        if took is not None and slot is not None:
            down = downtime_seconds(state, migration.hooks)
            found.append(Past(cutover=took, downtime=down, slot=slot, kind=kind(migration.vars)))
    return found


def loads_of(workflow: Workflow, selected: Container[str], least: Mapping[str, float]) -> Iterator[Load]:
    """What the waves of *workflow* have to do, of those that are *selected*; *least*: as in `Load`, by wave."""
    kind = kind_of(workflow.forecast_by)
    for wave in workflow.waves:
        kinds = Counter(kind(m.vars) for m in wave.migrations if m.name in selected)
        yield _load(wave, kinds, soak=wave.soak, approval=wave.approval, least=least.get(wave.name, 0.0))


def outlook(run: RunState, now: float) -> Forecast | None:
    """When the waves of *run*, on which somebody works, will have ended; None: there is nothing to judge by, or nothing left.

    Its own cutovers count like those of earlier runs.
    """
    by = run.workflow.forecast_by
    before = History(by=by) if run.forecast is None else run.forecast.history
    begins = max(now, run.window_opens or now, *(_soaks_until(wave) or now for wave in run.waves.values()))
    return forecast(
        _loads_left(run, now),
        before.with_own(past_cutovers(run, by)),
        made_at=now,
        begins=begins,
        span=_span(run, now),
    )


def _span(run: RunState, now: float) -> Span | None:
    if run.workflow.window is None:
        return None
    if run.opening is not None and now < run.opening.closes:
        return run.opening
    return run.workflow.window.rehearsed(now) if run.rehearsal else run.workflow.window.span_at_or_after(now)


def _loads_left(run: RunState, now: float) -> Iterator[Load]:
    kind = kind_of(run.workflow.forecast_by)
    for wave in run.workflow.waves:
        known = run.waves[wave.name]
        kinds: Counter[str | None] = Counter()
        since: list[float] = []
        for migration in wave.migrations:
            state = run.migrations[migration.name]
            if migration.name not in run.selected or not _is_left(run, migration.name, state):
                continue
            kinds[kind(migration.vars)] += 1
            if state.phase not in BEFORE_THE_PUT:
                since.append(now - _began(state, now))
        yield _load(
            wave,
            kinds,
            approval=wave.approval and not known.started and known.approved_by is None,
            elapsed=sum(since) / len(since) if since else 0.0,
            soak=0.0
            if _soaks_until(known) is not None
            else wave.soak,  # it has begun, and the night goes on no earlier than it ends
        )


def _soaks_until(wave: WaveState) -> float | None:
    """Until when *wave* soaks, or has; None: it has not begun, as it does after the cutovers that have not ended."""
    return None if wave.counts.waiting or wave.counts.under_way else wave.soak_until


def _is_left(run: RunState, name: str, state: MigrationState) -> bool:
    if state.phase in BEFORE_THE_PUT:
        return run.stopped is None and run.withdrawn(name) is None
    return state.phase in UNDER_WAY or state.phase is Phase.VERIFYING


def _began(state: MigrationState, now: float) -> float:
    if state.down_since is not None:
        return state.down_since
    return now if state.requested_at is None else state.requested_at


def _load(
    wave: Wave, kinds: Counter[str | None], *, soak: float, approval: bool, least: float = 0.0, elapsed: float = 0.0
) -> Load:
    return Load(
        name=wave.name,
        kinds=kinds,
        concurrency=wave.concurrency or max(1, len(wave.migrations)),
        soak=soak,
        verified_late=soak > 0 and any(m.hooks.verify for m in wave.migrations),
        approval=approval,
        least=least,
        elapsed=elapsed,
    )
