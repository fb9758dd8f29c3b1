"""What outlives the process that was to pass it on to a run at Temporal."""

from __future__ import annotations

import pytest

from orchestrator.core.leftovers import outlives_who_was_asked
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
