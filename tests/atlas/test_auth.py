"""One request fetches the first challenge; then all go side by side, whatever the server does with its nonces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from orchestrator.atlas.client import READ_ATTEMPTS
from orchestrator.atlas.errors import AtlasError
from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.latency import Latency
from orchestrator.simulator.scenario import Fault, FaultKind, JobRules, Kind, Range

from .servers import GROUP, Atlas, Raw, atlas, client_of, http, live, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

READY = JobRules(ready_after=Range(low=0.0, high=0.0))
OPEN: dict[str, Any] = {"burst": 1_000_000, "requests": 1_000_000, "per": 1.0}
JOB = b'{"_id": "%s", "status": "WORKING"}'
SLOW = Latency(quantiles=((0.0, 0.1), (1.0, 0.1)))
NONCES = {
    "lasting": NonceRules(seconds=None),
    "50 uses": NonceRules(uses=50, seconds=None),
    "5 uses": NonceRules(uses=5, seconds=None),
    "1 use": NonceRules(uses=1, seconds=None),
    "1 s": NonceRules(seconds=1.0),
    "op=auth": NonceRules(qop=False),
    "op=auth, 50 uses": NonceRules(uses=50, seconds=None, qop=False),
}


async def burst(it: Atlas, count: int, call: Callable[[int], Any] | None = None) -> None:
    """*count* calls started together."""

    async def one(number: int) -> None:
        await (call(number) if call else it.client.job(GROUP, live(number)))

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


async def test_one_request_fetches_the_challenge_and_then_all_go() -> None:
    """200 reads of 0.1 s: one challenge, its 0.1 s, and then as many at once as the wire takes."""
    async with atlas(Scenario(unlimited=True, jobs=READY, latency=SLOW), count=200, **OPEN) as it:
        await burst(it, 200)
        record = it.record()
        assert record["credentials"] == {"no credentials": 1, "accepted": 200}
        assert record["elapsed"] <= 0.1 + 3 * 0.1 + 0.05


@pytest.mark.parametrize("nonce", NONCES.values(), ids=NONCES)
async def test_a_nonce_that_serves_few_requests_costs_legs_and_no_time(nonce: NonceRules) -> None:
    """300 reads and then 300 PUTs of 0.1 s each: twice as long as with a nonce that lasts, at most."""
    async with atlas(Scenario(unlimited=True, nonce=nonce, jobs=READY, latency=SLOW), count=300, **OPEN) as it:
        await burst(it, 300)
        await burst(it, 300, it.put)
        record = it.record()
        assert record["elapsed"] <= 0.1 + 2 * (8 * 0.1) + 0.1
        assert set(record["credentials"]) <= {"accepted", "no credentials", "stale nonce"}
        assert record["credentials"]["accepted"] == 600
        assert {(job["puts_received"], job["puts_processed"]) for job in record["migrations"].values()} == {(1, 1)}


async def test_a_nonce_that_somebody_else_used_up_on_the_way_is_replaced_once_more() -> None:
    """Requests overtake each other: who is told twice that its nonce is stale does not take it for a refusal."""
    nonces = 0

    async def answer(raw: Raw) -> bytes:
        nonlocal nonces
        if len(raw.requests) >= 4:
            return http(200, JOB % live(0).encode())
        nonces += 1
        stale = "false" if nonces == 1 else "true"
        challenge = f'Digest realm="r", domain="", nonce="n{nonces}", algorithm=MD5, qop="auth", stale={stale}'
        return http(401, WWW_Authenticate=challenge)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        await client.job(GROUP, live(0))
        assert len(raw.requests) == 4


async def test_a_server_that_calls_every_nonce_stale_is_given_up() -> None:
    """A handful of legs, and the error of a 401."""

    async def answer(_: Raw) -> bytes:
        challenge = 'Digest realm="r", domain="", nonce="n", algorithm=MD5, qop="auth", stale=true'
        return http(401, WWW_Authenticate=challenge)

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        with pytest.raises(AtlasError, match="401"):
            await client.check_access()
        assert len(raw.requests) <= 8


async def test_a_first_request_that_hangs_holds_nobody_up() -> None:
    """The others wait a second for its challenge, and then fetch their own."""

    async def answer(raw: Raw) -> bytes:
        if len(raw.requests) == 1:
            await asyncio.sleep(1000)
        if "Authorization" not in raw.headers[-1]:
            challenge = 'Digest realm="r", domain="", nonce="n", algorithm=MD5, qop="auth", stale=false'
            return http(401, WWW_Authenticate=challenge)
        return http(200, JOB % raw.requests[-1].rpartition("/")[2].encode())

    async with raw_server(answer) as raw, client_of(raw.base_url) as client:
        began = anyio.current_time()
        ends: list[float] = []

        async def read(number: int) -> None:
            await client.job(GROUP, live(number))
            ends.append(anyio.current_time() - began)

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(read, number)
        assert sorted(ends)[8] <= 1.5
        assert sorted(ends)[9] >= 30


@pytest.mark.parametrize("kind", [FaultKind.LOST_BEFORE, FaultKind.ERROR_BEFORE])
async def test_after_a_first_request_without_a_challenge_the_next_one_tries(kind: FaultKind) -> None:
    """Its failure is waited for, not its repetition."""
    faults = (Fault(on=Kind.READ, kind=kind, times=1),)
    async with atlas(Scenario(unlimited=True, jobs=READY, faults=faults, auth=False), count=20, **OPEN) as it:
        await burst(it, 20)
        assert it.record()["elapsed"] <= 0.2 * 2 + 0.1


async def test_a_request_that_hangs_holds_nobody_up() -> None:
    """One PUT whose answer takes 25 s, with nonces that serve one request: nine others are done in their own time."""
    faults = (Fault(on=Kind.CUTOVER, kind=FaultKind.SLOW, delay=25.0, migration="m0"),)
    nonce = NonceRules(uses=1, seconds=None)
    scenario = Scenario(unlimited=True, nonce=nonce, jobs=READY, faults=faults, latency=SLOW)
    async with atlas(scenario, count=10, **OPEN) as it:
        await it.client.job(GROUP, live(9))
        began = anyio.current_time()
        ends: list[float] = []

        async def put(number: int) -> None:
            await it.put(number)
            ends.append(anyio.current_time() - began)

        await burst(it, 10, put)
        assert sorted(ends)[8] <= 0.3
        assert sorted(ends)[9] >= 25


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
        assert it.record()["requests"]["total"] <= 20 + 2 * READ_ATTEMPTS


@pytest.mark.parametrize("capacity", [5, 100])
async def test_challenges_take_no_tokens(capacity: int) -> None:
    """A challenge for each request, and more requests than tokens: no 429, and no step more than the tokens need.

    The last token of each is none for a PUT that has waited, which keeps one for the read before it.
    """
    limit = RateLimit(capacity=capacity, refill=10, per=10.0, headers=False)
    nonce = NonceRules(uses=1, seconds=None)
    async with atlas(
        Scenario(rate_limit=limit, nonce=nonce, jobs=READY), count=150, burst=capacity, requests=10, per=10.0
    ) as it:
        await burst(it, 150, it.put)
        record = it.record()
        assert record["too_many_requests"] == 0
        assert record["requests"]["by_status"]["202"] == 150
        assert record["elapsed"] <= 10 * (150 - capacity) / (min(10, capacity) - 1) + 11
