from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import (
    HookKind,
    Hooks,
    Vars,
    Wave,
    Workflow,
    after_hook,
    from_json,
    outcome_told,
    to_json,
)

from ..builders import migration, workflow
from ..strength import examples
from ..workflowstrategies import workflows


@settings(max_examples=examples(100), deadline=None)
@given(given_workflow=workflows)
def test_a_workflow_keeps_its_json_form(given_workflow: Workflow) -> None:
    """The journal alone is enough to continue a run: windows, gates, hooks, everything."""
    assert from_json(json.loads(json.dumps(to_json(given_workflow)))) == given_workflow


def test_settings_that_many_migrations_share_are_stored_once() -> None:
    """Five thousand migrations with the same settings make a small journal."""
    data = to_json(workflow(tuple(f"m{number}" for number in range(50))))
    assert len(data["policies"]) == 1
    assert data["waves"][0]["migrations"][7][3] == 0


def test_a_journal_of_an_older_version_has_no_vars() -> None:
    """Its runs go on."""
    given_workflow = workflow(("a", "b"))
    data = to_json(given_workflow)
    del data["vars"], data["names_of_vars"], data["waves"][0]["vars"]
    assert [len(row) for row in data["waves"][0]["migrations"]] == [4, 4]
    assert from_json(json.loads(json.dumps(data))) == given_workflow


def test_names_of_vars_that_many_migrations_share_are_stored_once() -> None:
    """In the journal, and in memory when it has been read."""
    members = tuple(migration(f"m{n}", n, vars=Vars(("cluster", "size"), (f"c{n}", "XL"))) for n in range(3))
    data = json.loads(json.dumps(to_json(Workflow(name="w", waves=(Wave(name="w1", migrations=members),)))))
    assert data["names_of_vars"] == [["cluster", "size"]]
    assert data["waves"][0]["migrations"][2][4:] == [0, ["c2", "XL"]]
    first, second, _ = (m for _, m in from_json(data).migrations())
    assert first.vars.names is second.vars.names


@pytest.mark.parametrize(
    ("only", "picked"),
    [
        ((), {"a", "b", "c", "d"}),
        (("a",), {"a"}),
        (("w2",), {"c", "d"}),
        (("w2", "a", "c"), {"a", "c", "d"}),
        (("a", "a"), {"a"}),
    ],
)
def test_only_picks_waves_and_migrations(only: tuple[str, ...], picked: set[str]) -> None:
    """Any mixture of names, in any order; none picks all."""
    assert workflow(("a", "b"), ("c", "d")).select(only) == picked


def test_a_name_of_both_a_wave_and_a_migration_picks_both() -> None:
    """Nothing that was named is left out."""
    assert workflow(("a", "w2"), ("c", "d")).select(("w2",)) == {"w2", "c", "d"}


def test_a_name_that_is_neither_is_an_error() -> None:
    """A typing mistake must not select less than was meant."""
    with pytest.raises(KeyError, match="w9"):
        workflow(("a",)).select(("a", "w9"))


def test_hooks_are_true_when_there_are_any() -> None:
    """A timeout alone is no hook."""
    assert not Hooks(timeout=5.0)
    assert Hooks(after_failure=(("page",),))


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.UNVERIFIED, Outcome.FAILED])
def test_the_hooks_of_an_end_are_told_that_end(outcome: Outcome) -> None:
    """What a wave's or a run's `after_…` hooks are told is what they were chosen by."""
    assert outcome_told(after_hook(outcome)) is outcome


def test_the_kinds_of_hooks_are_written_as_in_the_workflow_file() -> None:
    """In files, journals and messages, in the order in which they can be run."""
    told = json.loads(json.dumps(list(HookKind)))
    assert told == ["before", "verify", "after_success", "after_unverified", "after_failure"]
    assert [Hooks(before=(("stop",),)).of(kind) for kind in HookKind] == [(("stop",),), (), (), (), ()]


def test_migrations_come_in_workflow_order_with_their_waves() -> None:
    """Wave by wave."""
    found = [(wave.name, migration.name) for wave, migration in workflow(("b", "a"), ("c",)).migrations()]
    assert found == [("w1", "b"), ("w1", "a"), ("w2", "c")]
