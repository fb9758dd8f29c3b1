"""A run that is continued keeps to all that was asked for: abort, order, approval, concurrency, hooks."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.atlas.errors import ApiError
from orchestrator.core.errors import BusyError, InputError
from orchestrator.core.events import (
    ApprovalWaiting,
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    HookFinished,
    MigrationFinished,
    RunAborted,
    RunStarted,
    StatusPolled,
)
from orchestrator.core.needs import needs
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.settings import Api
from orchestrator.observers.log.sink import configure_logging
from orchestrator.operations.abort import abort_interrupted
from orchestrator.operations.approve import approve
from orchestrator.operations.options import Interruption
from orchestrator.operations.pause import pause
from orchestrator.operations.unpause import unpause
from orchestrator.reports.formats.json_ import document
from orchestrator.reports.model import build
from orchestrator.reports.render import render
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, Kind, Range, Special
from orchestrator.store.journal import Journal, open_journal

from ..builders import FAILS
from .house import (
    GROUP,
    KEYS,
    READY,
    AbsoluteWindow,
    Gate,
    Hooks,
    House,
    die_when,
    house,
    key_set,
    live,
    migration,
    outcomes,
    wall,
    wave,
    workflow,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


def lost(name: str) -> Scenario:
    """The first PUT of *name* is lost on its way to Atlas."""
    return Scenario(jobs=READY, faults=(Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_BEFORE, migration=name, times=1),))


async def aborted_in_doubt(it: House, name: str, **facts: Any) -> None:
    """Leave the PUT of *name* in doubt by a run that is aborted then."""
    whole, it.workflow = it.workflow, workflow(wave("alone", migration(name, **facts)))
    run_id = await die_when(it, lambda event: isinstance(event, CutoverInDoubt))
    with open_journal(it.settings.state_dir) as journal:
        abort_interrupted(journal, run_id, now=wall())
    it.workflow = whole
    it.events.clear()


def trace(it: House, *kinds: type[Event]) -> list[tuple[str, str]]:
    """What happened, of these *kinds*, and to whom."""
    return [
        (event.name, getattr(event, "migration", None) or getattr(event, "wave", None) or "")
        for event in it.events
        if isinstance(event, kinds)
    ]


async def test_reads_of_all_sessions_are_counted(tmp_path: Path) -> None:
    """Those of a session that was stopped in order, while the cutover was under way, and those of the next."""
    reads: list[int] = []
    async with house(
        tmp_path, workflow(wave("a", "a1")), Scenario(jobs=replace(READY, cutover=Range(low=60, high=60)))
    ) as it:
        it.watchers.append(lambda event, _: reads.append(1) if isinstance(event, StatusPolled) else None)

        @contextmanager
        def soon() -> Iterator[AsyncIterator[Interruption]]:
            async def interruptions() -> AsyncIterator[Interruption]:
                await anyio.sleep(40)
                yield Interruption(by="SIGTERM", exit_code=ExitCode.SIGTERM)

            yield interruptions()

        first = await it.start(interruptions=soon)
        assert outcomes(first) == {"a1": Outcome.UNDER_WAY}
        before = len(reads)
        second = await it.resume(first.state.run_id)
        assert outcomes(second) == {"a1": Outcome.SUCCESS}
    with open_journal(tmp_path) as journal:
        known = journal.state(first.state.run_id).migrations["a1"].polls
    assert 1 < before < len(reads)
    assert second.state.migrations["a1"].polls == known == len(reads)


async def test_what_was_decided_between_two_sessions_is_in_log_and_report(tmp_path: Path) -> None:
    """The process is killed, somebody pauses and approves, and the session that goes on logs both, with the time at which that was."""
    stream = io.StringIO()
    plan = workflow(wave("a", "a1"), wave("b", "b1", approval=True))
    async with house(tmp_path, plan) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted))
        pause(run_id, state_dir=tmp_path, who="ada", reason="lunch")
        unpause(run_id, state_dir=tmp_path, who="ada")
        approve(run_id, "b", state_dir=tmp_path, who="bob", reason="ticket 7")
        with configure_logging(level="info", format="json", file=None, secrets=(), stream=stream) as log:
            ending = await it.resume(run_id, observers=(log.sink(),))
        assert ending.exit_code is ExitCode.SUCCESS
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    names = [entry["event"] for entry in entries]
    assert names[:4] == ["run_resumed", "run_paused", "run_unpaused", "wave_approved"]
    assert names.count("wave_approved") == 1
    paused, _, approved = entries[1:4]
    assert (paused["who"], paused["reason"], paused["timestamp"]) == ("ada", "lunch", entries[0]["timestamp"])
    assert (approved["wave"], approved["who"], approved["reason"]) == ("b", "bob", "ticket 7")
    steering = document(build(ending.state, now=wall()))["steering"]
    assert [(entry["command"], entry["at"]) for entry in steering] == [
        (command, entry["asked_at"])
        for command, entry in zip(("pause", "unpause", "approve"), entries[1:4], strict=True)
    ]


async def test_an_aborted_run_that_died_starts_nothing_when_it_is_resumed(tmp_path: Path) -> None:
    """What was under way is followed to its end, and the rest stays NOT_STARTED."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        it.watchers.append(lambda event, _: it.ask("abort") if isinstance(event, CutoverAccepted) else None)
        run_id = await die_when(it, lambda event: isinstance(event, RunAborted))
        ending = await it.resume(run_id)
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED}
        assert (ending.exit_code, it.puts("b")) == (3, 0)
        assert not ending.state.recorded_unfinished


