from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.simulator.bucket import V2_LIMIT, Bucket, Buckets, RateLimit, Refill


@pytest.mark.parametrize("mode", list(Refill))
@given(
    capacity=st.integers(min_value=1, max_value=20),
    refill=st.integers(min_value=1, max_value=20),
    per=st.floats(min_value=0.1, max_value=60),
    gaps=st.lists(st.floats(min_value=0, max_value=10), max_size=100),
)
def test_a_bucket_never_admits_more_than_capacity_and_refill_allow(
    mode: Refill, capacity: int, refill: int, per: float, gaps: list[float]
) -> None:
    """In any time t at most capacity + refill * t / per requests pass."""
    bucket = Bucket(RateLimit(capacity=capacity, refill=refill, per=per, mode=mode), 0.0)
    now, admitted = 0.0, 0
    for gap in gaps:
        now += gap
        admitted += bucket.take(now)
        assert admitted <= capacity + refill * now / per + 1e-6
        assert 0 <= bucket.remaining <= capacity


@pytest.mark.parametrize("mode", list(Refill))
@given(
    refill=st.integers(min_value=1, max_value=50),
    per=st.integers(min_value=1, max_value=120),
    start=st.floats(min_value=0, max_value=100),
)
@example(refill=1, per=1, start=1.9999999999999858)
def test_waiting_as_long_as_retry_after_says_is_enough(mode: Refill, refill: int, per: int, start: float) -> None:
    """`Retry-After` is never too short, and at least a second."""
    bucket = Bucket(RateLimit(capacity=1, refill=refill, per=float(per), mode=mode), 0.0)
    now = start
    while bucket.take(now):
        pass
    wait = bucket.retry_after(now)
    assert 1 <= wait <= math.ceil(per)
    assert bucket.take(now + wait)


def test_a_refusal_takes_nothing() -> None:
    """An empty bucket fills at its rate, however often it is asked meanwhile."""
    bucket = Bucket(RateLimit(capacity=1, refill=1, per=10.0), 0.0)
    assert [bucket.take(now) for now in (0.0, 1.0, 5.0, 9.9, 10.0)] == [True, False, False, False, True]


def test_an_interval_gives_all_its_tokens_at_its_end() -> None:
    """Nothing comes back before the interval is over."""
    bucket = Bucket(RateLimit(capacity=2, refill=2, per=60.0, mode=Refill.INTERVAL), 0.0)
    assert [bucket.take(now) for now in (0.0, 0.0, 59.0, 60.0, 60.0, 61.0)] == [True, True, False, True, True, False]
    assert bucket.retry_after(61.0) == 59


def test_each_scope_has_a_bucket_of_its_own() -> None:
    """Emptying one project's bucket leaves another's full."""
    buckets = Buckets()
    for _ in range(V2_LIMIT.capacity):
        assert buckets.of("one", V2_LIMIT, 0.0).take(0.0)
    assert not buckets.of("one", V2_LIMIT, 0.0).take(0.0)
    assert buckets.of("two", V2_LIMIT, 0.0).take(0.0)
