"""Limits that Atlas tells of each project: asked once, believed where they make sense, and not missed where there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from orchestrator.atlas.wire import BucketFigures, project_limits
from orchestrator.core.settings import Secret, ServiceAccount
from orchestrator.simulator import Scenario, Simulator
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.organisations import Organisation
from orchestrator.simulator.scenario import Fault, FaultKind, Garbage, Kind

from .servers import GROUP, atlas, client_of, live, make_workflow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

OTHER = "7e68e12770616e75e6df43d1"
OWN = RateLimit(capacity=40, refill=20, per=30.0)
CUTOVER = {"method": "PUT", "path": "/api/atlas/v2/groups/{groupId}/liveMigrations/{liveMigrationId}/cutover"}


def limits(**changes: Any) -> dict[str, Any]:
    """A document of limits, and what is different about its only set."""
    one = {
        "scope": "GROUP",
        "endpoints": [CUTOVER],
        "capacity": {"value": 40},
        "refillRate": {"value": 20},
        "refillDurationSeconds": {"value": 30},
    }
    return {"results": [{**one, **changes}]}


async def test_a_projects_own_limits_set_its_bucket() -> None:
    """Asked once."""
    async with atlas(Scenario(rate_limit=OWN)) as it:
        await it.client.learn_limits(GROUP)
        account = it.client.bucket(GROUP).account
        assert (account.capacity, account.refill, account.per) == (40, 20, 30.0)
        await it.client.job(GROUP, live(0))
        assert it.record()["requests"]["by_kind"]["limits"] == 2  # one of them the challenge
        assert it.record()["requests"]["by_status"] == {"200": 2, "401": 1}
        assert it.events == []


@pytest.mark.parametrize("configured", [40, 30, 100])
async def test_what_is_told_beside_the_first_requests_counts_what_they_have_spent(configured: int) -> None:
    """The answer may come when reads have left already: as if it had been known before them, whether it is more or less."""
    async with atlas(Scenario(rate_limit=replace(OWN, headers=False)), burst=configured, count=5) as it:
        for number in range(5):
            await it.client.job(GROUP, live(number))
        await it.client.learn_limits(GROUP)
        bucket = it.client.bucket(GROUP)
        assert (bucket.account.capacity, bucket.account.refill, bucket.account.per) == (40, 20, 30.0)
        assert bucket.tokens() == 35


async def test_what_an_answer_has_told_goes_before_what_is_learned() -> None:
    """Its header names the limit and what is left of it; how it refills is learned."""
    async with atlas(Scenario(rate_limit=RateLimit(capacity=12, refill=20, per=30.0)), burst=100) as it:
        await it.client.job(GROUP, live(0))
        bucket = it.client.bucket(GROUP)
        left = bucket.tokens()
        bucket.learn(BucketFigures(retry_after=0.0, capacity=1200, refill=7, per=61.0))
        assert (bucket.account.capacity, bucket.account.refill, bucket.account.per) == (12, 7, 61.0)
        assert bucket.tokens() == left


@pytest.mark.parametrize(
    "fault",
    [
        Fault(on=Kind.LIMITS, kind=FaultKind.STATUS, status=403),
        Fault(on=Kind.LIMITS, kind=FaultKind.STATUS, status=404),
        Fault(on=Kind.LIMITS, kind=FaultKind.STATUS, status=500),
        Fault(on=Kind.LIMITS, kind=FaultKind.LOST_BEFORE),
        Fault(on=Kind.LIMITS, kind=FaultKind.GARBAGE, body=Garbage.WRONG_SHAPE),
        Fault(on=Kind.LIMITS, kind=FaultKind.GARBAGE, body=Garbage.TRUNCATED),
    ],
    ids=str,
)
async def test_where_they_are_refused_or_absent_what_was_configured_holds(fault: Fault) -> None:
    """One try, and no word of it."""
    async with atlas(Scenario(rate_limit=OWN, faults=(fault,)), burst=7) as it:
        await it.client.learn_limits(GROUP)
        assert it.client.bucket(GROUP).account.capacity == 7
        assert it.events == []
        assert it.record()["requests"]["by_kind"]["limits"] <= 2


@pytest.mark.parametrize("api", ["v1.0"])
async def test_an_api_that_knows_no_limits_answers_404(api: str) -> None:
    """As v1.0 does."""
    async with atlas(Scenario(rate_limit=OWN), api=api, burst=7) as it:
        await it.client.learn_limits(GROUP)
        assert it.client.bucket(GROUP).account.capacity == 7


async def test_a_project_of_others_has_no_say_in_what_the_token_is_worth() -> None:
    """A 401 to that question is one of that project: a token that is withdrawn later is replaced all the same."""
    account = ServiceAccount(client_id="mdb_sa_id_1", client_secret=Secret("mdb_sa_sk_1"))
    others = (Organisation(account=("mdb_sa_id_2", "x"), projects=frozenset({OTHER})),)
    simulator = Simulator(
        workflow=make_workflow(1), account=("mdb_sa_id_1", "mdb_sa_sk_1"), scenario=Scenario(organisations=others)
    )
    async with simulator.serve() as running, client_of(running.base_url(), credentials=account) as client:
        await client.learn_limits(OTHER)
        running.app.tokens.end_all()
        await client.check_access()


async def test_two_hundred_projects_are_asked_at_once() -> None:
    """In the time of a few answers."""
    async with atlas(Scenario(rate_limit=OWN)) as it:
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(it.client.learn_limits, f"{number:024x}")
        assert anyio.current_time() - began <= 2.0


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"results": {}},
        {"results": [None, 1]},
        limits(scope="ORGANIZATION"),
        limits(endpoints=[]),
        limits(endpoints=[{"method": "GET", "path": CUTOVER["path"]}]),
        limits(capacity={"value": 0}),
        limits(capacity={"value": None}),
        limits(refillRate=None),
        limits(refillDurationSeconds={"value": float("inf")}),
        limits(refillDurationSeconds={"value": 86400}),
    ],
)
def test_what_makes_no_sense_tells_nothing(document: Any) -> None:
    """Whatever a server sends."""
    assert project_limits(document) is None


def test_figures_are_taken_from_the_set_that_has_the_cutover() -> None:
    """The applied values, not the defaults."""
    told = limits(capacity={"value": 40, "defaultValue": 1200})
    assert project_limits(told) == BucketFigures(retry_after=0.0, capacity=40, refill=20, per=30.0)
