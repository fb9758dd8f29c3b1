"""A rehearsal that is continued finds its simulated Atlas as the session before left it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverRequested,
    GateOpened,
    GateWaiting,
    MigrationFinished,
    StatusPolled,
    WaveApproved,
    WindowOpened,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.settings import Api
from orchestrator.files.workflow_file import load_workflow
from orchestrator.operations.target import Rehearsal
from orchestrator.reports.model import build
from orchestrator.simulator import JobStatus, Scenario, load_scenario
from orchestrator.simulator.latency import ATLAS
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, JobRules, Kind, Range, Special

from .house import READY, AbsoluteWindow, die_when, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

CALM = Rehearsal(scenario=Scenario(jobs=READY), speed=1.0)
"""Jobs are ready at once, and a cutover takes 10 s."""

WORKFLOWS = Path(__file__).parents[2] / "workflows"


async def test_the_example_fails_exactly_once_at_the_latencies_of_its_scenario(tmp_path: Path) -> None:
    """`make rehearse`: all SUCCESS but the one that is meant to fail, with all its faults in between."""
    example = load_workflow(WORKFLOWS / "example.yaml")
    scenario = load_scenario(WORKFLOWS / "example.scenario.yaml", workflow=example)
    assert scenario.latency is ATLAS
    async with house(tmp_path, example) as it:
        ending = await it.start(rehearsal=Rehearsal(scenario=scenario, speed=10.0))
    assert ending.exit_code == 1
    assert {name for name, outcome in outcomes(ending).items() if outcome is not Outcome.SUCCESS} == {"pricing"}
    assert [ending.state.result("pricing").outcome, len(outcomes(ending))] == [Outcome.FAILED, 24]


@pytest.mark.parametrize("api", list(Api))
async def test_an_accepted_cutover_goes_on(tmp_path: Path, api: Api) -> None:
    """It takes what is left of its time, and there is no other PUT."""
    async with house(tmp_path, workflow(wave("w", "a")), api=api) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted), rehearsal=CALM)
        requested = it.names(CutoverRequested)[0].at
        await anyio.sleep(4)
        ending = await it.resume(run_id, rehearsal=CALM)
        assert (ending.exit_code, outcomes(ending)) == (0, {"a": Outcome.SUCCESS})
        assert len(it.names(CutoverRequested)) == 1
        assert requested + 10 <= it.names(MigrationFinished)[0].at < requested + 20


async def test_a_cutover_that_ended_meanwhile_is_over_at_the_first_look(tmp_path: Path) -> None:
    """Atlas does not wait for us."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted), rehearsal=CALM)
        it.events.clear()
        await anyio.sleep(3600)
        ending = await it.resume(run_id, rehearsal=CALM)
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        assert len(it.names(StatusPolled)) == 1


@pytest.mark.parametrize("kind", [FaultKind.LOST_BEFORE, FaultKind.LOST_AFTER])
@pytest.mark.parametrize("api", list(Api))
async def test_a_put_in_doubt_counts_as_carried_out(tmp_path: Path, kind: FaultKind, api: Api) -> None:
    """The job shows that the cutover began, or its end, also where the API shows no more than that."""
    rehearsal = Rehearsal(scenario=Scenario(jobs=READY, faults=(Fault(on=Kind.CUTOVER, kind=kind),)), speed=1.0)
    async with house(tmp_path, workflow(wave("w", "a")), api=api) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverInDoubt), rehearsal=rehearsal)
        ending = await it.resume(run_id, rehearsal=rehearsal)
        assert (ending.exit_code, outcomes(ending)) == (0, {"a": Outcome.SUCCESS})
        assert len(it.names(CutoverRequested)) == 1


async def test_what_waited_for_its_gate_is_cut_over_now(tmp_path: Path) -> None:
    """Its job begins anew."""
    slowly = JobRules(ready_after=Range(low=60.0, high=60.0), cutover=Range(low=10.0, high=10.0))
    rehearsal = Rehearsal(scenario=Scenario(jobs=slowly), speed=1.0)
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, GateWaiting), rehearsal=rehearsal)
        ending = await it.resume(run_id, rehearsal=rehearsal)
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        assert len(it.names(GateOpened)) == 1


