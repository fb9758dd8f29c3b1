"""What `plan --online` makes of each job, by the rules that a run goes by; nothing but reads is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.outcomes import ExitCode
from orchestrator.core.workflow import Workflow
from orchestrator.operations.plan_online import OnlinePlan, Verdict, plan_online
from orchestrator.simulator import JobStatus, Scenario
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, JobRules, Kind, Range, Special

from .house import READY, Gate, house, migration, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NOT_YET = Special(ready_after=Range(low=9e9, high=9e9))
LAGS = Special(ready_lag=Range(low=40.0, high=40.0))


async def planned(tmp_path: Path, plan: Workflow, scenario: Scenario | None = None) -> OnlinePlan:
    """The plan of *plan* at an Atlas of *scenario*, which gets no PUT."""
    async with house(tmp_path, plan, scenario) as it:
        found = await plan_online(plan, it.settings)
        assert it.atlas.record()["requests"]["by_kind"].get("cutover", 0) == 0
        return found


def verdicts(found: OnlinePlan) -> dict[str, str]:
    """By migration."""
    return {name: job.verdict for name, job in found.jobs.items()}


async def test_all_could_be_cut_over(tmp_path: Path) -> None:
    """Exit code 0."""
    found = await planned(tmp_path, workflow(wave("w", "a", "b")))
    assert verdicts(found) == {"a": Verdict.READY, "b": Verdict.READY}
    assert found.exit_code is ExitCode.SUCCESS


async def test_what_is_not_ready_yet_is_waited_for(tmp_path: Path) -> None:
    """Not ready, or with more lag than its own gate allows: exit code 3. What has no gate is ready as it is."""
    plan = workflow(
        wave("w", "late", "lags", migration("patient", gate=Gate(max_lag=60.0)), migration("off", gate=None))
    )
    special = {"late": NOT_YET, "lags": LAGS, "patient": LAGS, "off": NOT_YET}
    found = await planned(tmp_path, plan, Scenario(jobs=READY, special=special))
    assert verdicts(found) == {"late": "waiting", "lags": "waiting", "patient": "ready", "off": "ready"}
    assert found.jobs["lags"].text == "WORKING, ready, lag 40s"
    assert found.exit_code is ExitCode.INCOMPLETE


async def test_what_can_never_be_cut_over_counts_before_what_is_waited_for(tmp_path: Path) -> None:
    """Over, gone or refused: exit code 1, with what Atlas said."""
    plan = workflow(wave("w", "over", "expired", "failed", "gone", "forbidden", "broken", "late", "fine"))
    special = {
        "over": Special(status=JobStatus.COMPLETE),
        "expired": Special(status=JobStatus.EXPIRED),
        "failed": Special(status=JobStatus.FAILED),
        "late": NOT_YET,
    }
    faults = tuple(
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=status, migration=name)
        for name, status in (("gone", 404), ("forbidden", 403), ("broken", 400))
    )
    found = await planned(tmp_path, plan, Scenario(jobs=READY, special=special, faults=faults))
    assert verdicts(found) == {
        "over": "finished",
        "expired": "failed",
        "failed": "failed",
        "gone": "missing",
        "forbidden": "refused",
        "broken": "refused",
        "late": "waiting",
        "fine": "ready",
    }
    assert found.exit_code is ExitCode.FAILED
    assert [found.jobs[name].text[:3] for name in ("gone", "forbidden", "broken")] == ["404", "403", "400"]


async def test_a_document_that_says_nothing_of_readiness_opens_no_gate(tmp_path: Path) -> None:
    """As in a run: only `gate: off` passes."""
    plan = workflow(wave("w", "a", migration("b", gate=None)))
    found = await planned(
        tmp_path, plan, Scenario(jobs=JobRules(ready_after=Range(low=0, high=0)), documents=Documents.BARE)
    )
    assert verdicts(found) == {"a": "waiting", "b": "ready"}
