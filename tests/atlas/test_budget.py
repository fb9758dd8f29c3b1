"""Token buckets: never more than the server has, hardly ever less, and a share for everybody."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.atlas.budget import Permit, TokenBucket
from orchestrator.atlas.places import LEAD, Places
from orchestrator.atlas.shares import Priority
from orchestrator.atlas.wire import BucketFigures
from orchestrator.simulator.bucket import Bucket, RateLimit, Refill
from tests.virtualclock import VirtualClockLoop

from ..strength import examples

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


class RestartingBucket(Bucket):
    """A server's bucket whose interval begins with the first use of a full bucket, and not before."""

    def take(self, now: float) -> bool:
        """As `Bucket`."""
        self._fill(now)
        if self._tokens >= self.limit.capacity:
            self._filled_at = now
        return super().take(now)


class Server:
    """The other side of a bucket: answers after *latency* seconds, enforces *limit*, counts."""

    def __init__(self, limit: RateLimit, *, latency: float = 0.0, restarts: bool = False) -> None:
        self.limit = limit
        self.latency = latency
        self._restarts = restarts
        self._bucket: Bucket | None = None  # made at its first use
        self.times: list[float] = []
        self.refused = 0

    async def request(
        self, mine: TokenBucket, kind: Priority = Priority.CUTOVER, *, permit: Permit | None = None
    ) -> bool:
        """One request on a token of *mine*, or on *permit*, as the client sends it; whether it was let in."""
        permit = permit or await taken(mine, kind)
        while not await permit.enter():
            permit.give_back()
            permit = await taken(mine, kind)
        permit.sent()
        await anyio.sleep(self.latency / 2)
        now = anyio.current_time()
        if self._bucket is None:
            self._bucket = (RestartingBucket if self._restarts else Bucket)(self.limit, now)
        self.times.append(now)
        admitted = self._bucket.take(now)
        self.refused += not admitted
        remaining = self._bucket.remaining
        wait = None if admitted else float(self._bucket.retry_after(now))
        await anyio.sleep(self.latency / 2)
        limit = self.limit
        if wait is not None:
            figures = BucketFigures(retry_after=wait, capacity=limit.capacity, refill=limit.refill, per=limit.per)
            permit.limited(retry_after=wait, figures=figures)
        elif limit.headers:
            permit.settle(limit=limit.capacity, remaining=remaining)
        else:
            permit.settle()
        return admitted


def bucket_for(limit: RateLimit, **others: Any) -> TokenBucket:
    """A bucket that is configured as the server's."""
    return TokenBucket(capacity=limit.capacity, refill=limit.refill, per=limit.per, **others)


async def taken(mine: TokenBucket, kind: Priority = Priority.CUTOVER) -> Permit:
    """A permit of *mine*."""
    permit = await mine.take(kind)
    assert permit is not None
    return permit


async def spend(mine: TokenBucket, number: int = 1, kind: Priority = Priority.CUTOVER) -> None:
    """*number* requests, answered at once and without headers."""
    for _ in range(number):
        permit = await taken(mine, kind)
        await permit.enter()
        permit.sent()
        permit.settle()


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


@settings(max_examples=examples(40), deadline=None)
@given(LIMITS, st.booleans(), WAVES, st.sampled_from((0.0, 0.01, 0.3, 2.0)), st.sampled_from(Priority))
@example(RateLimit(capacity=2, refill=1, per=1.0), False, [(5, 0.0)], 0.0, Priority.CUTOVER)
@example(RateLimit(capacity=40, refill=40, per=60.0, headers=False), False, [(244, 0.0)], 0.3, Priority.CUTOVER)
@example(
    RateLimit(capacity=10, refill=4, per=60.0, headers=False), True, [(1, 59.0), (9, 1.0), (9, 0.0)], 0.0, Priority.POLL
)
@example(
    RateLimit(capacity=10, refill=4, per=60.0, headers=False),
    False,
    [(1, 119.0), (9, 1.0), (9, 0.0)],
    0.3,
    Priority.POLL,
)
def test_a_server_with_the_same_limit_never_refuses(
    limit: RateLimit, restarts: bool, waves: list[Any], latency: float, kind: Priority
) -> None:
    """Bursts and pauses, quick and slow answers, with headers or without, whenever its interval begins: no 429."""

    async def run() -> None:
        server, mine = Server(limit, latency=latency, restarts=restarts), bucket_for(limit)

        async def one(_: int) -> None:
            await server.request(mine, kind)

        with anyio.fail_after(1_000_000):
            for count, pause in waves:
                await together(count, one)
                await anyio.sleep(pause)
        assert server.refused == 0
        assert len(server.times) == sum(count for count, _ in waves)
        assert (mine.waiting, mine.account.out, mine.account.unsent) == (0, 0, 0)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize(("capacity", "refill", "count"), [(1200, 500, 2000), (100, 100, 400)])