async def test_an_aborted_run_in_doubt_is_settled_by_resume_and_nothing_else_starts(tmp_path: Path) -> None:
    """Documents without a lag never show that a PUT did not arrive, so it stays in doubt, and `b` out of it."""
    plan = workflow(wave("w", migration("a", timeout=60.0), "b", concurrency=1))
    async with house(tmp_path, plan, replace(lost("a"), documents=Documents.OLDER), api=Api.V1) as it:
        it.watchers.append(lambda event, _: it.ask("abort") if isinstance(event, CutoverInDoubt) else None)
        ending = await it.start()
        assert (ending.exit_code, ending.state.recorded_unfinished) == (4, True)
        ending = await it.resume(ending.state.run_id)
        assert outcomes(ending) == {"a": Outcome.IN_DOUBT, "b": Outcome.NOT_STARTED}
        assert it.puts("b") == 0


async def test_failures_of_an_aborted_run_are_not_retried(tmp_path: Path) -> None:
    """The rest of the run is over; a new run is what starts them."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        it.watchers.append(lambda event, _: it.ask("abort") if isinstance(event, CutoverAccepted) else None)
        ending = await it.start()
        with pytest.raises(InputError, match="was aborted"):
            await it.resume(ending.state.run_id, retry_failed=True)


async def test_a_put_that_came_to_nothing_is_repeated_in_its_own_wave(tmp_path: Path) -> None:
    """After the waves before it and its approval, like a first one."""
    plan = workflow(wave("canary", "c"), wave("bulk", "x", approval=True))
    async with house(tmp_path, plan, lost("x")) as it:
        await aborted_in_doubt(it, "x")
        it.watchers.append(lambda event, _: it.ask("approve", "bulk") if isinstance(event, ApprovalWaiting) else None)
        ending = await it.start(new=True)
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert trace(it, CutoverRequested, MigrationFinished, ApprovalWaiting) == [
            ("cutover_requested", "c"),
            ("migration_finished", "c"),
            ("approval_waiting", "bulk"),
            ("cutover_requested", "x"),
            ("migration_finished", "x"),
        ]


async def test_a_put_that_came_to_nothing_is_not_repeated_without_approval(tmp_path: Path) -> None:
    """The run is aborted while it waits."""
    async with house(tmp_path, workflow(wave("bulk", "x", approval=True)), lost("x")) as it:
        await aborted_in_doubt(it, "x")
        it.watchers.append(lambda event, _: it.ask("abort") if isinstance(event, ApprovalWaiting) else None)
        ending = await it.start(new=True)
        assert outcomes(ending) == {"x": Outcome.NOT_STARTED}
        assert trace(it, CutoverRequested) == []


async def test_an_approval_for_part_of_a_wave_lets_no_more_of_it_start(tmp_path: Path) -> None:
    """A session about the whole of it asks again, one about the same part does not."""
    plan = workflow(wave("rest", "billing", "carts", "users", concurrency=1, approval=True))
    async with house(tmp_path, plan) as it:
        it.watchers.append(lambda event, _: it.ask("approve", "rest") if isinstance(event, ApprovalWaiting) else None)
        part = ("billing", "carts")
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted), only=part)
        ending = await it.resume(run_id, only=part)
        assert len(it.names(ApprovalWaiting)) == 1, "nobody approves the same twice"
        assert outcomes(ending)["carts"] is Outcome.SUCCESS

        it.watchers.clear()
        it.watchers.append(lambda event, _: it.ask("reject", "rest") if isinstance(event, ApprovalWaiting) else None)
        ending = await it.resume(run_id)
        assert (ending.exit_code, outcomes(ending)["users"]) == (ExitCode.INCOMPLETE, Outcome.NOT_STARTED)
        assert (len(it.names(ApprovalWaiting)), it.puts("users")) == (2, 0)


@pytest.mark.parametrize("whose", ["wave", "run"])
async def test_a_put_that_came_to_nothing_is_not_repeated_past_a_before_hook(tmp_path: Path, whose: str) -> None:
    """The hook says no, so there is none."""
    no = Hooks(before=(FAILS,))
    plan = workflow(wave("w", "x", hooks=no)) if whose == "wave" else workflow(wave("w", "x"), hooks=no)
    async with house(tmp_path, plan, lost("x")) as it:
        await aborted_in_doubt(it, "x")
        ending = await it.start(new=True)
        expected = Outcome.FAILED if whose == "wave" else Outcome.NOT_STARTED
        assert outcomes(ending) == {"x": expected}
        assert [hook.ok for hook in it.names(HookFinished)] == [False]
        assert trace(it, CutoverRequested) == []


async def test_what_is_under_way_counts_against_the_concurrency_of_its_wave(tmp_path: Path) -> None:
    """One at a time stays one at a time when the run is continued."""
    async with house(tmp_path, workflow(wave("canary", "a", "b", "c", concurrency=1))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted))
        it.events.clear()
        ending = await it.resume(run_id)
        assert set(outcomes(ending).values()) == {Outcome.SUCCESS}
        assert trace(it, CutoverRequested, MigrationFinished) == [
            ("migration_finished", "a"),
            ("cutover_requested", "b"),
            ("migration_finished", "b"),
            ("cutover_requested", "c"),
            ("migration_finished", "c"),
        ]


async def left_under_way(it: House) -> str:
    """Leave a run that dies while `a` is under way and `b` has not begun."""
    run_id = await die_when(it, lambda event: isinstance(event, CutoverAccepted))
    it.events.clear()
    return run_id


async def test_a_new_run_takes_the_place_of_one_that_died_and_follows_what_is_under_way(tmp_path: Path) -> None:
    """The old one is over, and nothing of it is cut over twice."""
    superseded: list[RunState] = []
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        old = await left_under_way(it)
        ending = await it.start(new=True, on_superseded=superseded.append)
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert (it.puts("a"), it.puts("b")) == (1, 1)
        with open_journal(it.settings.state_dir) as journal:
            assert [row.run_id for row in journal.unfinished()] == []
            assert [(state.run_id, state) for state in superseded] == [(old, journal.state(old))]


async def test_waiting_for_the_window_does_not_use_up_the_timeout(tmp_path: Path) -> None:
    """A PUT that came to nothing last night gets its try in this night's window."""
    async with house(tmp_path, workflow(wave("w", migration("x", timeout=60.0))), lost("x")) as it:
        await aborted_in_doubt(it, "x")
        window = AbsoluteWindow(opens=wall() + 180, closes=wall() + 360)
        it.workflow = replace(it.workflow, window=window)
        assert outcomes(await it.start(new=True)) == {"x": Outcome.SUCCESS}


