"""Whole runs: order, concurrency, gates, limits of failures and of time, one migration beside another."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.atlas.errors import ApiError
from orchestrator.core.events import (
    CutoverAccepted,
    CutoverRequested,
    Event,
    GateOpened,
    GateWaiting,
    HookFinished,
    MigrationFinished,
    StatusPolled,
)
from orchestrator.core.no_return import Point, point_in
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.settings import Api, RateLimit
from orchestrator.core.workflow import NO_HOOKS, Argv, HookKind, Hooks
from orchestrator.engines import hook_runner
from orchestrator.engines.hooks import run_hook
from orchestrator.engines.local import controls
from orchestrator.engines.local.driver import Driver
from orchestrator.operations.target import Rehearsal
from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit as ServerLimit
from orchestrator.simulator.bucket import Refill
from orchestrator.simulator.jobs import JobStatus
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, Garbage, JobRules, Kind, Range, Special
from orchestrator.store.journal import open_journal

from ..strength import examples
from .house import READY, Gate, House, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, FAILED, NOT_STARTED = Outcome.SUCCESS, Outcome.FAILED, Outcome.NOT_STARTED


def fixed(seconds: float) -> Range:
    """Always *seconds*."""
    return Range(low=seconds, high=seconds)


async def test_waves_go_one_after_another(tmp_path: Path) -> None:
    """No PUT of a wave leaves before every job of the wave before has ended, and one PUT is enough for each."""
    plan = workflow(wave("a", "a1", "a2"), wave("b", "b1"), wave("c", "c1", "c2"))
    async with house(tmp_path, plan) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.SUCCESS
        assert set(outcomes(ending).values()) == {SUCCESS}
        assert it.put_at("b1") >= max(it.seen(name)["finished_at"] for name in ("a1", "a2"))
        assert min(it.put_at(name) for name in ("c1", "c2")) >= it.seen("b1")["finished_at"]
        assert all(it.seen(m.name)["puts_processed"] == it.puts(m.name) == 1 for _, m in plan.migrations())
        assert abs(it.put_at("a1") - it.put_at("a2")) < 1


@pytest.mark.parametrize("concurrency", [1, 2, 3])
async def test_no_more_cutovers_are_under_way_than_the_wave_allows(tmp_path: Path, concurrency: int) -> None:
    """Counted at Atlas, and no slot stays empty for long; the wave's order is kept."""
    names = [f"m{number}" for number in range(7)]
    async with house(tmp_path, workflow(wave("a", *names, concurrency=concurrency))) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.SUCCESS
        spans = [(it.put_at(name), it.seen(name)["finished_at"]) for name in names]
        assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) == concurrency
        assert [start for start, _ in spans] == sorted(start for start, _ in spans)
        assert max(end for _, end in spans) <= -(-7 // concurrency) * (10 + 2.2) + 5


@pytest.mark.parametrize(("max_failures", "started"), [(0, 1), (1, 2), (None, 4)])
async def test_too_many_failures_stop_the_run(tmp_path: Path, max_failures: int | None, started: int) -> None:
    """No further cutover starts, in the wave and in later ones; what was not started says why."""
    plan = workflow(wave("a", "a1", "a2", "a3", concurrency=1, max_failures=max_failures), wave("b", "b1"))
    special = {name: Special(ends=JobStatus.FAILED) for name in ("a1", "a2")}
    async with house(tmp_path, plan, Scenario(jobs=READY, special=special)) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.FAILED
        assert sum(it.puts(m.name) for _, m in plan.migrations()) == started
        left = [name for name, outcome in outcomes(ending).items() if outcome is NOT_STARTED]
        assert len(left) == 4 - started
        for name in left:
            assert "max_failures is" in (ending.state.result(name).error_message or "")


async def test_the_end_of_a_migrations_hook_wakes_that_migration_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wave of thousands with hooks would wake thousands of others for each of them."""
    names = [f"m{number}" for number in range(30)]
    woken = 0
    notice = Driver.notice

    def counted(driver: Driver) -> None:
        nonlocal woken
        woken += 1
        notice(driver)

    monkeypatch.setattr(Driver, "notice", counted)
    hooks = Hooks(before=(("true",),), after_success=(("true",),))
    async with house(tmp_path, workflow(wave("a", *(migration(name, hooks=hooks) for name in names)))) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.SUCCESS
        own = sum(getattr(event, "migration", None) is not None for event in it.events)
        assert woken <= own + len(names) * 5, "and a few times for what concerns all of them"


async def test_what_is_under_way_is_followed_to_its_end_after_the_stop(tmp_path: Path) -> None:
    """Of two at once one fails first: the other still ends in its own way."""
    plan = workflow(wave("a", "a1", "a2", "a3", concurrency=2, max_failures=0))
    special = {"a1": Special(ends=JobStatus.FAILED, cutover=fixed(5.0)), "a2": Special(cutover=fixed(60.0))}
    async with house(tmp_path, plan, Scenario(jobs=READY, special=special)) as it:
        assert outcomes(await it.start()) == {"a1": FAILED, "a2": SUCCESS, "a3": NOT_STARTED}


async def test_a_gate_waits_for_readiness_and_lag(tmp_path: Path) -> None:
    """The PUT leaves soon after the job is ready, not before."""
    scenario = Scenario(jobs=READY, special={"a1": Special(ready_after=fixed(120.0))})
    async with house(tmp_path, workflow(wave("a", "a1", "a2")), scenario) as it:
        assert (await it.start()).exit_code is ExitCode.SUCCESS
        assert [event.migration for event in it.names(GateWaiting)] == ["a1"]
        assert 120 <= it.put_at("a1") <= 120 + 35
        assert it.put_at("a2") < 2
        assert len(it.names(GateOpened)) == 2


async def test_a_gate_that_never_opens_fails_without_a_put(tmp_path: Path) -> None:
    """Its timeout is kept to, and the message tells the lag."""
    gate = Gate(max_lag=10.0, timeout=300.0)
    plan = workflow(wave("a", migration("a1", gate=gate), migration("a2", gate=gate)))
    special = {"a1": Special(ready_lag=fixed(99.0)), "a2": Special(ready_after=fixed(1e9))}
    async with house(tmp_path, plan, Scenario(jobs=READY, special=special)) as it:
        began = wall()
        ending = await it.start()
        assert outcomes(ending) == {"a1": FAILED, "a2": FAILED}
        assert ending.exit_code is ExitCode.FAILED
        assert "the lag is 1m39s, and at most 10s is allowed" in str(ending.state.result("a1").error_message)
        assert "not ready" in str(ending.state.result("a2").error_message)
        assert it.puts("a1") == it.puts("a2") == 0
        assert 300 <= wall() - began <= 340


async def test_without_a_gate_the_put_leaves_at_once(tmp_path: Path) -> None:
    """`gate: off`: Atlas decides; its 409 is a FAILED without another try."""
    plan = workflow(wave("a", migration("a1", gate=None), migration("a2", gate=None)))
    special = {"a1": Special(ready_lag=fixed(99.0)), "a2": Special(ready_after=fixed(1e9))}
    async with house(tmp_path, plan, Scenario(jobs=READY, special=special)) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": SUCCESS, "a2": FAILED}
        assert "LIVE_MIGRATION_NOT_READY" in str(ending.state.result("a2").error_message)
        assert it.puts("a2") == 1


async def test_a_cutover_that_takes_too_long_is_timed_out(tmp_path: Path) -> None:
    """From the accepted PUT on, and the others are not disturbed."""
    plan = workflow(wave("a", migration("a1", timeout=100.0), "a2"))
    scenario = Scenario(jobs=READY, special={"a1": Special(cutover=fixed(1e6))})
    async with house(tmp_path, plan, scenario) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": Outcome.TIMED_OUT, "a2": SUCCESS}
        assert ending.exit_code is ExitCode.FAILED
        (finished,) = [event for event in it.names(MigrationFinished) if event.migration == "a1"]
        (accepted,) = [event for event in it.names(CutoverAccepted) if event.migration == "a1"]
        assert 100 <= finished.at - accepted.at <= 105


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(JobStatus.COMPLETE, SUCCESS), (JobStatus.FAILED, FAILED), (JobStatus.EXPIRED, FAILED)],
)
async def test_a_job_that_is_over_gets_no_put(tmp_path: Path, status: JobStatus, outcome: Outcome) -> None:
    """It was read once, and that was enough."""
    scenario = Scenario(jobs=READY, special={"a1": Special(status=status)})
    async with house(tmp_path, workflow(wave("a", "a1", "a2")), scenario) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": outcome, "a2": SUCCESS}
        assert ending.state.migrations["a1"].remote_status == status.value
        assert (it.puts("a1"), it.seen("a1")["reads"]) == (0, 1)


async def test_the_words_and_messages_of_v1_are_understood(tmp_path: Path) -> None:
    """PENDING, SUCCESS, FAILED, and why it failed."""
    special = {"a2": Special(ends=JobStatus.FAILED, error_message="no disk")}
    scenario = Scenario(jobs=READY, special=special, documents=Documents.OLDER)
    async with house(tmp_path, workflow(wave("a", "a1", "a2")), scenario, api=Api.V1) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": SUCCESS, "a2": FAILED}
        assert ending.state.result("a2").error_message == "no disk"


@pytest.mark.parametrize("body", [Garbage.UNKNOWN_STATUS, Garbage.NULL_STATUS])
async def test_words_that_are_not_known_mean_pending(tmp_path: Path, body: Garbage) -> None:
    """The run goes on until a word comes that is known."""
    fault = Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=body, after=1.0, until=30.0)
    async with house(tmp_path, workflow(wave("a", "a1")), Scenario(jobs=READY, faults=(fault,))) as it:
        assert outcomes(await it.start()) == {"a1": SUCCESS}
        word = None if body is Garbage.NULL_STATUS else "RECONCILING"
        assert word in [event.status for event in it.names(StatusPolled)]


async def test_reads_that_fail_for_a_while_disturb_nothing(tmp_path: Path) -> None:
    """One migration's reads get nothing but errors for a minute; its siblings never notice."""
    fault = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="a1", until=60.0)
    async with house(tmp_path, workflow(wave("a", "a1", "a2")), Scenario(jobs=READY, faults=(fault,))) as it:
        assert outcomes(await it.start()) == {"a1": SUCCESS, "a2": SUCCESS}
        assert it.seen("a2")["first_final_read"] < 20
        assert it.put_at("a1") > 60


