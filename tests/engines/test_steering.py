"""What holds a run, stops it, and lets it go on: window, approval, pause, abort, hooks, the journal, cancellation."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.errors import BusyError, InputError, JournalError
from orchestrator.core.events import (
    ApprovalWaiting,
    CutoverAccepted,
    CutoverRequested,
    CutoversStopped,
    Event,
    HookFinished,
    RunAborted,
    RunPaused,
    RunUnpaused,
    WaveApproved,
    WaveFinished,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.core.vars import Vars
from orchestrator.machine.own_files import open_own
from orchestrator.operations.retry import retry
from orchestrator.operations.steering import Taken
from orchestrator.simulator import Scenario
from orchestrator.simulator.jobs import JobStatus
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.schema import FILE

from ..builders import FAILS, WORKS
from .house import READY, AbsoluteWindow, Hooks, House, die_when, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, FAILED, NOT_STARTED = Outcome.SUCCESS, Outcome.FAILED, Outcome.NOT_STARTED


def on(it: House, kind: type[Event], action: Any) -> None:
    """Do *action* when the first event of *kind* comes."""
    done: list[Event] = []

    def watch(event: Event, _: RunState) -> None:
        if isinstance(event, kind) and not done:
            done.append(event)
            action()

    it.watchers.append(watch)


# -- a session that is being begun ------------------------------------------------------------------------------------


def as_it_begins(it: House, *requests: tuple[str, dict[str, Any]]) -> Any:
    """A checkpoint that leaves *requests* when a session is recorded and has not taken a step: its lock was held for a while then."""

    def checkpoint(name: str) -> None:
        if name == "run_begun":
            for command, about in requests:
                it.ask(command, **about)

    return checkpoint


async def test_what_is_asked_as_a_session_begins_comes_before_its_first_step(tmp_path: Path) -> None:
    """A wave that needs no approval and is rejected then does not start."""
    async with house(tmp_path, workflow(wave("one", "a"))) as it:
        ending = await it.start(checkpoint=as_it_begins(it, ("reject", {"wave": "one"})))
        assert it.names(WaveStarted) == []
        assert it.puts("a") == 0
    assert outcomes(ending) == {"a": NOT_STARTED}


async def test_an_approval_is_for_what_whoever_gave_it_was_told_of(tmp_path: Path) -> None:
    """The session that heeds it is about more, so it asks for the whole; nothing is cut over meanwhile."""
    async with house(tmp_path, workflow(wave("one", "a", "b", approval=True))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, ApprovalWaiting), only=("a",))
        on(it, ApprovalWaiting, lambda: it.ask("reject", "one"))
        approved = ("approve", {"wave": "one", "covers": ("a",)})
        ending = await it.resume(run_id, checkpoint=as_it_begins(it, approved))
        assert [event.migrations for event in it.names(WaveApproved)] == [("a",)]
        assert len(it.names(ApprovalWaiting)) == 2
        assert (it.puts("a"), it.puts("b")) == (0, 0)
    assert outcomes(ending) == {"a": NOT_STARTED, "b": NOT_STARTED}


async def test_what_is_taken_up_again_as_a_session_begins_needs_an_approval(tmp_path: Path) -> None:
    """As it does before: its wave was approved without it."""
    async with house(tmp_path, workflow(wave("one", "a", "b", approval=True))) as it:
        first = as_it_begins(
            it, ("pause", {}), ("skip", {"migration": "b"}), ("approve", {"wave": "one", "covers": ("a",)})
        )
        run_id = await die_when(it, lambda event: isinstance(event, WaveApproved), checkpoint=first)
        on(it, ApprovalWaiting, lambda: it.ask("reject", "one"))
        ending = await it.resume(run_id, checkpoint=as_it_begins(it, ("unpause", {}), ("retry", {"migration": "b"})))
        assert len(it.names(ApprovalWaiting)) == 1
        assert (it.puts("a"), it.puts("b")) == (0, 0)
    assert outcomes(ending) == {"a": NOT_STARTED, "b": NOT_STARTED}


async def test_who_asks_too_late_is_told(tmp_path: Path) -> None:
    """In the log of the run: what was asked, by whom, and why it does nothing."""
    told: list[tuple[str, Any]] = []
    async with house(tmp_path, workflow(wave("one", "a"))) as it:
        on(it, WaveStarted, lambda: it.ask("reject", "one"))
        await it.start(say=lambda event, **fields: told.append((event, fields["detail"])))
    assert told == [("request_dropped", "reject by somebody does nothing: wave 'one' has started already")]


# -- the window ------------------------------------------------------------------------------------------------------


async def test_no_cutover_starts_before_the_window_opens(tmp_path: Path) -> None:
    """The run waits for it, and says so."""
    opens = wall() + 300
    window = AbsoluteWindow(opens=opens, closes=opens + 3600)
    async with house(tmp_path, workflow(wave("a", "a1"), window=window)) as it:
        assert (await it.start()).exit_code is ExitCode.SUCCESS
        (requested,) = it.names(CutoverRequested)
        assert opens <= requested.at <= opens + 35
        assert len(it.names(WindowWaiting)) == len(it.names(WindowOpened)) == 1


async def test_a_window_that_closes_leaves_the_rest_for_another_night(tmp_path: Path) -> None:
    """What is under way is followed; exit code 3; `resume` in another window continues."""
    window = AbsoluteWindow(opens=wall() - 10, closes=wall() + 30)
    plan = workflow(wave("a", *(f"a{number}" for number in range(6)), concurrency=1), wave("b", "b1"), window=window)
    async with house(
        tmp_path, plan, Scenario(jobs=READY, special={"a2": Special(cutover=Range(low=90, high=90))})
    ) as it:
        ending = await it.start()
        assert ending.exit_code is ExitCode.INCOMPLETE
        found = outcomes(ending)
        assert found["a2"] is SUCCESS
        assert found["a5"] is found["b1"] is NOT_STARTED
        assert "the window closed" in str(ending.state.result("b1").error_message)
        assert all(event.at < window.closes for event in it.names(CutoverRequested))
        assert ending.state.recorded_unfinished
        late = await it.resume(ending.state.run_id)
        assert late.exit_code is ExitCode.INCOMPLETE
        assert it.puts("b1") == 0


async def test_no_cutover_starts_in_the_reserve_before_the_window_closes(tmp_path: Path) -> None:
    """Asked at each PUT: the first leaves, and is followed through the reserve; those after it do not."""
    window = AbsoluteWindow(opens=wall() - 10, closes=wall() + 600, reserve=590.0)
    plan = workflow(wave("a", "a1", "a2", "a3", concurrency=1), window=window)
    async with house(tmp_path, plan) as it:
        ending = await it.start()
        assert (ending.exit_code, outcomes(ending)["a1"], outcomes(ending)["a3"]) == (3, SUCCESS, NOT_STARTED)
        assert it.names(CutoverRequested)
        assert all(event.at < window.closes - 590 for event in it.names(CutoverRequested))
        assert "no cutover starts in its last 9m50s" in str(ending.state.result("a3").error_message)
        (opened,) = it.names(WindowOpened)
        assert opened.last_start == window.closes - 590
        late = await it.resume(ending.state.run_id)
        assert (late.exit_code, it.puts("a3")) == (3, 0)


async def test_a_run_after_its_window_starts_nothing(tmp_path: Path) -> None:
    """Exit code 3, and not one PUT."""
    window = AbsoluteWindow(opens=wall() - 20, closes=wall() - 10)
    async with house(tmp_path, workflow(wave("a", "a1"), window=window)) as it:
        ending = await it.start()
        assert (ending.exit_code, outcomes(ending)) == (ExitCode.INCOMPLETE, {"a1": NOT_STARTED})
        assert it.puts("a1") == 0


# -- people ----------------------------------------------------------------------------------------------------------


async def test_a_wave_waits_for_its_approval(tmp_path: Path) -> None:
    """It starts when somebody approves it from another shell, and not before."""
    plan = workflow(wave("a", "a1"), wave("b", "b1", approval=True))
    async with house(tmp_path, plan) as it, anyio.create_task_group() as group:

        async def later() -> None:
            await anyio.sleep(60)
            it.ask("approve", "b")

        on(it, ApprovalWaiting, lambda: group.start_soon(later))
        assert (await it.start()).exit_code is ExitCode.SUCCESS
        (waiting,), (approved,) = it.names(ApprovalWaiting), it.names(WaveApproved)
        assert 60 <= approved.at - waiting.at <= 61
        assert approved.who == "somebody"
        assert it.names(WaveStarted)[1].at >= approved.at


async def test_a_pause_holds_new_cutovers_and_no_others(tmp_path: Path) -> None:
    """What is under way ends; the next one starts within a second of `unpause`."""
    async with (
        house(tmp_path, workflow(wave("a", "a1", "a2", concurrency=1))) as it,
        anyio.create_task_group() as group,
    ):
        on(it, CutoverAccepted, lambda: it.ask("pause"))
        on(it, RunPaused, lambda: group.start_soon(it.ask_after, 90, "unpause"))
        ending = await it.start()
        assert outcomes(ending) == {"a1": SUCCESS, "a2": SUCCESS}
        (unpaused,) = it.names(RunUnpaused)
        assert unpaused.at <= it.names(CutoverRequested)[1].at <= unpaused.at + 1
        assert it.seen("a1")["first_final_read"] < 30


async def test_an_abort_starts_nothing_more(tmp_path: Path) -> None:
    """What is under way is followed; exit code 3; nothing is left to resume."""
    async with house(tmp_path, workflow(wave("a", "a1", "a2", concurrency=1), wave("b", "b1"))) as it:
        on(it, CutoverAccepted, lambda: it.ask("abort"))
        ending = await it.start()
        assert outcomes(ending) == {"a1": SUCCESS, "a2": NOT_STARTED, "b1": NOT_STARTED}
        assert ending.exit_code is ExitCode.INCOMPLETE
        assert not ending.state.recorded_unfinished
        assert len(it.names(RunAborted)) == 1


async def test_an_abort_ends_a_wait_for_approval(tmp_path: Path) -> None:
    """The run does not wait for what will never be asked again."""
    async with house(tmp_path, workflow(wave("a", "a1", approval=True))) as it:
        on(it, ApprovalWaiting, lambda: it.ask("abort"))
        assert (await it.start()).exit_code is ExitCode.INCOMPLETE


async def test_a_second_start_while_one_is_under_way_is_refused(tmp_path: Path) -> None:
    """By the workflow's lock; the first run does not notice."""
    async with house(tmp_path, workflow(wave("a", "a1"))) as it, anyio.create_task_group() as group:

        async def second() -> None:
            with pytest.raises(BusyError) as caught:
                await it.start(new=True)
            assert caught.value.exit_code is ExitCode.BUSY

        on(it, CutoverAccepted, lambda: group.start_soon(second))
        assert (await it.start()).exit_code is ExitCode.SUCCESS


