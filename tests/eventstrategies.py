"""Events of every kind, made by hypothesis from the types of their fields."""

from __future__ import annotations

from typing import Any, get_type_hints

from hypothesis import strategies as st

from orchestrator.core.event_json import EVENTS
from orchestrator.core.events import Event, Evidence
from orchestrator.core.forecast import Forecast, Spread, WaveForecast
from orchestrator.core.history import History, Took
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.window import Span, Window
from orchestrator.core.workflow import Workflow

from .workflowstrategies import windows, workflows

text = st.text(max_size=12)
number = st.floats(allow_nan=False, allow_infinity=False)
counts = st.dictionaries(text, st.integers(0, 10**9), max_size=3)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
points = st.lists(number, max_size=3).map(tuple)
took = st.builds(
    Took, kind=st.none() | text, count=st.integers(0, 999), cutovers=points, downtimes=points, slots=points
)
spread = st.builds(Spread, number, number)
forecasts = st.builds(
    Forecast,
    made_at=number,
    begins=number,
    span=st.none() | st.builds(Span, opens=number, closes=number, last_start=number),
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
            starts=spread,
            last_start=spread,
            ends=spread,
            took=spread,
            fits=st.none() | st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
)
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
    dict[str, Any]: st.dictionaries(text, plain, max_size=3),
    Window | None: windows,
    Workflow: workflows,
    Forecast: forecasts,
    Evidence: st.sampled_from(Evidence),
    Outcome: st.sampled_from(Outcome),
    RunOutcome: st.sampled_from(RunOutcome),
}


def events_of(cls: type[Event]) -> st.SearchStrategy[Event]:
    """Events of class *cls*."""
    hints = get_type_hints(cls)
    fields: dict[str, st.SearchStrategy[Any]] = {
        name: BY_TYPE[kind] for name, kind in hints.items() if name not in ("name", "journaled")
    }
    return st.builds(cls, **fields)


any_event = st.one_of([events_of(cls) for cls in EVENTS.values()])