async def test_a_put_of_another_run_counts_though_it_came_while_the_journal_was_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That run sent it, and was aborted, while this one waited to claim the live migration."""
    begin = Journal.begin

    def late(self: Journal, *args: Any, **options: Any) -> Any:
        with open_journal(self.state_dir) as other:
            first = RunStarted(
                at=wall(), workflow=workflow(), base_url="", rehearsal=False, selected=(), who="other", version=""
            )
            begin(other, "other", workflow(), first)
            other.commit("other", [CutoverRequested(at=wall(), migration="a")], {"a": (GROUP, live("a"))})
        return begin(self, *args, **options)

    monkeypatch.setattr(Journal, "begin", late)
    async with house(tmp_path, workflow(wave("w", migration("a", gate=None))), Scenario(jobs=READY)) as it:
        await it.start()
        (doubt,) = it.names(CutoverInDoubt)
        assert doubt.reason.startswith("run other sent a PUT")


async def test_a_put_that_came_to_nothing_passes_its_gate_in_its_waves_time(tmp_path: Path) -> None:
    """Its lag is too great by now; but the gate's time does not run before the window opens."""
    lags = Scenario(jobs=READY, faults=lost("x").faults, special={"x": Special(ready_lag=Range(low=60.0, high=60.0))})
    async with house(tmp_path, workflow(wave("w", migration("x", gate=None))), lags) as it:
        await aborted_in_doubt(it, "x", gate=None)
        opens = wall() + 120
        window = AbsoluteWindow(opens=opens, closes=opens + 600)
        plan = workflow(wave("w", migration("x", gate=Gate(max_lag=10.0, timeout=60.0))), window=window)
        it.workflow = plan
        await it.start(new=True)
        (finished,) = it.names(MigrationFinished)
        assert finished.at >= opens
        assert "the gate did not open" in finished.error_message


