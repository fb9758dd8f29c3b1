"""Few challenges, whatever the server does with its nonces, and still many requests at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from orchestrator.atlas.auth import TRIAL, Turns
from orchestrator.atlas.budget import Priority
from orchestrator.atlas.errors import AtlasError
from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.scenario import Fault, FaultKind, JobRules, Range

from .servers import GROUP, Atlas, atlas, live

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

READY = JobRules(ready_after=Range(low=0.0, high=0.0))
OPEN: dict[str, Any] = {"burst": 1_000_000, "requests": 1_000_000, "per": 1.0}
LATENCY = (Fault(on=None, kind=FaultKind.SLOW, delay=0.05),)


async def burst(it: Atlas, count: int, call: Callable[[int], Any] | None = None) -> None:
    """*count* calls started together."""

    async def one(number: int) -> None:
        await (call(number) if call else it.client.job(GROUP, live(number)))

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


@pytest.mark.parametrize(
    "nonce",
    [
        NonceRules(seconds=None),
        NonceRules(uses=50, seconds=None),
        NonceRules(uses=120, seconds=None),
        NonceRules(seconds=300.0),
        NonceRules(qop=False),
        NonceRules(uses=50, seconds=None, qop=False),
    ],
    ids=["lasting", "50 uses", "120 uses", "300 s", "op=auth", "op=auth, 50 uses"],
)
async def test_a_burst_costs_few_challenges(nonce: NonceRules) -> None:
    """2,000 requests started together: fewer than 2 in 100 are 401 legs, and every one of them is answered."""
    scenario = Scenario(unlimited=True, nonce=nonce, jobs=READY)
    async with atlas(scenario, count=2000, **OPEN) as it:
        await burst(it, 2000)
        record = it.record()
        total = record["requests"]["total"]
        assert total - record["unauthorized"] == 2000
        assert record["unauthorized"] < 0.02 * total
        assert set(record["credentials"]) <= {"accepted", "no credentials", "stale nonce"}


@pytest.mark.parametrize(("seconds", "most"), [(3.0, 40), (4.0, 101)])
async def test_a_nonce_that_expires_by_time_costs_what_was_out_then(seconds: float, most: int) -> None:
    """4,000 requests of 50 ms: few during the trial; in full flight, no more than are out at once."""
    scenario = Scenario(unlimited=True, nonce=NonceRules(seconds=seconds), jobs=READY, faults=LATENCY)
    async with atlas(scenario, count=2000, **OPEN) as it:
        for _ in range(2):
            await burst(it, 2000)
        record = it.record()
        assert record["requests"]["by_status"]["200"] == 4000
        assert record["unauthorized"] <= most


async def test_many_requests_are_out_at_once_after_the_trial() -> None:
    """With 50 ms a request, 2,000 of them take a small part of the 100 s that one after another would."""
    scenario = Scenario(unlimited=True, jobs=READY, faults=LATENCY)
    async with atlas(scenario, count=2000, **OPEN) as it:
        await burst(it, 2000)
        assert it.record()["elapsed"] < 0.05 * (TRIAL + 2000 / 20)
        began = it.record()["elapsed"]
        await burst(it, 2000)
        assert it.record()["elapsed"] - began < 0.05 * (2000 / 100 + 2)


async def test_a_put_that_meets_a_stale_nonce_is_carried_out_once() -> None:
    """Every PUT of a burst is, with nonces that serve 20 requests."""
    scenario = Scenario(unlimited=True, nonce=NonceRules(uses=20, seconds=None), jobs=READY)
    async with atlas(scenario, count=200, **OPEN) as it:
        await burst(it, 200, it.put)
        jobs = it.record()["migrations"].values()
        assert {(job["puts_received"], job["puts_processed"]) for job in jobs} == {(1, 1)}


async def test_requests_with_wrong_keys_do_not_hang() -> None:
    """Each of them gets its error, in turn."""
    async with atlas(Scenario(unlimited=True, jobs=READY), count=10, keys=("abcdefgh", "wrong"), **OPEN) as it:
        refused = 0

        async def put(number: int) -> None:
            nonlocal refused
            try:
                await it.put(number)
            except AtlasError:
                refused += 1

        await burst(it, 10, put)
        assert refused == 10
        assert it.record()["requests"]["total"] <= 20


@pytest.mark.parametrize("capacity", [5, 100])
async def test_a_challenge_gets_its_token_while_others_hold_theirs(capacity: int) -> None:
    """More requests than tokens, and the first one is challenged: nobody waits for ever, and there is no 429."""
    limit = RateLimit(capacity=capacity, refill=10, per=10.0)
    nonce = NonceRules(uses=7, seconds=None)
    async with atlas(
        Scenario(rate_limit=limit, nonce=nonce, jobs=READY), count=150, burst=capacity, requests=10, per=10.0
    ) as it:
        with anyio.fail_after(600):
            await burst(it, 150)
        assert it.record()["rate_limited"] == 0
        assert it.record()["requests"]["by_status"]["200"] == 150


async def test_turns_go_by_priority_then_by_age() -> None:
    """A PUT overtakes reads that wait, and no read overtakes an older one."""
    turns = Turns()
    first = await turns.take(Priority.POLL)
    order: list[str] = []

    async def wait(name: str, priority: Priority) -> None:
        turn = await turns.take(priority)
        order.append(name)
        turn.release()

    async with anyio.create_task_group() as group:
        for name, priority in [
            ("poll 1", Priority.POLL),
            ("gate", Priority.GATE),
            ("poll 2", Priority.POLL),
            ("put", Priority.CUTOVER),
        ]:
            group.start_soon(wait, name, priority)
            await anyio.wait_all_tasks_blocked()
        first.release()
    assert order == ["put", "gate", "poll 1", "poll 2"]


async def test_turns_never_exceed_their_limit() -> None:
    """However long a nonce lasts."""
    turns = Turns(limit=7)
    out = most = 0

    async def request() -> None:
        nonlocal out, most
        turn = await turns.take(Priority.POLL)
        out += 1
        most = max(most, out)
        turn.sent("n")
        await anyio.sleep(1)
        turn.accepted("n")
        out -= 1
        turn.release()

    async with anyio.create_task_group() as group:
        for _ in range(300):
            group.start_soon(request)
    assert most == 7
