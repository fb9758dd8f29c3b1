from __future__ import annotations

from dataclasses import fields, replace

import pytest

from orchestrator.core.changes import differences
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Gate, Hooks, Migration, Wave, Workflow

from ..builders import workflow

RECORDED = workflow(("a", "b"), ("c",))
HOOKS = Hooks(before=(("true",),))


def changed(**settings: object) -> Workflow:
    """The recorded workflow with its first wave set otherwise."""
    first, second = RECORDED.waves
    return replace(RECORDED, waves=(replace(first, **settings), second))  # type: ignore[arg-type]


def test_what_does_not_matter_is_no_difference() -> None:
    """A comment changes the hash alone; a moved file its directory, which nobody uses; the window is heeded."""
    window = AbsoluteWindow(opens=1.0, closes=2.0)
    assert differences(RECORDED, replace(RECORDED, sha256="other", directory="/elsewhere", window=window)) == []


def test_migrations_that_came_went_or_changed_are_named() -> None:
    """Each kind in a line of its own, with what changed."""
    first, _ = changed().waves[0].migrations
    given = changed(migrations=(replace(first, gate=Gate(max_lag=99.0), timeout=1.0), replace(first, name="z")))
    assert differences(RECORDED, given) == [
        "migrations added: z",
        "migrations removed: b",
        "migrations changed (gate, timeout): a",
    ]


def test_a_long_list_is_cut() -> None:
    """Five names, and how many more."""
    given = workflow(("a", "b"), ("c",), tuple("defghij"))
    assert differences(RECORDED, given)[0] == "migrations added: d, e, f, g, h and 2 more"


def test_settings_of_waves_are_named() -> None:
    """Which wave and which keys, from what to what."""
    given = changed(concurrency=1, max_failures=0, approval=True, hooks=HOOKS)
    assert differences(RECORDED, given) == [
        "wave w1: concurrency unset, now 1, max_failures unset, now 0, approval false, now true, hooks"
    ]


def test_the_order_within_a_wave_is_a_difference() -> None:
    """With `concurrency` it is the order of the cutovers."""
    first = RECORDED.waves[0]
    assert differences(RECORDED, changed(migrations=first.migrations[::-1])) == ["wave w1: the order of its migrations"]


def test_order_of_waves_and_hooks_are_named() -> None:
    """What concerns the whole run."""
    given = replace(RECORDED, waves=RECORDED.waves[::-1], hooks=HOOKS)
    assert differences(RECORDED, given) == ["the waves, or their order, differ", "the run's hooks"]


def test_hooks_that_would_run_in_another_directory_are_a_difference() -> None:
    """`./stop-writes` there may be another program."""
    recorded = changed(hooks=HOOKS)
    moved = replace(recorded, directory="/elsewhere")
    assert differences(recorded, moved) == ["the hooks' directory: ., now /elsewhere"]


def test_a_migration_that_moved_to_another_wave_has_changed() -> None:
    """Its settings are the same, its turn is not."""
    first, second = RECORDED.waves
    a, b = first.migrations
    moved = (replace(first, migrations=(a,)), replace(second, migrations=(*second.migrations, b)))
    assert differences(RECORDED, replace(RECORDED, waves=moved)) == ["migrations changed (wave): b"]


@pytest.mark.parametrize("kind", [Workflow, Wave, Migration])
def test_no_setting_is_forgotten(kind: type[Workflow | Wave | Migration]) -> None:
    """Whatever a workflow, a wave or a migration has, another value of it is a difference, but for what does not matter."""
    other = object()
    harmless = {"name", "sha256", "directory", "file", "window", "forecast_by"} if kind is Workflow else set()
    for field in fields(kind):
        if field.name in harmless | {"waves", "migrations"}:
            continue
        first = RECORDED.waves[0]
        changes = {field.name: "other" if field.name == "name" else other}
        if kind is Workflow:
            given = replace(RECORDED, **changes)  # type: ignore[arg-type]
        elif kind is Wave:
            given = changed(**changes)
        else:
            altered = replace(first.migrations[0], **changes)  # type: ignore[arg-type]
            given = changed(migrations=(altered, *first.migrations[1:]))
        assert differences(RECORDED, given), field.name
