"""Token buckets: never more than the server has, and hardly ever less."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.atlas.account import Refill
from orchestrator.atlas.budget import Priority, TokenBucket
from orchestrator.atlas.wire import BucketFigures
from orchestrator.simulator.bucket import Bucket, RateLimit
from orchestrator.simulator.bucket import Refill as Mode
from tests.virtualclock import VirtualClockLoop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


class Server:
    """The other side of a bucket: answers after *latency* seconds, enforces *limit*, counts."""

    def __init__(self, limit: RateLimit, *, latency: float = 0.0) -> None:
        self.limit = limit
        self.latency = latency
        self.bucket = Bucket(limit, anyio.current_time())
        self.times: list[float] = []
        self.refused = 0

    async def request(self, mine: TokenBucket, priority: Priority = Priority.POLL) -> bool:
        """One request on a token of *mine*, as the client sends it; whether it was let in."""
        await mine.take(priority)
        while not mine.covered():
            mine.give_back()
            await mine.take(priority)
        sent_at = mine.sent()
        await anyio.sleep(self.latency / 2)
        now = anyio.current_time()
        self.times.append(now)
        admitted = self.bucket.take(now)
        self.refused += not admitted
        remaining = self.bucket.remaining
        wait = None if admitted else float(self.bucket.retry_after(now))
        await anyio.sleep(self.latency / 2)
        if self.limit.headers and admitted:
            mine.settle(sent_at, limit=self.limit.capacity, remaining=remaining)
        else:
            mine.settle(sent_at)
        if wait is not None:
            limit = self.limit
            figures = BucketFigures(retry_after=wait, capacity=limit.capacity, refill=limit.refill, per=limit.per)
            mine.limited(retry_after=wait, figures=figures)
        return admitted


def bucket_for(limit: RateLimit) -> TokenBucket:
    """A bucket that is configured as the server's."""
    return TokenBucket(capacity=limit.capacity, refill=limit.refill, per=limit.per)


async def together(count: int, request: Callable[[int], Any]) -> None:
    """*count* requests started at once."""
    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(request, number)


LIMITS = st.builds(
    RateLimit,
    capacity=st.integers(1, 60),
    refill=st.integers(1, 40),
    per=st.sampled_from((1.0, 7.0, 60.0)),
    headers=st.booleans(),
)
WAVES = st.lists(st.tuples(st.integers(1, 80), st.floats(0, 100)), min_size=1, max_size=4)


@settings(max_examples=80, deadline=None)
@given(LIMITS, WAVES, st.sampled_from((0.0, 0.01, 0.3, 2.0)))
@example(RateLimit(capacity=2, refill=1, per=1.0), [(5, 0.0)], 0.0)
@example(RateLimit(capacity=2, refill=1, per=1.0), [(1, 1.5), (3, 0.0)], 0.0)
@example(RateLimit(capacity=1, refill=3, per=1.0), [(1, 1.75), (2, 0.0)], 0.3)
@example(RateLimit(capacity=1, refill=3, per=7.0), [(1, 50.0), (2, 0.0)], 0.0)
@example(RateLimit(capacity=3, refill=3, per=60.0), [(1, 21.0), (2, 39.0), (3, 0.0)], 0.0)
@example(RateLimit(capacity=1, refill=3, per=1.0), [(1, 0.75), (2, 0.0)], 0.3)
@example(RateLimit(capacity=1, refill=28, per=1.0), [(56, 20.12), (56, 0.0), (2, 0.0), (1, 0.0)], 2.0)
def test_a_server_with_the_same_limit_never_refuses(limit: RateLimit, waves: list[Any], latency: float) -> None:
    """Bursts and pauses of any size, quick and slow answers, with headers and without: no 429, and all get through."""

    async def run() -> None:
        server, mine = Server(limit, latency=latency), bucket_for(limit)
        start = anyio.current_time()

        async def one(_: int) -> None:
            await server.request(mine)

        with anyio.fail_after(1_000_000):
            for count, pause in waves:
                await together(count, one)
                await anyio.sleep(pause)
        assert server.refused == 0
        assert len(server.times) == sum(count for count, _ in waves)
        for count, time in enumerate(sorted(server.times), 1):
            assert count <= limit.capacity + limit.refill * (time - start) / limit.per + 1e-6
        assert (mine.waiting, mine.account.out, mine.account.unsent) == (0, 0, 0)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize(("capacity", "refill", "per", "count"), [(1200, 500, 60.0, 2000), (100, 100, 60.0, 400)])