async def test_a_run_that_is_not_there_cannot_be_resumed(tmp_path: Path) -> None:
    """And a name that is not in the workflow cannot be selected."""
    async with house(tmp_path, workflow(wave("a", "a1"))) as it:
        with pytest.raises(InputError, match="there is no run"):
            await it.resume("20261128-000000-ffffff")
        with pytest.raises(InputError, match="neither a wave nor a migration 'nobody'"):
            await it.start(only=("nobody",))


async def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    """`resume` gives its exit code again; with `retry_failed` only what never had a PUT is tried again."""
    fault = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=404, migration="a1", times=1)
    scenario = Scenario(jobs=READY, faults=(fault,), special={"a2": Special(ends=JobStatus.FAILED)})
    async with house(tmp_path, workflow(wave("a", "a1", "a2")), scenario) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": FAILED, "a2": FAILED}
        seen = it.atlas.record()["requests"]["total"]
        assert (await it.resume(ending.state.run_id)).exit_code is ExitCode.FAILED
        assert it.atlas.record()["requests"]["total"] == seen
        again = await it.resume(ending.state.run_id, retry_failed=True)
        assert outcomes(again) == {"a1": SUCCESS, "a2": FAILED}
        assert (it.puts("a1"), it.puts("a2")) == (1, 1)


