"""What a run at Temporal knows of itself, and takes along when its history is emptied."""

from __future__ import annotations

from typing import Any

from orchestrator.core.events import GateOpened, GateWaiting, MigrationFinished, RunFinished, StatusPolled
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.engines.temporal import forms
from orchestrator.engines.temporal.errands import Errands
from orchestrator.engines.temporal.ledger import Ledger

from ...builders import NOW, run_resumed, run_started, workflow

NOTHING = {"total": 0, "by_status": {}, "retries": 0}


def test_reads_of_earlier_sessions_are_counted_on() -> None:
    """Of a doubt that its session has ended with, and of what was under way; also when the run goes on with an empty history."""
    ended = MigrationFinished(at=NOW, migration="a", outcome=Outcome.IN_DOUBT, status=None, polls=20)
    stopped = RunFinished(
        at=NOW,
        outcome=RunOutcome.IN_DOUBT,
        exit_code=4,
        unfinished=True,
        requests=NOTHING,
        polls={"b": 7},
    )
    events = [run_started(workflow(("a", "b"))), ended, stopped, run_resumed(("a", "b"))]
    ledger = Ledger("run", forms.pack(events))
    ledger.polls["a"] += 1
    again = Ledger("run", ledger.events())
    again.take_up(ledger.carried())
    assert [(known.polls["a"], known.polls["b"]) for known in (ledger, again)] == [(21, 7)] * 2
    assert again.polls_to_keep() == {"a": 21, "b": 7}


def test_errands_are_taken_along_under_the_keys_that_they_always_had() -> None:
    """Whatever they are called in the program: who takes them up has them from a history."""
    errand = {"number": 3, "kind": "cutover", "batch": "b", "whose": "orders", "notes": {}, "off": True, "is_off": True}
    line = {"batch": "b", "place": "0.0", "said": 2, "heard": 1, "given": 3, "open": 1, "begun": True}
    carried = {
        "numbers": 3,
        "batches": 1,
        "open": [errand | {"returned": None}],
        "lines": [line | {"hushed": False, "over": False, "to_say": []}],
        "serving": {"0.0": "b"},
    }
    errands = Errands(forms.Session(workflow="night", first="first"), 10.0)
    errands.take_up(carried)
    assert errands.carried() == carried
    left = errands.left_for("orders")
    assert left is not None
    assert (left.call_off_sent, left.call_off_confirmed) == (True, True)


def test_a_read_that_found_a_gate_open_which_was_changed_meanwhile_counts_as_not_made() -> None:
    """It was judged by the gate as it was when it was ordered. What it has shown of the job's end is as true as ever."""
    facts: dict[str, Any] = {"at": NOW, "migration": "a", "status": "WORKING", "ready": True}
    waited = GateWaiting(**facts, lag=20.0, max_lag=10.0, note=None)
    read = StatusPolled(**facts, lag=8.0)
    opened = forms.Done(events=forms.out([waited, read, GateOpened(**facts, lag=8.0)]), polls=2, requests={"200": 2})
    left = forms.without_open_gate(opened)
    assert forms.events_of(left.events) == [waited]
    assert (left.polls, left.requests) == (2, {"200": 2})
    over = MigrationFinished(at=NOW, migration="a", outcome=Outcome.SUCCESS, status="COMPLETE")
    ended = forms.Done(events=forms.out([read, over]))
    assert forms.without_open_gate(ended) == ended
