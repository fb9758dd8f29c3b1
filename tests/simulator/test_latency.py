from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import InputError
from orchestrator.simulator import Scenario, load_scenario
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.latency import ATLAS, Latency
from orchestrator.simulator.scenario import Fault, FaultKind, Garbage, JobRules, Kind, Range

READY = JobRules(ready_after=Range(low=0.0, high=0.0), cutover=Range(low=10.0, high=10.0))
TWO_SECONDS = Latency(quantiles=((0.0, 2.0), (1.0, 2.0)))


def loaded(directory: Path, text: str) -> Scenario:
    """The scenario of a file with *text*."""
    path = directory / "scenario.yaml"
    path.write_text(text)
    return load_scenario(path)


async def timed(request: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that *request* took, and its answer or the error that it ended with."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        answer = await request()
    except aiohttp.ClientError as error:
        answer = error
    return round(loop.time() - started, 1), answer


def test_atlas_is_what_was_recorded() -> None:
    """Half within 115 ms, 90 % within 768 ms, 99 % within 3 s, all within 4 s."""
    assert [round(ATLAS.at(share), 3) for share in (0.5, 0.9, 0.99, 1.0)] == [0.115, 0.768, 3.0, 4.0]


def test_what_is_drawn_has_the_quantiles_that_were_given() -> None:
    """Many requests together; each by itself is the same for the same seed."""
    drawn = [ATLAS.draw(7, "read", f"{number:024x}", 1) for number in range(20_000)]
    cuts = quantiles(drawn, n=100)
    assert [cuts[49], cuts[89], cuts[98]] == pytest.approx([0.115, 0.768, 3.0], rel=0.1)
    assert max(drawn) <= 4.0
    assert drawn[:50] == [ATLAS.draw(7, "read", f"{number:024x}", 1) for number in range(50)]
    assert drawn[:50] != [ATLAS.draw(8, "read", f"{number:024x}", 1) for number in range(50)]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_takes_no_less_time(one: float, other: float) -> None:
    """Quantiles never fall."""
    low, high = sorted((one, other))
    assert 0.006 <= ATLAS.at(low) <= ATLAS.at(high) <= 4.0


def test_quantiles_are_read_from_the_file(tmp_path: Path) -> None:
    """By name, or as a table, in any order; `min` is a tenth of the lowest where it is not given."""
    assert loaded(tmp_path, "latency: atlas\n").latency is ATLAS
    assert loaded(tmp_path, "latency: off\n").latency is None
    table = loaded(tmp_path, "latency: {max: 4s, p50: 100ms, p99: 3s}\n").latency
    assert table == Latency(quantiles=((0.0, 0.01), (0.5, 0.1), (0.99, 3.0), (1.0, 4.0)))
    fixed = loaded(tmp_path, "latency: {min: 2s, max: 2s}\n").latency
    assert fixed == TWO_SECONDS
    assert fixed.at(0.3) == 2.0


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("atlsa", "latency", "expected off, atlas, or quantiles"),
        ("[1s]", "latency", "expected off, atlas, or quantiles such as {p50: 115ms, max: 4s}, not a list"),
        ("{}", "latency.max", "is required"),
        ("{p50: 1s}", "latency.max", "is required"),
        ("{p100: 1s, max: 2s}", "latency.p100", "unknown key"),
        ("{p50: 0s, max: 2s}", "latency.p50", "longer than 0s"),
        ("{p50: 3s, p90: 2s, max: 4s}", "latency.p90", "at least p50's"),
        ("{p50: 3s, max: 2s}", "latency.max", "at least p50's"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path: Path, text: str, key: str, message: str) -> None:
    """With its key."""
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, f"latency: {text}\n")
    (problem,) = caught.value.problems
    assert problem.key == key
    assert message in problem.message


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_every_answer_takes_its_time(serve: Any) -> None:
    """Root, read, PUT, refusal and 429 alike, in real seconds whatever the speed."""
    limit = RateLimit(capacity=4, refill=1, per=3600.0)
    async with serve(Scenario(jobs=READY, latency=TWO_SECONDS, rate_limit=limit, auth=False), speed=60.0) as atlas:
        requests = [
            (lambda: atlas.read("orders"), 200),
            (lambda: atlas.cutover("orders"), 202),
            (lambda: atlas.read("0" * 24), 404),
            (lambda: atlas.request("GET", "/groups/x/liveMigrations/y"), 400),
            (lambda: atlas.request("GET", ""), 200),
            (lambda: atlas.read("orders"), 200),
            (lambda: atlas.read("orders"), 429),
        ]
        found = [await timed(request) for request, _ in requests]
        assert [(seconds, answer.status) for seconds, answer in found] == [(2.0, status) for _, status in requests]


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_challenge_takes_its_time(serve: Any) -> None:
    """The 401 and then the answer: twice as long as one of them."""
    async with serve(Scenario(jobs=READY, latency=TWO_SECONDS)) as atlas:
        seconds, answer = await timed(lambda: atlas.read("orders"))
        assert (seconds, answer.status) == (4.0, 200)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(on=Kind.READ, kind=FaultKind.STATUS, status=503), 2.0),
        (Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=Garbage.CUT), 2.0),
        (Fault(on=Kind.READ, kind=FaultKind.LOST_AFTER), 2.0),
        (Fault(on=Kind.READ, kind=FaultKind.LATE, delay=5.0), 7.0),
    ],
)
async def test_faults_take_their_time_too(serve: Any, fault: Fault, seconds: float) -> None:
    """An error, a lost answer and a cut one come as late as an answer would; a fault's delay comes on top."""
    async with serve(Scenario(jobs=READY, latency=TWO_SECONDS, auth=False, faults=(fault,))) as atlas:
        assert (await timed(lambda: atlas.read("orders")))[0] == seconds


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_a_put_is_carried_out_between_request_and_answer(serve: Any) -> None:
    """Half of the time is over when it is, so that a client that stops waiting knows nothing."""
    async with serve(Scenario(jobs=READY, latency=TWO_SECONDS, auth=False)) as atlas:
        put = asyncio.ensure_future(atlas.cutover("orders"))
        await asyncio.sleep(0.9)
        assert (atlas.seen("orders")["puts_received"], atlas.seen("orders")["puts_processed"]) == (1, 0)
        await asyncio.sleep(0.3)
        assert atlas.seen("orders")["puts_processed"] == 1
        assert not put.done()
        assert (await put).status == 202
        assert atlas.seen("orders")["processed_at"] - atlas.seen("orders")["put_times"][0] == pytest.approx(1, abs=0.1)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_an_end_is_shown_when_its_answer_leaves(serve: Any) -> None:
    """`first_final_read` is when the client could know, not when the job was looked at."""
    async with serve(Scenario(jobs=READY, latency=TWO_SECONDS, auth=False)) as atlas:
        await atlas.cutover("orders")
        await asyncio.sleep(20)
        started = atlas.running.record()["elapsed"]
        assert (await atlas.read("orders")).document["status"] == "COMPLETE"
        assert atlas.seen("orders")["first_final_read"] == pytest.approx(started + 2, abs=0.1)
