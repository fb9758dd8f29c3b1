"""What a hook is told of who is in charge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.events import Event, GateOpened, HookFinished, HookStarted
from orchestrator.core.hook_facts import facts_for_hook
from orchestrator.core.no_return import InCharge
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import fold
from orchestrator.core.workflow import HookKind, Hooks

from ..builders import NOW, ONE, run_resumed, run_started, wave_with, workflow

_PLAIN = workflow(("a", "b"))
_HOOKS = Hooks(before=ONE, after_failure=ONE)
GIVEN = replace(
    _PLAIN,
    waves=tuple(
        wave_with(wave, migrations=tuple(replace(each, hooks=_HOOKS) for each in wave.migrations))
        for wave in _PLAIN.waves
    ),
)
OPENED = GateOpened(at=NOW, migration="a", status="WORKING", ready=True, lag=1.0)
DONE = HookFinished(at=NOW + 2, hook=HookKind.BEFORE, argv=ONE[0], wave="w1", migration="a", exit_code=0, seconds=1.0)
HALF_WAY: tuple[Event, ...] = (
    run_started(GIVEN),
    OPENED,
    HookStarted(at=NOW + 1, hook=HookKind.BEFORE, argv=ONE[0], wave="w1", migration="a"),
)
BEGUN = (*HALF_WAY, DONE)


@pytest.mark.parametrize("begun", [BEGUN, HALF_WAY], ids=["prepared", "half-way"])
@pytest.mark.parametrize(
    ("later", "told"),
    [
        ((), InCharge.SOURCE),
        ((run_resumed(("a", "b"), at=NOW + 3600),), InCharge.UNKNOWN),
        ((run_resumed(("a", "b"), at=NOW + 3600), replace(OPENED, at=NOW + 3601)), InCharge.SOURCE),
    ],
    ids=["in the same session", "after a death", "read again"],
)  # fmt: skip
def test_who_is_in_charge_of_what_an_earlier_session_prepared_a_read_tells(
    later: tuple[Event, ...], told: InCharge, begun: tuple[Event, ...]
) -> None:
    """Whoever found the program dead may have cut it over by hand: a hook must not let writers in on the word of hours ago."""
    run = fold("r1", [*begun, *later])
    wave = run.workflow.waves[0]
    facts = facts_for_hook(run, wave, wave.migrations[0], outcome=Outcome.NOT_STARTED)
    assert facts.in_charge is told
    assert facts_for_hook(run, wave, wave.migrations[1], outcome=Outcome.NOT_STARTED).in_charge is InCharge.SOURCE
    assert facts_for_hook(run, wave, None, outcome=None).in_charge is told
