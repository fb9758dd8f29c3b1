"""Which side of its point of no return a migration is said to be on, and what is right to do there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.events import (
    CutoverAccepted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRequested,
    Event,
    GateOpened,
    HookFinished,
    HookStarted,
    MigrationSkipped,
    RunAborted,
    RunFinished,
    RunResumed,
    VerificationStarted,
    WaveStarted,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.no_return import SIDES, WHAT_IS_RIGHT, Point, Side, last_start, point_in, point_of, what_is_right
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState, fold
from orchestrator.core.times import cutover_seconds
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Hooks

from ..builders import NOW, ONE, SETTLE, finished, run_resumed, run_started, wave_with, workflow

OPEN = GateOpened(at=NOW, migration="orders", status="WORKING", ready=True, lag=1.0)
PUT = CutoverRequested(at=NOW, migration="orders")
ACCEPTED = CutoverAccepted(at=NOW, migration="orders", http_status=202, status=None)
LOST = CutoverInDoubt(at=NOW, migration="orders", reason="reset", settle=SETTLE)
NOT_BEGUN = CutoverNotBegun(at=NOW + 9, migration="orders", reason="ready, with lag")
NOT_SENT = CutoverNotBegun(at=NOW, migration="orders", reason="held back", sent=False)
VERIFYING = VerificationStarted(at=NOW, migration="orders", status="COMPLETE")
SKIPPED = MigrationSkipped(at=NOW, migration="orders", who="ada")


def hook(name: str, *, of: str | None = "orders", wave: str | None = None, code: int = 0) -> HookFinished:
    """A hook that has ended."""
    return HookFinished(at=NOW, hook=name, argv=("x",), exit_code=code, seconds=1.0, migration=of, wave=wave)


def begins(*, of: str | None = "orders", wave: str | None = None) -> HookStarted:
    """A `before` hook begins."""
    return HookStarted(at=NOW, hook="before", argv=("x",), migration=of, wave=wave)


def over(*, unfinished: bool) -> RunFinished:
    """A session ends."""
    return RunFinished(at=NOW + 99, outcome=RunOutcome.INCOMPLETE, exit_code=3, unfinished=unfinished, requests={})


def run_of(*events: Event) -> RunState:
    """A run of `orders` alone after *events*."""
    return fold("r", [run_started(workflow()), *events])


@pytest.mark.parametrize(
    ("events", "point"),
    [
        ((), Point.WAITS),
        ((OPEN,), Point.WAITS),
        ((OPEN, begins()), Point.PREPARED),  # it may be half-way
        ((OPEN, hook("before")), Point.PREPARED),
        ((OPEN, hook("before"), hook("after_failure")), Point.WAITS),  # undone
        ((OPEN, hook("before", code=1), finished("orders", Outcome.FAILED)), Point.NOT_CUT_OVER),
        ((SKIPPED,), Point.NOT_CUT_OVER),
        ((OPEN, hook("before"), SKIPPED), Point.PREPARED),  # until that is undone
        ((finished("orders", Outcome.NOT_STARTED),), Point.NOT_CUT_OVER),
        ((finished("orders", Outcome.FAILED),), Point.NOT_CUT_OVER),  # its gate, or EXPIRED before
        ((OPEN, PUT), Point.SENT),
        ((OPEN, PUT, NOT_SENT), Point.WAITS),
        ((OPEN, PUT, ACCEPTED), Point.SENT),
        ((OPEN, PUT, LOST), Point.DOUBT),
        ((OPEN, PUT, LOST, NOT_BEGUN), Point.WAITS),
        ((OPEN, PUT, LOST, NOT_BEGUN, finished("orders", Outcome.FAILED)), Point.NOT_CUT_OVER),
        ((OPEN, PUT, LOST, NOT_BEGUN, finished("orders", Outcome.FAILED, at=NOW + 20)), Point.NOT_CUT_OVER),
        ((LOST,), Point.DOUBT),  # another run's PUT
        ((LOST, finished("orders", Outcome.FAILED)), Point.FAILED_AT_ATLAS),
        ((OPEN, PUT, LOST, finished("orders", Outcome.IN_DOUBT)), Point.DOUBT),
        ((OPEN, PUT, ACCEPTED, finished("orders", Outcome.TIMED_OUT)), Point.TIMED_OUT),
        ((OPEN, PUT, ACCEPTED, finished("orders", Outcome.FAILED)), Point.FAILED_AT_ATLAS),
        ((OPEN, PUT, LOST, finished("orders", Outcome.FAILED)), Point.FAILED_AT_ATLAS),
        ((OPEN, PUT, ACCEPTED, VERIFYING), Point.NOT_PROVEN),
        ((OPEN, PUT, ACCEPTED, VERIFYING, finished("orders", Outcome.UNVERIFIED)), Point.NOT_PROVEN),
        ((OPEN, PUT, ACCEPTED, VERIFYING, finished("orders", Outcome.SUCCESS)), Point.CUT_OVER),
        ((finished("orders", Outcome.SUCCESS),), Point.CUT_OVER),  # it was before
    ],
)
def test_where_a_migration_is_follows_from_what_happened_to_it(events: tuple[Event, ...], point: Point) -> None:
    """Whatever may have taken effect is not called nothing."""
    run = run_of(*events)
    assert point_of(run.migrations["orders"]) is point
    assert point_in(run, "orders") is point


def test_every_point_has_its_side_and_what_is_right_there() -> None:
    """Nothing is sent again by hand, and no writer goes back to the source of what may have been cut over."""
    assert set(SIDES) == set(WHAT_IS_RIGHT) == set(Point)
    for point, side in SIDES.items():
        assert ("the source is in charge" in WHAT_IS_RIGHT[point]) is (side is Side.NOTHING_SENT)


@pytest.mark.parametrize("point", [Point.NOT_CUT_OVER, Point.PREPARED, Point.DOUBT])
def test_a_run_whose_place_another_has_taken_does_not_say_who_is_in_charge(point: Point) -> None:
    """The other one may have cut it over since, or be reading the job."""
    text = what_is_right(point, goes_on=False, over=True, successor="next")
    assert "Run next has taken this run's place" in text
    assert "the source is in charge" not in text
    assert "nobody reads the job" not in text
    assert what_is_right(Point.CUT_OVER, goes_on=False, over=True, successor="next") == WHAT_IS_RIGHT[Point.CUT_OVER]


@pytest.mark.parametrize("hooks", [{"hooks": Hooks(before=ONE)}, {}])
def test_hooks_of_the_wave_or_the_run_stop_applications_too(hooks: dict[str, Hooks]) -> None:
    """Until the session ends, which undoes what was prepared."""
    given = workflow(**hooks)
    wave = None if hooks else "w1"
    events = (run_started(given), WaveStarted(at=NOW, wave="w1", migrations=1, concurrency=1))
    run = fold("r", [*events, hook("before", of=None, wave=wave)])
    assert point_in(run, "orders") is Point.PREPARED
    assert point_in(run.after(over(unfinished=True)), "orders") is Point.WAITS


@pytest.mark.parametrize("whose", ["migration", "wave", "run"])
def test_a_death_in_the_very_first_before_hook_leaves_its_application_stopped(whose: str) -> None:
    """Half-way counts, also for the session after, until a hook that undoes it has run."""
    hooks = Hooks(before=ONE, after_failure=ONE)
    plain = workflow(hooks=hooks) if whose == "run" else workflow()
    given = replace(plain, waves=(wave_with(plain.waves[0], hooks=hooks),)) if whose == "wave" else plain
    of: dict[str, Any] = {"of": "orders" if whose == "migration" else None, "wave": None if whose == "run" else "w1"}
    begun = (WaveStarted(at=NOW, wave="w1", migrations=1, concurrency=1), OPEN, begins(**of))
    run = fold("r", [run_started(given), *begun])
    assert point_in(run, "orders") is Point.PREPARED
    run.apply(run_resumed(("orders",), at=NOW + 60))
    assert point_in(run, "orders") is Point.PREPARED
    assert point_in(run.after(over(unfinished=True)), "orders") is Point.PREPARED
    assert point_in(run.after(hook("after_failure", **of)), "orders") is Point.WAITS


def test_a_run_that_is_over_leaves_nothing_waiting_and_follows_nothing() -> None:
    """What had no PUT is not cut over; what had one is in doubt: nobody follows it."""
    gone = (RunAborted(at=NOW, who="ada"), over(unfinished=False))
    assert point_in(run_of(*gone), "orders") is Point.NOT_CUT_OVER
    assert point_in(run_of(OPEN, PUT, ACCEPTED, *gone), "orders") is Point.DOUBT
    assert point_in(run_of(OPEN, PUT, ACCEPTED, over(unfinished=True)), "orders") is Point.SENT


def test_the_last_moment_for_a_cutover_is_that_of_the_opening_with_its_reserve() -> None:
    """The one that the run waits for or is in, then the next one; none without a window, and none once the run is stopped."""
    window = AbsoluteWindow(opens=NOW + 100, closes=NOW + 1000, reserve=300)
    run = fold("r", [run_started(workflow(window=window))])
    assert last_start(run, NOW) == NOW + 700
    run.apply(WindowWaiting(at=NOW, opens=NOW + 100, closes=NOW + 1000, last_start=NOW + 700))
    assert last_start(run, NOW) == NOW + 700
    run.apply(WindowOpened(at=NOW + 100, opens=NOW + 100, closes=NOW + 1000, last_start=NOW + 700))
    assert last_start(run, NOW + 699) == NOW + 700
    assert last_start(run, NOW + 700) is None
    assert last_start(run_of(), NOW) is None
    rehearsal = fold("r", [run_started(workflow(window=window), rehearsal=True)])
    assert last_start(rehearsal, NOW) == NOW + 600


def test_a_run_that_goes_on_says_again_where_everything_is() -> None:
    """An accepted cutover stays sent; a doubt is one again."""
    resumed: RunResumed = run_resumed(("orders",))
    assert point_in(run_of(OPEN, PUT, ACCEPTED, over(unfinished=True), resumed), "orders") is Point.SENT
    assert point_in(run_of(OPEN, PUT, over(unfinished=True), resumed), "orders") is Point.DOUBT


def test_a_put_that_follows_at_once_on_one_that_came_to_nothing_took_effect() -> None:
    """A run at Temporal has one time for all that it decides at once, so times do not tell which came first."""
    run = run_of(
        CutoverRequested(at=NOW, migration="orders"),
        CutoverNotBegun(at=NOW + 30, reason="503", migration="orders"),
        CutoverRequested(at=NOW + 30, migration="orders"),
        CutoverAccepted(at=NOW + 31, http_status=200, status=None, migration="orders"),
        finished("orders", Outcome.FAILED, at=NOW + 60),
    )
    assert point_of(run.migrations["orders"]) is Point.FAILED_AT_ATLAS
    assert cutover_seconds(run.migrations["orders"]) == 30
