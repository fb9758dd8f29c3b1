"""Which requests a run heeds: those for it and for what it is now, each once."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.commands import build_parser
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.typed import with_options_in
from orchestrator.engines.temporal.asked import HAD, LATE, OLDER, STANDS, Once, left_waiting, to_leave
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
        once.take_left(hold, now=NOW)
        assert once.why_not_left(hold, now=NOW + late) == HAD
        assert once.why_not(hold, now=NOW + late) == again
        assert once.why_not(hold, now=NOW) is None  # found together with it, whatever the clock says where it was asked
        once.take(hold)
        assert once.why_not(hold, now=NOW + late) == HAD
    other_way = Once("one", "1")
    other_way.take(hold)
    assert other_way.why_not_left(hold, now=NOW) == HAD
    assert other_way.why_not_left(asked("y", Command.APPROVE, at=NOW), now=NOW) is not None


def test_who_met_no_worker_is_told_what_becomes_of_the_request() -> None:
    """Until when it may be done, and what keeps it from being done; of what is kept nowhere nothing certain is said."""
    told = left_waiting(asked("x", Command.APPROVE, at=NOW))
    assert f"Until {in_words(NOW + STANDS)}" in told
    assert "no more" in told
    assert "as when its server restarts" in told
    assert "done when a worker comes" in left_waiting(asked("x", Command.PAUSE, at=NOW))
    both = left_waiting(asked("x", Command.APPROVE, Command.PAUSE, at=NOW))
    assert "what holds cutovers up of it is kept" in both
    told = left_waiting(asked("x", Command.PAUSE, at=NOW), why_not_kept="connection reset")
    assert "NOT known whether it ever will: it could not be left in the run's history (connection reset)" in told
    assert "Ask again before a worker serves the run" in told
    assert "Until" not in told


def test_each_command_that_is_named_where_no_worker_came_can_be_typed_as_it_stands() -> None:
    """With the run's id, and the options of whoever asked behind it; a wave's name as a shell takes it."""
    request = SteeringRequest(command=Command.APPROVE, who="olga", wave="-last wave")
    held = Asked(run_id="one", execution="1", number="x", requests=[request_out(request)], at=NOW)
    told = with_options_in(left_waiting(held), " --config /etc/it.yaml --state-dir /srv/it")
    commands = re.findall(r"`(atlas-cutover [^`]+)`", told)
    parsed = [vars(build_parser().parse_args(shlex.split(command)[1:])) for command in commands]
    assert [(each["command"], each.get("run_id"), each.get("names")) for each in parsed] == [
        ("reject", "one", ["-last wave"]),
        ("pause", "one", None),
        ("abort", "one", None),
        ("worker", None, None),
    ]
    assert {str(each["state_dir"]) for each in parsed} == {"/srv/it"}


@pytest.mark.parametrize("command", Command)
def test_of_what_no_worker_has_taken_up_that_is_left_in_the_history_which_holds_the_run_up(command: Command) -> None:
    """What lets it go on is neither left there, nor heeded where somebody else has left it."""
    holding = command in HOLDING
    both = asked("x", command, Command.ABORT)
    assert to_leave(asked("x", command)) == (asked("x", command) if holding else None)
    assert to_leave(both) == (both if holding else asked("x", Command.ABORT))
    assert (Once("one", "1").why_not_left(asked("x", command), now=NOW) is None) == holding


def test_what_was_left_in_the_history_is_dropped_where_it_is_another_runs_or_cannot_be_read() -> None:
    """An error there would hold the run up for good."""
    once = Once("one", "1")
    for other in (asked("x", Command.PAUSE, run_id="two"), asked("x", Command.PAUSE, execution="0"), asked("x")):
        assert once.why_not_left(other, now=NOW) is not None
    for data in ({}, {"command": "halt", "who": "olga", "gate": None}, {"command": "pause", "gate": None, "x": 1}):
        unreadable = Asked(run_id="one", execution="1", number="x", requests=[data])
        assert once.why_not_left(unreadable, now=NOW) is not None


@pytest.mark.parametrize(
    ("command", "undoing", "about"),
    [
        (Command.PAUSE, Command.UNPAUSE, {}),
        (Command.REJECT, Command.APPROVE, {"wave": "two"}),
        (Command.SKIP, Command.RETRY, {"migration": "a"}),
    ],
)
def test_what_was_left_in_the_history_is_not_undone_by_what_is_older(
    command: Command, undoing: Command, about: dict[str, Any]
) -> None:
    """Its own place among what was asked may be lost, by a restart of Temporal's server say, and then the older one would come last."""

    def one(number: str, command: Command, at: float | None, **about: Any) -> Asked:
        request = SteeringRequest(command=command, who="olga", **about)
        return Asked(run_id="one", execution="1", number=number, requests=[request_out(request)], at=at)

    once, again = Once("one", "1"), Once("one", "2")
    once.take_left(one("x", command, NOW, **about), now=NOW + 60.0)
    again.take_up(json.loads(json.dumps(once.carried())))
    for each in (once, again):
        assert each.why_not(one("y", undoing, NOW - 1.0, **about), now=NOW + 60.0) == OLDER
        assert each.why_not(one("y", undoing, NOW + 1.0, **about), now=NOW + 60.0) is None
        assert each.why_not(one("y", undoing, None, **about), now=NOW + 60.0) is None
        assert each.why_not(one("y", Command.APPROVE, NOW - 1.0, wave="three"), now=NOW + 60.0) is None
    # A clock that is a day ahead keeps nobody from letting the run go on for a day.
    once.take_left(one("z", command, NOW + 86_400.0, **about), now=NOW + 100.0)
    late = NOW + 100.0 + STANDS + 1.0
    assert once.why_not(one("v", undoing, late, **about), now=late) is None


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
