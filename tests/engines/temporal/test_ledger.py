"""What a run at Temporal knows of itself, and takes along when its history is emptied."""

from __future__ import annotations

from orchestrator.core.events import MigrationFinished, RunFinished
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