async def test_a_pause_does_not_use_up_the_timeout(tmp_path: Path) -> None:
    """One 429, and a pause that is longer."""
    plan = workflow(wave("w", migration("x", timeout=60.0)))
    fault = Fault(on=Kind.CUTOVER, kind=FaultKind.TOO_MANY_REQUESTS, migration="x", times=1)
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(fault,))) as it:
        it.watchers.append(
            lambda event, _: it.ask("pause") if it.names(CutoverRequested) == [event] else None,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(it.ask_after, 180, "unpause")
            ending = await it.start()
        assert outcomes(ending) == {"x": Outcome.SUCCESS}


async def test_what_is_in_doubt_counts_whatever_is_selected(tmp_path: Path) -> None:
    """Nobody reads it then, and whoever looks at the run is told of it all the same; no other run may start it."""
    unreadable = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="a", after=1.0)
    scenario = Scenario(jobs=READY, faults=(*lost("a").faults, unreadable))
    hooks = Hooks(after_success=(("true", "good"),), after_failure=(("true", "bad"),))
    plan = workflow(wave("w", migration("a", timeout=60.0), "b", concurrency=1), hooks=hooks)
    async with house(tmp_path, plan, scenario) as it:
        first = await it.start(only=("a",))
        assert outcomes(first)["a"] is Outcome.IN_DOUBT
        second = await it.resume(first.state.run_id, only=("b",))
        assert outcomes(second) == {"a": Outcome.IN_DOUBT, "b": Outcome.SUCCESS}
        assert second.exit_code is ExitCode.IN_DOUBT
        assert [migration.name for _, migration in second.state.rows()] == ["a", "b"]
        assert [need.kind for need in needs(second.state, time.time())] == [Outcome.IN_DOUBT]
        told = [event.argv[1] for event in it.events if isinstance(event, HookFinished)]
        assert told == ["bad", "bad"], "the run's hooks hear of no success beside a doubt"
        it.workflow = replace(it.workflow, name="other")
        with pytest.raises(BusyError, match=first.state.run_id):
            await it.start()


class KilledError(BaseException):
    """The process is gone."""


def kill(name: str) -> None:
    """Die where the run has been recorded."""
    if name == "run_begun":
        raise KilledError


