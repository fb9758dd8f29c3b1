"""Clocks that are set, and machines that sleep: what is reckoned within a session is reckoned by a clock that nobody sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.core.events import (
    ClockSet,
    CutoverAccepted,
    CutoverInDoubt,
    CutoverRequested,
    Event,
    GateOpened,
    GateWaiting,
    MigrationFinished,
    StatusPolled,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.outcomes import ExitCode, Outcome
from orchestrator.core.window import DAYS, RecurringWindow
from orchestrator.engines.clock import SessionClock, steady_time
from orchestrator.simulator import Scenario
from orchestrator.simulator.scenario import Fault, FaultKind, Kind, Range, Special

from .house import READY, AbsoluteWindow, Gate, House, house, migration, outcomes, wall, wave, workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

SUCCESS, NOT_STARTED = Outcome.SUCCESS, Outcome.NOT_STARTED


@dataclass
class Wall:
    """A wall clock that is set *by* seconds when something happens."""

    by: float
    shift: float = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return wall() + self.shift

    def set_when(self, it: House, happened: Callable[[Event], bool]) -> None:
        """Set it at the first event that is so."""

        def watch(event: Event, _: object) -> None:
            if not self.shift and happened(event):
                self.shift = self.by

        it.watchers.append(watch)


def of(kind: type[Event], name: str) -> Callable[[Event], bool]:
    """Whether an event is of *kind*, about migration *name*."""
    return lambda event: isinstance(event, kind) and getattr(event, "migration", None) == name


@pytest.mark.parametrize("by", [40.0, -40.0, 86_400.0])
async def test_a_delayed_put_is_waited_for_though_the_clock_is_set(tmp_path: Path, by: float) -> None:
    """It arrives after its timeout, within the settle time; a second one beside it would be carried out, too."""
    late = Fault(on=Kind.CUTOVER, kind=FaultKind.LATE, delay=9.0, times=1)
    scenario = Scenario(jobs=READY, faults=(late,), repeat_puts=True)
    async with house(tmp_path, workflow(wave("w", "a")), scenario) as it:
        clock = Wall(by)
        clock.set_when(it, of(CutoverInDoubt, "a"))
        assert outcomes(await it.start(clock=clock)) == {"a": SUCCESS}
        assert (it.puts("a"), it.seen("a")["puts_processed"]) == (1, 1)


@pytest.mark.parametrize("by", [-120.0, -1.0])
async def test_what_was_read_gets_no_younger_by_a_clock_that_is_set_back(tmp_path: Path, by: float) -> None:
    """One that waited for its slot is read again, and does not leave at a lag of hours."""
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1))) as it:
        job = next(job for job in it.atlas.app._jobs.values() if job.name == "b")

        def lag(event: Event, _: object) -> None:
            if of(CutoverAccepted, "a")(event):
                job.plan = replace(job.plan, lag_ready=5000.0)
            if of(GateWaiting, "b")(event):
                job.plan = replace(job.plan, lag_ready=1.0)

        clock = Wall(by)
        clock.set_when(it, of(MigrationFinished, "a"))
        it.watchers.append(lag)
        assert outcomes(await it.start(clock=clock)) == {"a": SUCCESS, "b": SUCCESS}
        assert [event.lag for event in it.names(GateWaiting) if event.migration == "b"] == [5000.0]


@pytest.mark.parametrize("by", [7200.0, -7200.0])
async def test_timeouts_take_as_long_as_they_say(tmp_path: Path, by: float) -> None:
    """That of a gate and that of a cutover, whatever the clock is set to meanwhile; somebody is told of it."""
    plan = workflow(wave("w", migration("a", gate=Gate(max_lag=10.0, timeout=300.0)), migration("b", timeout=100.0)))
    special = {"a": Special(ready_lag=Range(low=99.0, high=99.0)), "b": Special(cutover=Range(low=1e6, high=1e6))}
    async with house(tmp_path, plan, Scenario(jobs=READY, special=special)) as it:
        clock = Wall(by)
        clock.set_when(it, of(CutoverAccepted, "b"))
        began = wall()
        ending = await it.start(clock=clock)
        assert outcomes(ending) == {"a": Outcome.FAILED, "b": Outcome.TIMED_OUT}
        assert 300 <= wall() - began <= 340
        assert [event.by for event in it.names(ClockSet)] == [by]
        times = [event.at for event in it.events]
        assert times == sorted(times)


async def test_the_window_goes_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    """One that is set back to before it opened closes it again; it opens a second time when its time has come."""
    opens = wall() + 100
    window = AbsoluteWindow(opens=opens, closes=opens + 3600)
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1), window=window)) as it:
        clock = Wall(-300.0)
        clock.set_when(it, of(CutoverAccepted, "a"))
        puts: list[float] = []
        it.watchers.append(lambda event, _: puts.append(clock()) if isinstance(event, CutoverRequested) else None)
        assert outcomes(await it.start(clock=clock)) == {"a": SUCCESS, "b": SUCCESS}
        assert len(puts) == 2
        assert all(opens <= at < window.closes for at in puts)
        assert len(it.names(WindowWaiting)) == len(it.names(WindowOpened)) == 2


async def test_a_window_that_has_closed_is_not_opened_again_by_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """Nobody counts on a run that has said that it is over."""
    window = AbsoluteWindow(opens=wall() - 10, closes=wall() + 30)
    special = {"a": Special(cutover=Range(low=120.0, high=120.0))}
    plan = workflow(wave("w", "a", "b", concurrency=1), window=window)
    async with house(tmp_path, plan, Scenario(jobs=READY, special=special)) as it:
        clock = Wall(-90.0)
        clock.set_when(it, lambda event: event.name == "cutovers_stopped")
        ending = await it.start(clock=clock)
        assert outcomes(ending) == {"a": SUCCESS, "b": NOT_STARTED}
        assert ending.exit_code is ExitCode.INCOMPLETE


async def test_a_machine_that_sleeps_through_the_window_opens_it_no_more(tmp_path: Path) -> None:
    """It wakes up when it has closed."""
    window = AbsoluteWindow(opens=wall() + 60, closes=wall() + 120)
    async with house(tmp_path, workflow(wave("w", "a"), window=window)) as it:
        clock = Wall(600.0)
        clock.set_when(it, lambda event: isinstance(event, WindowWaiting))
        ending = await it.start(clock=clock)
        assert (outcomes(ending), it.puts("a")) == ({"a": NOT_STARTED}, 0)
        assert it.names(WindowOpened) == []


async def test_a_run_goes_on_where_two_openings_touch(tmp_path: Path) -> None:
    """Every day from 00:00 to 00:00, say, is a window that never closes."""
    soon = f"{datetime.fromtimestamp(wall() + 120, UTC):%H:%M}"
    window = RecurringWindow(start=soon, end=soon, days=DAYS, timezone="UTC")
    scenario = Scenario(jobs=replace(READY, cutover=Range(low=200.0, high=200.0)))
    async with house(tmp_path, workflow(wave("w", "a", "b", concurrency=1), window=window), scenario) as it:
        assert outcomes(await it.start()) == {"a": SUCCESS, "b": SUCCESS}


async def test_what_was_read_before_the_machine_fell_asleep_is_old(tmp_path: Path) -> None:
    """The session's clock goes on meanwhile."""
    slept = 0.0
    async with house(tmp_path, workflow(wave("w", "a"))) as it:

        def sleep(event: Event, _: object) -> None:
            nonlocal slept
            if isinstance(event, GateOpened):
                slept = 3600.0

        it.watchers.append(sleep)
        clock = lambda: wall() + slept  # noqa: E731
        assert outcomes(await it.start(clock=clock, steady=clock)) == {"a": SUCCESS}
        (requested,) = it.names(CutoverRequested)
        last = max(event.at for event in it.names(StatusPolled) if event.at <= requested.at)
        assert requested.at - last < 5


def test_a_session_clock_tells_once_that_the_wall_clock_was_set() -> None:
    """And by how much; what is less than a second is nobody's business."""
    now, shift = 100.0, 0.0
    clock = SessionClock(lambda: 1000.0 + now + shift, lambda: now)
    assert (clock.now(), clock.was_set()) == (1100.0, None)
    now, shift = 110.0, 0.5
    assert (clock.now(), clock.was_set()) == (1110.0, None)
    shift = -40.0
    assert (clock.now(), clock.was_set(), clock.was_set()) == (1110.0, -40.0, None)


def test_the_steady_time_goes_on() -> None:
    """And not back."""
    first = steady_time()
    assert first > 0.0
    assert steady_time() >= first
