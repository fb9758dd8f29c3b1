"""Workflows of every kind, made by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from orchestrator.core.vars import Vars
from orchestrator.core.window import DAYS, AbsoluteWindow, RecurringWindow
from orchestrator.core.workflow import NO_HOOKS, Gate, Hooks, Migration, Wave, Workflow

text = st.text(min_size=1, max_size=8)
seconds = st.floats(0.0, 1e6)
argvs = st.lists(st.lists(text, min_size=1, max_size=3).map(tuple), max_size=2).map(tuple)
hooks = st.just(NO_HOOKS) | st.builds(
    Hooks, before=argvs, after_success=argvs, after_failure=argvs, timeout=st.floats(1.0, 900.0)
)
variables = st.dictionaries(st.text("abcXYZ_019", min_size=1, max_size=4), st.text(max_size=4), max_size=3).map(
    lambda found: Vars(tuple(found), tuple(found.values()))
)
ids = st.integers(0, 16**24 - 1).map(lambda number: f"{number:024x}")
migrations = st.builds(
    Migration,
    name=text,
    group_id=ids,
    live_migration_id=ids,
    gate=st.none() | st.builds(Gate, max_lag=seconds, timeout=seconds),
    timeout=seconds,
    hooks=hooks,
    vars=variables,
)
windows = (
    st.none()
    | st.builds(AbsoluteWindow, opens=seconds, closes=seconds, reserve=seconds)
    | st.builds(
        RecurringWindow,
        start=st.just("22:00"),
        end=st.just("06:00"),
        days=st.lists(st.sampled_from(DAYS), unique=True).map(tuple),
        timezone=st.just("Europe/Berlin"),
        reserve=seconds,
        except_on=st.lists(st.dates().map(str), max_size=2).map(tuple),
    )
)
waves = st.builds(
    Wave,
    name=text,
    migrations=st.lists(migrations, max_size=3).map(tuple),
    concurrency=st.none() | st.integers(1, 99),
    max_failures=st.none() | st.integers(0, 99),
    approval=st.booleans(),
    hooks=hooks,
    vars=variables,
)
workflows = st.builds(
    Workflow,
    name=text,
    waves=st.lists(waves, max_size=3).map(tuple),
    window=windows,
    hooks=hooks,
    vars=variables,
    sha256=text,
    directory=text,
    forecast_by=st.none() | text,
)