# -- hooks -----------------------------------------------------------------------------------------------------------


async def test_a_before_hook_that_fails_means_no_put(tmp_path: Path) -> None:
    """FAILED with the hook's own words, `after_failure` runs, the sibling is cut over."""
    hooks = Hooks(before=(FAILS,), after_failure=(WORKS,))
    plan = workflow(
        wave("a", migration("a1", hooks=hooks), migration("a2", hooks=Hooks(before=(WORKS,), after_success=(WORKS,))))
    )
    async with house(tmp_path, plan) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": FAILED, "a2": SUCCESS}
        assert "before hook: sh ended with 3" in str(ending.state.result("a1").error_message)
        assert it.puts("a1") == 0
        ran = {(event.migration, event.hook) for event in it.names(HookFinished)}
        assert ran == {("a1", "before"), ("a1", "after_failure"), ("a2", "before"), ("a2", "after_success")}


async def test_hooks_of_waves_and_runs_run_once(tmp_path: Path) -> None:
    """Before and after, in order; a wave whose `before` fails is FAILED, and the next one goes on."""
    log = tmp_path / "log"
    say = ("sh", "-c", f'echo "${{CUTOVER_WAVE:-run}} $0 $CUTOVER_OUTCOME" >> {log}')
    hooks: dict[str, Any] = {
        "before": ((*say, "before"),),
        "after_success": ((*say, "good"),),
        "after_failure": ((*say, "bad"),),
    }
    plan = workflow(
        wave("a", "a1", "a2", hooks=Hooks(**hooks)),
        wave("b", "b1", hooks=Hooks(before=(FAILS,))),
        wave("c", "c1"),
        hooks=Hooks(**hooks),
    )
    async with house(tmp_path / "state", plan) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a1": SUCCESS, "a2": SUCCESS, "b1": FAILED, "c1": SUCCESS}
        assert it.puts("b1") == 0
        lines = log.read_text().split("\n")
        assert lines == ["run before ", "a before ", "a good SUCCESS", "run bad FAILED", ""]