async def test_a_wave_leaves_with_the_steps_that_it_needs(
    capacity: int, refill: int, count: int, headers: bool
) -> None:
    """Every refill is spent as soon as it is there, with polls competing all the while."""
    limit = RateLimit(capacity=capacity, refill=refill, per=60.0, headers=headers)
    server, mine = Server(limit, latency=0.05), bucket_for(limit)
    start = anyio.current_time()
    left: list[float] = []

    async def poll(_: int) -> None:
        with mine.following(Priority.POLL):
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
    steps = math.ceil((count - capacity) / (0.9 * refill))  # a tenth is left for the polls
    assert max(left) <= 60.0 * steps + 5
    assert server.refused == 0


@pytest.mark.parametrize("latency", [0.01, 0.3, 2.0])
async def test_a_bucket_that_refills_evenly_is_used_to_the_full(latency: float) -> None:
    """What answers tell is believed: with reads all the while nothing of the refill is lost."""
    limit = RateLimit(capacity=100, refill=60, per=60.0, mode=Refill.CONTINUOUS)
    server, mine = Server(limit, latency=latency), bucket_for(limit)
    start = anyio.current_time()

    async def one(_: int) -> None:
        await server.request(mine, Priority.POLL)

    await together(700, one)
    assert server.refused == 0
    assert max(server.times) - start <= 600 + 60


async def test_answers_that_overtake_each_other_mislead_nobody() -> None:
    """The last one to come may be the first that was given: what it shows was spent long ago."""
    mine = TokenBucket(capacity=20, refill=1, per=60.0)
    permits = [await taken(mine) for _ in range(20)]
    for permit in permits:
        permit.sent()
    for remaining, permit in enumerate(permits):  # in the opposite order
        permit.settle(limit=20, remaining=remaining)
    assert mine.tokens() == 0
    await anyio.sleep(59)
    assert mine.tokens() == 0


async def test_who_goes_first() -> None:
    """PUT, what is under way, what starts, gate; within one kind first come, first served."""
    mine = TokenBucket(capacity=1, refill=1, per=1.0)
    await spend(mine)
    order: list[tuple[Priority, int]] = []

    async def wait(kind: Priority, number: int) -> None:
        await spend(mine, kind=kind)
        order.append((kind, number))

    async with anyio.create_task_group() as group:
        for number, kind in enumerate(reversed([*Priority, *Priority])):
            group.start_soon(wait, kind, number)
            await anyio.wait_all_tasks_blocked()
    assert order == sorted(order)
    assert len(order) == 2 * len(Priority)


