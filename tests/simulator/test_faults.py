from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import DigestAuthMiddleware

from orchestrator.core.workflow import Workflow
from orchestrator.simulator import Scenario, Simulator
from orchestrator.simulator.faults import FaultPicker
from orchestrator.simulator.scenario import Fault, FaultKind, Garbage, JobRules, Kind, Range

READY = JobRules(ready_after=Range(low=0.0, high=0.0), cutover=Range(low=10.0, high=10.0))
LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


def with_fault(kind: FaultKind, on: Kind | None = Kind.CUTOVER, **options: Any) -> Scenario:
    """A calm scenario with one fault, once for each live migration."""
    return Scenario(jobs=READY, faults=(Fault(on=on, kind=kind, times=1, **options),))


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "processed"), [(FaultKind.LOST_BEFORE, 0), (FaultKind.LOST_AFTER, 1)])
async def test_a_lost_answer_is_a_dropped_connection(serve: Any, kind: FaultKind, processed: int) -> None:
    """No byte comes back; whether the PUT was carried out shows in the job alone."""
    async with serve(with_fault(kind)) as atlas:
        await atlas.read("orders")
        with pytest.raises(LOST):
            await atlas.cutover("orders")
        assert atlas.seen("orders")["puts_processed"] == processed
        assert (await atlas.read("orders")).document["readyForCutover"] is not bool(processed)
        assert (await atlas.cutover("orders")).status == (409 if processed else 202)
        record = atlas.running.record()
    assert record["faults"] == {kind: 1}
    assert record["requests"]["by_status"]["dropped"] == 1
    assert atlas.seen("orders")["puts_received"] == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "status", "processed"),
    [(FaultKind.ERROR_BEFORE, 503, 0), (FaultKind.ERROR_AFTER, 500, 1), (FaultKind.STATUS, 502, 0)],
)
async def test_an_error_comes_before_or_after_the_work(
    serve: Any, kind: FaultKind, status: int, processed: int
) -> None:
    """A 5xx says nothing about whether the PUT was carried out."""
    async with serve(with_fault(kind, status=status, retry_after=2.0)) as atlas:
        failed = await atlas.cutover("orders")
        assert (failed.status, failed.document["error"], failed.headers["Retry-After"]) == (status, status, "2")
        assert atlas.seen("orders")["puts_processed"] == processed


@pytest.mark.anyio
async def test_an_error_may_be_a_load_balancers_page(serve: Any) -> None:
    """Then it is HTML, whatever the client accepts."""
    async with serve(with_fault(FaultKind.STATUS, Kind.READ, status=503, body=Garbage.HTML)) as atlas:
        failed = await atlas.read("orders")
        assert (failed.status, failed.headers["Content-Type"]) == (503, "text/html")
        assert b"Service Unavailable" in failed.body


@pytest.mark.anyio
@pytest.mark.parametrize(("wait", "code"), [(1.0, "RATE_LIMITED_TOKEN_BUCKET"), (None, "RATE_LIMITED")])
async def test_a_429_may_come_out_of_turn(serve: Any, wait: float | None, code: str) -> None:
    """With `Retry-After` and figures, or the older kind with neither; nothing is carried out."""
    async with serve(with_fault(FaultKind.TOO_MANY_REQUESTS, None, retry_after=wait)) as atlas:
        refused = await atlas.cutover("orders")
        assert (refused.status, refused.document["errorCode"]) == (429, code)
        assert refused.headers.get("Retry-After") == (None if wait is None else "1")
        assert (await atlas.cutover("orders")).status == 202
        assert atlas.running.record()["rate_limited"] == 0


@pytest.mark.anyio
@pytest.mark.parametrize("body", [garbage for garbage in Garbage if garbage is not Garbage.CUT])
@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_garbage_looks_as_the_scenario_says(serve: Any, api: str, body: Garbage) -> None:
    """Each kind of garbage is what its name says, and complete as an HTTP message."""
    async with serve(with_fault(FaultKind.GARBAGE, Kind.READ, body=body), api=api) as atlas:
        spoilt = await atlas.read("orders")
        assert spoilt.status == 200
        match body:
            case Garbage.UNKNOWN_STATUS | Garbage.NULL_STATUS | Garbage.WRONG_TYPES:
                assert spoilt.document["status"] in ("RECONCILING", None, 7)
            case Garbage.NULL_LAG:
                assert spoilt.document["lagTimeSeconds"] is None
            case Garbage.ODD_LAG:
                assert spoilt.document["lagTimeSeconds"] < 0
            case Garbage.WRONG_SHAPE:
                assert isinstance(json.loads(spoilt.body), list)
            case Garbage.NOT_UTF8:
                with pytest.raises(UnicodeDecodeError):
                    spoilt.body.decode()
            case _:
                with pytest.raises(json.JSONDecodeError):
                    json.loads(spoilt.body)
        assert (await atlas.read("orders")).document["_id"]


