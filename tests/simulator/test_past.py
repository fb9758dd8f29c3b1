"""A simulator whose jobs have a past: what reads show, what a PUT is answered, and what the record says."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from orchestrator.simulator import JobStatus, Past, Scenario
from orchestrator.simulator.jobs import Refusal
from orchestrator.simulator.scenario import Documents, JobRules, Range

from .conftest import Serve

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NOW = 1_795_827_600.0
SCENARIO = Scenario(jobs=JobRules(ready_after=Range(low=0.0, high=0.0), cutover=Range(low=100.0, high=100.0)))


def wall() -> float:
    """The wall clock at the start."""
    return NOW


async def test_a_cutover_of_before_takes_what_is_left_of_its_time(serve: Serve) -> None:
    """Seconds before the start are as long as those after it, and another PUT comes too late."""
    past = {"orders": Past(cut_over_at=NOW - 4.0)}
    async with serve(SCENARIO, past=past, speed=10.0, wall_clock=wall) as atlas:
        seen = (await atlas.read("orders")).document
        assert (seen["status"], seen["readyForCutover"], seen.get("lagTimeSeconds")) == ("WORKING", False, None)
        refused = await atlas.cutover("orders")
        assert (refused.status, refused.document["errorCode"]) == (409, Refusal.UNDER_WAY)
        await anyio.sleep(6.1)
        assert (await atlas.read("orders")).document["status"] == "COMPLETE"
        record = atlas.seen("orders")
        assert (record["processed_at"], record["finished_at"]) == (-4.0, pytest.approx(6.0))


async def test_the_record_counts_the_put_of_before(serve: Serve) -> None:
    """A PUT was carried out once, whichever simulator did it; those that have no past have none in the record."""
    past = {"orders": Past(cut_over_at=NOW - 4.0), "legacy": Past(ended=JobStatus.COMPLETE)}
    async with serve(SCENARIO, past=past, wall_clock=wall) as atlas:
        assert (await atlas.cutover("billing")).status == 202
        counts = {
            name: [atlas.seen(name)[f"puts_{what}"] for what in ("received", "processed", "refused")]
            for name in ("orders", "billing", "legacy")
        }
        assert counts == {"orders": [1, 1, 0], "billing": [1, 1, 0], "legacy": [0, 0, 0]}
        assert atlas.seen("orders")["put_times"] == [-4.0]


@pytest.mark.parametrize("ended", [JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.EXPIRED])
async def test_a_job_that_ended_before_is_over(serve: Serve, ended: JobStatus) -> None:
    """Whatever the scenario would have made of it."""
    past = {"orders": Past(ended=ended)}
    async with serve(SCENARIO, past=past) as atlas:
        assert (await atlas.read("orders")).document["status"] == ended
        refused = await atlas.cutover("orders")
        assert (refused.status, refused.document["errorCode"]) == (409, Refusal.OVER)
        record = atlas.seen("orders")
        assert (record["status"], record["ends"], record["finished_at"]) == (ended, ended, 0.0)


async def test_why_a_job_failed_is_remembered(serve: Serve) -> None:
    """The older documents of v1.0 show it."""
    past = {"orders": Past(cut_over_at=NOW - 4.0, ended=JobStatus.FAILED, error_message="The disk is full.")}
    async with serve(replace(SCENARIO, documents=Documents.OLDER), past=past, wall_clock=wall) as atlas:
        seen = (await atlas.read("orders")).document
        assert (seen["status"], seen["errorMessage"]) == ("FAILED", "The disk is full.")


async def test_a_clock_that_was_set_back_puts_no_cutover_into_the_future(serve: Serve) -> None:
    """It begins now."""
    past = {"orders": Past(cut_over_at=NOW + 3600.0)}
    async with serve(SCENARIO, past=past, wall_clock=wall) as atlas:
        assert (await atlas.read("orders")).document["readyForCutover"] is False
        await anyio.sleep(100.1)
        assert (await atlas.read("orders")).document["status"] == "COMPLETE"