async def test_a_job_that_does_not_exist_fails_alone(tmp_path: Path) -> None:
    """404 for one, SUCCESS for the other."""
    plan = workflow(wave("a", "a1", "a2"))
    async with house(tmp_path, workflow(wave("a", "a2"))) as it:
        it.workflow = plan
        ending = await it.start()
        assert outcomes(ending) == {"a1": FAILED, "a2": SUCCESS}
        assert "LIVE_MIGRATION_NOT_FOUND" in str(ending.state.result("a1").error_message)


async def test_refused_keys_begin_no_run(tmp_path: Path) -> None:
    """An error with exit code 6, and no run in the journal that would have to be resumed."""
    async with house(tmp_path, workflow(wave("a", "a1")), keys=("abcdefgh", "wrong")) as it:
        with pytest.raises(ApiError) as caught:
            await it.start()
        assert caught.value.exit_code is ExitCode.UNREACHABLE
        assert it.events == []


async def test_only_what_was_selected_is_run(tmp_path: Path) -> None:
    """A wave, or a migration, by name; the rest is none of this session's business."""
    plan = workflow(wave("a", "a1", "a2"), wave("b", "b1", "b2"))
    async with house(tmp_path, plan) as it:
        ending = await it.start(only=("a2", "b"))
        assert ending.exit_code is ExitCode.SUCCESS
        assert outcomes(ending) == {"a1": NOT_STARTED, "a2": SUCCESS, "b1": SUCCESS, "b2": SUCCESS}
        assert ending.state.recorded_unfinished
        again = await it.start()
        assert again.state.run_id == ending.state.run_id
        assert set(outcomes(again).values()) == {SUCCESS}
        assert all(it.puts(m.name) == 1 for _, m in plan.migrations())