@pytest.mark.anyio
async def test_an_answer_may_be_cut_off_in_its_middle(serve: Any) -> None:
    """The body is shorter than `Content-Length` promised."""
    async with serve(with_fault(FaultKind.GARBAGE, Kind.READ, body=Garbage.CUT)) as atlas:
        with pytest.raises(aiohttp.ClientPayloadError):
            await atlas.read("orders")
        assert (await atlas.read("orders")).status == 200


@pytest.mark.anyio
async def test_garbage_in_place_of_an_empty_answer_still_counts_as_processed(serve: Any) -> None:
    """The 202 of v2 has no body; a spoilt one has."""
    async with serve(with_fault(FaultKind.GARBAGE, body=Garbage.UNKNOWN_STATUS)) as atlas:
        spoilt = await atlas.cutover("orders")
        assert (spoilt.status, spoilt.document) == (202, {"status": "RECONCILING"})
        assert atlas.seen("orders")["puts_processed"] == 1


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("kind", "at_once", "answered"),
    [
        (FaultKind.SLOW, 1, True),
        (FaultKind.LATE, 0, True),
        (FaultKind.HANG_BEFORE, 0, False),
        (FaultKind.HANG_AFTER, 1, False),
    ],
)
async def test_an_answer_may_be_held(serve: Any, kind: FaultKind, at_once: int, answered: bool) -> None:
    """For `delay` real seconds, before or after the work; then it comes, or the connection drops."""
    async with serve(with_fault(kind, delay=60.0)) as atlas:
        started = asyncio.get_running_loop().time()
        put = asyncio.ensure_future(atlas.cutover("orders"))
        await asyncio.sleep(30)
        assert atlas.seen("orders")["puts_processed"] == at_once
        if answered:
            assert (await put).status == 202
        else:
            with pytest.raises(LOST):
                await put
        assert asyncio.get_running_loop().time() - started == pytest.approx(60, abs=0.1)
        assert atlas.seen("orders")["puts_processed"] == (1 if answered else at_once)


@pytest.mark.anyio
async def test_stopping_lets_go_of_what_is_held(workflow: Workflow, keys: tuple[str, str]) -> None:
    """A simulator with hanging answers stops at once, and the clients see a dropped connection."""
    digest = DigestAuthMiddleware(login=keys[0], password=keys[1])
    simulator = Simulator(workflow=workflow, keys=keys, scenario=with_fault(FaultKind.HANG_AFTER, None, delay=3600.0))
    async with aiohttp.ClientSession(middlewares=(digest,)) as session:
        session._retry_connection = False
        async with simulator.serve() as running:
            url = running.base_url() + "/"
            get = asyncio.ensure_future(session.get(url, headers={"Accept": "application/vnd.atlas.2023-01-01+json"}))
            async with asyncio.timeout(5):
                while not running.record()["faults"]:  # noqa: ASYNC110 - nothing tells when it is under way
                    await asyncio.sleep(0.001)
        with pytest.raises(LOST):
            await get


def decisions(scenario: Scenario, names: list[str]) -> dict[str, list[FaultKind | None]]:
    """What befalls ten reads of each of *names*, asked in that order."""
    picker = FaultPicker(scenario)
    found: dict[str, list[FaultKind | None]] = {name: [] for name in names}
    for _ in range(10):
        for name in names:
            fault = picker.pick(Kind.READ, name, None, 0.0)
            found[name].append(fault.kind if fault else None)
    return found


def test_the_same_seed_injects_the_same_faults_in_whatever_order_jobs_are_asked() -> None:
    """Decisions depend on the live migration and its own requests alone."""
    scenario = Scenario(seed=3, faults=(Fault(on=None, kind=FaultKind.STATUS, share=0.3),))
    names = [f"{number:024x}" for number in range(50)]
    found = decisions(scenario, names)
    assert decisions(scenario, names[::-1]) == found
    assert decisions(replace(scenario, seed=4), names) != found
    hits = sum(kind is not None for kinds in found.values() for kind in kinds)
    assert 100 < hits < 200


def test_the_first_fault_that_applies_befalls_a_request() -> None:
    """Order in the file decides; `times` counts for each live migration by itself."""
    first = Fault(on=Kind.READ, kind=FaultKind.LOST_BEFORE, times=1)
    second = Fault(on=None, kind=FaultKind.STATUS, times=2)
    found = decisions(Scenario(faults=(first, second)), ["a", "b"])
    assert found["a"] == found["b"] == [FaultKind.LOST_BEFORE, FaultKind.STATUS, FaultKind.STATUS, *[None] * 7]


def test_a_fault_keeps_to_its_migration_and_its_time() -> None:
    """`migration` is a name or an id; `after` and `until` are seconds since the start."""
    fault = Fault(on=Kind.CUTOVER, kind=FaultKind.STATUS, migration="orders", after=5.0, until=10.0)
    picker = FaultPicker(Scenario(faults=(fault, replace(fault, migration="b"))))
    asked = [("a", "orders", 6.0), ("b", None, 6.0), ("c", "billing", 6.0), ("a", "orders", 4.9), ("a", "orders", 10.1)]
    assert [picker.pick(Kind.CUTOVER, *who) is not None for who in asked] == [True, True, False, False, False]
    assert picker.pick(Kind.READ, "a", "orders", 6.0) is None
