"""What is asked of a run when its session is over, or while that ends: it is heeded, and takes nothing from the run."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event as ThreadEvent
from threading import Thread
from typing import Any

import anyio
import pytest

from orchestrator.core.errors import BusyError, InputError
from orchestrator.core.events import CutoverAccepted, Event, GateWaiting, MigrationFinished
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.operations import steering
from orchestrator.operations.abort import abort
from orchestrator.operations.approve import approve
from orchestrator.operations.gate import gate
from orchestrator.operations.options import Interruption
from orchestrator.operations.pause import pause
from orchestrator.operations.reject import reject
from orchestrator.operations.retry import retry
from orchestrator.operations.skip import skip
from orchestrator.operations.steering import Taken
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Range, Special
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.schema import FILE

from .house import READY, Gate, House, house, migration, outcomes, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NEVER_READY = replace(READY, ready_after=Range(low=1e6, high=1e6))

WORDS: dict[str, Callable[[str, Path], Any]] = {
    "pause": lambda run, there: pause(run, state_dir=there, reason="not tonight"),
    "gate": lambda run, there: gate(run, "a", max_lag=1.0, state_dir=there),
    "skip": lambda run, there: skip(run, "a", state_dir=there),
    "approve": lambda run, there: approve(run, "two", state_dir=there),
    "reject": lambda run, there: reject(run, "two", state_dir=there),
}


def stopped_when(it: House, kind: type[Event]) -> Any:
    """Interruptions that stop the run in order, as a terminal or cron does, at the first event of *kind*."""
    happened = anyio.Event()
    it.watchers.append(lambda event, _: happened.set() if isinstance(event, kind) else None)

    @contextmanager
    def interruptions() -> Iterator[AsyncIterator[Interruption]]:
        async def once() -> AsyncIterator[Interruption]:
            await happened.wait()
            yield Interruption(by="SIGTERM", exit_code=ExitCode.SIGTERM)

        yield once()

    return interruptions


@pytest.mark.parametrize("word", WORDS)
async def test_what_is_asked_of_a_stopped_run_leaves_its_live_migrations_with_it(tmp_path: Path, word: str) -> None:
    """Whoever pauses it between its sessions wants its jobs left alone; another workflow had cut them over. Its exit code, too, stays that of its end."""
    plan = workflow(wave("one", "a", "b"), wave("two", "c", approval=True))
    async with house(tmp_path, plan, Scenario(jobs=NEVER_READY)) as it:
        first = await it.start(interruptions=stopped_when(it, GateWaiting))
        run_id = first.state.run_id
        assert WORDS[word](run_id, tmp_path).taken is Taken.KEPT
        it.workflow = replace(it.workflow, name="other")
        with pytest.raises(BusyError, match=run_id), anyio.fail_after(60):
            await it.start()
        with open_journal(tmp_path) as journal:
            row = journal.find(run_id)
    assert row is not None
    assert (row.exit_code, row.unfinished) == (ExitCode.SIGTERM, True)


async def test_what_a_stopped_run_has_kept_is_free_when_nothing_is_left_of_it(tmp_path: Path) -> None:
    """The last of it was skipped, so it is over, by no signal, and holds nothing."""
    async with house(tmp_path, workflow(wave("one", "a", "b")), Scenario(jobs=NEVER_READY)) as it:
        first = await it.start(interruptions=stopped_when(it, GateWaiting))
        skip(first.state.run_id, "one", state_dir=tmp_path)
        with open_journal(tmp_path) as journal:
            row = journal.find(first.state.run_id)
            assert journal.claims_of_others("") == {}
    assert row is not None
    assert (row.exit_code, row.unfinished) == (ExitCode.INCOMPLETE, False)


async def test_what_cannot_be_read_of_a_request_lets_no_other_run_have_the_live_migrations(tmp_path: Path) -> None:
    """It may have been `pause`: the run was stopped for that, and had let another workflow have what it was stopped for."""
    async with house(tmp_path, workflow(wave("one", "a")), Scenario(jobs=NEVER_READY)) as it:

        def damaged(event: Event, _: object) -> None:
            if isinstance(event, GateWaiting):
                it.ask("pause")
                with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
                    db.execute("UPDATE controls SET detail = '['")

        it.watchers.append(damaged)
        ending = await it.start()
        it.watchers.clear()
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.INCOMPLETE, True)
        it.workflow = replace(it.workflow, name="other")
        with pytest.raises(BusyError, match=ending.state.run_id), anyio.fail_after(60):
            await it.start()


# -- while a session ends ----------------------------------------------------------------------------------------------


def as_it_ends(it: House, do: Callable[[str], Any], *, at: str = "finishing") -> Callable[[str], None]:
    """A checkpoint that does *do* with the run's id when nothing of its session looks for requests any more."""

    def checkpoint(name: str) -> None:
        if name == at:
            with open_journal(it.settings.state_dir, readonly=True) as journal:
                run_id = journal.runs()[0].run_id
            do(run_id)

    return checkpoint


