"""Errors that nobody has thought of, while cutovers are under way: whose they are, and how they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.core.errors import CutoverError
from orchestrator.core.events import CutoverAccepted, HookFinished
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.run import RunState
from orchestrator.engines import hooks
from orchestrator.engines.local.driver import Driver
from orchestrator.operations.options import Host
from orchestrator.operations.run import run
from orchestrator.store.journal import open_journal

from .house import Hooks, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


def closed(*_: object) -> Path:
    """What looking for a program may meet."""
    raise PermissionError(13, "Permission denied", "/closed/tool")


async def test_a_hook_that_cannot_be_looked_for_fails_and_what_is_under_way_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other migration's PUT has left: its end is seen, and the run's exit code tells of one failure."""
    plan = workflow(wave("w", "a", migration("b", hooks=Hooks(before=(("tool",),)))))
    monkeypatch.setattr(hooks, "program_to_start", closed)
    monkeypatch.setattr(hooks, "oddity", closed)
    async with house(tmp_path, plan) as it:
        ending = await it.start()
        assert outcomes(ending) == {"a": Outcome.SUCCESS, "b": Outcome.FAILED}
        assert (ending.exit_code, ending.journal_failure) == (ExitCode.FAILED, None)
        [failed] = it.names(HookFinished)
        assert failed.error == "did not start: /closed/tool: Permission denied"
        assert (it.puts("a"), it.puts("b")) == (1, 0)


async def test_an_error_of_ours_after_a_put_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No error of the system's, nor one that means that nothing was begun: it says which run to resume, and that goes on."""
    read = Driver._read

    async def fails(self: Driver, what: Any, **options: Any) -> None:
        if it.names(CutoverAccepted):
            raise PermissionError(13, "Permission denied", "/somewhere")
        await read(self, what, **options)

    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        with monkeypatch.context() as broken:
            broken.setattr(Driver, "_read", fails)
            with pytest.raises(RuntimeError) as caught:
                await it.start()
        with open_journal(tmp_path) as journal:
            [row] = journal.runs()
        assert it.names(CutoverAccepted)
        assert not isinstance(caught.value, (CutoverError, OSError))
        assert f"atlas-cutover resume {row.run_id}" in str(caught.value)
        ending = await it.resume(row.run_id)
        assert (outcomes(ending), it.puts("a")) == ({"a": Outcome.SUCCESS}, 1)


async def test_a_task_beside_the_run_that_fails_ends_no_run(tmp_path: Path) -> None:
    """As an observer that raises: the result tells of it."""

    async def fails() -> None:
        await anyio.sleep(5)
        raise PermissionError(13, "Permission denied", "/somewhere")

    seen: list[RunState] = []
    async with house(tmp_path, workflow(wave("w", "a"))) as it:
        result = await run(
            it.workflow,
            it.settings,
            observers=[lambda _, state: seen.append(state)],
            host=Host(wall=wall, steady=anyio.current_time, environ={}, background=(fails,)),
        )
        assert (result.exit_code, it.puts("a")) == (ExitCode.SUCCESS, 1)
        assert [type(error) for error in result.observer_errors] == [PermissionError]
        assert seen