async def test_a_wave_leaves_within_the_bound(
    capacity: int, refill: int, per: float, count: int, headers: bool
) -> None:
    """N PUTs leave within 1.05 times (N - C) / R and a few seconds, with polls competing all the while."""
    limit = RateLimit(capacity=capacity, refill=refill, per=per, headers=headers)
    server, mine = Server(limit, latency=0.05), bucket_for(limit)
    start = anyio.current_time()
    left: list[float] = []

    async def poll(_: int) -> None:
        while True:
            await anyio.sleep(2)
            await server.request(mine, Priority.POLL)

    async def put(_: int) -> None:
        await server.request(mine, Priority.CUTOVER)
        left.append(anyio.current_time() - start)

    async with anyio.create_task_group() as polls:
        for number in range(50):
            polls.start_soon(poll, number)
        await together(count, put)
        polls.cancel_scope.cancel()
    bound = (count - capacity) * per / refill
    assert max(left) <= 1.05 * bound + 5
    assert server.refused == 0


async def test_an_interval_server_is_used_to_the_full() -> None:
    """Whole refills at the end of each interval: they are waited for, and then all spent at once."""
    limit = RateLimit(capacity=20, refill=10, per=60.0, mode=Mode.INTERVAL)
    server, mine = Server(limit, latency=0.05), bucket_for(limit)
    start = anyio.current_time()

    async def one(_: int) -> None:
        await server.request(mine)

    for _ in range(5):  # one at a time at first, as a client's requests are
        await one(0)
        await anyio.sleep(4)
    assert mine.account.kind is Refill.STEPPED
    await together(55, one)
    assert server.refused == 0
    assert max(server.times) - start <= 60.0 * 4 + 1


STEPPED_LIMITS = st.builds(
    RateLimit,
    capacity=st.integers(2, 60),
    refill=st.integers(3, 40),
    per=st.sampled_from((7.0, 60.0)),
    mode=st.just(Mode.INTERVAL),
)


@settings(max_examples=80, deadline=None)
@given(STEPPED_LIMITS, st.integers(1, 150), st.sampled_from((0.0, 0.01, 0.3, 2.0)))
@example(RateLimit(capacity=20, refill=10, per=60.0, mode=Mode.INTERVAL), 60, 0.05)
@example(RateLimit(capacity=3, refill=5, per=7.0, mode=Mode.INTERVAL), 4, 0.0)
def test_a_burst_against_an_interval_server_costs_no_429(limit: RateLimit, count: int, latency: float) -> None:
    """Nothing has shown the kind of refill when the bucket is all but empty: the last token is spent alone, and shows it."""

    async def run() -> None:
        server, mine = Server(limit, latency=latency), bucket_for(limit)
        start = anyio.current_time()

        async def one(_: int) -> None:
            await server.request(mine)

        await together(count, one)
        assert server.refused == 0
        steps = math.ceil(max(0, count - limit.capacity) / min(limit.capacity, limit.refill))
        assert max(server.times) - start <= (steps + 1) * (limit.per + 2 * latency)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(run())


async def test_a_pause_of_whole_intervals_is_reckoned_whatever_the_kind_of_refill() -> None:
    """A bucket that was all but full is full after it, steady or not."""
    limit = RateLimit(capacity=4, refill=3, per=7.0, mode=Mode.INTERVAL)
    server, mine = Server(limit), bucket_for(limit)
    await server.request(mine)
    await anyio.sleep(31)
    assert mine.tokens() == 4


