"""Events of every kind, made by hypothesis from the types of their fields."""

from __future__ import annotations

from typing import Any, get_type_hints

from hypothesis import strategies as st

from orchestrator.core.event_json import EVENTS
from orchestrator.core.events import Event, Evidence, RunFinished
from orchestrator.core.forecast import Forecast, Spread, WaveForecast
from orchestrator.core.history import History, Took
from orchestrator.core.outcomes import ExitCode, Outcome, RunOutcome
from orchestrator.core.window import Span, Window
from orchestrator.core.workflow import HookKind, Workflow

from .workflowstrategies import windows, workflows

text = st.text(max_size=12)
number = st.floats(-1e9, 1e9)
moments = st.floats(0.0, 4e9)
counts = st.dictionaries(text, st.integers(0, 10**9), max_size=3)
points = st.lists(number, max_size=3).map(tuple)
took = st.builds(
    Took, kind=st.none() | text, count=st.integers(0, 999), cutovers=points, downtimes=points, slots=points
)
spread = st.builds(Spread, number, number)
instants = st.builds(Spread, moments, moments)
forecasts = st.builds(
    Forecast,
    made_at=moments,
    begins=moments,
    span=st.none() | st.builds(Span, opens=moments, closes=moments, last_start=moments),
    history=st.builds(
        History,
        by=st.none() | text,
        runs=st.integers(0, 9),
        unreadable=st.integers(0, 9),
        every=st.none() | took,
        kinds=st.lists(took, max_size=2).map(tuple),
    ),
    unseen=st.lists(text, max_size=2).map(tuple),
    waves=st.lists(
        st.builds(
            WaveForecast,
            name=text,
            migrations=st.integers(1, 99),
            approvals=st.integers(0, 3),
            starts=instants,
            last_start=instants,
            ends=instants,
            took=spread,
            fits=st.none() | st.booleans(),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
)
sent = st.fixed_dictionaries({"total": st.integers(0, 999), "by_status": counts, "retries": st.integers(0, 9)})
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: text,
    str | None: st.none() | text,
    float: number,
    float | None: st.none() | number,
    int: st.integers(-(2**53), 2**53),
    int | None: st.none() | st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    bool | None: st.none() | st.booleans(),
    tuple[str, ...]: st.lists(text, max_size=3).map(tuple),
    tuple[str, ...] | None: st.none() | st.lists(text, max_size=3).map(tuple),
    dict[str, int]: counts,
    dict[str, Any]: st.just({}) | sent,
    Window | None: windows,
    Workflow: workflows,
    Forecast: forecasts,
    Evidence: st.sampled_from(Evidence),
    Outcome: st.sampled_from(Outcome),
    RunOutcome: st.sampled_from(RunOutcome),
}


BY_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "at": moments,
    "argv": st.lists(text, min_size=1, max_size=3).map(tuple),
    "hook": st.sampled_from(HookKind).map(str),
}


def events_of(cls: type[Event]) -> st.SearchStrategy[Event]:
    """Events of class *cls*."""
    hints = get_type_hints(cls)
    fields: dict[str, st.SearchStrategy[Any]] = {
        name: BY_FIELD[name] if name in BY_FIELD else BY_TYPE[kind]
        for name, kind in hints.items()
        if name not in ("name", "journaled")
    }
    if cls is RunFinished:
        fields["exit_code"] = st.sampled_from(ExitCode).map(int)
    return st.builds(cls, **fields)


any_event = st.one_of([events_of(cls) for cls in EVENTS.values()])
