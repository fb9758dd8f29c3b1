"""What was stopped or paused starts nothing more, though it waits for something on its way."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.errors import NotSentError
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverRequested,
    CutoversStopped,
    Event,
    GateWaiting,
    HookFinished,
    RunPaused,
    RunUnpaused,
    StatusPolled,
)
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.settings import RateLimit
from orchestrator.engines import hook_runner as hookrunner
from orchestrator.reports.model import build
from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit as ServerLimit
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.latency import Latency
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range

from .house import READY, AbsoluteWindow, Hooks, House, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NAMES = [f"m{number}" for number in range(20)]
SLOW = Scenario(jobs=READY, nonce=NonceRules(uses=1, seconds=None), latency=Latency(quantiles=((0.0, 1.5), (1.0, 1.5))))
"""Each nonce serves one request, so every PUT is challenged, and may leave again 1.5 s after its intent was recorded."""


def when_the_first_put_leaves(it: House, do: str) -> None:
    """Ask *do* of the run at that moment."""
    it.watchers.append(lambda event, _: it.ask(do) if it.names(CutoverRequested) == [event] else None)


def left_between(it: House, begin: float, end: float) -> list[str]:
    """The migrations whose PUT arrived in that time (seconds since the simulator's start)."""
    return [name for name in NAMES if any(begin < at < end for at in it.seen(name)["put_times"])]


@pytest.mark.parametrize("how", ["abort", "window"])
async def test_no_put_leaves_after_the_end_because_it_was_challenged(tmp_path: Path, how: str) -> None:
    """An abort, or the end of the window: the intent may be recorded already."""
    window = AbsoluteWindow(opens=wall() - 60, closes=wall() + 5.3) if how == "window" else None
    async with house(tmp_path, workflow(wave("w", *NAMES), window=window), SLOW) as it:
        began = wall()
        if how == "abort":
            when_the_first_put_leaves(it, "abort")
        ending = await it.start()
        stopped = it.names(CutoversStopped)[0].at - began
        assert left_between(it, stopped + 1.0, 1e9) == []
        rows = [m for m in build(ending.state, now=wall()).migrations if m.outcome is Outcome.NOT_STARTED]
        assert len(rows) >= 18
        assert {(m.cutover_requests, m.requested_at) for m in rows} == {(0, None)}


async def test_no_put_leaves_after_the_window_because_the_clock_was_set(tmp_path: Path) -> None:
    """Or because the machine slept: whoever waits for the window's end does so by another clock."""
    closes, shift = wall() + 60.0, 0.0
    window = AbsoluteWindow(opens=wall() - 60, closes=closes)
    async with house(tmp_path, workflow(wave("w", *NAMES, concurrency=1), window=window), Scenario(jobs=READY)) as it:

        def jump(event: Event, _: RunState) -> None:
            nonlocal shift
            if it.names(CutoverAccepted) == [event]:
                shift = 60.0

        it.watchers.append(jump)
        ending = await it.start(clock=lambda: wall() + shift)
        assert [event.migration for event in it.names(CutoverAccepted)] == ["m0"]
        assert ending.exit_code is ExitCode.INCOMPLETE


async def test_no_before_hook_begins_in_a_pause(tmp_path: Path) -> None:
    """No application is stopped for a cutover that is held; before one is, the job is read again."""
    scenario = Scenario(jobs=replace(READY, ready_after=Range(low=30.0, high=30.0)))
    plan = workflow(wave("w", migration("a", hooks=Hooks(before=(("true",),)))))
    async with house(tmp_path, plan, scenario) as it:
        it.watchers.append(lambda event, _: it.ask("pause") if it.names(GateWaiting) == [event] else None)
        async with anyio.create_task_group() as group:
            group.start_soon(it.ask_after, 600, "unpause")
            ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS}
        ((hook,), (requested,)) = it.names(HookFinished), it.names(CutoverRequested)
        (unpaused,) = it.names(RunUnpaused)
        assert unpaused.at <= hook.at <= requested.at < unpaused.at + 10
        assert any(unpaused.at <= read.at <= hook.at for read in it.names(StatusPolled))