@pytest.mark.parametrize("latency", [0.01, 0.3, 2.0])
async def test_slow_answers_do_not_cost_throughput(latency: float) -> None:
    """Many requests on the wire, each answer rounded down and out of date: the refill is used all the same."""
    limit = RateLimit(capacity=20, refill=10, per=1.0)
    server, mine = Server(limit, latency=latency), bucket_for(limit)
    start = anyio.current_time()

    async def one(_: int) -> None:
        await server.request(mine)

    await together(1020, one)
    assert server.refused == 0
    assert max(server.times) - start <= 1.05 * 100 + 2 * latency + 1


async def test_answers_that_overtake_each_other_mislead_nobody() -> None:
    """The last one to come may be the first that was given: what it shows was spent long ago."""
    mine = TokenBucket(capacity=20, refill=1, per=60.0)
    for _ in range(20):
        await mine.take(Priority.POLL)
    left = [mine.sent() for _ in range(20)]
    for remaining, sent_at in enumerate(left):  # in the opposite order
        mine.settle(sent_at, limit=20, remaining=remaining)
    assert mine.tokens() == 0
    await anyio.sleep(30)
    assert mine.tokens() == 0


async def test_a_bucket_of_one_token_works() -> None:
    """The smallest there is, with headers."""
    limit = RateLimit(capacity=1, refill=1, per=2.0)
    server, mine = Server(limit, latency=0.05), bucket_for(limit)
    with anyio.fail_after(60):
        for _ in range(10):
            await server.request(mine)
    assert server.refused == 0


async def test_an_interval_server_without_headers_costs_429s_until_it_is_known() -> None:
    """Nothing but a 429 can show it: one round of them, then none."""
    limit = RateLimit(capacity=10, refill=5, per=60.0, mode=Mode.INTERVAL, headers=False)
    server, mine = Server(limit, latency=0.05), bucket_for(limit)

    async def one(_: int) -> None:
        while not await server.request(mine):
            pass

    await together(40, one)
    assert server.refused == 1
    assert mine.account.kind is Refill.STEPPED


async def test_who_goes_first() -> None:
    """Challenge, PUT, gate, poll; within one kind first come, first served."""
    mine = TokenBucket(capacity=1, refill=1, per=1.0)
    await mine.take(Priority.POLL)
    mine.settle(mine.sent())
    order: list[tuple[Priority, int]] = []

    async def wait(priority: Priority, number: int) -> None:
        await mine.take(priority)
        order.append((priority, number))
        mine.settle(mine.sent())

    async with anyio.create_task_group() as group:
        for number, priority in enumerate(reversed([*Priority, *Priority])):
            group.start_soon(wait, priority, number)
            await anyio.wait_all_tasks_blocked()
    assert order == sorted(order)
    assert len(order) == 8


async def test_a_token_given_back_goes_to_the_next() -> None:
    """At once, without waiting for the refill."""
    mine = TokenBucket(capacity=1, refill=1, per=3600.0)
    await mine.take(Priority.CUTOVER)
    async with anyio.create_task_group() as group:
        group.start_soon(mine.take, Priority.POLL)
        await anyio.wait_all_tasks_blocked()
        assert mine.waiting == 1
        began = anyio.current_time()
        mine.give_back()
    assert anyio.current_time() == began
    assert mine.tokens() == 0


async def test_who_stops_waiting_loses_nothing() -> None:
    """Cancelled in the line, or just when the token came: the next one gets it."""
    mine = TokenBucket(capacity=1, refill=1, per=10.0)
    await mine.take(Priority.POLL)
    for _ in range(3):
        with anyio.move_on_after(1):
            await mine.take(Priority.POLL)
    assert mine.waiting == 0
    task = asyncio.ensure_future(mine.take(Priority.CUTOVER))
    await anyio.wait_all_tasks_blocked()
    mine.give_back()  # called, but cancelled before it runs
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    with anyio.fail_after(0.1):
        await mine.take(Priority.POLL)


