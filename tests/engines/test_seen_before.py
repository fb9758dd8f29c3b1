"""Runs that come after others in one state directory: what was seen of their jobs is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.events import CutoverRequested, Event, GateWaiting, HookFinished, JobsSeenBefore
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState
from orchestrator.core.workflow import Hooks
from orchestrator.operations.plan_online import Verdict, plan_online
from orchestrator.operations.target import Rehearsal
from orchestrator.simulator import Scenario

from .house import READY, Gate, House, die_when, house, migration, outcomes, wave, workflow
from .test_runs import cut_over_by_hand

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

IN_CHARGE = Hooks(after_failure=(("sh", "-c", 'echo "$CUTOVER_IN_CHARGE"'),))
LAGS = migration("a", gate=Gate(max_lag=0.0, timeout=60.0), hooks=IN_CHARGE)
FITS = replace(LAGS, gate=Gate(timeout=60.0))
FIRST, NEXT = workflow(wave("w", LAGS)), workflow(wave("w", FITS))


def is_ready_in_its_cutover(it: House) -> None:
    """The job's cutover takes an hour, and it says that it is ready meanwhile, as Atlas may."""
    (job,) = it.atlas.app._jobs.values()
    job.plan = replace(job.plan, cutover_seconds=3600.0, ready_in_cutover=True)


async def test_a_cutover_that_somebody_else_began_between_two_runs_gets_no_put(tmp_path: Path) -> None:
    """A run saw the job's lag; the next one, of whichever workflow, waits for it, and no hook lets writers return to the source."""
    async with house(tmp_path, FIRST) as it:
        is_ready_in_its_cutover(it)
        assert outcomes(await it.start()) == {"a": Outcome.FAILED}
        cut_over_by_hand(it, "a")
        it.workflow = replace(NEXT, name="another")
        it.events.clear()
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.FAILED}
        assert it.puts("a") == 0
        assert it.names(JobsSeenBefore) == [JobsSeenBefore(at=it.events[0].at, reported_lag=("a",), was_ready=("a",))]
        assert "the job reported its lag before and reports none now" in str(ending.state.result("a").error_message)
        assert [event.output for event in it.names(HookFinished)] == ["unknown"]


@pytest.mark.parametrize("how", ["ended", "killed"])
async def test_a_run_in_the_place_of_one_that_saw_the_lag_go_sends_nothing(tmp_path: Path, how: str) -> None:
    """Whether that ended with the right word, or was lost right after it."""
    async with house(tmp_path, NEXT) as it:
        is_ready_in_its_cutover(it)
        (job,) = it.atlas.app._jobs.values()
        job.plan = replace(job.plan, lag_ready=60.0)

        def meanwhile(event: Event, _: RunState) -> None:
            if isinstance(event, GateWaiting) and event.lag is not None:
                cut_over_by_hand(it, "a")

        it.watchers.append(meanwhile)
        if how == "ended":
            assert outcomes(await it.start()) == {"a": Outcome.FAILED}
        else:
            await die_when(it, lambda event: isinstance(event, GateWaiting) and event.lag_gone)
        it.watchers.clear()
        it.events.clear()
        assert outcomes(await it.start(new=True)) == {"a": Outcome.FAILED}
        assert it.puts("a") == 0
        assert [event.output for event in it.names(HookFinished)] == ["unknown"]


async def test_a_run_of_another_state_directory_goes_by_what_it_reads(tmp_path: Path) -> None:
    """So does one whose gate is off: what is ready and has no lag may be of an older kind."""
    for where, plan in (("elsewhere", NEXT), (".", workflow(wave("w", replace(FITS, gate=None))))):
        async with house(tmp_path, FIRST) as it:
            is_ready_in_its_cutover(it)
            await it.start()
            cut_over_by_hand(it, "a")
            it.workflow = plan
            it.settings = replace(it.settings, state_dir=tmp_path / where)
            it.events.clear()
            await it.start()
            assert len(it.names(CutoverRequested)) == 1


async def test_a_rehearsal_tells_a_run_nothing(tmp_path: Path) -> None:
    """Nor is it told anything."""
    async with house(tmp_path, FIRST) as it:
        await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        await it.start()
        await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=READY)))
        assert it.names(JobsSeenBefore) == []


async def test_a_plan_sees_what_a_run_would_see_and_a_run_what_a_plan_saw(tmp_path: Path) -> None:
    """Both read the jobs, and remember them in the same place."""
    async with house(tmp_path, NEXT) as it:
        is_ready_in_its_cutover(it)
        found = (await plan_online(NEXT, it.settings)).jobs["a"]
        assert (found.verdict, found.lacks) == (Verdict.READY, None)
        cut_over_by_hand(it, "a")
        found = (await plan_online(NEXT, it.settings)).jobs["a"]
        assert (found.verdict, found.text) == (Verdict.WAITING, "WORKING, ready, its lag is gone")
        assert found.lacks == "without the lag it had before, as during a cutover"
        assert outcomes(await it.start()) == {"a": Outcome.FAILED}
        assert it.puts("a") == 0
        assert it.names(JobsSeenBefore)[0].lag_gone == ("a",)