async def test_hooks_know_the_variables_and_what_became_of_their_migration(tmp_path: Path) -> None:
    """Each its own: of the run, the wave, the migration; and what Atlas said, with the lag as it was last read."""
    log = tmp_path / "log"
    fields = "${CUTOVER_VAR_SIZE-none} $CUTOVER_REMOTE_STATUS $CUTOVER_LAG_SECONDS ($CUTOVER_ERROR_MESSAGE)"
    say = (("sh", "-c", f'echo "${{CUTOVER_MIGRATION:-${{CUTOVER_WAVE:-run}}}} $0 {fields}" >> {log}', "hook"),)
    around = Hooks(before=say, after_failure=say)
    a1 = migration("a1", hooks=around, vars=Vars(("size",), ("XL",)))
    plan = workflow(wave("a", a1, hooks=Hooks(before=say), vars=Vars(("size",), ("S",))), hooks=Hooks(before=say))
    bad = Scenario(jobs=READY, special={"a1": Special(ends=JobStatus.FAILED)})
    async with house(tmp_path / "state", plan, bad) as it:
        assert outcomes(await it.start()) == {"a1": FAILED}
    assert log.read_text().splitlines() == [
        "run hook none   ()",
        "a hook S   ()",
        "a1 hook XL WORKING 1 ()",
        "a1 hook XL FAILED  (Atlas reports FAILED)",
    ]


async def test_a_hook_knows_why_no_cutover_starts(tmp_path: Path) -> None:
    """What it undoes was prepared for a PUT that did not leave."""
    log = tmp_path / "log"
    undo = ("sh", "-c", f'echo "$CUTOVER_OUTCOME: $CUTOVER_REASON" >> {log}')
    plan = workflow(wave("a", migration("a1", hooks=Hooks(before=(("sleep", "30"),), after_failure=(undo,)))))
    async with house(tmp_path / "state", plan) as it, anyio.create_task_group() as group:
        group.start_soon(it.ask_after, 5, "abort")
        await it.start()
    assert log.read_text() == "NOT_STARTED: aborted by somebody\n"


async def test_a_run_whose_before_hook_fails_starts_nothing(tmp_path: Path) -> None:
    """Exit code 3."""
    async with house(tmp_path, workflow(wave("a", "a1"), hooks=Hooks(before=(FAILS,)))) as it:
        ending = await it.start()
        assert (ending.exit_code, outcomes(ending)) == (ExitCode.INCOMPLETE, {"a1": NOT_STARTED})
        assert it.puts("a1") == 0


