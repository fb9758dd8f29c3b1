"""Which requests a run heeds: those for it and for what it is now, each once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.engines.temporal.asked import HAD, LATE, STANDS, Once, left_of, left_waiting
from orchestrator.engines.temporal.forms import Asked, request_out
from orchestrator.text.instants import in_words

from ...builders import NOW

HOLDING = {Command.PAUSE, Command.ABORT, Command.REJECT, Command.SKIP}


def asked(number: str, *commands: Command, run_id: str = "one", execution: str = "1", at: float | None = None) -> Asked:
    """A request."""
    requests = [request_out(SteeringRequest(command=command, who="olga")) for command in commands]
    return Asked(run_id=run_id, execution=execution, number=number, requests=requests, at=at)


def test_what_another_run_was_asked_for_is_not_heeded() -> None:
    """Nor what was asked of an execution that is gone; the reason says which it is."""
    once = Once("one", "1")
    assert once.why_not(asked("x"), now=NOW) is None
    assert once.why_not(asked("x", run_id="two"), now=NOW) == "it was asked of run two, and this is run one"
    assert once.why_not(asked("x", execution="0"), now=NOW) == LATE


@pytest.mark.parametrize("command", Command)
def test_what_lets_a_run_go_on_is_heeded_in_its_time_alone(command: Command) -> None:
    """What holds it up whenever a worker comes; a version that says no time is heeded as before. Clocks may differ by minutes, either way."""
    once = Once("one", "1")
    for late in (STANDS - 1.0, 1.0 - STANDS):
        assert once.why_not(asked("x", command, at=NOW), now=NOW + late) is None
    for late in (STANDS + 1.0, 9 * 3600.0, -STANDS - 1.0):
        why_not = once.why_not(asked("x", command, at=NOW), now=NOW + late)
        assert (why_not is None) == (command in HOLDING)
        assert once.why_not(asked("x", command), now=NOW + late) is None
    together = asked("x", Command.SKIP, command, at=NOW)
    assert (once.why_not(together, now=NOW + 9 * 3600.0) is None) == (command in HOLDING)


def test_what_has_been_done_already_is_not_called_late() -> None:
    """Whoever sends it again, as its answer was lost, hears that it was heeded."""
    once = Once("one", "1")
    once.take(asked("x", Command.APPROVE, at=NOW))
    assert once.why_not(asked("x", Command.APPROVE, at=NOW), now=NOW + 9 * 3600.0) == HAD


def test_what_was_left_and_is_there_a_second_time_is_the_last_word_in_its_place() -> None:
    """A signal comes before what waits in Temporal's memory: an approval that was given before must not come after it. Later it is done once."""
    hold = asked("x", Command.REJECT, at=NOW)
    for late, again in ((10.0, None), (STANDS + 1.0, HAD)):
        once = Once("one", "1")
        assert once.why_not_left(hold, now=NOW + late) is None
        once.take(left_of(hold))
        assert once.why_not_left(hold, now=NOW + late) == HAD
        assert once.why_not(hold, now=NOW + late) == again
        once.take(hold)
        assert once.why_not(hold, now=NOW + late) == HAD
    other_way = Once("one", "1")
    other_way.take(hold)
    assert other_way.why_not_left(hold, now=NOW) == HAD
    assert other_way.why_not_left(asked("y", Command.APPROVE, at=NOW), now=NOW) is not None


def test_who_met_no_worker_is_told_what_becomes_of_the_request() -> None:
    """Until when it may be done, and what keeps it from being done; of what is kept nowhere nothing certain is said."""
    told = left_waiting(asked("x", Command.APPROVE, at=NOW), kept=False)
    assert f"Until {in_words(NOW + STANDS)}" in told
    assert "`atlas-cutover pause`" in told
    assert "no more" in told
    assert "done when a worker comes" in left_waiting(asked("x", Command.PAUSE, at=NOW), kept=True)
    told = left_waiting(asked("x", Command.PAUSE, at=NOW), kept=False)
    assert "does not hold yet" in told
    assert "Ask again once a worker serves the run" in told
    assert "Until" not in told


STEPS = st.lists(st.one_of(st.just("turn"), st.tuples(st.integers(0, 4), st.integers(0, 2))), max_size=60)


@given(STEPS)
def test_nothing_is_heeded_twice_however_often_the_history_is_begun_anew(steps: list[str | tuple[int, int]]) -> None:
    """Requests for this execution and for the one before are heeded, all others are late; what is kept is of two executions."""
    execution, heeded = 2, set[tuple[int, int]]()
    once = Once("one", "2")
    for step in steps:
        if isinstance(step, str):
            carried = json.loads(json.dumps(once.carried()))
            execution += 1
            once = Once("one", str(execution))
            once.take_up(carried)
            continue
        number, back = step
        this = asked(f"{number} of {execution - back}", execution=str(execution - back))
        if once.why_not(this, now=NOW) is None:
            assert (number, execution - back) not in heeded
            assert back < 2
            heeded.add((number, execution - back))
            once.take(this)
        elif back == 0:
            assert (number, execution) in heeded
        assert len(once.carried()["had"]) <= 5


def test_what_is_sent_again_when_the_history_has_been_begun_anew_is_not_done_twice() -> None:
    """Its answer was lost; it names the execution that goes on by now, and has the number that it had."""
    before, after = Once("one", "1"), Once("one", "2")
    before.take(asked("x"))
    after.take_up(before.carried())
    assert after.why_not(asked("x", execution="2"), now=NOW) == HAD
    assert after.why_not(asked("y", execution="2"), now=NOW) is None