async def test_a_new_run_that_died_at_its_beginning_forgets_nothing(tmp_path: Path) -> None:
    """What it was to follow is recorded with its beginning, so no other new run begins without that."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        await left_under_way(it)
        with pytest.raises(KilledError):
            await it.start(new=True, checkpoint=kill)
        with open_journal(it.settings.state_dir) as journal:
            (row,) = journal.unfinished()
            assert journal.state(row.run_id).unsettled() == ["a"]
        with pytest.raises(InputError):
            await it.start(new=True, only=("b",))


async def test_retry_failed_tries_what_failed_in_an_earlier_session(tmp_path: Path) -> None:
    """Though the last one selected something else, and ended the run."""
    flag = tmp_path / "ok"
    no = Hooks(before=(("test", "-e", str(flag)),))
    async with house(tmp_path / "s", workflow(wave("one", migration("a", hooks=no)), wave("two", "b"))) as it:
        first = await it.start(only=("a",))
        assert outcomes(first)["a"] is Outcome.FAILED
        second = await it.resume(first.state.run_id, only=("b",))
        assert not second.state.recorded_unfinished
        flag.touch()
        third = await it.resume(first.state.run_id, retry_failed=True)
        assert outcomes(third) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}


async def test_no_cutover_starts_in_a_run_whose_later_wave_has_failed_too_much(tmp_path: Path) -> None:
    """`--only` began with that wave."""
    no = Hooks(before=(FAILS,))
    plan = workflow(wave("one", "a"), wave("two", migration("b", hooks=no), "c", max_failures=0, concurrency=1))
    async with house(tmp_path, plan) as it:
        first = await it.start(only=("two",))
        assert "max_failures" in (first.state.stopped or "")
        second = await it.resume(first.state.run_id)
        assert (it.puts("a"), outcomes(second)["a"]) == (0, Outcome.NOT_STARTED)


async def test_what_is_under_way_is_followed_and_counts_whatever_is_selected(tmp_path: Path) -> None:
    """One at a time stays one at a time."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        ending = await it.resume(await left_under_way(it), only=("b",))
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        assert it.put_at("b") >= it.put_at("a") + 10.0
        assert ending.state.selected == {"a", "b"}


@pytest.mark.parametrize(
    ("left_out", "only"),
    [pytest.param(True, (), id="not in the file"), pytest.param(False, ("b",), id="not selected")],
)
async def test_a_new_run_begins_only_if_it_follows_what_the_old_one_left_under_way(
    tmp_path: Path, left_out: bool, only: tuple[str, ...]
) -> None:
    """Nobody else would."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        old = await left_under_way(it)
        if left_out:
            it.workflow = workflow(wave("w", "b"))
        with pytest.raises(InputError, match=rf"\(a\).*resume {old}"):
            await it.start(new=True, only=only)
        assert outcomes(await it.resume(old)) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}


@pytest.mark.parametrize("held", [False, True])
async def test_a_run_is_not_over_before_the_one_in_its_place_has_begun(tmp_path: Path, held: bool) -> None:
    """With wrong keys, or with a live migration that another run holds, nothing begins and nothing ends."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1), wave("v", "c"))) as it:
        whole = it.workflow
        it.workflow = workflow(wave("w", "a", "b", concurrency=1))
        old = await left_under_way(it)
        right = it.settings
        if held:
            it.workflow = replace(workflow(wave("v", "c")), name="other")
            await left_under_way(it)
        else:
            it.settings = replace(right, atlas=replace(right.atlas, credentials=key_set((KEYS[0], "wrong"))))
        it.workflow = whole
        with pytest.raises(BusyError if held else ApiError):
            await it.start(new=True)
        it.settings = right
        assert outcomes(await it.resume(old)) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}


