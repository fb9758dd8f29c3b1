"""Whole runs on a real Temporal server, against the simulator, with a worker in this process."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from temporalio.client import Client

from orchestrator.core.errors import TemporalError
from orchestrator.core.events import CutoverRequested, HookFinished, MigrationFinished, WaveStarted
from orchestrator.core.migration import Phase
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.settings import Polling
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.workflow import Hooks, Workflow
from orchestrator.engines.temporal import forms
from orchestrator.engines.temporal.asked import STANDS
from orchestrator.engines.temporal.service import NoWorkerError, Remote
from orchestrator.engines.temporal.workflows import Run
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import JobRules, Range, Special

from ..house import House, house, live, migration, wave, workflow
from .cluster import Begun, begin, until, worker
from .fleet import start_program
from .servers import needs_temporal

pytestmark = [pytest.mark.anyio, needs_temporal]


def quick(seconds: float = 0.4) -> Scenario:
    """Jobs that are ready, and whose cutovers take *seconds*."""
    exactly = Range(low=seconds, high=seconds)
    ready = Range(low=0.0, high=0.0)
    return Scenario(jobs=JobRules(ready_after=ready, cutover=exactly, ready_lag=Range(low=1.0, high=1.0)))


def own(plan: Workflow) -> Workflow:
    """*plan* under a name that no other test has."""
    return replace(plan, name=f"night-{uuid4().hex[:8]}")


def hasty(it: House) -> House:
    """*it*, with jobs that are read every half second, and doubts that are settled after five."""
    atlas = replace(it.settings.atlas, settle=5.0)
    polling = Polling(initial=0.5, factor=1.5, max=1.0, jitter=0.1)
    return replace(it, settings=replace(it.settings, atlas=atlas, polling=polling))


async def replayed(run: Begun, directory: Path) -> None:
    """Another worker, whose sets have another order, does the same from the run's history."""
    history = directory / "history.json"
    history.write_text((await run.handle.fetch_history()).to_json())
    out, err = directory / "replaying.out", directory / "replaying.err"
    program = ("tests.engines.temporal.replaying",)
    process = start_program(program, (run.handle.id, str(history)), dict(os.environ), out=out, err=err)
    code = await anyio.to_thread.run_sync(process.wait)
    assert code == 0, err.read_text()[-2000:]


async def test_waves_are_cut_over_after_each_other_with_hooks_a_soak_and_an_approval(
    tmp_path: Path, client: Client
) -> None:
    """Each job once, no wave before the one before it has ended and soaked, nor without its word; all hooks in their order.

    Every request is counted.
    """
    hooks = Hooks(before=(("true", "before"),), after_success=(("true", "after"),))
    hooked = migration("d", hooks=replace(hooks, verify=(("true", "verify"),)))
    waves = wave("one", "a", "b", soak=1.0), wave("two", "c"), wave("three", hooked, approval=True, hooks=hooks)
    plan = own(workflow(*waves, hooks=hooks))
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await run.waits_for_approval("three")
        assert it.puts("d") == 0
        assert await run.steer("approve", wave="three") == [None]
        result = await run.result()
        events = await run.events()
        state = await run.state()
        puts = {name: it.puts(name) for name in "abcd"}
        sent = it.atlas.record()["requests"]["by_status"]
        await replayed(run, tmp_path)
    assert result["exit_code"] == 0
    assert puts == dict.fromkeys("abcd", 1)
    assert {state.result(name).outcome for name in "abcd"} == {Outcome.SUCCESS}
    ended = {event.migration: event.at for event in events if isinstance(event, MigrationFinished)}
    starts = {event.wave: event.at for event in events if isinstance(event, WaveStarted)}
    assert starts["two"] - max(ended["a"], ended["b"]) >= 1.0
    assert starts["three"] >= ended["c"]
    counted = state.request_statistics()["by_status"]
    assert counted["202"] == sent["202"]
    assert sent["200"] - counted["200"] == 1  # the root resource, which the worker reads when the run begins
    ran = [(e.wave, e.migration, e.hook) for e in events if isinstance(e, HookFinished)]
    assert ran == [
        (None, None, "before"),
        ("three", None, "before"),
        ("three", "d", "before"),
        ("three", "d", "verify"),
        ("three", "d", "after_success"),
        ("three", None, "after_success"),
        (None, None, "after_success"),
    ]