async def test_a_pause_holds_what_was_challenged(tmp_path: Path) -> None:
    """It goes on afterwards."""
    async with house(tmp_path, workflow(wave("w", *NAMES)), SLOW) as it:
        when_the_first_put_leaves(it, "pause")
        async with anyio.create_task_group() as group:
            group.start_soon(it.ask_after, 100, "unpause")
            began = wall()
            ending = await it.start()
        paused = it.names(RunPaused)[0].at - began
        assert left_between(it, paused + 1.0, 100) == []
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert {m.cutover_requests for m in build(ending.state, now=wall()).migrations} == {1}


async def test_max_failures_holds_what_waits_for_a_token(tmp_path: Path) -> None:
    """One PUT is refused, and the others wait for the next step of the bucket."""
    refused = Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, status=400, migration="m0")
    plan = workflow(wave("w", *NAMES, max_failures=0))
    scenario = Scenario(jobs=READY, faults=(refused,), rate_limit=ServerLimit(capacity=2, refill=2, per=60.0))
    limit = RateLimit(requests=2, per=60.0, burst=2, scope="group")
    async with house(tmp_path, plan, scenario, limit=limit) as it:
        assert outcomes(await it.start())["m0"] is Outcome.FAILED
        stopped = it.events.index(it.names(CutoversStopped)[0])
        assert [event for event in it.events[stopped:] if isinstance(event, CutoverAccepted)] == []


async def test_a_signal_waits_for_answers_on_the_wire_alone(tmp_path: Path) -> None:
    """Not for those that wait for their turn: it ends within the request timeout."""
    async with house(tmp_path, workflow(wave("w", *NAMES)), SLOW) as it:
        at: list[float] = []

        def term(event: Event, _: RunState) -> None:
            if isinstance(event, CutoverAccepted) and not at:
                at.append(wall())
                os.kill(os.getpid(), signal.SIGTERM)

        it.watchers.append(term)
        assert (await it.start()).exit_code is ExitCode.SIGTERM
        assert wall() - at[0] <= it.settings.atlas.request_timeout + 0.5


async def test_a_put_that_never_left_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection as long as the timeout: nothing was sent, nothing has failed, and the run goes on later."""

    async def no_connection(*_: object, **__: object) -> None:
        raise NotSentError("connection refused", method="PUT", path="/")

    async with house(tmp_path, workflow(wave("w", migration("a", timeout=20.0)))) as it:
        with monkeypatch.context() as patch:
            patch.setattr(AtlasClient, "cutover", no_connection)
            first = await it.start()
        assert (outcomes(first), first.exit_code) == ({"a": Outcome.NOT_STARTED}, ExitCode.INCOMPLETE)
        (row,) = build(first.state, now=wall()).migrations
        assert (row.cutover_requests, "connection refused" in (row.error_message or "")) == (0, True)
        assert first.state.request_statistics()["retries"] == 0
        assert outcomes(await it.resume(first.state.run_id)) == {"a": Outcome.SUCCESS}


async def test_what_waits_for_its_hooks_turn_is_read_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many hooks wait for each other, reads cost no more tokens than there are hooks."""
    monkeypatch.setattr(hookrunner, "MOST_AT_ONCE", 1)
    hooks = Hooks(before=(("sleep", "0.01"),))
    plan = workflow(wave("w", *(migration(name, hooks=hooks) for name in NAMES)))
    shift = 0.0
    async with house(tmp_path, plan, Scenario(jobs=READY)) as it:

        def later(event: Event, _: RunState) -> None:
            nonlocal shift
            if isinstance(event, HookFinished):
                shift += 10.0  # as if each had taken so long

        it.watchers.append(later)
        ending = await it.start(steady=lambda: wall() + shift)
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        before = [event for event in it.names(StatusPolled) if event.at < it.names(HookFinished)[-1].at]
        assert len(before) <= 5 * len(NAMES)