async def test_a_run_is_continued_where_it_was_begun(tmp_path: Path) -> None:
    """Another Atlas knows nothing of what this one has done."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        run_id = await left_under_way(it)
        async with house(tmp_path, workflow(wave("w", "a"))) as other:
            with pytest.raises(InputError, match=r"was begun at .*--config FILE.*run --new"):
                await other.resume(run_id)
        right = it.settings
        base_url = it.atlas.base_url(Api.V1)
        it.settings = replace(right, atlas=replace(right.atlas, base_url=base_url, api=Api.V1))
        ending = await it.resume(run_id)
        assert (outcomes(ending), ending.state.base_url) == ({"a": Outcome.SUCCESS}, base_url)


async def test_a_read_is_tried_again_within_a_minute_whatever_retry_after_says(tmp_path: Path) -> None:
    """The application stands still until the end of the cutover is seen."""
    fault = Fault(
        on=Kind.READ, kind=FaultKind.STATUS, status=503, retry_after=7200.0, migration="x", after=1.0, times=1
    )
    async with house(tmp_path, workflow(wave("w", "x")), Scenario(jobs=READY, faults=(fault,))) as it:
        began = wall()
        assert outcomes(await it.start()) == {"x": Outcome.SUCCESS}
        assert wall() - began < 90


async def test_a_signal_that_comes_when_all_is_over_interrupts_nothing(tmp_path: Path) -> None:
    """There is nothing that `resume` could continue, so the code is that of the outcome."""
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        it.watchers.append(
            lambda event, _: os.kill(os.getpid(), signal.SIGTERM) if isinstance(event, MigrationFinished) else None
        )
        ending = await it.start()
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.SUCCESS, False)


async def test_cutover_seconds_are_not_those_of_a_put_that_came_to_nothing(tmp_path: Path) -> None:
    """429 tonight; somebody cuts the job over in the Atlas UI; the next session finds it over."""
    fault = Fault(on=Kind.CUTOVER, kind=FaultKind.TOO_MANY_REQUESTS, migration="x", times=1, retry_after=60.0)
    async with house(tmp_path, workflow(wave("w", "x")), Scenario(jobs=READY, faults=(fault,))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverNotBegun))
        await anyio.sleep(7200)
        job = next(job for job in it.atlas.app._jobs.values() if job.name == "x")
        assert job.cutover(it.atlas.app._clock.now()) is None
        await anyio.sleep(60)
        second = await it.resume(run_id)
        assert outcomes(second) == {"x": Outcome.SUCCESS}
        (row,) = build(second.state, now=wall()).migrations
        assert row.cutover_seconds is None


async def test_the_report_of_a_run_that_was_superseded_says_who_has_taken_it_over(tmp_path: Path) -> None:
    """Not that nobody follows it, nor that anybody does: that is the other run's to say, which may be over, or dead."""
    told: list[str] = []
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        await left_under_way(it)
        ending = await it.start(
            new=True, on_superseded=lambda state: told.append(render(build(state, now=wall()), ".md"))
        )
        (text,) = told
        assert "No run follows it any more" not in text
        assert f"run {ending.state.run_id}, which took this run's place, has taken it over" in text
        assert f"`atlas-cutover status {ending.state.run_id}` shows what has become of it" in text
        assert f"Run {ending.state.run_id} has taken this run's place, and may have cut it over since" in text
        assert "the source is in charge" not in text
        assert "nobody reads the job" not in text
        assert "follows it:" not in text


async def test_a_doubt_that_counted_for_max_failures_is_settled_before_its_wave_goes_on(tmp_path: Path) -> None:
    """It stopped the run once; the others wait until it is known to have turned out well."""
    faults = (
        Fault(on=Kind.CUTOVER, kind=FaultKind.HANG_AFTER, delay=8.0, migration="a", times=1),
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, migration="a", after=1.0, until=90.0),
    )
    later = Special(ready_after=Range(low=50.0, high=50.0))
    scenario = Scenario(jobs=READY, faults=faults, special={"b": later})
    plan = workflow(wave("w", migration("a", timeout=20.0), "b", max_failures=0))
    async with house(tmp_path, plan, scenario, request_timeout=6.0) as it:
        first = await it.start()
        assert outcomes(first) == {"a": Outcome.IN_DOUBT, "b": Outcome.NOT_STARTED}
        await anyio.sleep(50)
        second = await it.resume(first.state.run_id)
        assert outcomes(second) == {"a": Outcome.SUCCESS, "b": Outcome.SUCCESS}
        settled = it.names(MigrationFinished)[-2]
        assert (settled.migration, it.names(CutoverRequested)[-1].migration) == ("a", "b")
        assert settled.at <= it.names(CutoverRequested)[-1].at
