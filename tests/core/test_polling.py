from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.polling import backoff, fair_share, poll_wait
from orchestrator.core.settings import Polling

positive = st.floats(0.001, 1e6)


@st.composite
def policies(draw: st.DrawFn) -> Polling:
    """What the config allows: `max` is at least `initial`, `factor` at least 1, `jitter` from 0 to 1."""
    initial, longest = sorted((draw(positive), draw(positive)))
    factor, jitter = draw(st.floats(1.0, 100.0)), draw(st.floats(0.0, 1.0))
    return Polling(initial=initial, factor=factor, max=longest, jitter=jitter)


def test_the_default_waits_grow_to_half_a_minute() -> None:
    """As the contract's example says: from 2 s by 1.5 to 30 s."""
    waits = [backoff(Polling(), attempt) for attempt in range(1, 10)]
    assert waits == [2.0, 3.0, 4.5, 6.75, 10.125, 15.1875, 22.78125, 30.0, 30.0]


def test_a_factor_of_one_keeps_the_wait() -> None:
    """Constant polling is allowed."""
    assert backoff(Polling(initial=5.0, factor=1.0), 1000) == 5.0


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-12, 1.5, 100.0, 1e300])
def test_very_many_reads_overflow_nothing(factor: float) -> None:
    """A cutover of days is read a million times."""
    wait = backoff(Polling(factor=factor), 10**6)
    assert 2.0 <= wait <= 30.0


@given(policy=policies(), attempt=st.integers(1, 10**6))
def test_the_backoff_stays_in_its_bounds_and_never_shrinks(policy: Polling, attempt: int) -> None:
    """Between `initial` and `max`, from the first wait on."""
    wait = backoff(policy, attempt)
    assert policy.initial <= wait <= policy.max
    assert wait <= backoff(policy, attempt + 1)
    assert backoff(policy, 1) == policy.initial


@given(
    policy=policies(),
    attempt=st.integers(1, 1000),
    share=st.floats(0.0, 1e9),
    random=st.floats(0.0, 1.0, exclude_max=True),
)
def test_no_wait_is_below_initial_or_beyond_max(policy: Polling, attempt: int, share: float, random: float) -> None:
    """Spare budget and jitter shorten a wait, within these bounds."""
    wait = poll_wait(policy, attempt, share=share, random=random)
    assert policy.initial <= wait <= policy.max * (1 + 1e-9)


@given(policy=policies(), attempt=st.integers(1, 1000), share=st.floats(0.0, 1e9))
def test_without_jitter_the_wait_is_the_backoff_or_the_share(policy: Polling, attempt: int, share: float) -> None:
    """Whichever is shorter, but for `initial`."""
    wait = poll_wait(policy, attempt, share=share, random=0.0)
    assert wait == pytest.approx(max(policy.initial, min(share, backoff(policy, attempt))))


def test_spare_budget_shortens_the_wait() -> None:
    """Ten jobs on a rate of five tokens a second may be read every two seconds."""
    assert fair_share(jobs=10, rate=5.0, spare=0.0, per=60.0) == 2.0
    assert poll_wait(Polling(), 100, share=4.0, random=0.0) == 4.0


@given(
    jobs=st.integers(1, 10_000),
    rate=st.floats(0.01, 1000.0),
    spare=st.floats(-1000.0, 10_000.0),
    more=st.floats(0.0, 1000.0),
)
def test_a_fair_share_uses_the_rate_and_the_stored_tokens(jobs: int, rate: float, spare: float, more: float) -> None:
    """More jobs wait longer, more tokens let them wait less, and without stored ones the rate is kept."""
    share = fair_share(jobs=jobs, rate=rate, spare=spare, per=60.0)
    assert 0.0 < share <= jobs / rate
    assert fair_share(jobs=jobs, rate=rate, spare=spare + more, per=60.0) <= share
    assert fair_share(jobs=jobs + 1, rate=rate, spare=spare, per=60.0) >= share
    if spare <= jobs:
        assert share == jobs / rate
