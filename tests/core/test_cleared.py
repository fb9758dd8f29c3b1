"""What others tell of a run, without secrets that only this process knows."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.cleared import cleared
from orchestrator.core.events import CutoversStopped, HookFinished, MigrationFinished, RunStarted
from orchestrator.core.outcomes import Outcome

from ..engines.house import wave, workflow


def shout(text: str) -> str:
    """What a redactor does, to be seen on every text."""
    return text.upper()


def test_all_that_was_said_is_cleared_and_names_are_kept() -> None:
    """A hook's command, output and error; whose hook it was is as it was."""
    ran = HookFinished(
        at=1.0,
        hook="before",
        argv=("echo", "a"),
        exit_code=None,
        seconds=1.0,
        output="b",
        error="c",
        wave="one",
        migration="a",
    )
    assert cleared(ran, shout) == replace(ran, argv=("ECHO", "A"), output="B", error="C")
    ended = MigrationFinished(at=1.0, migration="a", outcome=Outcome.FAILED, status=None, error_message="no space")
    assert cleared(ended, shout) == replace(ended, error_message="NO SPACE")
    began = RunStarted(
        at=1.0,
        workflow=workflow(wave("one", "a")),
        base_url="http://a",
        rehearsal=False,
        selected=("a",),
        who="b",
        version="0",
    )
    assert cleared(began, shout) == replace(began, who="B")


def test_what_holds_nothing_is_the_same_event() -> None:
    """Nothing is made anew."""
    stopped = CutoversStopped(at=1.0, reason="a")
    assert cleared(stopped, str) is stopped