@settings(max_examples=6, deadline=None)
@given(
    st.sets(st.sampled_from([kind for kind in Priority if kind is not Priority.LAST_READ]), min_size=1),
    st.sampled_from([(60, 25), (50, 50), (10, 5)]),
    st.sampled_from((0.1, 3.0)),
)
def test_no_kind_starves_another(kinds: set[Priority], size: tuple[int, int], latency: float) -> None:
    """Of all that is sent while every kind has more to send than there is, each gets some percent."""
    capacity, refill = size

    async def run() -> None:
        limit = RateLimit(capacity=capacity, refill=refill, per=60.0)
        server, mine = Server(limit, latency=latency), bucket_for(limit)
        sent = dict.fromkeys(kinds, 0)

        async def keep_on(kind: Priority) -> None:
            with mine.following(kind):
                while True:
                    await server.request(mine, kind)
                    sent[kind] += 1

        with anyio.move_on_after(5 * 60):
            async with anyio.create_task_group() as group:
                for kind in kinds:
                    for _ in range(max(3, refill // 5)):
                        group.start_soon(keep_on, kind)
        total = sum(sent.values())
        assert total >= 0.85 * 5 * refill
        assert min(sent.values()) >= total // 25
        assert server.refused == 0

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (10, 10), (100, 100)])
@pytest.mark.parametrize("beside", [None, Priority.POLL, Priority.GATE])
async def test_puts_that_have_waited_leave_in_pairs_with_the_reads_before_them(
    size: tuple[int, int], beside: Priority | None
) -> None:
    """A refill that went to PUTs alone left each of them waiting, for good, for a token that another held."""
    capacity, refill = size
    limit = RateLimit(capacity=capacity, refill=refill, per=60.0)
    server, mine = Server(limit, latency=0.3), bucket_for(limit)
    left = 0

    async def put(_: int) -> None:
        nonlocal left
        permit = await mine.take(Priority.CUTOVER, since=anyio.current_time() - LEAD)
        assert permit is not None
        await server.request(mine, Priority.LAST_READ)
        await server.request(mine, permit=permit)
        left += 1

    async def read_on() -> None:
        assert beside is not None
        with mine.following(beside):
            while True:
                await server.request(mine, beside)
                await anyio.sleep(2)

    number = 3 * capacity
    steps = number / (refill * 0.9 // 2 or 0.5)
    async with anyio.create_task_group() as group:
        if beside is not None:
            group.start_soon(read_on)
        with anyio.fail_after(60 * (steps + 2)):
            await together(number, put)
        group.cancel_scope.cancel()
    assert left == number
    assert server.refused == 0
    assert mine.shares.promised == 0


async def test_a_put_whose_job_was_just_read_keeps_no_other_token() -> None:
    """The last token of a minute is spent; nobody waits for the next for a read that is not made."""
    mine = TokenBucket(capacity=3, refill=3, per=60.0)
    fresh = [await mine.take(Priority.CUTOVER, deadline=anyio.current_time() + 1, since=1000.0) for _ in range(3)]
    assert None not in fresh


async def test_reads_at_gates_leave_tokens_for_what_is_under_way_until_the_next_step() -> None:
    """400 jobs that are never ready, at one read in 30 s each, spend more than a refill: three others wait no second."""
    limit = RateLimit(capacity=1200, refill=500, per=60.0)
    server, mine = Server(limit, latency=0.1), bucket_for(limit)
    longest = 0.0

    async def at_gate(_: int) -> None:
        with mine.following(Priority.GATE):
            while True:
                await server.request(mine, Priority.GATE)
                await anyio.sleep(30)

    async def under_way(_: int) -> None:
        nonlocal longest
        with mine.following(Priority.POLL):
            while True:
                await anyio.sleep(2)
                began = anyio.current_time()
                await server.request(mine, Priority.POLL)
                longest = max(longest, anyio.current_time() - began)

    with anyio.move_on_after(600):
        async with anyio.create_task_group() as group:
            group.start_soon(together, 400, at_gate)
            group.start_soon(together, 3, under_way)
    assert longest <= 1.0
    assert server.refused == 0
    assert len(server.times) >= 0.9 * (1200 + 9 * 500)


async def test_a_token_given_back_goes_to_the_next() -> None:
    """At once, without waiting for the refill."""
    mine = TokenBucket(capacity=1, refill=1, per=3600.0)
    permit = await taken(mine)
    async with anyio.create_task_group() as group:
        group.start_soon(taken, mine, Priority.POLL)
        await anyio.wait_all_tasks_blocked()
        assert mine.waiting == 1
        began = anyio.current_time()
        permit.give_back()
    assert anyio.current_time() == began
    assert mine.tokens() == 0


async def test_who_stops_waiting_loses_nothing() -> None:
    """Cancelled in the line, or just when the token came: the next one gets it, and its place on the wire."""
    places = Places(1)
    mine = TokenBucket(capacity=1, refill=1, per=10.0, places=places)
    permit = await taken(mine, Priority.POLL)
    for _ in range(3):
        with anyio.move_on_after(1):
            await mine.take(Priority.POLL)
    assert mine.waiting == 0
    task = asyncio.ensure_future(mine.take(Priority.POLL))
    await anyio.wait_all_tasks_blocked()
    permit.give_back()  # called, but cancelled before it runs
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    with anyio.fail_after(0.1):
        await mine.take(Priority.POLL)


async def test_a_token_is_not_waited_for_longer_than_until_the_deadline() -> None:
    """A read at a gate is told that there is none; what is under way is read all the same."""
    mine = TokenBucket(capacity=1, refill=1, per=3600.0)
    await spend(mine)
    began = anyio.current_time()
    assert await mine.take(Priority.GATE, deadline=began + 10) is None
    assert anyio.current_time() - began == pytest.approx(10)
    permit = await mine.take(Priority.POLL, deadline=began + 20)
    assert anyio.current_time() - began == pytest.approx(20)
    assert permit is not None
    assert await permit.enter()
    permit.sent()
    permit.settle()
    assert (mine.waiting, mine.account.out, mine.tokens()) == (0, 0, 0)


# -- 429 ------------------------------------------------------------------------------------------------------------


async def limited(mine: TokenBucket, retry_after: float | None, figures: BucketFigures | None = None) -> float:
    """One request that is answered 429; the seconds that the bucket rests."""
    permit = await taken(mine)
    permit.sent()
    return permit.limited(retry_after=retry_after, figures=figures)


async def test_a_429_rests_and_corrects_the_bucket() -> None:
    """`Retry-After` is waited for, capacity and refill are those that Atlas names, and so long a wait ends with a step."""
    mine = TokenBucket(capacity=1200, refill=500, per=60.0)
    await spend(mine)
    began = anyio.current_time()
    assert await limited(mine, 55.0, BucketFigures(retry_after=55.0, capacity=10, refill=5, per=60.0)) == 55.0
    assert (mine.account.capacity, mine.account.refill, mine.account.per) == (10, 5.0, 60.0)
    assert mine.tokens() == 0.0
    await spend(mine, 5)
    assert anyio.current_time() - began == pytest.approx(55.0)
    await spend(mine)
    assert anyio.current_time() - began == pytest.approx(115.0)


@pytest.mark.parametrize("retry_after", [0.0, None])
async def test_a_429_that_says_no_seconds_is_waited_for_longer_each_time(retry_after: float | None) -> None:
    """1 s, 2 s, 4 s, ... up to about a refill; an answer in between begins anew."""
    mine = TokenBucket(capacity=1200, refill=500, per=60.0)
    assert [await limited(mine, retry_after) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    await spend(mine)
    assert await limited(mine, retry_after) == 1


async def test_429s_of_one_burst_count_once() -> None:
    """Twenty requests were out when the bucket was empty: that is one refusal, and one second."""
    mine = TokenBucket(capacity=1200, refill=500, per=60.0)
    permits = [await taken(mine) for _ in range(20)]
    for permit in permits:
        permit.sent()
    assert {permit.limited(retry_after=0.0, figures=None) for permit in permits} == {1.0}
    assert await limited(mine, 0.0) == 2.0


async def test_after_a_429_that_tells_nothing_requests_go_one_at_a_time() -> None:
    """Until an answer tells how much there is: no burst into a bucket that may be empty."""
    mine = TokenBucket(capacity=1200, refill=500, per=60.0)
    await limited(mine, 0.0)
    began = anyio.current_time()
    out: list[Permit] = []

    async def one(_: int) -> None:
        permit = await taken(mine)
        permit.sent()
        out.append(permit)
        if len(out) > 1:
            permit.settle()

    async with anyio.create_task_group() as group:
        group.start_soon(together, 20, one)
        await anyio.sleep(1.5)
        assert len(out) == 1
        out[0].settle(limit=1200, remaining=1100)
    assert anyio.current_time() - began == pytest.approx(1.5)


async def test_a_probe_that_hangs_holds_nobody_up() -> None:
    """Another goes a second later."""
    mine = TokenBucket(capacity=1200, refill=500, per=60.0)
    await limited(mine, 0.0)
    began = anyio.current_time()
    for _ in range(3):
        (await taken(mine)).sent()
    assert anyio.current_time() - began == pytest.approx(3.0)


async def test_whoever_holds_a_token_gives_it_back_after_a_429() -> None:
    """Tokens in hand are worth nothing any more: the server has said that it has none."""
    mine = TokenBucket(capacity=10, refill=1, per=1.0)
    permits = [await taken(mine) for _ in range(5)]
    permits[0].sent()
    permits[0].limited(retry_after=20.0, figures=None)
    for permit in permits[1:]:
        assert not await permit.enter()
        permit.give_back()
    began = anyio.current_time()
    await spend(mine)
    assert anyio.current_time() - began == pytest.approx(20.0)
    assert mine.account.out == 0


# -- what the server says -------------------------------------------------------------------------------------------


async def test_what_others_take_from_the_same_bucket_is_noticed() -> None:
    """Another program draws on the project's bucket: `RateLimit-Remaining` tells, tokens in hand included."""
    mine = TokenBucket(capacity=100, refill=10, per=60.0)
    permits = [await taken(mine) for _ in range(20)]
    permits[0].sent()
    permits[0].settle(limit=100, remaining=3)
    left = 0
    for permit in permits[1:]:
        if await permit.enter():
            left += 1
            permit.sent()
            permit.settle(limit=100, remaining=3 - left)
        else:
            permit.give_back()
    assert left == 3


async def test_a_smaller_limit_than_configured_is_learned_from_headers() -> None:
    """`RateLimit-Limit` goes before what was configured."""
    limit = RateLimit(capacity=50, refill=10, per=1.0)
    server = Server(limit, latency=0.01)
    mine = TokenBucket(capacity=1200, refill=10, per=1.0, places=Places(10))

    async def one(_: int) -> None:
        await server.request(mine, Priority.POLL)

    await together(300, one)
    assert mine.account.capacity == 50
    assert server.refused == 0


async def test_a_challenge_takes_no_token() -> None:
    """A 401 leg is free, and so is a request that ends with one."""
    mine = TokenBucket(capacity=1, refill=1, per=60.0)
    permit = await taken(mine)
    permit.sent()
    permit.challenged()
    permit.sent()
    permit.challenged()
    permit.give_back()
    assert mine.tokens() == 1
    await spend(mine)
    assert mine.tokens() == 0


async def test_a_long_wait_is_told_once() -> None:
    """How many wait, and for how long; short waits are nobody's business."""
    told: list[tuple[int, float]] = []
    mine = TokenBucket(capacity=1, refill=1, per=60.0, on_long_wait=lambda *wait: told.append(wait))
    await spend(mine)
    await anyio.sleep(20)

    async def one(_: int) -> None:
        await spend(mine)

    await together(3, one)
    assert [(requests, round(seconds)) for requests, seconds in told] == [(3, 40), (2, 60), (1, 60)]


# -- places ---------------------------------------------------------------------------------------------------------


async def test_a_hundred_requests_that_hang_hide_no_other_kind() -> None:
    """Each kind keeps a place or two, on any project's budget."""
    places = Places(100)
    one, other = (TokenBucket(capacity=1200, refill=500, per=60.0, places=places) for _ in range(2))
    hung = 0
    with anyio.move_on_after(1):
        while True:
            (await taken(one, Priority.POLL)).sent()
            hung += 1
    assert hung == 94
    with anyio.fail_after(0.1):
        for kind in (Priority.START, Priority.GATE):
            await taken(other, kind)
        assert await (await taken(other, Priority.CUTOVER)).enter()


async def test_of_four_places_three_go_to_first_reads_in_every_project_in_turn_and_one_to_a_put() -> None:
    """A wave's last PUT waits for no slow read that could have gone out long before."""
    places = Places(1)
    buckets = [TokenBucket(capacity=100, refill=500, per=60.0, places=places) for _ in range(3)]
    first = await taken(buckets[0], Priority.START)
    order: list[str] = []

    async def read(number: int) -> None:
        permit = await taken(buckets[number], Priority.START)
        order.append(f"read {number}")
        await anyio.sleep(1)
        permit.give_back()

    async def put(name: str, age: float) -> None:
        permit = await taken(buckets[0])
        permit.since = anyio.current_time() - age
        await permit.enter()
        order.append(name)
        permit.give_back()

    async with anyio.create_task_group() as group:
        for number in (0, 0, 1, 2):
            group.start_soon(read, number)
        await anyio.sleep(0.01)
        group.start_soon(put, "put", 0.0)
        group.start_soon(put, "older put", 0.5)
        group.start_soon(put, "oldest put", 1.0)
        await anyio.sleep(0.01)
        first.give_back()
    assert order == ["read 0", "read 1", "read 2", "oldest put", "read 0", "older put", "put"]


async def test_a_put_whose_read_has_grown_old_goes_before_any_read() -> None:
    """Otherwise its job would have to be read again."""
    places = Places(1)
    bucket = TokenBucket(capacity=100, refill=500, per=60.0, places=places)
    first = await taken(bucket, Priority.START)
    order: list[str] = []

    async def one(kind: Priority) -> None:
        permit = await taken(bucket, kind)
        permit.since = anyio.current_time() - LEAD
        await permit.enter()
        order.append(kind.name)
        permit.give_back()

    async with anyio.create_task_group() as group:
        group.start_soon(one, Priority.START)
        group.start_soon(one, Priority.CUTOVER)
        await anyio.sleep(0.01)
        first.give_back()
    assert order == ["CUTOVER", "START"]


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
    await spend(mine, 2)
    got: list[str] = []

    async def one(name: str) -> None:
        await spend(mine)
        got.append(name)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(one, "first")
            await anyio.sleep(0.9)
            busy.late = 0.2
            group.start_soon(one, "second")
    assert got == ["first", "second"]


@pytest.mark.parametrize("kind", [Priority.POLL, Priority.GATE])
def test_reads_that_come_again_and_again_give_way_when_another_kind_wants_a_place(kind: Priority) -> None:
    """A thousand cutovers under way, read every two seconds, would fill all of them: a wave's first reads waited for their ends."""
    places = Places(100)
    asked = 0

    def start() -> None:
        nonlocal asked
        asked += 1
        if places.has_room(Priority.START):
            places.enter(Priority.START)

    while places.has_room(kind):
        places.enter(kind)
    places.ask(start, [Priority.START])
    for _ in range(84):
        places.leave(kind)
        assert not places.has_room(kind)
    assert asked == 84
    places.leave(kind)
    assert places.has_room(kind)
    places.ask(start, [])
    while places.has_room(kind):
        places.enter(kind)
    assert not places.has_room(Priority.START)


async def test_places_go_round_among_budgets() -> None:
    """One project's jobs did not start before another's were all under way, though both had tokens for all."""
    places = Places(20)
    granted: list[str] = []
    async with anyio.create_task_group() as group:
        buckets = {name: TokenBucket(capacity=100, refill=500, per=60.0, places=places) for name in "abc"}

        async def read(name: str) -> None:
            permit = await taken(buckets[name], Priority.START)
            granted.append(name)
            await anyio.sleep(1)
            permit.give_back()

        for name in buckets:
            for _ in range(40):
                group.start_soon(read, name)
    assert granted[:14] == ["a"] * 14
    later = granted[14:74]
    assert {name: later.count(name) for name in "bc"} == {name: pytest.approx(20, abs=6) for name in "bc"}
