"""Which requests a run heeds: those for it and for what it is now, each once."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.temporal.asked import HAD, LATE, Once
from orchestrator.engines.temporal.forms import Asked


def asked(number: str, *, run_id: str = "one", execution: str = "1") -> Asked:
    """A request."""
    return Asked(run_id=run_id, execution=execution, number=number, requests=[])


def test_what_another_run_was_asked_for_is_not_heeded() -> None:
    """Nor what was asked of an execution that is gone; the reason says which it is."""
    once = Once("one", "1")
    assert once.why_not(asked("x")) is None
    assert once.why_not(asked("x", run_id="two")) == "it was asked of run two, and this is run one"
    assert once.why_not(asked("x", execution="0")) == LATE


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
        if once.why_not(this) is None:
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
    assert after.why_not(asked("x", execution="2")) == HAD
    assert after.why_not(asked("y", execution="2")) is None
