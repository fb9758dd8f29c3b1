"""What outlives the process that was to pass it on to a run at Temporal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.leftovers import FRESH, is_too_late, outlives_who_was_asked
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest

HOLDS = {
    Command.PAUSE: True,
    Command.ABORT: True,
    Command.REJECT: True,
    Command.SKIP: True,
    Command.UNPAUSE: False,
    Command.APPROVE: False,
    Command.RETRY: False,
    Command.GATE: False,
}


@pytest.mark.parametrize("command", Command)
def test_what_holds_cutovers_up_outlives_it_and_nothing_else(command: Command) -> None:
    """Whoever wanted something to go on asks again, once they have seen how the run stands by then."""
    assert outlives_who_was_asked(SteeringRequest(command=command, who="olga")) is HOLDS[command]


@given(st.sampled_from(Command), st.floats(-1e9, 1e9))
def test_what_lets_a_run_go_on_is_passed_on_while_it_is_fresh_and_else_not_at_all(command: Command, age: float) -> None:
    """Nor is what was asked at a time that has not come yet, as nobody knows how old it is; what holds it up is passed on always."""
    request = SteeringRequest(command=command, who="olga")
    fresh = 0.0 <= age <= FRESH
    assert is_too_late(request, at=0.0, now=age) is not (HOLDS[command] or fresh)
