"""An application that its hooks have stopped, and whose cutover does not leave: somebody is told, and told again."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.events import ApplicationWaiting, ApprovalWaiting, Event, HookFinished, HookStarted
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.standstill import FIRST_TOLD, SELDOM, is_to_be_told, standstills
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind

from .house import READY, Hooks, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

STOPS = Hooks(before=(("true",),))


@pytest.mark.parametrize("whose", ["migration", "wave"])
async def test_a_pause_while_an_application_is_stopped_is_told_of(tmp_path: Path, whose: str) -> None:
    """After a minute, then whenever the time has doubled; no more once it goes on."""
    one = migration("a", hooks=STOPS) if whose == "migration" else migration("a")
    plan = workflow(wave("w", one, hooks=STOPS) if whose == "wave" else wave("w", one))
    slow = Fault(on=Kind.READ, kind=FaultKind.SLOW, delay=2.0)
    slept = 0.0
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(slow,))) as it:

        def pause(event: Event, _: RunState) -> None:
            nonlocal slept
            if isinstance(event, HookFinished):
                it.ask("pause")
                slept = 20.0  # so long did the hook take: the job is read again, and the pause comes before the PUT

        it.watchers.append(pause)
        async with anyio.create_task_group() as group:
            group.start_soon(it.ask_after, 600, "unpause")
            ending = await it.start(steady=lambda: wall() + slept)
        assert ending.exit_code is ExitCode.SUCCESS
        told = it.names(ApplicationWaiting)
        name = one.name if whose == "migration" else None
        assert {(event.wave, event.migration) for event in told} == {("w", name)}
        assert {event.reason for event in told} == {"the run is paused"}
        first, second, third = (event.seconds for event in told)
        assert 60 <= first < 100
        assert 120 <= second < 200
        assert 240 <= third < 450


async def test_an_approval_that_is_waited_for_with_the_runs_hooks_done_is_told_of(tmp_path: Path) -> None:
    """They may have stopped applications of every wave."""
    plan = workflow(wave("w", "a", approval=True), hooks=STOPS)
    async with house(tmp_path, plan) as it:

        async def later() -> None:
            await anyio.sleep(100)
            it.ask("approve", "w")

        async with anyio.create_task_group() as group:

            def watch(event: Event, _: RunState) -> None:
                if isinstance(event, ApprovalWaiting):
                    group.start_soon(later)

            it.watchers.append(watch)
            assert outcomes(await it.start()) == {"a": Outcome.SUCCESS}
        (told,) = it.names(ApplicationWaiting)
        assert (told.wave, told.migration, told.reason) == (None, None, "wave 'w' waits for its approval")


async def test_a_gate_that_closes_when_the_application_is_stopped_is_told_of(tmp_path: Path) -> None:
    """With what it waits for."""
    slept = 0.0
    async with house(tmp_path, workflow(wave("w", migration("a", hooks=STOPS)))) as it:
        job: Any = next(job for job in it.atlas.app._jobs.values() if job.name == "a")

        def watch(event: Event, _: RunState) -> None:
            nonlocal slept
            if isinstance(event, HookFinished):
                job.plan = replace(job.plan, lag_ready=60.0)
                slept = 20.0  # as if the hook had taken so long
            if isinstance(event, ApplicationWaiting):
                job.plan = replace(job.plan, lag_ready=1.0)

        it.watchers.append(watch)
        assert outcomes(await it.start(steady=lambda: wall() + slept)) == {"a": Outcome.SUCCESS}
        (told,) = it.names(ApplicationWaiting)
        assert (told.wave, told.migration, told.reason) == ("w", "a", "its gate is closed: the lag is 1m")


async def test_nobody_is_told_of_an_application_whose_before_hook_is_at_work(tmp_path: Path) -> None:
    """It is stopped for its cutover, however long that takes; only what holds the PUT up after it counts."""
    async with house(tmp_path, workflow(wave("w", migration("a", hooks=STOPS)))) as it:
        standing: list[int] = []

        def look(event: Event, state: RunState) -> None:
            if isinstance(event, HookStarted | HookFinished):
                standing.append(len(list(standstills(state, wall()))))

        it.watchers.append(look)
        assert outcomes(await it.start()) == {"a": Outcome.SUCCESS}
        assert standing == [0, 1]


async def test_nobody_is_told_of_cutovers_that_leave(tmp_path: Path) -> None:
    """Nor of one that is under way for long, nor of those that wait behind it with their applications up."""
    plan = workflow(wave("w", migration("a", hooks=STOPS), migration("b", hooks=STOPS), concurrency=1), hooks=STOPS)
    rules = replace(READY, cutover=replace(READY.cutover, low=300.0, high=300.0))
    async with house(tmp_path, plan, Scenario(jobs=rules)) as it:
        assert set(outcomes(await it.start()).values()) == {Outcome.SUCCESS}
        assert it.names(ApplicationWaiting) == []


def test_it_is_said_again_whenever_the_time_has_doubled_and_once_an_hour() -> None:
    """Told of for a whole day: often at first, and never less than hourly."""
    told: list[float] = []
    for now in range(0, 86_400, 10):
        if is_to_be_told(0.0, told[-1] if told else None, float(now)):
            told.append(float(now))
    assert told[:5] == [FIRST_TOLD, 120.0, 240.0, 480.0, 960.0]
    assert {later - earlier for earlier, later in pairwise(told[7:])} == {SELDOM}