GATED = workflow(wave("one", migration("a", gate=Gate(timeout=5.0)), "b"))
"""The gate of `a` never opens, so it FAILED."""
A_NEVER_READY = Scenario(jobs=READY, special={"a": Special(ready_after=NEVER_READY.ready_after)})


async def test_a_retry_that_comes_as_the_session_ends_is_heeded_by_the_next(tmp_path: Path) -> None:
    """It was answered, and then lost without a word; the same `retry` was refused from then on, and `resume` said that the run was over."""
    said: list[Any] = []
    answers: list[Taken] = []

    def again(run_id: str) -> None:
        answers.append(retry(run_id, "a", state_dir=tmp_path, who="ann").taken)

    async with house(tmp_path, GATED, A_NEVER_READY) as it:
        ending = await it.start(
            checkpoint=as_it_ends(it, again), say=lambda event, **fields: said.append((event, fields["detail"]))
        )
        assert answers == [Taken.ASKED]
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.INCOMPLETE, True)
        [(event, detail)] = said
        assert event == "request_kept"
        assert detail.startswith("`retry a` by ann, of ")
        it.events.clear()
        await it.resume(ending.state.run_id)
        assert [event.migration for event in it.names(MigrationFinished)] == ["a"]
    with open_journal(tmp_path) as journal:
        assert journal.controls(ending.state.run_id) == []


async def test_what_is_asked_of_a_run_whose_session_is_over_waits_until_its_process_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes its reports still, and looks for nothing any more: what it was asked is recorded once it is gone."""
    answers: list[Taken] = []
    threads: list[Thread] = []
    asked, request = ThreadEvent(), Journal.request

    def request_and_tell(journal: Journal, *args: Any, **more: Any) -> bool:
        left = request(journal, *args, **more)
        asked.set()
        return left

    def again(run_id: str) -> None:
        answers.append(retry(run_id, "a", state_dir=tmp_path).taken)

    def in_another_process(run_id: str) -> None:
        threads.append(Thread(target=again, args=(run_id,)))
        threads[0].start()
        assert asked.wait(20)

    monkeypatch.setattr(Journal, "request", request_and_tell)
    async with house(tmp_path, GATED, A_NEVER_READY) as it:
        ending = await it.start(checkpoint=as_it_ends(it, in_another_process, at="finished"))
    threads[0].join()
    assert answers == [Taken.KEPT]
    with open_journal(tmp_path) as journal:
        row = journal.find(ending.state.run_id)
        assert journal.controls(ending.state.run_id) == []
    assert row is not None
    assert row.unfinished


async def test_who_cannot_be_sure_to_be_heard_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes long to let go, or to begin, takes what holds the run up, which whoever goes on does first, and nothing else."""
    monkeypatch.setattr(steering, "PATIENCE", 0.0)
    told: list[str] = []

    def ask(run_id: str) -> None:
        with pytest.raises(InputError, match=r"is being ended, or begun again, by .* ask again in a moment"):
            gate(run_id, "a", off=True, state_dir=tmp_path)
        told.append(pause(run_id, state_dir=tmp_path).taken)

    async with house(tmp_path, workflow(wave("one", "a", "b")), Scenario(jobs=NEVER_READY)) as it:
        await it.start(interruptions=stopped_when(it, GateWaiting), checkpoint=as_it_ends(it, ask, at="finished"))
    assert told == [Taken.ASKED]


async def test_an_abort_that_comes_as_a_stopped_run_ends_lets_nothing_more_start(tmp_path: Path) -> None:
    """What it left under way is followed by the next session, and by nobody where that was not begun: so the run is not over."""
    plan = workflow(wave("one", "a"), wave("two", "b"))
    slow = replace(READY, cutover=Range(low=300.0, high=300.0))
    async with house(tmp_path, plan, Scenario(jobs=slow)) as it:
        ending = await it.start(
            interruptions=stopped_when(it, CutoverAccepted),
            checkpoint=as_it_ends(it, lambda run_id: abort(run_id, state_dir=tmp_path)),
        )
        assert (ending.exit_code, ending.state.recorded_unfinished) == (ExitCode.SIGTERM, True)
        assert ending.state.aborted_by is not None
        again = await it.resume(ending.state.run_id)
        assert outcomes(again) == {"a": Outcome.SUCCESS, "b": Outcome.NOT_STARTED}
