"""What is said of a run whose process holds it and does not get anywhere."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.observers.last_read import ReadsFile
from orchestrator.operations import temporal_runs
from orchestrator.operations.report import report
from orchestrator.operations.status import runs, status
from orchestrator.operations.watching import Watching
from orchestrator.store.journal import open_journal
from orchestrator.store.last_read import SILENT_AFTER, reads_path, silent_since
from orchestrator.web.look import look_at_runs

from ..builders import workflow
from ..web.nights import HOLDER, RUN, Night


def aged(path: Path, seconds: float) -> None:
    """Make *path* older by so many *seconds*."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_status_says_that_the_process_gives_no_sign_of_life(tmp_path: Path) -> None:
    """And whose process that is; a run without such a file is of an older version, and nothing is claimed of it."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    life = reads_path(tmp_path, RUN)
    with night.held():
        assert status(RUN, state_dir=tmp_path).holds == ()
        life.parent.mkdir()
        life.write_text("{}")
        assert status(RUN, state_dir=tmp_path).holds == ()
        aged(life, SILENT_AFTER + 1)
        (hold,) = status(RUN, state_dir=tmp_path).holds
    assert hold.reason == f"no sign of life from {HOLDER}: look whether that process still works"
    assert status(RUN, state_dir=tmp_path).holds == ()  # nobody holds it


def test_a_run_at_temporal_is_not_silent_because_nobody_here_follows_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who followed it was detached, and has left the last sign of life that it gave; of who follows it now theirs counts."""

    async def nothing_new(*_: Any) -> bool:
        return False

    monkeypatch.setattr(temporal_runs, "catch_up", nothing_new)
    night = Night(state_dir=tmp_path)
    place = {"address": "temporal.internal:7233", "namespace": "n", "tls": False, "codec_key_file": None, "lease": 10.0}
    night.begin(workflow(("orders",)), temporal=place)
    life = reads_path(tmp_path, RUN)
    life.parent.mkdir()
    life.write_text("{}")
    aged(life, SILENT_AFTER + 1)

    def told() -> list[str]:
        """What each of those says who tell of the run."""
        (listed,), (row,) = runs(state_dir=tmp_path), look_at_runs(tmp_path)["runs"]
        now, seen = status(RUN, state_dir=tmp_path), Watching(RUN, state_dir=tmp_path).look()
        needs = [str(need) for need in report(RUN, state_dir=tmp_path).report.needs]
        words = [listed.stands, row["stands"], *(hold.reason for hold in now.holds), *needs, seen.no_news]
        return [word for word in words if word is not None and "sign of life" in word]

    assert told() == []
    with night.held():
        assert len(told()) == 5


def test_a_session_gives_its_sign_of_life_with_its_first_event(tmp_path: Path) -> None:
    """One that takes up a run of yesterday is not silent since yesterday."""
    night = Night(state_dir=tmp_path)
    night.begin(workflow(("orders",)))
    reads_path(tmp_path, RUN).parent.mkdir()
    reads_path(tmp_path, RUN).write_text("{}")
    aged(reads_path(tmp_path, RUN), 86400)
    with open_journal(tmp_path, readonly=True) as journal:
        state = journal.state(RUN)
        event = next(event for _, event in journal.events(RUN))
    ReadsFile(tmp_path, lambda *_, **__: None).sink(event, state)
    assert silent_since(tmp_path, RUN, now=time.time()) is None