async def test_a_job_is_looked_at_before_a_hook_is_told_who_is_in_charge(tmp_path: Path, client: Client) -> None:
    """Somebody has cut it over in the Atlas UI while a `before` hook was at work that fails, by which the run is stopped."""
    say = (sys.executable, "-c", "import os; print(os.environ['CUTOVER_IN_CHARGE'])")
    begun = tmp_path / "begun"
    own_hooks = Hooks(before=(("sh", "-c", f"touch {begun}; sleep 6; exit 1"),), after_failure=(say,))
    plan = own(
        workflow(wave("one", migration("a", hooks=own_hooks), hooks=Hooks(after_failure=(say,)), max_failures=0))
    )
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        (job,) = it.atlas.app._jobs.values()
        job.plan = replace(job.plan, cutover_seconds=600.0)
        run = await begin(client, it, plan)
        await until(begun.exists)
        assert job.cutover(it.atlas.app._clock.now()) is None
        assert (await run.result())["exit_code"] == ExitCode.FAILED
        told = [event.output for event in await run.events() if isinstance(event, HookFinished)]
        await replayed(run, tmp_path)
    assert told == ["", "unknown", "unknown"]


async def test_pause_holds_the_puts_and_unpause_lets_them_go(tmp_path: Path, client: Client) -> None:
    """After the answer nothing leaves until the run goes on, whatever else is decided meanwhile."""
    plan = own(workflow(wave("one", "a"), wave("two", "b", "c", approval=True)))
    async with house(tmp_path, plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await run.waits_for_approval("two")
        assert await run.steer("pause") == [None]
        assert await run.steer("pause") == ["it is already paused, by somebody"]
        assert await run.steer("approve", wave="two") == [None]
        await anyio.sleep(1.5)
        assert {name: it.puts(name) for name in "abc"} == {"a": 1, "b": 0, "c": 0}
        assert await run.steer("unpause") == [None]
        assert (await run.result())["exit_code"] == 0
        assert {it.puts(name) for name in "abc"} == {1}


async def test_an_approval_that_no_worker_has_taken_up_in_its_time_lets_nothing_go_later(
    tmp_path: Path, client: Client
) -> None:
    """Whoever gave it was told so, and may have decided otherwise since. A fresh one waits for its worker, and so does what holds the run up, in time."""
    plan = own(workflow(wave("one", "a"), wave("two", "b", approval=True), wave("three", "c", approval=True)))
    async with house(tmp_path, plan, quick()) as built:
        async with worker(client, it := hasty(built)):
            run = await begin(client, it, plan)
            await run.waits_for_approval("two")
        long_ago = Remote(client, run.handle.id, wall=lambda: time.time() - STANDS - 60.0)
        for asked_at, command, name, told in (
            (long_ago, Command.APPROVE, "two", "after that it is done no more"),
            (long_ago, Command.REJECT, "three", "is kept at Temporal, and done when a worker comes"),
        ):
            request = SteeringRequest(command=command, who="olga", wave=name)
            with pytest.raises(NoWorkerError, match=told):
                await asked_at.steer(run.run_id, [request], patience=0.5)
        async with worker(client, it):
            with pytest.raises(TemporalError, match=r"has not taken this: it was asked at .* ask again"):
                await long_ago.steer(run.run_id, [SteeringRequest(command=Command.UNPAUSE, who="olga")])
            known = (await run.state()).waves
            assert (known["two"].approved_by, known["three"].rejected_by) == (None, "olga")
            assert it.puts("b") == 0
        approval = SteeringRequest(command=Command.APPROVE, who="olga", wave="two")
        for request in (approval, SteeringRequest(command=Command.PAUSE, who="ben")):
            with pytest.raises(NoWorkerError):
                await Remote(client, run.handle.id).steer(run.run_id, [request], patience=0.5)
        async with worker(client, it):
            assert (await run.state()).waves["two"].approved_by == "olga"
            await anyio.sleep(1.5)
            assert it.puts("b") == 0
            assert await run.steer("unpause") == [None]
            await run.result()
            await replayed(run, tmp_path)
        assert {name: it.puts(name) for name in "abc"} == {"a": 1, "b": 1, "c": 0}


async def test_what_holds_a_run_up_and_meets_no_worker_is_kept_for_the_one_that_comes(
    tmp_path: Path, client: Client
) -> None:
    """In the history, as what Temporal has in its memory may be lost. It is done once, and nothing that lets the run go on comes that way."""
    plan = own(workflow(wave("one", "a"), wave("two", "b", approval=True)))
    async with house(tmp_path, plan, quick()) as built:
        run = await begin(client, it := hasty(built), plan)
        execution = (await run.handle.describe()).run_id
        assert execution is not None
        pause, approval = (
            forms.Asked(
                run_id=run.run_id,
                execution=execution,
                number=command,
                requests=[forms.request_out(SteeringRequest(command=command, who="ben", wave=name))],
                at=time.time(),
            )
            for command, name in ((Command.PAUSE, None), (Command.APPROVE, "two"))
        )
        for asked in (pause, approval):
            await run.handle.signal(Run.left, asked)
        async with worker(client, it):
            state = await run.state()
            assert (state.paused_by, state.waves["two"].approved_by, it.puts("a")) == ("ben", None, 0)
            assert await run.steer("unpause") == [None]
            await run.handle.signal(Run.left, pause)  # a copy
            await run.waits_for_approval("two")
            assert await run.steer("approve", wave="two") == [None]
            assert (await run.result())["exit_code"] == 0
            await replayed(run, tmp_path)
        assert {name: it.puts(name) for name in "ab"} == {"a": 1, "b": 1}


async def test_the_last_word_holds_where_no_worker_was_there_to_hear_any(tmp_path: Path, client: Client) -> None:
    """An approval, and then a rejection that is left in the history, too, and comes before it there; a pause that was taken back."""
    plan = own(workflow(wave("one", "a", approval=True), wave("two", "b")))
    async with house(tmp_path, plan, quick()) as built:
        run = await begin(client, it := hasty(built), plan)
        remote = Remote(client, run.handle.id)
        for command, name in (
            (Command.APPROVE, "one"),
            (Command.PAUSE, None),
            (Command.REJECT, "one"),
            (Command.UNPAUSE, None),
        ):
            request = SteeringRequest(command=command, who="olga", wave=name)
            with pytest.raises(NoWorkerError):
                await remote.steer(run.run_id, [request], patience=0.5)
        async with worker(client, it):
            assert (await run.result())["exit_code"] == 3
            state = await run.state()
            await replayed(run, tmp_path)
        assert (state.waves["one"].rejected_by, state.paused_by) == ("olga", None)
        assert {name: it.puts(name) for name in "ab"} == {"a": 0, "b": 0}


async def test_who_is_cancelled_while_no_worker_answers_has_not_met_silence(tmp_path: Path, client: Client) -> None:
    """Ctrl-C ends the command as it ends any other, and not with a word about workers."""
    plan = own(workflow(wave("one", "a", approval=True)))
    async with house(tmp_path, plan, quick()) as it:
        run = await begin(client, it, plan)
        asking = asyncio.ensure_future(run.steer("pause"))
        await anyio.sleep(1.0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await run.handle.terminate()


async def test_abort_follows_what_is_under_way_and_starts_nothing_more(tmp_path: Path, client: Client) -> None:
    """Atlas has accepted one: it is seen to its end; the one at its gate gets no PUT."""
    plan = own(workflow(wave("one", "a", "b")))
    never = Special(ready_after=Range(low=1e6, high=1e6))
    scenario = replace(quick(3.0), special={live("b"): never})
    async with house(tmp_path, plan, scenario) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        await until(lambda: it.puts("a") > 0)
        assert await run.steer("abort") == [None]
        assert (await run.result())["exit_code"] == 3
        state = await run.state()
        assert it.puts("b") == 0
    assert state.result("a").outcome is Outcome.SUCCESS
    assert state.result("b").outcome is Outcome.NOT_STARTED
    assert not state.recorded_unfinished


async def test_a_job_that_another_run_drives_is_left_alone(tmp_path: Path, client: Client) -> None:
    """The second run ends with 5 and sends nothing; when the first has ended, the job may be named again."""
    plan = own(workflow(wave("one", "a")))
    other = own(workflow(wave("one", "a", "b")))
    under_way = Special(cutover=Range(low=3.0, high=3.0))  # while the second one asks for it
    scenario = replace(quick(), special={live("a"): under_way})
    async with house(tmp_path, other, scenario) as built, worker(client, it := hasty(built)):
        first = await begin(client, it, plan, run_id="first")
        await until(lambda: it.puts("a") > 0)
        second = await begin(client, it, other, run_id="second")
        assert (await second.result())["exit_code"] == 5
        state = await second.state()
        assert state.stopped is not None
        assert "is held by run first" in state.stopped
        assert not any(isinstance(event, CutoverRequested) for event in await second.events())
        assert (await first.result())["exit_code"] == 0
        assert (it.puts("a"), it.puts("b")) == (1, 0)
        third = await begin(client, it, other, run_id="third")
        assert (await third.result())["exit_code"] == 0
        assert (it.puts("a"), it.puts("b")) == (1, 1)
        assert (await third.state()).migrations["a"].phase is Phase.FINISHED
