"""Nights in which answers take as long as Atlas's do: when PUTs leave, when ends are seen, and who waits for whom."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TypeVar

import aiohttp
import anyio
import pytest

from orchestrator.atlas.wire import V2_MEDIA_TYPE
from orchestrator.core.outcomes import Outcome
from orchestrator.core.workflow import Workflow
from orchestrator.simulator import Scenario
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.latency import ATLAS
from orchestrator.simulator.scenario import Fault, FaultKind, JobRules, Kind, Range, Special
from tests.virtualclock import VirtualClockLoop

from ..strength import THOROUGH, examples
from .house import KEYS, READY, Gate, House, house, migration, outcomes, wave, workflow

SLOWEST = 4.0  # seconds, of Atlas's answers
MORE_THAN_AT_ONCE = (
    200 if THOROUGH else 110
)  # than the requests that a plain client has under way, and than a nonce's uses
NONCES = {"lasting": NonceRules(), "50 uses": NonceRules(uses=50, seconds=None)}
T = TypeVar("T")


def in_house(plan: Workflow, scenario: Scenario, night: Callable[[House], Awaitable[T]]) -> T:
    """What *night* gives, in virtual time, at a simulated Atlas of its own."""

    async def run() -> T:
        with tempfile.TemporaryDirectory() as directory:
            async with house(Path(directory), plan, scenario, request_timeout=30.0) as it:
                return await night(it)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(run())


def last_put(it: House) -> float:
    """When the last PUT arrived, in seconds since the start."""
    return max(float(job["put_times"][0]) for job in it.atlas.record()["migrations"].values())


async def ours(it: House) -> float:
    """When our last PUT arrived."""
    await it.start()
    assert it.atlas.record()["too_many_requests"] == 0
    return last_put(it)


async def plain(it: House) -> float:
    """When the last PUT of a plain client arrived: a challenge, then GET and PUT for each job, 100 requests at once."""
    digest = aiohttp.DigestAuthMiddleware(*KEYS)
    headers = {"Accept": V2_MEDIA_TYPE}
    places = asyncio.Semaphore(100)

    async with aiohttp.ClientSession(middlewares=(digest,), headers=headers) as session:

        async def cut_over(group_id: str, live_migration_id: str) -> None:
            job = f"{it.settings.atlas.base_url}/groups/{group_id}/liveMigrations/{live_migration_id}"
            async with places:
                async with session.get(job) as response:
                    await response.read()
                async with session.put(f"{job}/cutover") as response:
                    assert response.status == 202

        jobs = [(m.group_id, m.live_migration_id) for _, m in it.workflow.migrations()]
        async with (
            aiohttp.ClientSession(headers=headers) as without_keys,
            without_keys.get(it.settings.atlas.base_url) as response,
        ):
            digest._authenticate(response)
        async with anyio.create_task_group() as group:
            for job in jobs:
                group.start_soon(cut_over, *job)
    return last_put(it)


@pytest.mark.parametrize("nonce", NONCES)
@pytest.mark.parametrize(("count", "seeds"), [(5, 4), (20, 2), (MORE_THAN_AT_ONCE, 1)])
def test_the_last_put_of_a_wave_leaves_about_as_early_as_a_plain_clients(count: int, seeds: int, nonce: str) -> None:
    """At most 1.2 times as late, though the keys are tried first and every intent is on disk before its PUT."""
    plan = workflow(wave("w", *(f"m{number}" for number in range(count))))
    jobs = replace(READY, cutover=Range(low=10.0, high=10.0))
    scenarios = [Scenario(seed=seed, jobs=jobs, latency=ATLAS, nonce=NONCES[nonce]) for seed in range(seeds)]
    found = mean(in_house(plan, scenario, ours) for scenario in scenarios)
    assert found <= 1.2 * mean(in_house(plan, scenario, plain) for scenario in scenarios)


def lags(it: House) -> list[float]:
    """Seconds from each cutover's end to the answer that showed it."""
    jobs = it.atlas.record()["migrations"].values()
    return [job["first_final_read"] - job["finished_at"] for job in jobs if job["first_final_read"]]


