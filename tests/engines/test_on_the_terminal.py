"""What is typed on the terminal of a run that waits for approval."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import cast

import anyio
import pytest

from orchestrator.core.events import (
    ApprovalWaiting,
    Event,
    MigrationFinished,
    MigrationRetried,
    MigrationSkipped,
    WaveApproved,
    WaveFinished,
)
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import RunState, fold
from orchestrator.engines.local.controls import TO_READ, heed_terminal
from orchestrator.engines.local.session import Session
from orchestrator.text.redaction import Redactor

from ..builders import NOW, WHO, run_started, wave_with, workflow

pytestmark = pytest.mark.anyio

HERE = f"the terminal of {WHO}"
SOMEBODY = "somebody in another shell"


async def typed(
    line: str,
    *,
    by: str,
    after: float,
    monkeypatch: pytest.MonkeyPatch,
    unseen: Callable[[], bool] = lambda: False,
    before: Sequence[Event] = (),
    since: Sequence[Event] = (),
) -> tuple[list[Event], list[str]]:
    """What becomes of *line*, typed so many seconds *after* a second wave, of two, began to wait, whose first one was approved *by* whom.

    *before*: what happened before that; *since*: what after it.
    """
    given = workflow(("a",), ("b", "c"))
    given = replace(given, waves=tuple(wave_with(wave, approval=True) for wave in given.waves))
    state = fold(
        "r1",
        [
            run_started(given),
            ApprovalWaiting(at=NOW, wave="w1"),
            WaveApproved(at=NOW + 1, wave="w1", who=by),
            MigrationFinished(
                at=NOW + 9, migration="a", outcome=Outcome.SUCCESS, status="COMPLETE", error_message=None, polls=1
            ),
            WaveFinished(at=NOW + 9, wave="w1", counts={"SUCCESS": 1}),
            *before,
        ],
    )
    recorded: list[Event] = []
    told: list[str] = []

    def record(event: Event) -> None:
        recorded.append(event)
        state.apply(event)

    listeners: list[Callable[[Event, RunState], None]] = []
    session = SimpleNamespace(
        state=state,
        now=lambda: NOW + 10 + after,
        hooks=SimpleNamespace(redactor=Redactor()),
        recorder=SimpleNamespace(record=record, listen=listeners.append),
    )

    def ask() -> None:
        """The second wave's question, and what follows it, when the terminal is looked at."""
        for event in (ApprovalWaiting(at=NOW + 10, wave="w2"), *since):
            state.apply(event)
            for listener in listeners:
                listener(event, state)
        terminal.write(line.encode() + b"\n")

    reading, typing = os.pipe()
    heed = partial(heed_terminal, who=HERE, on_line=lambda: None, unseen=unseen)
    with os.fdopen(reading) as stdin, os.fdopen(typing, "wb", buffering=0) as terminal:
        monkeypatch.setattr(sys, "stdin", stdin)
        with anyio.move_on_after(1.5):
            async with anyio.create_task_group() as group:
                group.start_soon(
                    partial(
                        heed,
                        cast("Session", session),
                        say=lambda event, **fields: told.append(f"{event}: {fields['detail']}"),
                    )
                )
                await anyio.wait_all_tasks_blocked()
                ask()
    return recorded, told


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("by", [SOMEBODY, HERE])
async def test_the_number_of_its_migrations_approves_the_wave_that_waits(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has stood there for as long as it takes to be read."""
    recorded, told = await typed("2", by=by, after=TO_READ, monkeypatch=monkeypatch)
    assert [event.wave for event in recorded if isinstance(event, WaveApproved)] == ["w2"]
    assert told == []


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("by", [SOMEBODY, HERE])
async def test_an_answer_to_what_stood_there_before_approves_nothing(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has approved that in the same moment, or types the number twice, and the numbers may be the same."""
    recorded, told = await typed("2", by=by, after=TO_READ - 0.5, monkeypatch=monkeypatch)
    assert recorded == []
    assert [line.partition(";")[0] for line in told] == [
        "approval_unclear: not approved: what was typed may have been for what stood here before"
    ]


@pytest.mark.usefixtures("virtual_time")
async def test_an_answer_is_for_what_was_left_when_the_question_was_put(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that make up the same number were not in it: that is said, and the number has to be typed again."""
    skipped = MigrationSkipped(at=NOW + 9, migration="c", who=WHO, reason="")
    recorded, told = await typed(
        "1",
        by=HERE,
        after=60.0,
        monkeypatch=monkeypatch,
        before=[skipped],
        since=[
            MigrationRetried(at=NOW + 11, migration="c", who=WHO, reason=""),
            MigrationSkipped(at=NOW + 12, migration="b", who=WHO, reason=""),
        ],
    )
    assert recorded == []
    assert [line.partition(";")[0] for line in told] == [
        "approval_unclear: not approved: c came back to the wave since this was asked"
    ]


@pytest.mark.usefixtures("virtual_time")
async def test_nothing_is_approved_on_a_terminal_that_has_shown_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-S, or when its connection hangs: what is typed was for something else."""
    recorded, told = await typed("2", by=HERE, after=600.0, unseen=lambda: True, monkeypatch=monkeypatch)
    assert recorded == []
    assert "not approved" in told[0]


@pytest.mark.usefixtures("virtual_time")
async def test_what_is_being_written_at_that_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log goes on all the time, and each line takes some milliseconds."""
    looks = iter([True] * 5)
    recorded, _ = await typed("2", by=HERE, after=600.0, unseen=lambda: next(looks, False), monkeypatch=monkeypatch)
    assert len(recorded) == 1
