"""What is asked of a run is judged by how it will stand, not by what happens to be in the journal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.core import events as ev
from orchestrator.core.run import RunState
from orchestrator.core.steering import Command, Request
from orchestrator.operations.steering import Taken
from orchestrator.operations.unpause import unpause
from orchestrator.store.journal import Journal, open_journal
from orchestrator.store.locks import locked, run_lock

from ..builders import workflow
from ..web.nights import RUN, Night

WHO = "ada"


def test_a_pause_that_is_heeded_at_this_moment_can_be_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pause` and then `unpause`, while the run's process is between reading the one and recording it."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    with open_journal(tmp_path) as journal:
        journal.request(RUN, Request(command=Command.PAUSE, who=WHO), at=time.time())
    read = Journal.state

    def read_and_heed(journal: Journal, run_id: str) -> RunState:
        state = read(journal, run_id)
        monkeypatch.setattr(Journal, "state", read)
        night.write(ev.RunPaused(at=time.time(), who=WHO))
        with open_journal(tmp_path) as other:
            other.handled(other.controls(RUN))
        return state

    monkeypatch.setattr(Journal, "state", read_and_heed)
    with locked(run_lock(tmp_path, RUN), holder="another process"):
        assert unpause(RUN, state_dir=tmp_path).taken is Taken.ASKED
    with open_journal(tmp_path) as journal:
        assert [control.request.command for control in journal.controls(RUN)] == [Command.UNPAUSE]
