"""What is asked of a run when its session is over, or while that ends: it is heeded, and takes nothing from the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.errors import BusyError
from orchestrator.core.events import Event, GateWaiting
from orchestrator.core.outcomes import ExitCode
from orchestrator.operations.approve import approve
from orchestrator.operations.gate import gate
from orchestrator.operations.options import Interruption
from orchestrator.operations.pause import pause
from orchestrator.operations.reject import reject
from orchestrator.operations.skip import skip
from orchestrator.operations.steering import Taken
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Range
from orchestrator.store.journal import open_journal

from .house import READY, House, house, wave, workflow

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