# -- when this side fails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1])
async def test_a_journal_that_fails_starts_no_further_cutover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The first PUT whose intent cannot be written is not sent; what is under way is followed, and the ending tells."""
    commit = Journal.commit
    put_batches: list[Event] = []

    def failing(self: Journal, run_id: str, events: Any, ids: Any, **how: Any) -> None:
        put_batches.extend(event for event in events if isinstance(event, CutoverRequested))
        if len(put_batches) > after:
            raise JournalError("the disk is full: make room") from sqlite3.OperationalError("full")
        commit(self, run_id, events, ids, **how)

    async with house(tmp_path, workflow(wave("a", "a1", "a2", "a3", concurrency=1))) as it:
        monkeypatch.setattr(Journal, "commit", failing)
        ending = await it.start()
        assert sum(it.puts(name) for name in ("a1", "a2", "a3")) == after
        assert list(outcomes(ending).values()) == [SUCCESS] * after + [NOT_STARTED] * (3 - after)
        assert "the journal failed" in str(ending.state.result("a3").error_message)
        assert ending.journal_failure is not None
        assert "the disk is full" in ending.journal_failure
        assert ending.exit_code is ExitCode.INCOMPLETE


@pytest.mark.parametrize(
    ("met", "advice"),
    [
        (errno.EMFILE, "raise `ulimit -n`"),
        (errno.EROFS, "mounted read-only"),
        (errno.EIO, "look at the disk or mount"),
        (errno.ESTALE, "look at the disk or mount"),
        (errno.ENOTDIR, "put it back as it was"),
        (errno.ENOSPC, "make room"),
    ],
)
async def test_what_the_journal_lacks_in_mid_run_is_to_be_mended_and_the_run_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, met: int, advice: str
) -> None:
    """Whatever the system says. In another directory a second run would know nothing of the PUTs of this one."""

    def failing(path: Path, flags: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(met, os.strerror(met), str(path))
        return open_own(path, flags)

    async with house(tmp_path, workflow(wave("a", "a1", "a2", concurrency=1))) as it:
        on(it, CutoverAccepted, lambda: monkeypatch.setattr("orchestrator.store.marks.open_own", failing))
        ending = await it.start()
    assert outcomes(ending) == {"a1": SUCCESS, "a2": NOT_STARTED}
    told = str(ending.state.result("a2").error_message)
    assert advice in told
    assert f"then `atlas-cutover resume {ending.state.run_id}` goes on with the run" in told
    assert "--state-dir" not in told or "names the one that was meant" in told


@pytest.mark.parametrize("method", ["handled", "asked"])
async def test_a_journal_that_cannot_be_asked_any_more_stops_the_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A request from another shell meets a full disk: nothing new starts, what is under way is followed."""

    def failing(*_: object) -> None:
        raise JournalError("the disk is full: make room")

    async with house(tmp_path, workflow(wave("a", "a1", "a2", concurrency=1))) as it:

        def act() -> None:
            it.ask("pause")
            monkeypatch.setattr(Journal, method, failing)

        on(it, CutoverAccepted, act)
        ending = await it.start()
        assert outcomes(ending) == {"a1": SUCCESS, "a2": NOT_STARTED}
        assert "the journal failed" in str(ending.state.result("a2").error_message)


async def test_a_retry_into_a_wave_whose_before_hook_failed_runs_it_again_in_the_same_session(tmp_path: Path) -> None:
    """Once the cause is cured: what it was to prepare is there before any PUT."""
    cured = tmp_path / "cured"
    hooks = Hooks(before=(("test", "-f", str(cured)),), after_failure=(("true", "undo"),))
    plan = workflow(wave("w", "a", "b", hooks=hooks), wave("v", "c", approval=True))
    async with house(tmp_path, plan) as it:

        def cure() -> None:
            cured.touch()
            it.ask("retry", migration="a")
            it.ask("retry", migration="b")

        on(it, ApprovalWaiting, cure)
        on(it, CutoverAccepted, lambda: it.ask("approve", "v"))
        ending = await it.start()
        assert outcomes(ending) == dict.fromkeys("abc", SUCCESS)
        hooked = [(hook.hook, hook.ok) for hook in ending.state.finished_hooks]
        assert hooked == [("before", False), ("after_failure", True), ("before", True)]


