"""Workflows of somebody else that have the names of runs and claims, beside which anything may be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from orchestrator.core.errors import BusyError
from orchestrator.core.events import CutoverRequested
from orchestrator.engines.temporal import names

from ..house import house, live, wave, workflow
from .cluster import begin, worker
from .servers import Server, needs_temporal
from .test_nights import hasty, own, quick
from .test_parity import night

pytestmark = [pytest.mark.anyio, needs_temporal]

FORGED = "20261128-000000-3f9a1c\nall is cut over"


async def somebody_elses(client: Client, workflow_id: str, run_id: Any) -> WorkflowHandle[Any, Any]:
    """Open a workflow that nobody serves, with *run_id* beside it."""
    return await client.start_workflow("Nobodys", id=workflow_id, task_queue="nobodys", memo={"run_id": run_id})


@pytest.mark.parametrize("run_id", [FORGED, "x" * 100_000, "", "../x", 7, {"x": 1}])
async def test_a_workflow_of_somebody_else_with_a_runs_name_is_told_as_that(
    tmp_path: Path, temporal: Server, client: Client, run_id: Any
) -> None:
    """In one line, with what to do, and nothing is begun; once it is closed, the run begins."""
    async with night(tmp_path, temporal, client, workflow(wave("one", "a")), quick()) as it:
        name = names.run_workflow_id(it.plan.name, rehearsal=False)
        foreign = await somebody_elses(client, name, run_id)
        for new in (False, True):
            with pytest.raises(BusyError, match="its memo names no run") as refused:
                await it.run(new=new)
            told = str(refused.value)
            assert f"temporal workflow terminate --address {temporal.address}" in told
            assert ("\n" in told, len(told) < 1_000) == (False, True)
        assert it.puts() == {"a": 0}
        await foreign.terminate("it was nobody's")
        assert (await it.run()).exit_code == 0
        assert it.puts() == {"a": 1}


async def test_a_claim_of_somebody_else_is_told_as_that(tmp_path: Path, client: Client) -> None:
    """In one line; the run sends nothing."""
    plan = own(workflow(wave("one", "a")))
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        [(_, job)] = plan.migrations()
        claim = names.claim_id(f"{job.group_id}/{live('a')}")
        foreign = await somebody_elses(client, claim, FORGED)
        run = await begin(client, it, plan)
        assert (await run.result())["exit_code"] == 5
        stopped = (await run.state()).stopped or ""
        assert f"is held by a workflow at Temporal of which no run can be read here, {claim}" in stopped
        assert "all is cut over" not in stopped
        assert not any(isinstance(event, CutoverRequested) for event in await run.events())
        await foreign.terminate("it was nobody's")
