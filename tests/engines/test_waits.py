"""Who waits for what, and for how long: slots, doubts of others, pauses, jobs that are gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.events import CutoverRequested, Event, GateWaiting, HookFinished, MigrationFinished, RunUnpaused
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.engines.local.controls import LOOK_EVERY
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special

from .house import READY, AbsoluteWindow, Gate, Hooks, House, die_when, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, FAILED, NOT_STARTED, IN_DOUBT = Outcome.SUCCESS, Outcome.FAILED, Outcome.NOT_STARTED, Outcome.IN_DOUBT
LOST = Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_BEFORE, migration="a", times=1)
WORKS = ("true",)


def lag(it: House, name: str, seconds: float) -> None:
    """From now on its job lags so much."""
    job: Any = next(job for job in it.atlas.app._jobs.values() if job.name == name)
    job.plan = replace(job.plan, lag_ready=seconds)


async def test_a_doubt_that_is_not_selected_is_not_waited_for(tmp_path: Path) -> None:
    """It ended without SUCCESS, and so counts for `max_failures`: the others are told so at once."""
    hooks = Hooks(after_failure=(WORKS,))
    plan = workflow(wave("w", migration("a", timeout=20.0), "b", concurrency=1, max_failures=0, hooks=hooks))
    silent = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="a", after=0.5)
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(LOST, silent))) as it:
        first = await it.start()
        assert outcomes(first) == {"a": IN_DOUBT, "b": NOT_STARTED}
        hooks_run = len(it.names(HookFinished))
        for _ in range(2):
            began = wall()
            ending = await it.resume(first.state.run_id, only=("b",))
            assert wall() - began < 10
            assert outcomes(ending) == {"a": IN_DOUBT, "b": NOT_STARTED}
            assert "max_failures is 0" in str(ending.state.result("b").error_message)
            assert len(it.names(HookFinished)) == hooks_run  # of a wave that is not over
            assert ending.state.recorded_unfinished
        assert it.puts("b") == 0


async def test_a_doubt_that_is_not_selected_holds_up_nobody_where_failures_are_not_counted(tmp_path: Path) -> None:
    """Whoever asks for one alone gets that one; the doubt is there for a person, or for `resume`, as before."""
    plan = workflow(wave("w", migration("a", timeout=60.0), "b", concurrency=1))
    silent = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="a", after=0.5, until=200.0)
    late = {"b": Special(ready_after=Range(low=100.0, high=100.0))}
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(LOST, silent), special=late)) as it:
        run_id = await die_when(it, lambda event: isinstance(event, MigrationFinished) and event.migration == "a")
        second = await it.resume(run_id, only=("b",))
        assert outcomes(second) == {"a": IN_DOUBT, "b": SUCCESS}
        assert second.state.recorded_unfinished
        await anyio.sleep(200)
        third = await it.resume(run_id)
        assert outcomes(third) == {"a": SUCCESS, "b": SUCCESS}
        assert (it.puts("a"), it.puts("b")) == (1 + 1, 1)


async def test_one_whose_application_stands_still_keeps_its_slot(tmp_path: Path) -> None:
    """Its gate closed again while its `before` hook ran; whoever goes first then makes it wait for a whole cutover."""
    hooks = Hooks(before=(WORKS,), after_failure=(WORKS,))
    plan = workflow(wave("w", migration("a", hooks=hooks), "b", "c", concurrency=1))
    slept = 0.0
    async with house(tmp_path, plan) as it:

        def watch(event: Event, _: RunState) -> None:
            nonlocal slept
            if isinstance(event, HookFinished):
                lag(it, "a", 60.0)
                slept = 20.0  # as if it had taken so long
            if isinstance(event, GateWaiting) and event.migration == "a":
                lag(it, "a", 1.0)

        it.watchers.append(watch)
        ending = await it.start(steady=lambda: wall() + slept)
        assert set(outcomes(ending).values()) == {SUCCESS}
        assert "a" in [event.migration for event in it.names(GateWaiting)]
        assert [event.migration for event in it.names(CutoverRequested)] == ["a", "b", "c"]


@pytest.mark.parametrize("phase", ["at the gate", "on its way to it"])
async def test_no_gate_times_out_in_a_pause(tmp_path: Path, phase: str) -> None:
    """It has as much time left afterwards as it had before; its job is looked at all the while."""
    plan = workflow(wave("w", migration("a", gate=Gate(max_lag=10.0, timeout=120.0))))
    late = Special(ready_after=Range(low=1000.0, high=1000.0))
    async with house(tmp_path, plan, Scenario(jobs=READY, special={"a": late})) as it:
        if phase == "at the gate":
            it.watchers.append(lambda event, _: it.ask("pause") if isinstance(event, GateWaiting) else None)
        else:
            it.watchers.append(lambda event, _: it.ask("pause") if event.name == "run_started" else None)
        async with anyio.create_task_group() as group:
            group.start_soon(it.ask_after, 950, "unpause")
            ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS}
        (unpaused,), (requested,) = it.names(RunUnpaused), it.names(CutoverRequested)
        assert requested.at > unpaused.at + 40


async def test_a_gate_times_out_after_a_pause_when_its_own_time_is_over(tmp_path: Path) -> None:
    """The pause alone is left out."""
    plan = workflow(wave("w", migration("a", gate=Gate(max_lag=10.0, timeout=120.0))))
    never = Special(ready_after=Range(low=1e9, high=1e9))
    async with house(tmp_path, plan, Scenario(jobs=READY, special={"a": never})) as it:
        async with anyio.create_task_group() as group:
            group.start_soon(it.ask_after, 60, "pause")
            group.start_soon(it.ask_after, 660, "unpause")
            began = wall()
            ending = await it.start()
        assert outcomes(ending) == {"a": FAILED}
        assert 720 - LOOK_EVERY <= wall() - began <= 760  # a pause begins and ends when it is heeded


async def test_no_gate_times_out_while_the_window_is_closed_again(tmp_path: Path) -> None:
    """The machine's clock was set back to before it opened."""
    opens, shift = wall() + 30, 0.0
    window = AbsoluteWindow(opens=opens, closes=opens + 36_000)
    plan = workflow(wave("w", migration("a", gate=Gate(max_lag=10.0, timeout=120.0))), window=window)
    late = Special(ready_after=Range(low=700.0, high=700.0))
    async with house(tmp_path, plan, Scenario(jobs=READY, special={"a": late})) as it:

        def watch(event: Event, _: RunState) -> None:
            nonlocal shift
            if isinstance(event, GateWaiting):
                shift = -600.0

        it.watchers.append(watch)
        assert outcomes(await it.start(clock=lambda: wall() + shift)) == {"a": SUCCESS}


async def test_a_wave_run_again_after_atlas_forgot_its_jobs_ends_at_once(tmp_path: Path) -> None:
    """An earlier run has sent their PUTs, and no read can tell any more what became of them: that is said."""
    plan = workflow(wave("w", "a", "b"))
    async with house(tmp_path, plan) as first:
        assert set(outcomes(await first.start()).values()) == {SUCCESS}
    async with house(tmp_path, workflow(wave("w", "c"))) as it:
        it.workflow = plan
        began = wall()
        ending = await it.start()
        assert wall() - began < 20
        assert outcomes(ending) == {"a": IN_DOUBT, "b": IN_DOUBT}
        assert ending.exit_code is ExitCode.IN_DOUBT
        message = str(ending.state.result("a").error_message)
        assert "another run has sent a PUT" in message
        assert "Atlas knows no such job any more" in message


async def test_a_job_that_is_not_found_once_is_looked_for_again(tmp_path: Path) -> None:
    """One wrong answer is no reason to give a doubt up."""
    missing = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=404, migration="a", after=0.5, times=1)
    async with house(tmp_path, workflow(wave("w", "a")), Scenario(jobs=READY, faults=(LOST, missing))) as it:
        assert outcomes(await it.start()) == {"a": SUCCESS}