async def test_a_rehearsal_is_a_run_of_its_own(tmp_path: Path) -> None:
    """Marked, with keys of its own, and no real run continues it."""
    async with house(tmp_path, workflow(wave("a", "a1"))) as it:
        rehearsed = await it.start(rehearsal=Rehearsal(scenario=Scenario(jobs=JobRules()), speed=10.0))
        assert rehearsed.exit_code is ExitCode.SUCCESS
        assert rehearsed.state.rehearsal
        assert it.atlas.record()["requests"]["total"] == 0
        real = await it.start()
        assert real.state.run_id != rehearsed.state.run_id
        assert not real.state.rehearsal
        assert it.puts("a1") == 1


async def test_hundreds_of_migrations(tmp_path: Path) -> None:
    """In one wave, 500 of them in a thorough run: a token each for gate and PUT, and no 429."""
    plan = workflow(wave("a", *(f"m{number}" for number in range(examples(500)))))
    async with house(tmp_path, plan) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.SUCCESS
        record = it.atlas.record()
        assert record["too_many_requests"] == 0
        assert {job["puts_received"] for job in record["migrations"].values()} == {1}


def cut_over_by_hand(it: House, name: str) -> None:
    """Somebody does it in the Atlas UI."""
    job = next(job for job in it.atlas.app._jobs.values() if job.name == name)
    assert job.cutover(it.atlas.app._clock.now()) is None