@pytest.mark.parametrize("count", [3, 60])
def test_an_end_is_seen_within_the_fair_share(count: int) -> None:
    """On average after half of it and an answer's time, at worst after all of it and one answer's time."""
    plan = workflow(wave("w", *(f"m{number}" for number in range(count))))
    jobs = replace(READY, cutover=Range(low=30.0, high=120.0))

    async def night(it: House) -> list[float]:
        await it.start()
        assert it.atlas.record()["too_many_requests"] == 0
        return lags(it)

    found = in_house(plan, Scenario(jobs=jobs, latency=ATLAS), night)
    share = max(2.0, count / (500 / 60))
    assert mean(found) <= share / 2 + 0.6  # half of the answer that shows the end, and of the one before
    assert max(found) <= share + SLOWEST


def test_jobs_that_never_get_ready_hide_no_end() -> None:
    """400 at their gates, 3 under way, default limits: ends are seen within 3 times the share of three."""
    waiting = [migration(f"w{number}", gate=Gate(timeout=120.0)) for number in range(examples(400))]
    plan = workflow(wave("all", "a", "b", "c", *waiting))
    never = JobRules(ready_after=Range(low=1e6, high=1e6))
    ready = Special(
        ready_after=Range(low=0.0, high=0.0), ready_lag=Range(low=1.0, high=1.0), cutover=Range(low=30.0, high=80.0)
    )
    special = dict.fromkeys(("a", "b", "c"), ready)
    scenario = Scenario(jobs=never, special=special, latency=ATLAS)

    async def night(it: House) -> list[float]:
        await it.start()
        assert it.atlas.record()["too_many_requests"] == 0
        return lags(it)

    found = in_house(plan, scenario, night)
    assert len(found) == 3
    assert max(found) <= 3 * 2.0 + SLOWEST


def test_a_poll_that_hangs_hides_no_end_but_its_own() -> None:
    """Of six cutovers that end together, five are seen in their time; the sixth's read gets no answer for half a minute."""
    hangs = Fault(on=Kind.READ, kind=FaultKind.HANG_BEFORE, delay=60.0, migration="m0", after=20.0, times=1)
    plan = workflow(wave("w", *(f"m{number}" for number in range(6))))
    jobs = replace(READY, cutover=Range(low=30.0, high=30.0))

    async def night(it: House) -> list[float]:
        await it.start()
        return sorted(lags(it))

    found = in_house(plan, Scenario(jobs=jobs, latency=ATLAS, faults=(hangs,)), night)
    assert found[4] <= 2.0 + SLOWEST
    assert found[5] >= 15.0


def test_puts_leave_while_others_answers_hang() -> None:
    """One PUT whose answer takes 25 s: nine others are accepted in their own time."""
    hangs = Fault(on=Kind.CUTOVER, kind=FaultKind.SLOW, delay=25.0, migration="m0")
    plan = workflow(wave("w", *(f"m{number}" for number in range(10))))

    async def night(it: House) -> float:
        await it.start()
        return max(it.put_at(f"m{number}") for number in range(1, 10))

    scenario = Scenario(jobs=READY, latency=ATLAS, faults=(hangs,), nonce=NonceRules(uses=5, seconds=None))
    assert in_house(plan, scenario, night) <= 4 * SLOWEST


def test_jobs_are_read_while_the_root_resource_is_still_to_answer() -> None:
    """A job that was read proves the keys as well: the last PUT does not wait for an answer that hangs."""
    hangs = Fault(on=Kind.ROOT, kind=FaultKind.SLOW, delay=20.0)
    plan = workflow(wave("w", "a", "b"), wave("v", "c"))

    async def night(it: House) -> tuple[float, dict[str, Outcome]]:
        ending = await it.start()
        return max(it.put_at("a"), it.put_at("b")), outcomes(ending)

    last, found = in_house(plan, Scenario(jobs=READY, faults=(hangs,)), night)
    assert last <= 1.5  # the answer that hangs is that to the first request, whose challenge is waited for for a second
    assert set(found.values()) == {Outcome.SUCCESS}


def test_what_could_not_be_read_ahead_is_read_again() -> None:
    """A first read that failed says nothing of its migration, and a root resource that is there proves the keys."""
    breaks = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, until=1.0)
    slow = Fault(on=Kind.ROOT, kind=FaultKind.SLOW, delay=2.0, until=1.5)
    plan = workflow(wave("w", "a", "b"))

    async def night(it: House) -> dict[str, Outcome]:
        return outcomes(await it.start())

    assert set(in_house(plan, Scenario(jobs=READY, faults=(breaks, slow)), night).values()) == {Outcome.SUCCESS}
