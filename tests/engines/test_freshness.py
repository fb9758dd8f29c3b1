"""Nothing leaves on old knowledge: whatever a PUT has waited for, its job was read within the last seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.atlas.budget import Permit
from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.errors import NotSentError
from orchestrator.core.events import (
    CutoverNotBegun,
    CutoverRequested,
    Event,
    GateOpened,
    GateWaiting,
    HookFinished,
    HookStarted,
    MigrationFinished,
    StatusPolled,
)
from orchestrator.core.next_step import GATE_LIFE
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.settings import RateLimit
from orchestrator.core.steering import GateChange
from orchestrator.engines.recorder import Recorder
from orchestrator.reports.model import build
from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit as ServerLimit
from orchestrator.simulator.bucket import Refill
from orchestrator.simulator.scenario import Fault, FaultKind, Kind
from orchestrator.store.journal import open_journal

from ..builders import WORKS
from .house import READY, Gate, Hooks, House, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, FAILED, NOT_STARTED = Outcome.SUCCESS, Outcome.FAILED, Outcome.NOT_STARTED


def job(it: House, name: str) -> Any:
    """The simulator's job of migration *name*."""
    return next(job for job in it.atlas.app._jobs.values() if job.name == name)


def lag(it: House, name: str, seconds: float) -> None:
    """From now on it lags so much."""
    job(it, name).plan = replace(job(it, name).plan, lag_ready=seconds)


def slow_journal(monkeypatch: pytest.MonkeyPatch, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """It takes *seconds* to write an intent down; *meanwhile* something happens, the first time."""
    commit = Recorder.commit
    happened: list[bool] = []

    async def slow(self: Recorder, event: Event) -> None:
        await commit(self, event)
        if isinstance(event, CutoverRequested):
            if not happened:
                meanwhile()
                happened.append(True)
            await anyio.sleep(seconds)

    monkeypatch.setattr(Recorder, "commit", slow)


def ages(it: House, name: str, began: float) -> list[float]:
    """How old what was known of the job was at most when each of its PUTs arrived."""
    reads = [event for event in it.names(StatusPolled) if event.migration == name and event.error is None]
    puts = [began + at for at in it.seen(name)["put_times"]]
    return [min(at - (read.at - read.took) for read in reads if read.at <= at) for at in puts]


@pytest.mark.parametrize("concurrency", [None, 1])
async def test_a_slow_journal_does_not_make_a_put_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int | None
) -> None:
    """However long an intent takes each time, its job is read once more, and the PUT leaves."""
    slow_journal(monkeypatch, 20.0)
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=concurrency))) as it:
        began = wall()
        assert outcomes(await it.start()) == {"a": SUCCESS, "b": SUCCESS}
        for name in ("a", "b"):
            (age,) = ages(it, name, began)
            assert age <= GATE_LIFE
        assert len(it.names(CutoverRequested)) == 2


async def test_a_job_that_falls_behind_while_the_intent_is_written_gets_no_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is back at its gate, the intent is taken back, and one PUT is told of in the end."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        slow_journal(monkeypatch, 20.0, lambda: lag(it, "a", 5000.0))

        async def catch_up() -> None:
            await anyio.sleep(100)
            assert it.puts("a") == 0
            lag(it, "a", 1.0)

        async with anyio.create_task_group() as group:
            group.start_soon(catch_up)
            ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS}
        (back,) = it.names(CutoverNotBegun)
        assert (back.sent, "old" in back.reason) == (False, True)
        assert [event.lag for event in it.names(GateWaiting)] == [5000.0]
        (row,) = build(ending.state, now=wall()).migrations
        assert (row.cutover_requests, it.puts("a")) == (1, 1)


@pytest.mark.parametrize("moment", [HookStarted, CutoverRequested])
async def test_a_gate_that_is_made_narrower_holds_the_put_that_was_about_to_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: type[Event]
) -> None:
    """Also while it is written down that a `before` hook begins, or that the PUT leaves: the job is read again by the gate as it is now."""
    commit = Recorder.commit
    plan = workflow(wave("w", migration("a", hooks=Hooks(before=(WORKS,)))))
    async with house(tmp_path, plan) as it:
        lag(it, "a", 8.0)
        asked: list[Event] = []

        async def slow(self: Recorder, event: Event) -> None:
            if isinstance(event, moment) and not asked:
                asked.append(event)
                it.ask("gate", migration="a", gate=GateChange(max_lag=2.0))
                await anyio.sleep(2.0)  # it is taken in meanwhile
            await commit(self, event)

        async def catch_up() -> None:
            await anyio.sleep(200)
            lag(it, "a", 1.0)

        monkeypatch.setattr(Recorder, "commit", slow)
        async with anyio.create_task_group() as group:
            group.start_soon(catch_up)
            ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS}
        assert it.put_at("a") > 200
        assert [event.lag for event in it.names(GateWaiting)] == [8.0]
        assert [hook.ok for hook in ending.state.finished_hooks] == [True]
        taken_back = [event.reason for event in it.names(CutoverNotBegun)]
        changed = "not sent: its gate was changed since the job was read"
        assert taken_back == ([changed] if moment is CutoverRequested else [])


async def test_a_job_that_is_over_when_its_intent_is_written_gets_no_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has cut it over in the UI: SUCCESS, and no PUT in the report."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        slow_journal(monkeypatch, 20.0, lambda: job(it, "a").cutover(it.atlas.app._clock.now()))
        ending = await it.start()
        (row,) = build(ending.state, now=wall()).migrations
        assert (row.outcome, row.cutover_requests, it.puts("a")) == (SUCCESS, 0, 0)


