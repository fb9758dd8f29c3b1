"""A forecast from what earlier runs of the journal took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from ..core.errors import JournalError
from ..core.events import CutoverAccepted
from ..core.forecast import Forecast, forecast
from ..core.history import History
from ..core.outlook import kind_of, loads_of, past_cutovers
from ..core.run import fold
from ..core.settings import Settings
from ..core.workflow import Wave, Workflow
from ..store.journal import Journal

CUTOVERS_AT_MOST = 2000
"""The newest runs are read until there are so many cutovers: what a year ago took says little, and a journal may be large."""

RUNS_AT_MOST = 100

REQUESTS_PER_CUTOVER = 2
"""At least: one read before the PUT, and the PUT. Reads that follow it come on top."""


def make_forecast(
    workflow: Workflow, selected: Collection[str], settings: Settings, history: History, *, now: float, rehearsal: bool
) -> Forecast | None:
    """When the waves of a run of *workflow* that begins *now* will have ended; None: there is no *history* to judge by."""
    window = workflow.window
    if window is None:
        span = None
    else:
        span = window.rehearsed(now) if rehearsal else window.span_at_or_after(now)
        if span is None:
            return None  # it opens no more
    return forecast(
        loads_of(workflow, selected, least_seconds(workflow, settings)),
        history.only(kind_of(workflow.forecast_by)(m.vars) for _, m in workflow.migrations()),
        made_at=now,
        begins=now if span is None else max(now, span.opens),
        span=span,
    )


def history_of(journal: Journal, workflow: Workflow, *, rehearsal: bool) -> History:
    """What *journal* knows of earlier runs, real ones, or rehearsals.

    A run whose events cannot be read is left out and counted: no other run is to fail for it.
    """
    history = History(by=workflow.forecast_by)
    for row in journal.runs_with(CutoverAccepted, rehearsal=rehearsal, limit=RUNS_AT_MOST):
        if history.count >= CUTOVERS_AT_MOST:
            break
        try:
            run = fold(row.run_id, (event for _, event in journal.events(row.run_id)))
        except JournalError:
            history = history.with_more((), unreadable=1)
            continue
        if pasts := past_cutovers(run, workflow.forecast_by):
            history = history.with_more(pasts, runs=1)
    return history


def least_seconds(workflow: Workflow, settings: Settings) -> dict[str, float]:
    """Seconds that the request budget alone holds each wave's last PUT back, from the end of the wave before it."""
    found: dict[str, float] = {}
    used: Counter[str] = Counter()
    elapsed = 0.0
    for wave in workflow.waves:
        scopes = _requests_by_scope(wave, settings)
        used.update(scopes)
        # Tokens are spent from the start of the run on: the fullest bucket decides when this wave's last PUT can leave.
        earliest = max((_seconds(used[scope], settings) for scope in scopes), default=0.0)
        found[wave.name] = max(0.0, earliest - elapsed)
        elapsed = max(elapsed, earliest)
    return found


def _requests_by_scope(wave: Wave, settings: Settings) -> Counter[str]:
    by_project = Counter(migration.group_id for migration in wave.migrations)
    if settings.rate_limit.scope == "account":
        return Counter({"account": REQUESTS_PER_CUTOVER * sum(by_project.values())})
    return Counter({project: REQUESTS_PER_CUTOVER * count for project, count in by_project.items()})


def _seconds(requests: int, settings: Settings) -> float:
    limit = settings.rate_limit
    return max(0.0, (requests - limit.burst) * limit.per / limit.requests)
