from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.estimate import Estimate, Pace, estimate, estimate_waves, pace
from orchestrator.observers.log.heartbeat import heartbeat_due

done = st.lists(st.floats(min_value=0.01, max_value=1e5), min_size=3, max_size=50).map(sorted)
number = st.integers(min_value=1, max_value=10_000)


@pytest.mark.parametrize("durations", [[], [5.0], [5.0, 6.0]])
def test_too_few_cutovers_allow_no_estimate(durations: list[float]) -> None:
    """Two are an anecdote."""
    assert estimate(durations, concurrency=1, remaining=10) is None
    assert estimate_waves(durations, [(1, 10)]) is None


def test_an_example() -> None:
    """Ten left, four at once: between 2.5 quick rounds and 3 slow ones."""
    assert estimate([4.0, 5.0, 6.0, 20.0], concurrency=4, remaining=10) == Estimate(low=2.5 * 4.0, high=3 * 20.0)


def test_waves_follow_one_another() -> None:
    """Their times add up."""
    assert estimate_waves([10.0] * 3, [(1, 2), (5, 5), (4, 0)]) == Estimate(low=30.0, high=30.0)


def test_a_pace_is_that_of_the_last_two_rounds() -> None:
    """Of what ended before them the wave may have been slower; a wave that stands still ends later and later."""
    ended = [*(1.0 * n for n in range(5)), *(100.0 + 10 * n for n in range(12))]
    found = pace(ended, concurrency=6, left=11)
    assert found == Pace(ends=11, since=100.0, left=11)
    assert found.end(210.0) == 320.0
    assert found.end(320.0) == 540.0


@pytest.mark.parametrize(("ends", "concurrency", "left"), [(9, 1, 5), (19, 10, 5), (30, 1, 0), (0, 1, 5)])
def test_too_few_ends_are_no_pace(ends: int, concurrency: int, left: int) -> None:
    """Fewer than ten, or than two rounds: what ends together says nothing of how long a round takes. Nor has one that is over any."""
    assert pace([float(n) for n in range(ends)], concurrency=concurrency, left=left) is None


@given(done, number)
def test_nothing_left_takes_no_time(durations: list[float], concurrency: int) -> None:
    """However long the others took."""
    assert estimate(durations, concurrency=concurrency, remaining=0) == Estimate(low=0.0, high=0.0)


@given(done, number, number)
def test_the_estimate_lies_between_the_quickest_and_the_slowest(
    durations: list[float], concurrency: int, remaining: int
) -> None:
    """Low is below high, and neither leaves what was seen."""
    found = estimate(durations, concurrency=concurrency, remaining=remaining)
    assert found is not None
    rounds = max(1.0, remaining / concurrency)
    assert rounds * durations[0] <= found.low * (1 + 1e-9)
    assert found.low <= found.high
    assert found.high <= math.ceil(rounds) * durations[-1] * (1 + 1e-9)


@given(done, number, number)
def test_more_left_takes_no_less_and_more_at_once_no_longer(
    durations: list[float], concurrency: int, remaining: int
) -> None:
    """The estimate is monotone."""
    base = estimate(durations, concurrency=concurrency, remaining=remaining)
    more = estimate(durations, concurrency=concurrency, remaining=remaining + 1)
    wider = estimate(durations, concurrency=concurrency + 1, remaining=remaining)
    assert base is not None
    assert more is not None
    assert wider is not None
    assert more.low >= base.low
    assert more.high >= base.high
    assert wider.low <= base.low
    assert wider.high <= base.high


@pytest.mark.parametrize(
    ("elapsed", "since_last", "due"),
    [
        (10, 10, False),  # too early
        (30, 30, True),  # the first one
        (45, 15, False),
        (599, 30, True),  # the last of the frequent ones
        (600, 30, False),  # ten minutes are over
        (890, 290, False),
        (900, 300, True),
        (7200, 299, False),
        (7200, 301, True),
    ],
)
def test_signs_of_life_come_often_at_first_then_seldom(elapsed: float, since_last: float, due: bool) -> None:
    """Every 30 seconds for ten minutes, then every five minutes."""
    assert heartbeat_due(elapsed, since_last) is due
