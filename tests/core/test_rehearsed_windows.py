"""A rehearsal's window opens at once, for as long as the real one, and a rehearsal may give its approvals by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.agenda import Record
from orchestrator.core.consent import standing
from orchestrator.core.events import ApprovalWaiting, CutoversStopped, Event, WaveApproved, WaveStarted, WindowOpened
from orchestrator.core.next_actions import next_actions, why_held
from orchestrator.core.run import RunState, fold
from orchestrator.core.window import AbsoluteWindow, RecurringWindow, Window

from ..builders import NOW, run_resumed, run_started, wave_with, workflow

DAY = 86_400.0
IN_THREE_DAYS = AbsoluteWindow(opens=NOW + 3 * DAY, closes=NOW + 3 * DAY + 7_200)
LONG_OVER = AbsoluteWindow(opens=NOW - 3 * DAY, closes=NOW - 3 * DAY + 7_200)
OPEN_NOW = AbsoluteWindow(opens=NOW - 5_400, closes=NOW + 1_800)
ON_A_WEEKEND = RecurringWindow(start="22:00", end="00:00", days=("sat",), timezone="Europe/Berlin")  # NOW is a Friday


def rehearsal(window: Window | None, *, approves: bool = False, approval: bool = False) -> RunState:
    """A rehearsal that begins."""
    given = workflow(window=window)
    given = replace(given, waves=tuple(wave_with(each, approval=approval) for each in given.waves))
    return fold("r", (replace(run_started(given, rehearsal=True), approves=approves),))


def take(run: RunState, now: float = NOW) -> list[Event]:
    """What there is to record at *now*, taken in; until nothing more is."""
    told: list[Event] = []
    while events := [a.event for a in next_actions(run, now, now).actions if isinstance(a, Record)]:
        for event in events:
            run.apply(event)
        told += events
    return told


@pytest.mark.parametrize("window", [IN_THREE_DAYS, LONG_OVER, OPEN_NOW, ON_A_WEEKEND])
def test_a_rehearsals_window_opens_at_once_for_as_long_as_the_real_one(window: Window) -> None:
    """Wherever the real one lies, and whatever is left of it."""
    run = rehearsal(window)
    opened, started = take(run)
    assert opened == WindowOpened(at=NOW, opens=NOW, closes=NOW + 7_200, last_start=NOW + 7_200)
    assert isinstance(started, WaveStarted)
    assert why_held(run, NOW + 7_199) is None
    assert why_held(run, NOW + 7_200) == "the window is not open"
    assert standing(run, now=NOW).starts == ("orders",)


def test_a_rehearsals_window_closes() -> None:
    """As the real one would: nothing starts after that."""
    run = rehearsal(IN_THREE_DAYS)
    take(run)
    agenda = next_actions(run, NOW + 1, NOW + 1)
    assert agenda.look_again == NOW + 7_200
    stopped, *_ = take(run, NOW + 7_200)
    assert isinstance(stopped, CutoversStopped)
    assert stopped.reason.startswith("the window closed at ")


def test_a_rehearsals_window_has_the_reserve_of_the_real_one() -> None:
    """Its last minutes are rehearsed, too."""
    run = rehearsal(replace(IN_THREE_DAYS, reserve=1_800.0))
    opened, _ = take(run)
    assert opened == WindowOpened(at=NOW, opens=NOW, closes=NOW + 7_200, last_start=NOW + 5_400)
    stopped, *_ = take(run, NOW + 5_400)
    assert isinstance(stopped, CutoversStopped)


def test_a_rehearsal_that_goes_on_opens_its_window_anew() -> None:
    """Also when that of the session before has closed."""
    run = rehearsal(IN_THREE_DAYS)
    take(run)
    take(run, NOW + 7_200)
    later = NOW + 8_000
    run.apply(run_resumed(("orders",), at=later))
    opened, *_ = take(run, later)
    assert opened == WindowOpened(at=later, opens=later, closes=later + 7_200, last_start=later + 7_200)


def test_a_rehearsals_window_is_open_whatever_the_clock_is_set_to_before_it() -> None:
    """Set back, it opens again at once."""
    run = rehearsal(IN_THREE_DAYS)
    take(run)
    (opened,) = take(run, NOW - 600)
    assert opened == WindowOpened(at=NOW - 600, opens=NOW - 600, closes=NOW + 6_600, last_start=NOW + 6_600)


def test_a_real_run_waits_for_its_window() -> None:
    """Nothing of this is for runs that are none."""
    run = fold("r", (run_started(workflow(window=IN_THREE_DAYS)),))
    (waiting,) = take(run)
    assert waiting.name == "window_waiting"
    assert run.window_over(NOW) is False
    assert fold("r", (run_started(workflow(window=LONG_OVER)),)).window_over(NOW) is True
    assert rehearsal(LONG_OVER).window_over(NOW) is False


def test_a_rehearsal_that_approves_gives_each_approval_by_itself() -> None:
    """The wait is recorded as in the night, and ends at once."""
    asked, approved, started = take(rehearsal(None, approves=True, approval=True))
    assert asked == ApprovalWaiting(at=NOW, wave="w1")
    assert approved == WaveApproved(at=NOW, wave="w1", who="rehearsal")
    assert isinstance(started, WaveStarted)


def test_a_rehearsal_that_goes_on_approves_as_it_is_told_to_then() -> None:
    """The first session asked; `resume --yes` does not."""
    run = rehearsal(None, approval=True)
    assert take(run) == [ApprovalWaiting(at=NOW, wave="w1")]
    run.apply(replace(run_resumed(("orders",)), approves=True))
    assert [event.name for event in take(run)] == ["approval_waiting", "wave_approved", "wave_started"]


def test_no_real_run_approves_by_itself() -> None:
    """Whatever its first event says."""
    given = workflow()
    given = replace(given, waves=tuple(wave_with(each, approval=True) for each in given.waves))
    run = fold("r", (replace(run_started(given), approves=True),))
    assert take(run) == [ApprovalWaiting(at=NOW, wave="w1")]