@pytest.mark.parametrize("gate", [Gate(), None])
async def test_what_waited_for_a_slot_is_read_again_before_its_put(tmp_path: Path, gate: Gate | None) -> None:
    """Somebody may have cut it over meanwhile: it is SUCCESS, and gets no PUT."""
    plan = workflow(wave("w", "a", migration("b", gate=gate), concurrency=1))
    async with house(tmp_path, plan) as it:
        it.watchers.append(
            lambda event, _: cut_over_by_hand(it, "b") if isinstance(event, CutoverAccepted) else None,
        )
        ending = await it.start()
        assert outcomes(ending) == {"a": SUCCESS, "b": SUCCESS}
        assert it.puts("b") == 0


async def test_a_hook_that_could_let_writers_in_is_told_who_is_in_charge(tmp_path: Path) -> None:
    """The source of one that was called off, nobody while somebody else's cutover may be under way, or one of ours in doubt."""
    say = [sys.executable, "-c", "import os; print(os.environ['CUTOVER_IN_CHARGE'])"]
    hooks = Hooks(after_success=(tuple(say),), after_failure=(tuple(say),))
    long = migration("late", timeout=60.0, hooks=hooks)
    begun = migration("begun", gate=Gate(timeout=60.0), hooks=hooks)
    called_off = migration("off", gate=Gate(max_lag=0.0, timeout=60.0), hooks=hooks)
    plan = workflow(wave("w", migration("a", hooks=hooks), begun, called_off, long))
    async with house(tmp_path, plan) as it:
        jobs = {job.name: job for job in it.atlas.app._jobs.values()}
        jobs["late"].plan = replace(jobs["late"].plan, cutover_seconds=500.0)
        jobs["begun"].plan = replace(jobs["begun"].plan, lag_ready=60.0, cutover_seconds=500.0)

        def meanwhile(event: Event, _: RunState) -> None:
            if isinstance(event, GateWaiting) and event.migration == "begun" and event.lag is not None:
                cut_over_by_hand(it, "begun")

        it.watchers.append(meanwhile)
        assert outcomes(await it.start()) == {"a": SUCCESS, "begun": FAILED, "off": FAILED, "late": Outcome.TIMED_OUT}
        told = {event.migration: event.output for event in it.names(HookFinished)}
        assert told == {"a": "target", "begun": "unknown", "off": "source", "late": "unknown"}


SAY = (sys.executable, "-c", "import os; print(os.environ['CUTOVER_IN_CHARGE'])")


