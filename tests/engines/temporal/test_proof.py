"""Verification, steering and sets of credentials on a Temporal server: the core's rules, and nothing of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client

from orchestrator.core.events import CutoversStopped, WaveFinished
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Hooks
from orchestrator.simulator.scenario import Range, Special

from ..house import house, live, migration, wave, workflow
from .cluster import begin, until, worker
from .servers import needs_temporal
from .test_nights import hasty, own, quick

pytestmark = [pytest.mark.anyio, needs_temporal]

NOT_YET = "test -e {0}/asked || {{ touch {0}/asked; exit 75; }}"


async def test_not_yet_is_asked_again_and_what_is_refuted_is_verified_again(tmp_path: Path, client: Client) -> None:
    """One says not yet once; another is UNVERIFIED, which lets the next wave go, until somebody has mended it."""
    patient = Hooks(verify=(("sh", "-c", NOT_YET.format(tmp_path)),), verify_every=0.5)
    fixed = tmp_path / "fixed"
    refuted = Hooks(verify=(("test", "-e", str(fixed)),), after_unverified=(("touch", str(tmp_path / "told")),))
    one = wave("one", migration("a", hooks=patient), migration("b", hooks=refuted))
    plan = own(workflow(one, wave("two", "c", approval=True)))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await run.waits_for_approval("two")
        state = await run.state()
        assert (state.result("a").outcome, state.result("b").outcome) == (Outcome.SUCCESS, Outcome.UNVERIFIED)
        assert (tmp_path / "told").exists()
        fixed.touch()
        assert await run.steer("retry", migration="b") == [None]
        assert await run.steer("approve", wave="two") == [None]
        assert (await run.result())["exit_code"] == 0
        assert {it.puts(name) for name in "abc"} == {1}


async def test_one_is_skipped_and_the_gate_of_another_opened_and_a_wave_rejected(
    tmp_path: Path, client: Client
) -> None:
    """Heeded by a run under way."""
    never = Special(ready_after=Range(low=1e6, high=1e6))
    late = Special(initial_lag=Range(low=60.0, high=60.0), ready_lag=Range(low=60.0, high=60.0))
    scenario = replace(quick(), special={live("b"): never, live("c"): late})
    plan = own(workflow(wave("one", "a", "b", "c"), wave("two", "d", approval=True)))
    async with house(tmp_path / "atlas", plan, scenario) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await until(lambda: it.puts("a") > 0)
        gate = replace(plan.waves[0].migrations[2].gate, max_lag=90.0)  # type: ignore[type-var]
        assert await run.steer("gate", migration="c", gate=gate) == [None]
        assert await run.steer("skip", migration="b", reason="its owner is asleep") == [None]
        await run.waits_for_approval("two")
        assert await run.steer("reject", wave="two") == [None]
        assert (await run.result())["exit_code"] == 3
        state = await run.state()
        events = await run.events()
        assert {name: it.puts(name) for name in "abcd"} == {"a": 1, "b": 0, "c": 1, "d": 0}
    assert [str(state.result(name).outcome) for name in "abcd"] == ["SUCCESS", "NOT_STARTED", "SUCCESS", "NOT_STARTED"]
    assert [event.wave for event in events if isinstance(event, WaveFinished)] == ["one"]


async def test_a_set_that_the_worker_lacks_is_said_before_the_run_begins(tmp_path: Path, client: Client) -> None:
    """Nothing is sent, and nothing has begun."""
    eu = replace(migration("b"), credentials="eu")
    plan = own(workflow(wave("one", "a", eu)))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        assert (await run.result())["exit_code"] == 6
        events = await run.events()
        assert it.puts("a") == it.puts("b") == 0
    assert [event.reason for event in events if isinstance(event, CutoversStopped)] == [
        "the worker has no credentials 'eu'"
    ]
