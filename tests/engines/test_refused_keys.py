"""Keys that Atlas stops taking in the middle of a run: nothing has failed by that, and nothing more is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.events import CutoversStopped, HookFinished
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.reports.model import build
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special

from .house import READY, Hooks, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, FAILED, NOT_STARTED = Outcome.SUCCESS, Outcome.FAILED, Outcome.NOT_STARTED
OTHER = "5e5e5e5e5e5e5e5e5e5e5e5e"


def refused(on: Kind | None, status: int, **facts: float | None) -> Fault:
    """Atlas refuses the keys."""
    return Fault(on=on, kind=FaultKind.STATUS, status=status, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [401, 403])
async def test_keys_that_break_in_mid_run_stop_cutovers_and_fail_none(tmp_path: Path, status: int) -> None:
    """Those at the gate and those in line stay NOT_STARTED; what is under way is followed; `resume` does the rest."""
    names = [f"m{number}" for number in range(13)]
    plan = workflow(wave("w", *names, concurrency=1), wave("v", "late"))
    special = {name: Special(ready_after=Range(low=30.0, high=30.0)) for name in names[6:]}
    special["m0"] = Special(cutover=Range(low=60.0, high=60.0))
    scenario = Scenario(jobs=READY, special=special, faults=(refused(None, status, after=5.0, until=90.0),))
    async with house(tmp_path, plan, scenario) as it:
        first = await it.start()
        assert outcomes(first) == {"m0": SUCCESS} | dict.fromkeys([*names[1:], "late"], NOT_STARTED)
        assert (first.exit_code, first.state.recorded_unfinished) == (ExitCode.INCOMPLETE, True)
        message = str(first.state.result("late").error_message)
        assert "refuses the keys" in message
        assert f"`atlas-cutover resume {first.state.run_id}`" in message
        assert set(outcomes(await it.resume(first.state.run_id)).values()) == {SUCCESS}
        assert all(it.puts(m.name) == 1 for _, m in plan.migrations())


async def test_what_is_under_way_with_refused_keys_ends_by_its_timeout(tmp_path: Path) -> None:
    """It was accepted, and nobody may look any more."""
    plan = workflow(wave("w", migration("a", timeout=100.0), "b", concurrency=1))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(refused(None, 401, after=5.0),))) as it:
        began = wall()
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.IN_DOUBT, "b": NOT_STARTED}
        assert 160 <= wall() - began <= 200
        assert ending.state.recorded_unfinished


async def test_keys_that_one_project_refuses_fail_its_jobs_alone(tmp_path: Path) -> None:
    """At the cost of two requests, whatever their number."""
    others = [migration(f"x{number}", group_id=OTHER) for number in range(5)]
    plan = workflow(wave("w", "a", *others, "b"))
    faults = tuple(replace(refused(None, 401), migration=other.name) for other in others)
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=faults)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS, "b": SUCCESS} | {other.name: FAILED for other in others}
        assert it.names(CutoversStopped) == []
        assert sum(it.puts(other.name) for other in others) == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_a_put_with_keys_that_have_just_broken_is_none(tmp_path: Path, status: int) -> None:
    """Another access list, say: nothing has failed, its application is started again, and the run goes on later."""
    faults = tuple(
        refused(on, status, until=60.0, after=after) for on, after in ((Kind.CUTOVER, 0.0), (Kind.ROOT, 1.0))
    )
    slow = Fault(on=Kind.READ, kind=FaultKind.SLOW, delay=2.0)
    hooks = Hooks(before=(("true",),), after_failure=(("true",),))
    plan = workflow(wave("w", migration("a", hooks=hooks), "b", concurrency=1))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(*faults, slow))) as it:
        first = await it.start()
        assert outcomes(first) == {"a": NOT_STARTED, "b": NOT_STARTED}
        assert [event.hook for event in it.names(HookFinished)] == ["before", "after_failure"]
        assert first.state.recorded_unfinished


@pytest.mark.parametrize("reads", [200, 403])
@pytest.mark.parametrize("root", [403, 500])
async def test_a_403_to_a_put_that_was_carried_out_makes_no_other_one(tmp_path: Path, root: int, reads: int) -> None:
    """Something on the way says it, to the root resource as well, and has passed the PUT on."""
    faults = [
        Fault(on=Kind.CUTOVER, kind=FaultKind.ERROR_AFTER, status=403),
        refused(Kind.ROOT, root, after=1.0, until=200.0),
    ]
    if reads != 200:
        faults.append(refused(Kind.READ, reads, after=1.5))
    slow = Fault(on=Kind.READ, kind=FaultKind.SLOW, delay=2.0, until=1.0)
    jobs = replace(READY, cutover=Range(low=100.0, high=100.0))
    plan = workflow(wave("w", migration("a", timeout=600.0)))
    async with house(tmp_path, plan, Scenario(jobs=jobs, faults=(*faults, slow))) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS if reads == 200 else Outcome.IN_DOUBT}
        assert it.puts("a") == 1


async def test_a_put_that_is_refused_while_the_root_says_nothing_is_sent_again(tmp_path: Path) -> None:
    """Whether the keys or the job are meant is not known, so nothing is decided."""
    faults = (
        refused(Kind.CUTOVER, 403, until=30.0),
        Fault(on=Kind.ROOT, kind=FaultKind.STATUS, status=500, after=1.0, until=60.0),
    )
    rules = replace(READY, ready_after=Range(low=10.0, high=10.0))
    async with house(tmp_path, workflow(wave("w", "a")), Scenario(jobs=rules, faults=faults)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS}
        (row,) = build(ending.state, now=wall()).migrations
        assert row.cutover_requests == it.puts("a") > 1
