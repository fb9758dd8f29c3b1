"""What a run at Temporal knows of itself."""

from __future__ import annotations

from orchestrator.core.events import MigrationFinished, RunFinished
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.engines.temporal import forms
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