async def test_what_cannot_be_read_again_is_held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on when Atlas answers again."""
    slow_journal(monkeypatch, 20.0)
    fault = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, after=10.0, until=90.0)
    async with house(tmp_path, workflow(wave("w", "a")), Scenario(jobs=READY, faults=(fault,))) as it:
        began = wall()
        assert outcomes(await it.start()) == {"a": SUCCESS}
        (back,) = it.names(CutoverNotBegun)
        assert "could not be read again" in back.reason
        (age,) = ages(it, "a", began)
        assert age <= GATE_LIFE
        assert it.put_at("a") > 90


@pytest.mark.parametrize("how", ["abort", "cancelled"])
async def test_an_intent_whose_put_is_given_up_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its job was about to be read again: nothing has left, so nothing is in doubt."""
    slow_journal(monkeypatch, 20.0)
    hangs = Fault(on=Kind.READ, kind=FaultKind.SLOW, delay=4.0, after=10.0)
    async with house(tmp_path, workflow(wave("w", "a")), Scenario(jobs=READY, faults=(hangs,))) as it:
        with anyio.CancelScope() as scope:

            async def later() -> None:
                await anyio.sleep(21)
                if how == "abort":
                    it.ask("abort")
                else:
                    scope.cancel()

            async with anyio.create_task_group() as group:

                def watch(event: Event, _: RunState) -> None:
                    if isinstance(event, CutoverRequested):
                        group.start_soon(later)

                it.watchers.append(watch)
                ending = await it.start()
                assert ending.exit_code is ExitCode.INCOMPLETE
        with open_journal(tmp_path) as journal:
            (row,) = journal.runs()
            state = journal.state(row.run_id)
        assert state.result("a").outcome is NOT_STARTED
        assert state.migrations["a"].cutover_requests == it.puts("a") == 0


async def test_a_put_that_waits_for_its_token_is_read_again(tmp_path: Path) -> None:
    """For a minute, here: its job lags by hours then. It keeps the token while it is read."""
    limit = ServerLimit(capacity=6, refill=2, per=60.0, mode=Refill.INTERVAL)
    budget = RateLimit(requests=2, per=60.0, burst=6, scope="group")
    names = ("a", "b", "c", "d")
    async with house(tmp_path, workflow(wave("w", *names)), Scenario(jobs=READY, rate_limit=limit), limit=budget) as it:
        began = wall()
        assert set(outcomes(await it.start()).values()) == {SUCCESS}
        found = [age for name in names for age in ages(it, name, began)]
        assert len(found) == 4
        assert max(found) <= GATE_LIFE


async def test_an_answer_that_took_long_opens_no_gate(tmp_path: Path) -> None:
    """What it says is as old as the question."""
    hangs = Fault(on=Kind.READ, kind=FaultKind.SLOW, delay=20.0, times=1)
    async with house(
        tmp_path, workflow(wave("w", "a")), Scenario(jobs=READY, faults=(hangs,)), request_timeout=30.0
    ) as it:
        began = wall()
        assert outcomes(await it.start()) == {"a": SUCCESS}
        (waiting,), (opened,) = it.names(GateWaiting), it.names(GateOpened)
        assert waiting.note == "the answer took 20s: it is too old to go by"
        assert it.events.index(opened) > it.events.index(waiting)
        assert max(ages(it, "a", began)) <= GATE_LIFE


async def test_a_gate_whose_answers_always_take_long_ends_by_its_timeout(tmp_path: Path) -> None:
    """And says why; it is not read without end."""
    slow = Fault(on=Kind.READ, kind=FaultKind.SLOW, delay=8.0)
    plan = workflow(wave("w", migration("a", gate=Gate(max_lag=10.0, timeout=120.0))))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(slow,)), request_timeout=30.0) as it:
        ending = await it.start()
        assert (outcomes(ending), it.puts("a")) == ({"a": FAILED}, 0)
        assert "the answer took 8s" in str(ending.state.result("a").error_message)


async def test_a_put_for_which_there_is_never_a_token_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads go on, as of a server whose answers always say that nothing is left: the application that stands still comes back after `timeout`."""

    async def none(_self: AtlasClient, _group_id: str, *, deadline: float | None = None, age: float = 0.0) -> Permit:
        await anyio.sleep_until(deadline or age)
        raise NotSentError("nothing is left of the request budget", method="PUT", path="/")

    monkeypatch.setattr(AtlasClient, "reserve", none)
    hooks = Hooks(before=(("true", "stop"),), after_failure=(("true", "start"),))
    plan = workflow(wave("w", migration("a", gate=Gate(max_lag=10.0, timeout=40.0), timeout=60.0, hooks=hooks)))
    async with house(tmp_path, plan, Scenario(jobs=READY)) as it:
        began = anyio.current_time()
        ending = await it.start()
        assert (outcomes(ending), it.puts("a")) == ({"a": NOT_STARTED}, 0)
        assert anyio.current_time() - began < 60 + 40 + 5
        (finish,) = it.names(MigrationFinished)
        assert (finish.error_message or "").startswith("no PUT could be sent in 1m: ")
        assert [event.argv[1] for event in it.names(HookFinished)] == ["stop", "start"]
