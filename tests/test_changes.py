from __future__ import annotations

from dataclasses import replace

from orchestrator.changes import describe_changes
from orchestrator.window import AbsoluteWindow
from orchestrator.workflow import Gate, Hooks, Workflow

from .builders import workflow

RECORDED = workflow(("a", "b"), ("c",))
HOOKS = Hooks(before=(("true",),))


def changed(**settings: object) -> Workflow:
    """The recorded workflow with its first wave set otherwise."""
    first, second = RECORDED.waves
    return replace(RECORDED, waves=(replace(first, **settings), second))  # type: ignore[arg-type]


def test_what_does_not_matter_is_no_change() -> None:
    """A comment changes the hash alone; a moved file its directory."""
    assert describe_changes(RECORDED, replace(RECORDED, sha256="other", directory="/elsewhere")) == []


def test_migrations_that_came_went_or_changed_are_named() -> None:
    """Each kind in a line of its own."""
    first, _ = changed().waves[0].migrations
    given = changed(migrations=(replace(first, gate=Gate(max_lag=99.0)), replace(first, name="z")))
    assert describe_changes(RECORDED, given) == [
        "migrations added: z",
        "migrations removed: b",
        "migrations changed: a",
    ]


def test_a_long_list_is_cut() -> None:
    """Five names, and how many more."""
    given = workflow(("a", "b"), ("c",), tuple("defghij"))
    assert describe_changes(RECORDED, given)[0] == "migrations added: d, e, f, g, h and 2 more"


def test_settings_of_waves_are_named() -> None:
    """Which wave and which keys."""
    given = changed(concurrency=1, max_failures=0, approval=True, hooks=HOOKS)
    assert describe_changes(RECORDED, given) == ["wave w1: concurrency, max_failures, approval, hooks"]


def test_window_order_and_hooks_are_named() -> None:
    """What concerns the whole run."""
    given = replace(RECORDED, window=AbsoluteWindow(opens=1.0, closes=2.0), waves=RECORDED.waves[::-1], hooks=HOOKS)
    assert describe_changes(RECORDED, given) == [
        "the window is another",
        "the waves or their order are others",
        "the run's hooks are others",
    ]


def test_a_migration_that_moved_to_another_wave_has_changed() -> None:
    """Its settings are the same, its turn is not."""
    first, second = RECORDED.waves
    a, b = first.migrations
    moved = (replace(first, migrations=(a,)), replace(second, migrations=(*second.migrations, b)))
    assert describe_changes(RECORDED, replace(RECORDED, waves=moved)) == ["migrations changed: b"]
