"""The client's buckets against the simulator's, over real sockets: not one 429, and the whole budget used."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import anyio
import pytest

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.shares import Priority
from orchestrator.core.events import BudgetWaiting
from orchestrator.core.workflow import Migration, Wave, Workflow
from orchestrator.simulator import Scenario, Simulator
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.scenario import Fault, FaultKind, JobRules, Range

from .servers import GROUP, KEYS, Atlas, atlas, client_of, live

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

READY = JobRules(ready_after=Range(low=0.0, high=0.0), cutover=Range(low=1e6, high=1e6))
OTHER = "7e68e12770616e75e6df43d1"


def same(limit: RateLimit) -> dict[str, Any]:
    """Client settings that say the same as the server's *limit*."""
    return {"burst": limit.capacity, "requests": limit.refill, "per": limit.per}


async def all_of(it: Atlas, count: int, *, put: bool = False) -> None:
    """Read, or cut over, *count* migrations at once."""
    async with anyio.create_task_group() as group:
        for number in range(count):
            if put:
                group.start_soon(it.put, number)
            else:
                group.start_soon(partial(it.client.job, GROUP, live(number), priority=Priority.START))


async def spend_one(client: AtlasClient, group: str = GROUP, number: int = 0) -> None:
    """Read a job as one does that a PUT may follow."""
    await client.job(group, live(number), priority=Priority.CUTOVER)


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("uses", [None, 10])
async def test_puts_leave_within_the_bound_while_polls_compete(headers: bool, uses: int | None) -> None:
    """With the steps that N PUTs need, and no 429, also where nonces wear out quickly: their 401 legs take no tokens."""
    limit = RateLimit(capacity=60, refill=60, per=60.0, headers=headers)
    faults = (Fault(on=None, kind=FaultKind.SLOW, delay=0.1),)
    scenario = Scenario(rate_limit=limit, jobs=READY, faults=faults, nonce=NonceRules(uses=uses, seconds=None))
    async with atlas(scenario, count=250, **same(limit)) as it, anyio.create_task_group() as polls:
        await it.client.check_access()

        async def poll(number: int) -> None:
            while True:
                await it.client.job(GROUP, live(number), priority=Priority.POLL)
                await anyio.sleep(2)

        async def cut_over(number: int) -> None:
            while not it.seen(number)["puts_processed"]:
                await it.put(number)

        for number in range(200, 230):
            polls.start_soon(poll, number)
        began = it.record()["elapsed"]
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(cut_over, number)
        polls.cancel_scope.cancel()
        times = [it.seen(number)["put_times"][-1] for number in range(200)]
        record = it.record()
        tokens = 200 + 30 + 200 // 9  # each poll had one before the PUTs came, and every tenth goes to one that waits
        assert max(times) - began <= limit.per * math.ceil((tokens - limit.capacity) / limit.refill) + 6
        assert record["too_many_requests"] == 0
        assert {len(it.seen(number)["put_times"]) for number in range(200)} == {1}


@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_bursts_pauses_and_steady_use(api: str) -> None:
    """With Atlas's own limits as defaults of the simulator."""
    limit = {
        "v2": RateLimit(capacity=1200, refill=500, per=60.0),
        "v1.0": RateLimit(capacity=100, refill=100, per=60.0),
    }
    async with atlas(Scenario(jobs=READY), count=300, api=api, **same(limit[api])) as it:
        for pause in (0.0, 5.0, 400.0):
            await all_of(it, 300)
            await anyio.sleep(pause)
        record = it.record()
        assert record["requests"]["by_status"]["200"] == 900
        assert record["too_many_requests"] == 0


async def test_an_interval_bucket_is_spent_step_by_step() -> None:
    """Each refill at once, when it is there."""
    limit = RateLimit(capacity=120, refill=50, per=60.0)
    faults = (Fault(on=None, kind=FaultKind.SLOW, delay=0.1),)
    async with atlas(Scenario(rate_limit=limit, jobs=READY, faults=faults), count=250, **same(limit)) as it:
        await all_of(it, 250)
        assert it.record()["too_many_requests"] == 0
        assert it.record()["elapsed"] <= 60 * 3 + 15


async def test_projects_do_not_wait_for_each_other_and_an_account_does() -> None:
    """One project's bucket is empty: another's PUT leaves at once, unless the scope is the account."""
    migrations = tuple(
        Migration(name=group[-4:], group_id=group, live_migration_id=live(number))
        for number, group in enumerate((GROUP, OTHER))
    )
    simulator = Simulator(
        workflow=Workflow(name="two", waves=(Wave(name="all", migrations=migrations),)),
        keys=KEYS,
        scenario=Scenario(jobs=READY, unlimited=True),
    )
    async with simulator.serve() as running:
        waits = {}
        for scope in ("group", "account"):
            async with client_of(running.base_url(), burst=2, requests=2, per=60.0, scope=scope) as client:
                await client.check_access()
                await spend_one(client)
                await spend_one(client)
                began = anyio.current_time()
                await spend_one(client, OTHER, 1)
                waits[scope] = anyio.current_time() - began
        assert waits["group"] < 1
        assert waits["account"] == pytest.approx(60.0, abs=1)


async def test_a_server_with_a_smaller_limit_than_configured_is_believed() -> None:
    """One 429 at most for each request that was out, then its own figures are kept to, and a wait for them is told."""
    limit = RateLimit(capacity=30, refill=20, per=60.0, headers=False)
    async with atlas(Scenario(rate_limit=limit, jobs=READY), count=60) as it:
        await all_of(it, 60)
        bucket = it.client.bucket(GROUP)
        assert (bucket.account.capacity, bucket.account.refill, bucket.account.per) == (30, 20.0, 60.0)
        refused = it.record()["too_many_requests"]
        await anyio.sleep(300)
        await all_of(it, 60)
        assert it.record()["too_many_requests"] == refused <= 30
        waits = [event for event in it.events if isinstance(event, BudgetWaiting)]
        assert waits
        assert all(wait.scope == GROUP and wait.wait <= 60 for wait in waits)
