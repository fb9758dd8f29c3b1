from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.core.events import RunFinished, StatusPolled
from orchestrator.core.outcomes import RunOutcome
from orchestrator.core.run import RunState, fold
from orchestrator.observers.last_read import ReadsFile
from orchestrator.store.last_read import LastRead, read_reads, reads_path

from ..builders import NOW, run_started, workflow


def seen(at: float, lag: float | None = 3.0, migration: str = "a") -> StatusPolled:
    """A read that showed something."""
    return StatusPolled(at=at, migration=migration, status="WORKING", ready=True, lag=lag)


def failed(at: float, error: str = "503 from a gateway") -> StatusPolled:
    """One that did not."""
    return StatusPolled(at=at, migration="a", error=error)


def run() -> RunState:
    """A run that has begun."""
    return fold("r1", (run_started(workflow(("a", "b"))),))


def over(state_dir: Path, *reads: StatusPolled, said: list[str] | None = None) -> dict[str, LastRead]:
    """What is known when a session with these *reads* has ended; what was *said* meanwhile."""

    def say(event: str, **_: object) -> None:
        assert said is not None, event
        said.append(event)

    file = ReadsFile(state_dir, say)
    for read in reads:
        file.sink(read, run())
    end = RunFinished(at=NOW, outcome=RunOutcome.INCOMPLETE, exit_code=143, unfinished=True, requests={})
    file.sink(end, run())
    return read_reads(reads_path(state_dir, "r1"))


def test_a_failed_read_leaves_what_was_seen_with_its_own_age(tmp_path: Path) -> None:
    """Nobody takes a lag of minutes ago for that of now; the error stays when reads succeed again, with its age, too."""
    found = over(tmp_path, seen(NOW), failed(NOW + 60))["a"]
    assert (found.seen_at, found.lag, found.error, found.error_at) == (NOW, 3.0, "503 from a gateway", NOW + 60)
    found = over(tmp_path, seen(NOW + 90, lag=None))["a"]
    assert (found.seen_at, found.lag, found.error_at) == (NOW + 90, None, NOW + 60)


def test_another_session_keeps_what_it_does_not_read(tmp_path: Path) -> None:
    """`--only` reads a part."""
    over(tmp_path, seen(NOW), seen(NOW, migration="b"))
    found = over(tmp_path, seen(NOW + 500))
    assert (found["a"].seen_at, found["b"].seen_at) == (NOW + 500, NOW)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"a": {"no": 1}}', '{"a": 1}'])
def test_a_file_that_is_not_there_or_not_whole_tells_nothing(tmp_path: Path, content: str | None) -> None:
    """Nothing is decided by it."""
    path = tmp_path / "reads.json"
    if content is not None:
        path.write_text(content)
    assert read_reads(path) == {}


def test_a_file_that_cannot_be_written_hurts_nothing(tmp_path: Path) -> None:
    """The run goes on, and the operator is told."""
    (tmp_path / "reads").write_text("in the way")
    said: list[str] = []
    assert over(tmp_path, seen(NOW), said=said) == {}
    assert said == ["reads_failed"]


def test_reads_that_somebody_else_could_have_written_are_not_shown(tmp_path: Path) -> None:
    """Nor those behind a link, or a pipe, which would wait for its writer."""
    true = tmp_path / "true.json"
    true.write_text('{"orders": {"at": 1.0, "lag": 2.0}}')
    assert read_reads(true)["orders"].lag == 2.0
    (tmp_path / "link.json").symlink_to(true)
    os.mkfifo(tmp_path / "pipe.json")
    assert read_reads(tmp_path / "link.json") == read_reads(tmp_path / "pipe.json") == {}
    true.chmod(0o622)
    assert read_reads(true) == {}


@pytest.mark.parametrize(
    "read",
    ['{"at": "soon"}', '{"at": 1e999}', '{"at": 1.0, "lag": []}', '{"at": 1.0, "status": 7}', '{"at": 1.0, "error": "\\ud800"}', '{"at": 1, "x": 1}', "[" * 100_000],
)  # fmt: skip
def test_reads_that_are_damaged_are_none(tmp_path: Path, read: str) -> None:
    """They are a copy for the eye, and keep nobody from seeing the run."""
    path = reads_path(tmp_path, "r1")
    path.parent.mkdir(mode=0o700)
    path.write_text(f'{{"a": {read}}}', encoding="utf-8")
    path.chmod(0o600)
    assert read_reads(path) == {}
