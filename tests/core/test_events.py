from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from orchestrator.core.event_json import EVENTS, from_json, to_json
from orchestrator.core.events import CutoverAccepted, CutoverAdmitted, Event, HookFinished, StatusPolled

from ..builders import NOW, run_started, workflow
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


HUGE = 10**400
_PUT: dict[str, Any] = {"migration": "a", "http_status": 202, "status": None}
_GATE: dict[str, Any] = {"migration": "a", "status": None, "ready": True, "lag": 1}
_CHANGE: dict[str, Any] = {"migration": "a", "who": "ana", "max_lag": 1, "timeout": 1}
_DONE: dict[str, Any] = {"migration": "a", "outcome": "SUCCESS", "status": None}
_RESUMED: dict[str, Any] = {"selected": [], "retry_failed": False, "who": "ana", "settle": 1}
_END: dict[str, Any] = {"outcome": "SUCCESS", "exit_code": 0, "unfinished": False, "requests": {}}
_HOOK: dict[str, Any] = {"hook": "before", "argv": ["x"], "exit_code": 0, "seconds": 1.0}
_BEGUN: dict[str, Any] = {
    "workflow": to_json(run_started(workflow()))["workflow"],
    "base_url": "https://x",
    "rehearsal": False,
    "selected": ["orders"],
    "who": "ana",
    "version": "1",
}
_WAVE = _BEGUN["workflow"]["waves"][0]
_POLICY = _BEGUN["workflow"]["policies"][0]
_WEEKLY: dict[str, Any] = {"from": "22:00", "to": "06:00", "days": ["sat"], "timezone": "Europe/Berlin"}


def _with(place: str, known: dict[str, Any], **change: Any) -> dict[str, Any]:
    return _BEGUN | {"workflow": _BEGUN["workflow"] | {place: [known | change]}}


def _odd(name: str, good: dict[str, Any], *changes: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, good | change) for change in changes]


def _odd_workflow(place: str, known: dict[str, Any], *changes: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("run_started", _with(place, known, **change)) for change in changes]


NAN, INFINITY = float("nan"), float("inf")
ODD = [
    *_odd("cutover_accepted", _PUT, {"migration": []}, {"migration": None}, {"migration": True}, {"http_status": "202"}, {"http_status": True}, {"http_status": 2.5}),
    *_odd("cutover_accepted", _PUT, {"evidence": []}),
    *_odd("gate_opened", _GATE, {"lag": HUGE}, {"lag": NAN}, {"lag": INFINITY}, {"lag": "1"}, {"ready": 1}),
    *_odd("gate_changed", _CHANGE, {"max_lag": HUGE}, {"timeout": 1e300}, {"who": None}),
    *_odd("migration_finished", _DONE, {"status": []}, {"error_message": {}}, {"polls": None}, {"polls": HUGE}, {"outcome": []}),
    *_odd("wave_started", {"wave": "w", "migrations": 1, "concurrency": 1}, {"wave": []}, {"wave": None}),
    *_odd("wave_soaking", {"wave": "w", "until": NOW}, {"until": 1e300}),
    *_odd("wave_finished", {"wave": "w", "counts": {}}, {"counts": {"SUCCESS": "1"}}, {"counts": []}),
    *_odd("run_finished", _END, {"requests": []}, {"requests": {"by_status": []}}, {"requests": {"by_status": {"200": "x"}}}, {"requests": {"retries": None}}),
    *_odd("run_finished", _END, {"requests": {"retries": HUGE}}, {"polls": []}, {"polls": {"a": None}}, {"polls": {"a": HUGE}}, {"exit_code": 99}),
    *_odd("run_resumed", _RESUMED, {"selected": "orders"}, {"selected": [[]]}, {"selected": [None]}, {"selected": {"a": 1}}, {"who": []}, {"settle": HUGE}, {"base_url": None}),
    *_odd("hook_finished", _HOOK, {"argv": []}, {"argv": "x"}, {"argv": [["x"]]}, {"hook": "between"}, {"seconds": 1e300}, {"output": None}),
    *_odd("run_started", _BEGUN, {"selected": 7}, {"version": []}, {"rehearsal": "no"}, {"workflow": {}}),
    *_odd_workflow("waves", _WAVE, {"name": 7}, {"concurrency": 0}, {"concurrency": "2"}, {"max_failures": -1}, {"soak": HUGE}, {"approval": None}),
    *_odd_workflow("waves", _WAVE, {"migrations": [[[], "g", "l", 0]]}, {"migrations": [["a", "g", "l", -1]]}, {"vars": {"a": 1}}),
    *_odd_workflow("policies", _POLICY, {"timeout": "2h"}, {"timeout": HUGE}, {"gate": {"max_lag": NAN}}, {"hooks": {"before": [[]]}}, {"hooks": {"before": ["sh"]}}, {"credentials": 7}),
    *[("window_changed", {"window": _WEEKLY | odd}) for odd in ({"from": "25:00"}, {"days": ["today"]}, {"timezone": "Europe"}, {"timezone": "Mars/Dust"})],
    *[("window_changed", {"window": odd}) for odd in (_WEEKLY | {"reserve": HUGE}, _WEEKLY | {"except": ["2026-02-30"]}, {"opens": 1.0, "closes": 1e300})],
]  # fmt: skip


@pytest.mark.parametrize(("name", "data"), ODD)
def test_a_field_of_another_kind_is_damage(name: str, data: Any) -> None:
    """So is a number that cannot be reckoned with, or of which no date can be made: told where the event is read, and not where it is used."""
    with pytest.raises(ValueError, match=f"event '{name}'") as met:
        from_json(name, 1.0, data)
    assert len(str(met.value)) < 300


def test_these_are_damage_for_what_is_odd_in_them_alone() -> None:
    """Each is an event without that, and is read."""
    good: list[tuple[str, dict[str, Any]]] = [
        ("cutover_accepted", _PUT),
        ("gate_opened", _GATE),
        ("gate_changed", _CHANGE),
        ("migration_finished", _DONE),
        ("run_finished", _END),
        ("run_resumed", _RESUMED),
        ("hook_finished", _HOOK),
        ("run_started", _with("policies", _POLICY)),
        ("run_started", _with("waves", _WAVE)),
        ("window_changed", {"window": _WEEKLY}),
    ]
    for name, data in good:
        assert from_json(name, NOW, json.loads(json.dumps(data))).name == name


@pytest.mark.parametrize("at", [float("inf"), float("nan"), 1e300, -1e300, 3e11])
def test_an_event_at_no_time_is_damage(at: float) -> None:
    """No log, report or page could show it."""
    with pytest.raises(ValueError, match="of which no date can be made"):
        from_json("run_paused", at, {"who": "ana"})


def test_a_hook_is_ok_when_it_ended_with_zero() -> None:
    """One that never started has no exit code and is not."""
    codes = [HookFinished(at=1.0, hook="before", argv=("x",), exit_code=code, seconds=0.1).ok for code in (0, 1, None)]
    assert codes == [True, False, False]
