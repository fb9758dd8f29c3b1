"""What a session is not about (`--only`): none of its hooks is run, and what is asked for it waits for a session that is about it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from orchestrator.core.events import HookFinished, MigrationRetried, WaveStarted
from orchestrator.core.outcomes import Outcome
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Range, Special

from .house import READY, Hooks, house, migration, outcomes, wave, workflow
from .test_runs import cut_over_by_hand

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

LATE = Special(ready_after=Range(low=60.0, high=60.0))


async def test_no_hook_is_run_of_what_somebody_has_cut_over_and_nobody_selected(tmp_path: Path) -> None:
    """A look before the wave's `after_failure` finds it over; a session that is about it verifies it."""
    hooks = Hooks(verify=(("true", "verify"),), after_success=(("true", "after"),))
    failing = Hooks(before=(("false",),))
    plan = workflow(
        wave(
            "w", migration("a", hooks=failing), migration("b", hooks=hooks), hooks=Hooks(after_failure=(("true", "w"),))
        )
    )
    async with house(tmp_path, plan, Scenario(jobs=READY, special={"a": LATE})) as it:
        it.watchers.append(
            lambda event, _: cut_over_by_hand(it, "b") if isinstance(event, WaveStarted) and event.wave == "w" else None
        )
        first = await it.start(only=("a",))
        assert [event.argv for event in it.names(HookFinished)] == [("false",), ("true", "w")]
        assert first.state.recorded_unfinished
        it.watchers.clear()
        second = await it.resume(first.state.run_id)
        assert outcomes(second)["b"] is Outcome.SUCCESS
        assert [event.argv for event in it.names(HookFinished) if event.migration == "b"] == [
            ("true", "verify"),
            ("true", "after"),
        ]
        assert it.puts("b") == 0


async def test_a_retry_of_what_is_not_selected_has_no_hook_of_its_wave_run_again(tmp_path: Path) -> None:
    """It is taken, and taken up by a session that is about it; the one that goes on ends as it would have."""
    failing = Hooks(before=(("false",),))
    whole = Hooks(after_success=(("true", "w"),))
    plan = workflow(wave("w", "a", migration("b", hooks=failing), hooks=whole), wave("v", "c"))
    async with house(tmp_path, plan, Scenario(jobs=READY, special={"c": LATE})) as it:
        first = await it.start(only=("b",))
        assert outcomes(first)["b"] is Outcome.FAILED
        async with anyio.create_task_group() as beside:
            beside.start_soon(partial(it.ask_after, 30.0, "retry", migration="b"))
            second = await it.resume(first.state.run_id, only=("a", "c"))
        assert [event.migration for event in it.names(MigrationRetried)] == ["b"]
        assert outcomes(second) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED, "c": Outcome.SUCCESS}
        assert [event.argv for event in it.names(HookFinished) if event.wave == "w"] == [("false",), ("true", "w")]
        assert it.puts("b") == 0
