"""Histories of a real night, replayed: a change that would make something else of the past of runs under way is seen here."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from .recording import HISTORIES
from .replaying import replay

pytestmark = pytest.mark.anyio


def read(path: Path) -> str:
    """The history in *path*, as JSON."""
    return gzip.decompress(path.read_bytes()).decode()


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json.gz")), ids=lambda path: path.name.partition(".")[0])
async def test_the_past_of_a_night_is_done_again_as_it_was(path: Path) -> None:
    """`python -m tests.engines.temporal.recording` records another one, where it was meant to differ."""
    text = read(path)
    begun = WorkflowHistory.from_json("", text).events[0].workflow_execution_started_event_attributes
    await replay(begun.workflow_id, text)


def test_there_are_histories_of_runs_that_turned_and_of_their_batches() -> None:
    """Of each kind that workers serve."""
    kinds = [path.name.partition("-")[0] for path in HISTORIES.glob("*.json.gz")]
    assert kinds.count("run") > 2
    assert set(kinds) == {"run", "batch", "project"}