async def test_a_429_rests_and_corrects_the_bucket() -> None:
    """`Retry-After` is waited for, and capacity and refill are those that Atlas names."""
    mine = TokenBucket(capacity=1200, refill=500, per=60.0)
    await mine.take(Priority.POLL)
    mine.settle(mine.sent())
    mine.limited(retry_after=55.0, figures=BucketFigures(retry_after=55.0, capacity=10, refill=5, per=60.0))
    assert (mine.account.capacity, mine.account.refill, mine.account.per) == (10, 5.0, 60.0)
    assert mine.tokens() == 0.0
    began = anyio.current_time()
    await mine.take(Priority.CUTOVER)
    assert anyio.current_time() - began == pytest.approx(55.0)
    assert mine.account.kind is Refill.STEPPED  # a steady one would have had a token after 12 seconds
    for _ in range(4):
        await mine.take(Priority.CUTOVER)
    assert anyio.current_time() - began == pytest.approx(55.0)
    await mine.take(Priority.CUTOVER)
    assert anyio.current_time() - began == pytest.approx(115.0)


async def test_whoever_holds_a_token_gives_it_back_after_a_429() -> None:
    """Tokens in hand are worth nothing any more: the server has said that it has none."""
    mine = TokenBucket(capacity=10, refill=1, per=1.0)
    for _ in range(5):
        await mine.take(Priority.POLL)
    mine.settle(mine.sent())
    mine.limited(retry_after=20.0)
    assert not mine.covered()
    for _ in range(4):
        mine.give_back()
    began = anyio.current_time()
    await mine.take(Priority.POLL)
    assert anyio.current_time() - began == pytest.approx(20.0)


async def test_what_others_take_from_the_same_bucket_is_noticed() -> None:
    """Another program draws on the project's bucket: `RateLimit-Remaining` tells, tokens in hand included."""
    mine = TokenBucket(capacity=100, refill=10, per=60.0)
    for _ in range(20):
        await mine.take(Priority.POLL)
    mine.settle(mine.sent(), limit=100, remaining=3)
    covered = 0
    while mine.covered():
        covered += 1
        mine.settle(mine.sent(), limit=100, remaining=3 - covered)
    assert covered == 3


async def test_a_smaller_limit_than_configured_is_learned_from_headers() -> None:
    """`RateLimit-Limit` goes before what was configured."""
    limit = RateLimit(capacity=50, refill=10, per=1.0)
    server, mine = Server(limit, latency=0.01), TokenBucket(capacity=1200, refill=10, per=1.0, outstanding=10)

    async def one(_: int) -> None:
        await server.request(mine)

    await together(300, one)
    assert mine.account.capacity == 50
    assert server.refused == 0


class BusyLoop:
    """The loop as a bucket sees it when a long callback runs: time has gone on, and no timer has gone off."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.late = 0.0

    def time(self) -> float:
        """The time now."""
        return self.loop.time() + self.late

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """As the loop does."""
        return self.loop.call_at(when, callback)


async def test_who_comes_when_a_token_is_due_does_not_put_off_who_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that is there is handed out, also when somebody joins the line before the timer has gone off."""
    mine, busy = TokenBucket(capacity=2, refill=1, per=1.0), BusyLoop()
    monkeypatch.setattr(mine, "_loop", busy)
    for _ in range(2):
        await mine.take(Priority.POLL)
    for _ in range(2):
        mine.settle(mine.sent())
    got: list[str] = []

    async def one(name: str) -> None:
        await mine.take(Priority.POLL)
        mine.settle(mine.sent())
        got.append(name)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(one, "first")
            await anyio.sleep(0.9)
            busy.late = 0.2
            group.start_soon(one, "second")
    assert got == ["first", "second"]