async def test_a_refused_put_is_not_taken_for_a_cutover(tmp_path: Path) -> None:
    """What it was refused for is so still; nothing of it hinders the rest."""
    scenario = Scenario(jobs=READY, faults=(Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, status=403, migration="a"),))
    rehearsal = Rehearsal(scenario=scenario, speed=1.0)
    async with house(tmp_path, workflow(wave("w", "a"), wave("x", "b"))) as it:
        run_id = await die_when(
            it, lambda event: isinstance(event, CutoverAccepted) and event.migration == "b", rehearsal=rehearsal
        )
        ending = await it.resume(run_id, rehearsal=rehearsal)
        assert (ending.exit_code, outcomes(ending)) == (1, {"a": Outcome.FAILED, "b": Outcome.SUCCESS})


async def test_a_job_that_was_over_stays_over(tmp_path: Path) -> None:
    """Trying a failed one again finds it as it was, whatever the scenario says now."""
    over = Scenario(jobs=READY, special={"a": Special(status=JobStatus.FAILED)})
    async with house(tmp_path, workflow(wave("w", "a", "b"))) as it:
        ending = await it.start(rehearsal=Rehearsal(scenario=over, speed=1.0))
        assert outcomes(ending) == {"a": Outcome.FAILED, "b": Outcome.SUCCESS}
        ending = await it.resume(ending.state.run_id, rehearsal=CALM, retry_failed=True)
        assert outcomes(ending) == {"a": Outcome.FAILED, "b": Outcome.SUCCESS}
        assert [event.migration for event in it.names(CutoverRequested)] == ["b"]


async def test_a_rehearsal_in_doubt_is_settled_by_resume(tmp_path: Path) -> None:
    """It ended IN_DOUBT, as an operator may have wished to see, and a look at the job settles it."""
    faults = (Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_BEFORE),)
    scenario = Scenario(jobs=READY, faults=faults, documents=Documents.OLDER)
    rehearsal = Rehearsal(scenario=scenario, speed=1.0)
    async with house(tmp_path, workflow(wave("w", migration("a", timeout=60.0)))) as it:
        ending = await it.start(rehearsal=rehearsal)
        assert (ending.exit_code, outcomes(ending)) == (4, {"a": Outcome.IN_DOUBT})
        began = wall()
        ending = await it.resume(ending.state.run_id, rehearsal=rehearsal)
        assert (ending.exit_code, outcomes(ending)) == (0, {"a": Outcome.SUCCESS})
        assert wall() - began < 20


async def test_a_window_in_three_days_opens_at_once(tmp_path: Path) -> None:
    """For as long as the real one; the approval that the wave waits for is the rehearsal's own."""
    three_days = 3 * 86_400.0
    window = AbsoluteWindow(opens=wall() + three_days, closes=wall() + three_days + 3600)
    began = wall()
    async with house(tmp_path, workflow(wave("w", "a", approval=True), window=window)) as it:
        ending = await it.start(rehearsal=replace(CALM, approves=True))
        assert (ending.exit_code, outcomes(ending)) == (0, {"a": Outcome.SUCCESS})
        assert wall() - began < 60
        (opened,) = it.names(WindowOpened)
        assert opened.closes - opened.opens == pytest.approx(3600)
        assert [event.who for event in it.names(WaveApproved)] == ["rehearsal"]
        report = build(ending.state, now=wall())
        assert report.window is not None
        assert report.window.rule.endswith("its window opened at once, for as long as the real one")
        assert [report.waves[0].approved_by, len(report.window.openings)] == ["rehearsal", 1]


async def test_a_rehearsal_is_continued_outside_its_window(tmp_path: Path) -> None:
    """Its next session opens the window anew, and approves."""
    window = AbsoluteWindow(opens=wall() - 7200, closes=wall() - 3600)
    async with house(tmp_path, workflow(wave("w", "a"), wave("x", "b", approval=True), window=window)) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted), rehearsal=CALM)
        await anyio.sleep(86_400)
        ending = await it.resume(run_id, rehearsal=replace(CALM, approves=True))
        assert (ending.exit_code, outcomes(ending)) == (0, {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS})


async def test_a_rehearsals_window_closes_as_the_real_one_would(tmp_path: Path) -> None:
    """What does not fit is not started, and `resume` has a way on."""
    window = AbsoluteWindow(opens=wall() + 86_400, closes=wall() + 86_400 + 15)
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1), wave("x", "c"), window=window)) as it:
        ending = await it.start(rehearsal=CALM)
        assert ending.exit_code == 3
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS, "c": Outcome.NOT_STARTED}
        assert build(ending.state, now=wall()).advice.command == f"atlas-cutover resume {ending.state.run_id}"
