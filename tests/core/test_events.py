from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from orchestrator.core.event_json import EVENTS, from_json, to_json
from orchestrator.core.events import CutoverAccepted, CutoverAdmitted, Event, HookFinished, StatusPolled

from ..builders import NOW
from ..eventstrategies import any_event
from ..strength import examples

OF_THE_CONTRACT = [
    "run_started",
    "run_resumed",
    "run_finished",
    "wave_started",
    "wave_finished",
    "gate_waiting",
    "gate_opened",
    "cutover_requested",
    "cutover_accepted",
    "cutover_in_doubt",
    "status_changed",
    "migration_finished",
    "rate_limited",
    "request_retried",
    "hook_finished",
    "approval_waiting",
    "run_paused",
    "run_unpaused",
    "run_aborted",
    "status_polled",
]


def test_every_event_of_the_contract_is_there() -> None:
    """Under its own name."""
    assert set(OF_THE_CONTRACT) <= set(EVENTS)
    assert all(cls.name == name for name, cls in EVENTS.items())


def test_polls_and_slots_alone_are_not_journaled() -> None:
    """They are many, and a later session finds them out again."""
    assert {cls for cls in EVENTS.values() if not cls.journaled} == {CutoverAdmitted, StatusPolled}


@settings(max_examples=examples(300), deadline=None)
@given(event=any_event)
def test_every_event_keeps_its_json_form(event: Event) -> None:
    """Values and types, through a string as in the journal."""
    data = json.loads(json.dumps(to_json(event)))
    assert from_json(event.name, event.at, data) == event


def test_an_acceptance_that_does_not_say_how_it_is_known_was_an_answer() -> None:
    """As the field has a default, like every one that came later."""
    stored = {"migration": "a", "http_status": 202, "status": None}
    assert from_json("cutover_accepted", NOW, stored) == CutoverAccepted(at=NOW, **stored)  # type: ignore[arg-type]
    assert to_json(CutoverAccepted(at=NOW, **stored))["evidence"] == "answer"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run_teleported", {}),
        ("run_paused", {"who": "ana", "mood": "calm"}),
        ("run_paused", {}),
        ("run_paused", ["ana"]),
        ("run_paused", None),
        ("run_started", {"who": "ana"}),
        ("run_started", ["ana"]),
        ("run_started", {"workflow": None}),
        ("run_started", {"workflow": {"policies": [None]}}),
        ("run_started", {"workflow": {"policies": [], "waves": [{"migrations": [["a", "b", "c", 7]]}]}}),
        ("window_changed", {"window": "at night"}),
        ("forecast_made", {"forecast": 7}),
        ("run_finished", "done"),
        ("migration_finished", {"migration": "a", "outcome": "MAYBE", "status": None}),
        ("migration_finished", {"migration": "a"}),
        ("run_finished", {"outcome": "MAYBE", "exit_code": 0, "unfinished": False, "requests": {}}),
    ],
)
def test_an_event_of_a_newer_version_or_a_damaged_one_is_refused(name: str, data: Any) -> None:
    """With the one error that readers know, never with a guess."""
    with pytest.raises(ValueError, match=r"event|Outcome"):
        from_json(name, 1.0, data)


def test_a_hook_is_ok_when_it_ended_with_zero() -> None:
    """One that never started has no exit code and is not."""
    codes = [HookFinished(at=1.0, hook="before", argv=("x",), exit_code=code, seconds=0.1).ok for code in (0, 1, None)]
    assert codes == [True, False, False]