def slowly(monkeypatch: pytest.MonkeyPatch, slow: Argv) -> None:
    """Let a hook take five minutes, and then what it takes."""

    async def run_slowly(argv: Argv, **about: Any) -> HookFinished:
        if argv == slow:
            await anyio.sleep(300)
        return await run_hook(argv, **about)

    monkeypatch.setattr(hook_runner, "run_hook", run_slowly)


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("whose", ["its own", "its wave's", "the run's"])
async def test_a_job_is_looked_at_before_what_was_done_for_it_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str, fails: bool
) -> None:
    """Cut over in the Atlas UI while a `before` hook was at work that fails, or in a pause after which all is aborted: no hook may let writers in on the source."""
    slow = ("sh", "-c", f"exit {int(fails)}")
    slowly(monkeypatch, slow)
    hooks = Hooks(before=(slow,), after_failure=(SAY,), timeout=600.0)
    own, waves, runs = (hooks if whose == each else NO_HOOKS for each in ("its own", "its wave's", "the run's"))
    plan = workflow(wave("w", migration("a", gate=Gate(timeout=7200.0), hooks=own), hooks=waves), hooks=runs)
    async with house(tmp_path, plan) as it, anyio.create_task_group() as group:
        (job,) = it.atlas.app._jobs.values()
        job.plan = replace(job.plan, cutover_seconds=5000.0)

        async def people() -> None:
            await anyio.sleep(100)
            if not fails:
                it.ask("pause")
            await anyio.sleep(100)
            cut_over_by_hand(it, "a")
            await anyio.sleep(500)
            if not fails:
                it.ask("abort")

        group.start_soon(people)
        ending = await it.start()
        told = [event.output for event in it.names(HookFinished) if event.hook == HookKind.AFTER_FAILURE]
        assert (it.puts("a"), told) == (0, ["unknown"]), outcomes(ending)
        group.cancel_scope.cancel()


