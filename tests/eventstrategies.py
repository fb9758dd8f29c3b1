"""Events of every kind, made by hypothesis from the types of their fields."""

from __future__ import annotations

from typing import Any, get_type_hints

from hypothesis import strategies as st

from orchestrator.core.events import EVENTS, Event
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.window import Window
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
    dict[str, int]: counts,
    dict[str, Any]: st.dictionaries(text, plain, max_size=3),
    Window | None: windows,
    Workflow: workflows,
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
