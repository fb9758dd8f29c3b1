"""What waits for the hooks of a process that has died."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator import abort
from orchestrator.core.errors import BusyError, InputError
from orchestrator.core.events import CutoverRequested
from orchestrator.operations import aftermath
from orchestrator.store.locks import hooks_lock, locked, workflow_lock

from ..engines.house import die_when, house, wave, workflow

pytestmark = pytest.mark.anyio

HOLD = """
import sys
from pathlib import Path
from orchestrator.store.locks import locked
with locked(Path(sys.argv[1]), holder="hooks of ana@bastion (4711), run r1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock of the hooks of the workflow, as what ends them does, until its stdin is closed."""
    path = hooks_lock(state_dir, "night", rehearsal=False)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


async def test_a_session_begins_when_the_hooks_of_the_one_before_have_ended(tmp_path: Path, virtual_time: None) -> None:
    """It says what it waits for; until then nothing is recorded, and nothing sent."""
    said: list[tuple[str, dict[str, Any]]] = []
    async with house(tmp_path, workflow(wave("one", "a"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverRequested))
        known, state_dir = len(it.events), it.settings.state_dir
        with held(state_dir) as process:

            def say(event: str, **fields: Any) -> None:
                said.append((event, fields))
                assert len(it.events) == known
                process.communicate("")

            ending = await it.resume(run_id, say=say)
        assert int(ending.exit_code) == 0
    assert [event for event, _ in said] == ["hooks_being_ended"]
    assert said[0][1]["detail"].startswith("hooks of ana@bastion (4711), run r1, are being ended first")


async def test_hooks_that_do_not_end_are_told_and_nothing_is_begun(tmp_path: Path, virtual_time: None) -> None:
    """Whoever they are of has died: that nobody works on the run helps nobody."""
    async with house(tmp_path, workflow(wave("one", "a"))) as it:
        with (
            held(it.settings.state_dir),
            pytest.raises(BusyError, match=r"^hooks of ana@bastion \(4711\), run r1, have not"),
        ):
            await it.start()
        assert it.events == []


async def test_an_abort_ends_no_run_whose_hooks_do_not_end(
    tmp_path: Path, virtual_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless somebody works on its workflow, who has waited for them: their lock is that one's own then."""
    monkeypatch.setattr(aftermath, "PATIENCE", 0.1)
    async with house(tmp_path, workflow(wave("one", "a"))) as it:
        run_id = await die_when(it, lambda event: isinstance(event, CutoverRequested))
        state_dir = it.settings.state_dir
        with held(state_dir):
            with pytest.raises(InputError, match="have not ended"):
                await anyio.to_thread.run_sync(lambda: abort(run_id, state_dir=state_dir))
            with locked(workflow_lock(state_dir, "night", rehearsal=False), holder="somebody"):
                assert abort(run_id, state_dir=state_dir).unwatched == ("a",)