async def test_each_hook_of_a_wave_or_the_run_is_told_what_is_so_when_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it may take long, and somebody cut a job over in the Atlas UI meanwhile."""
    slow = ("sh", "-c", "exit 0")
    slowly(monkeypatch, slow)
    own = migration("a", hooks=Hooks(before=(("sh", "-c", "exit 1"),)))
    of_wave = Hooks(after_failure=(SAY, slow, SAY), timeout=600.0)
    plan = workflow(wave("w", own, hooks=of_wave), hooks=Hooks(after_failure=(SAY,)))
    async with house(tmp_path, plan) as it, anyio.create_task_group() as group:
        (job,) = it.atlas.app._jobs.values()
        job.plan = replace(job.plan, cutover_seconds=5000.0)

        async def somebody() -> None:
            await anyio.sleep(150)
            cut_over_by_hand(it, "a")

        group.start_soon(somebody)
        await it.start()
        told = [event.output for event in it.names(HookFinished) if event.hook == HookKind.AFTER_FAILURE]
        assert told == ["source", "", "unknown", "unknown"]


@pytest.mark.parametrize("how", ["abort", "skip"])
@pytest.mark.parametrize("whose", ["its wave's", "the run's"])
async def test_what_a_before_hook_does_is_undone_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str, how: str
) -> None:
    """Not beside it: it would stop the application after that was let go on. Taken up again, it is stopped again first."""
    slow = ("sh", "-c", "exit 0")
    slowly(monkeypatch, slow)
    hooks = Hooks(before=(slow,), after_failure=(SAY,), timeout=600.0)
    waves, runs = (hooks if whose == each else NO_HOOKS for each in ("its wave's", "the run's"))
    later = wave("v", migration("b", gate=Gate(max_lag=0.0, timeout=2000.0)))
    async with house(tmp_path, workflow(wave("w", "a", hooks=waves), later, hooks=runs)) as it:

        async def people() -> None:
            await anyio.sleep(100)
            it.ask(how, **({"migration": "a"} if how == "skip" else {}))
            if how == "skip" and whose == "its wave's":
                await anyio.sleep(400)
                it.ask("retry", migration="a")

        async with anyio.create_task_group() as group:
            group.start_soon(people)
            ending = await it.start()
        ran = [event.hook for event in it.names(HookFinished)]
        again = how == "skip" and whose == "its wave's"
        if again:  # the later wave keeps the run going meanwhile, so it is cut over after all
            assert ran == ["before", "after_failure", "before"]
            (second,) = (event.at for event in it.names(HookFinished)[2:])
            (asked,) = it.names(CutoverRequested)
            assert (asked.migration, asked.at >= second) == ("a", True)
        else:
            assert ran == ["before", "after_failure"], outcomes(ending)
            assert it.puts("a") == 0


@pytest.mark.parametrize("answer", [404, 500])
async def test_what_a_hook_is_told_of_a_job_that_cannot_be_looked_at_the_report_says_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    """Somebody has cut it over in the Atlas UI and put it away while a `before` hook was at work that failed, or Atlas gives no answer."""
    slow = ("sh", "-c", "exit 1")
    slowly(monkeypatch, slow)
    plan = workflow(wave("w", migration("a", hooks=Hooks(before=(slow,), after_failure=(SAY,), timeout=600.0))))
    faults = (Fault(on=Kind.READ, kind=FaultKind.STATUS, status=answer, after=100.0),)
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=faults)) as it:
        ending = await it.start()
        told = [event.output for event in it.names(HookFinished) if event.hook == HookKind.AFTER_FAILURE]
        assert told == ["unknown"]
        assert point_in(ending.state, "a") is Point.DOUBT
        with open_journal(it.settings.state_dir, readonly=True) as journal:
            assert point_in(journal.state(ending.state.run_id), "a") is Point.DOUBT


async def test_whoever_cancels_a_run_has_its_jobs_looked_at_before_they_are_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a program that embeds it does: what was read before a slow hook is no word for who is in charge."""
    slow = ("sh", "-c", "exit 0")
    slowly(monkeypatch, slow)
    plan = workflow(wave("w", migration("a", hooks=Hooks(before=(slow,), after_failure=(SAY,), timeout=600.0))))
    async with house(tmp_path, plan) as it:
        (job,) = it.atlas.app._jobs.values()
        job.plan = replace(job.plan, cutover_seconds=5000.0)
        with anyio.move_on_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(it.start)
                await anyio.sleep(20)
                cut_over_by_hand(it, "a")
        told = [event.output for event in it.names(HookFinished) if event.hook == HookKind.AFTER_FAILURE]
        assert told == ["unknown"]


async def test_a_gate_that_closes_again_holds_no_slot(tmp_path: Path) -> None:
    """While one that waited for the slot lags too much by now, the next goes first."""
    async with house(tmp_path, workflow(wave("w", "a", "b", "c", concurrency=1))) as it:
        job = next(job for job in it.atlas.app._jobs.values() if job.name == "b")

        def lag(event: Event, _: RunState) -> None:
            if isinstance(event, CutoverAccepted) and event.migration == "a":
                job.plan = replace(job.plan, lag_ready=60.0)
            if isinstance(event, CutoverAccepted) and event.migration == "c":
                job.plan = replace(job.plan, lag_ready=1.0)

        it.watchers.append(lag)
        assert set(outcomes(await it.start()).values()) == {SUCCESS}
        assert it.put_at("c") < it.put_at("b")


async def test_puts_leave_where_a_step_of_the_budget_takes_longer_than_a_read_is_good_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens of each step would go to reads, again and again."""
    monkeypatch.setattr(controls, "LOOK_EVERY", 60.0)  # virtual hours pass sooner
    limit = ServerLimit(capacity=30, refill=5, per=120.0, mode=Refill.INTERVAL)
    budget = RateLimit(requests=5, per=120.0, burst=30, scope="group")
    plan = workflow(wave("w", *(f"m{number}" for number in range(20))))
    async with house(tmp_path, plan, Scenario(jobs=READY, rate_limit=limit), limit=budget) as it:
        with anyio.move_on_after(3600):
            await it.start()
        assert len(it.names(CutoverAccepted)) == 20
