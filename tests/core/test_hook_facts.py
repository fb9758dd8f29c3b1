"""What a hook is told of who is in charge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.events import Event, GateOpened, HookFinished, HookStarted, StatusPolled
from orchestrator.core.hook_facts import facts_for_hook
from orchestrator.core.no_return import InCharge
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import fold
from orchestrator.core.workflow import HookKind, Hooks, Migration

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


READ = StatusPolled(at=NOW, migration="a", status="WORKING", ready=True, lag=1.0)
LATER = NOW + 3600
AGAIN = replace(READ, at=LATER)


@pytest.mark.parametrize("begun", [BEGUN, HALF_WAY], ids=["prepared", "half-way"])
@pytest.mark.parametrize(
    ("later", "told"),
    [
        ((AGAIN,), InCharge.SOURCE),
        ((), InCharge.UNKNOWN),
        ((AGAIN, StatusPolled(at=LATER, migration="a", error="no answer")), InCharge.UNKNOWN),
        ((replace(AGAIN, lag=None),), InCharge.UNKNOWN),
        ((run_resumed(("a", "b"), at=LATER),), InCharge.UNKNOWN),
        ((run_resumed(("a", "b"), at=LATER - 2), AGAIN), InCharge.SOURCE),
    ],
    ids=["read again", "not read again", "could not be read", "its lag is gone", "after a death", "read after a death"],
)  # fmt: skip
def test_that_the_source_is_in_charge_is_told_by_a_read_of_the_moment(
    later: tuple[Event, ...], told: InCharge, begun: tuple[Event, ...]
) -> None:
    """Somebody may have cut it over by hand in a pause, or while the program was dead: a hook must not let writers in on the word of hours ago."""
    run = fold("r1", [begun[0], READ, *begun[1:], *later])
    wave = run.workflow.waves[0]

    def who(migration: Migration | None, hook: HookKind = HookKind.AFTER_FAILURE) -> InCharge:
        return facts_for_hook(run, wave, migration, hook, outcome=Outcome.NOT_STARTED, now=LATER).in_charge

    assert who(wave.migrations[0]) is told
    assert who(wave.migrations[1]) is InCharge.UNKNOWN  # it was never read
    assert who(wave.migrations[0], HookKind.BEFORE) is told  # not its first: for that the job has just been read
