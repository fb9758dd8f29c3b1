"""What people have decided about a run is kept: who, when, why."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core import events as ev
from orchestrator.core.run import RunState, fold
from orchestrator.core.steered import COMMANDS, Command, Decision, between_sessions
from orchestrator.core.workflow import Gate

from ..builders import run_resumed, run_started, workflow

SAID: dict[str, Any] = {"who": "ada", "reason": "ticket 7"}


def steered(*events: ev.Event) -> RunState:
    """A run of two waves, after *events*."""
    return fold("run", [run_started(workflow(("orders",), ("bills",))), *events])


def test_every_command_that_steers_has_its_event() -> None:
    """None of them can be left out of the record."""
    assert set(COMMANDS.values()) == set(Command)


@pytest.mark.parametrize(
    ("event", "about"),
    [
        (ev.RunPaused(at=7.0, **SAID), {"command": "pause"}),
        (ev.RunUnpaused(at=7.0, **SAID), {"command": "unpause"}),
        (ev.RunAborted(at=7.0, **SAID), {"command": "abort"}),
        (ev.WaveApproved(at=7.0, wave="w2", **SAID), {"command": "approve", "wave": "w2"}),
        (ev.WaveRejected(at=7.0, wave="w2", **SAID), {"command": "reject", "wave": "w2"}),
        (
            ev.MigrationSkipped(at=7.0, migration="bills", **SAID),
            {"command": "skip", "wave": "w2", "migration": "bills"},
        ),
        (
            ev.MigrationRetried(at=7.0, migration="bills", **SAID),
            {"command": "retry", "wave": "w2", "migration": "bills"},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, ev.Event) else "",
)
def test_who_when_and_why_is_kept(event: ev.Event, about: dict[str, Any]) -> None:
    """Of each command, with what it was about."""
    assert steered(event).steering == [Decision(at=7.0, **SAID, **about)]


def test_what_a_gate_was_and_became_is_kept() -> None:
    """Also that it was taken away."""
    first = ev.GateChanged(at=7.0, migration="orders", max_lag=60.0, timeout=1800.0, **SAID)
    off = ev.GateChanged(at=8.0, migration="orders", max_lag=None, timeout=None, who="bob")
    state = steered(first, off)
    before = state.workflow.waves[0].migrations[0].gate
    wide = Gate(max_lag=60.0, timeout=1800.0)
    about: dict[str, Any] = {"command": "gate", "wave": "w1", "migration": "orders"}
    assert state.steering == [
        Decision(at=7.0, **SAID, **about, gate_before=before, gate=wide),
        Decision(at=8.0, who="bob", reason="", **about, gate_before=wide, gate=None),
    ]


def test_what_might_be_decided_does_not_change_what_was() -> None:
    """`after` leaves the record as it is."""
    state = steered()
    assert len(state.after(ev.RunPaused(at=7.0, who="ada")).steering) == 1
    assert state.steering == []


def test_a_session_tells_of_what_was_decided_right_before_it() -> None:
    """Neither of what a session has told of in its time, nor of what an earlier one was told when it began."""
    late = between_sessions(ev.RunPaused(at=8.0, who="bob"))
    state = steered(ev.MigrationSkipped(at=7.0, migration="bills", **SAID), late)
    told = []
    for _ in range(2):
        state.apply(run_resumed(("orders",)))
        told.append(list(state.steered_before))
    assert told == [[late], []]
    assert [decision.command for decision in state.steering] == ["skip", "pause"]