async def test_a_retry_while_hooks_of_the_run_are_at_work_does_nothing_and_says_so(tmp_path: Path) -> None:
    """They let writers in on the source: they run to their end, no PUT leaves, and the session after it prepares all anew."""
    cured, told = tmp_path / "cured", list[Any]()
    hooks = Hooks(before=(WORKS,), after_failure=(("sleep", "0.3"), WORKS), after_success=(WORKS,))
    waits = migration("a", hooks=Hooks(before=(("test", "-f", str(cured)),)))
    async with house(tmp_path, workflow(wave("w", waits), hooks=hooks)) as it:

        def cure() -> None:
            cured.touch()
            it.ask("retry", migration="a")

        on(it, WaveFinished, cure)
        ending = await it.start(say=lambda event, **fields: told.append((event, fields["detail"])))
        assert (outcomes(ending), it.puts("a")) == ({"a": FAILED}, 0)
        ((event, why),) = told
        assert event == "request_dropped"
        assert "the after_failure hooks of the run have not ended" in why
        of_the_run = [each for each in ending.state.finished_hooks if each.migration is None]
        assert [(each.hook, each.ok) for each in of_the_run] == [
            ("before", True),
            ("after_failure", True),
            ("after_failure", True),
        ]
        ending = await it.resume(ending.state.run_id, retry_failed=True)
        assert (outcomes(ending), it.puts("a")) == ({"a": SUCCESS}, 1)
        of_the_run = [each for each in ending.state.finished_hooks if each.migration is None]
        assert [each.hook for each in of_the_run[3:]] == ["before", "after_success"]


@pytest.mark.parametrize("detail", ["[" * 100_000, f'{{"migration": "a2", "gate": [1{"0" * 400}, 1]}}'])
async def test_a_damaged_request_stops_the_run_in_order_and_is_dropped_with_a_word(tmp_path: Path, detail: str) -> None:
    """It may have been `pause`: nothing new starts, what is under way is followed, and what is asked then is heeded. `resume` goes on without it."""
    told: list[tuple[str, str]] = []
    async with house(tmp_path, workflow(wave("a", "a1", "a2", concurrency=1))) as it:

        def act() -> None:
            it.ask("gate", migration="a2")
            with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
                db.execute("UPDATE controls SET detail = ?", (detail,))

        on(it, CutoverAccepted, act)
        on(it, CutoversStopped, lambda: it.ask("skip", migration="a2"))
        ending = await it.start(say=lambda event, **fields: told.append((event, str(fields["detail"]))))
        assert outcomes(ending) == {"a1": SUCCESS, "a2": NOT_STARTED}
        assert ending.state.migrations["a2"].skipped == "skipped by somebody"
        assert "what is asked of the run cannot be read: request 1 ('gate' by 'somebody': " in str(ending.state.stopped)
        [(event, said)] = told
        assert (event, said.endswith("no further cutover starts; ask again")) == ("request_dropped", True)
        assert retry(ending.state.run_id, "a2", state_dir=tmp_path).taken is Taken.KEPT
        again = await it.resume(ending.state.run_id)
        assert outcomes(again) == {"a1": SUCCESS, "a2": SUCCESS}


async def test_a_put_on_the_wire_gets_its_answer_recorded_when_the_run_is_cancelled(tmp_path: Path) -> None:
    """A stop in order: nothing new starts, the answer is on disk, and `resume` follows it to its end."""
    fault = Fault(on=Kind.CUTOVER, kind=FaultKind.SLOW, delay=3.0)
    plan = workflow(wave("a", "a1", "a2", concurrency=1))
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(fault,)), request_timeout=10.0) as it:
        with anyio.CancelScope() as scope:
            on(it, CutoverRequested, scope.cancel)
            await it.start()
        assert scope.cancelled_caught
        (accepted,) = it.names(CutoverAccepted)
        assert accepted.migration == "a1"
        assert (it.puts("a1"), it.puts("a2")) == (1, 0)
        with open_journal(tmp_path) as journal:
            (row,) = journal.runs()
            kept = [event for _, event in journal.events(row.run_id)]
        assert accepted in kept
        assert row.unfinished
        ending = await it.resume(row.run_id)
        assert outcomes(ending) == {"a1": SUCCESS, "a2": SUCCESS}
        assert (it.puts("a1"), it.puts("a2")) == (1, 1)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.5, 1.5, 5.0, 9.0, 11.0, 14.0])
async def test_a_run_cancelled_at_any_time_is_continued_with_one_put_each(tmp_path: Path, delay: float) -> None:
    """Twice cancelled, then run to its end."""
    plan = workflow(wave("a", "a1", "a2", "a3", concurrency=2), wave("b", "b1"))
    fault = Fault(on=None, kind=FaultKind.SLOW, delay=0.3)
    async with house(tmp_path, plan, Scenario(jobs=READY, faults=(fault,))) as it:
        for _ in range(2):
            with anyio.move_on_after(delay):
                await it.start()
        ending = await it.start()
        assert set(outcomes(ending).values()) == {SUCCESS}
        assert all(it.puts(m.name) == 1 for _, m in plan.migrations())
