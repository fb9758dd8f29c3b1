"""Calls to both APIs, in all their forms, against the simulator."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from orchestrator.atlas.client import Accepted
from orchestrator.atlas.errors import (
    AnswerLostError,
    AnswerTimeoutError,
    ApiError,
    AtlasError,
    BadAnswerError,
    NotSentError,
    RateLimitedError,
)
from orchestrator.atlas.shares import Priority
from orchestrator.atlas.wire import Job
from orchestrator.core.events import RateLimited, RequestRetried
from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, Garbage, JobRules, Kind, Range

from .servers import GROUP, atlas, live

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

AT_ONCE = JobRules(ready_after=Range(low=0.0, high=0.0), ready_lag=Range(low=1.0, high=1.0))
FORMS = [(False, False), (True, False), (False, True), (True, True)]


def faulty(*faults: Fault) -> Scenario:
    """Jobs that are ready, and *faults*."""
    return Scenario(jobs=AT_ONCE, faults=faults)


@pytest.mark.parametrize(("pretty", "envelope"), FORMS)
async def test_v2_reads_and_cuts_over(pretty: bool, envelope: bool) -> None:
    """A ready job with its lag, a 202 without a document, then a job without lag."""
    async with atlas(faulty(), pretty=pretty, envelope=envelope) as it:
        await it.client.check_access()
        assert await it.client.job(GROUP, live(0)) == Job(status="WORKING", ready=True, lag=1.0)
        accepted = await it.put()
        assert accepted.http_status == 202
        assert accepted.job is None or accepted.job.status is None
        assert await it.client.job(GROUP, live(0)) == Job(status="WORKING", ready=False)
        assert it.seen(0)["puts_processed"] == 1


@pytest.mark.parametrize(("pretty", "envelope"), FORMS)
async def test_v1_reads_and_cuts_over(pretty: bool, envelope: bool) -> None:
    """The page's document, in the answer to the PUT as well."""
    scenario = replace(faulty(), documents=Documents.BARE)
    async with atlas(scenario, api="v1.0", pretty=pretty, envelope=envelope) as it:
        await it.client.check_access()
        assert await it.client.job(GROUP, live(0)) == Job(status="PENDING")
        assert await it.put() == Accepted(http_status=200, job=Job(status="PENDING"))


@pytest.mark.parametrize("api", ["v2", "v1.0"])
@pytest.mark.parametrize("envelope", [False, True])
async def test_a_refusal_keeps_what_atlas_said(api: str, envelope: bool) -> None:
    """404 for a job that does not exist, 409 for a second cutover: once, with code, detail, method and path."""
    async with atlas(faulty(), api=api, envelope=envelope) as it:
        with pytest.raises(ApiError, match="LIVE_MIGRATION_NOT_FOUND") as missing:
            await it.client.job(GROUP, live(9))
        path = f"/api/atlas/{api}/groups/{GROUP}/liveMigrations/{live(9)}"
        assert (missing.value.status, missing.value.method, missing.value.path) == (404, "GET", path)
        assert missing.value.lasting
        await it.put()
        with pytest.raises(ApiError) as again:
            await it.put()
        assert (again.value.status, again.value.method) == (409, "PUT")
        assert again.value.error_code == "LIVE_MIGRATION_CUTOVER_ALREADY_STARTED"
        assert again.value.detail == "The cutover of the live migration has already been started."
        assert it.client.statistics.retries == 0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_put_answered_5xx_is_sent_once(status: int) -> None:
    """Its outcome is unknown, so nothing here repeats it."""
    async with atlas(faulty(Fault(on=Kind.CUTOVER, kind=FaultKind.ERROR_AFTER, status=status))) as it:
        with pytest.raises(ApiError) as caught:
            await it.put()
        assert caught.value.status == status
        assert it.seen(0)["puts_received"] == 1


async def test_a_read_answered_5xx_is_tried_again() -> None:
    """Three failures are got over, each told as an event with its reason and the wait before it."""
    async with atlas(faulty(Fault(on=Kind.READ, kind=FaultKind.STATUS, status=502, times=3))) as it:
        assert (await it.client.job(GROUP, live(0))).ready
        retries = [event for event in it.events if isinstance(event, RequestRetried)]
        assert [event.attempt for event in retries] == [2, 3, 4]
        assert all(event.wait > 0 and "502" in event.reason for event in retries)
        assert it.client.statistics.retries == 3


async def test_a_read_that_keeps_failing_ends() -> None:
    """Four tries, then the error."""
    async with atlas(faulty(Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, body=Garbage.HTML))) as it:
        with pytest.raises(ApiError) as caught:
            await it.client.job(GROUP, live(0))
        assert caught.value.status == 500
        assert it.seen(0)["reads"] == 4


async def test_a_read_waits_as_long_as_a_503_says(virtual_time: object) -> None:
    """`Retry-After` goes before our own backoff."""
    async with atlas(faulty(Fault(on=Kind.READ, kind=FaultKind.STATUS, status=503, retry_after=42, times=1))) as it:
        assert (await it.client.job(GROUP, live(0))).ready
        (retry,) = [event for event in it.events if isinstance(event, RequestRetried)]
        assert retry.wait == pytest.approx(42, abs=0.2)


async def test_a_refusal_after_a_failure_is_final() -> None:
    """A 404 on the second try is no reason for a third, even where it comes with `Retry-After`."""
    faults = (
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=500, times=1),
        Fault(on=Kind.READ, kind=FaultKind.STATUS, status=404, retry_after=30),
    )
    async with atlas(faulty(*faults)) as it:
        with pytest.raises(ApiError) as caught:
            await it.client.job(GROUP, live(0))
        assert caught.value.status == 404
        assert it.seen(0)["reads"] == 2


@pytest.mark.parametrize("retry_after", [None, 55])
async def test_a_put_answered_429_was_not_carried_out(retry_after: float | None) -> None:
    """The error says how long the bucket rests, and the next PUT waits for it."""
    fault = Fault(on=Kind.CUTOVER, kind=FaultKind.TOO_MANY_REQUESTS, retry_after=retry_after, times=1)
    async with atlas(faulty(fault)) as it:
        with pytest.raises(RateLimitedError) as caught:
            await it.put()
        rest = retry_after or 1.0
        assert caught.value.retry_after == rest
        (event,) = it.events
        assert isinstance(event, RateLimited)
        assert (event.scope, event.retry_after, event.method) == (GROUP, rest, "PUT")
        await it.put()
        first, second = it.seen(0)["put_times"]
        assert second - first >= rest
        assert it.seen(0)["puts_processed"] == 1


async def test_a_read_that_a_429_outlasts_says_how_long_atlas_asks_to_wait() -> None:
    """Whoever reads why a gate did not open is not sent to look for a budget of his own."""
    fault = Fault(on=Kind.READ, kind=FaultKind.TOO_MANY_REQUESTS, retry_after=86400, times=1)
    async with atlas(faulty(fault)) as it:
        with pytest.raises(RateLimitedError):
            await it.client.job(GROUP, live(0), priority=Priority.GATE, deadline=anyio.current_time() + 10)
        with pytest.raises(NotSentError, match="Atlas answered 429, and asks to send nothing for 23h59m50s more"):
            await it.client.job(GROUP, live(0), priority=Priority.GATE, deadline=anyio.current_time() + 10)


async def test_a_read_answered_429_waits_and_is_sent_again() -> None:
    """A caller of `job` never sees a passing 429."""
    fault = Fault(on=Kind.READ, kind=FaultKind.TOO_MANY_REQUESTS, retry_after=20, times=1)
    async with atlas(faulty(fault)) as it:
        assert (await it.client.job(GROUP, live(0))).ready
        assert it.record()["elapsed"] == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("on", [Kind.READ, Kind.CUTOVER, Kind.ROOT])
async def test_wrong_keys_end_after_a_bounded_number_of_requests(on: Kind) -> None:
    """401, and at most two requests for each of four tries."""
    async with atlas(faulty(), keys=("abcdefgh", "wrong")) as it:
        call = {
            Kind.READ: lambda: it.client.job(GROUP, live(0)),
            Kind.CUTOVER: it.put,
            Kind.ROOT: it.client.check_access,
        }[on]
        with pytest.raises(ApiError) as caught:
            await call()
        assert caught.value.status == 401
        assert it.record()["requests"]["total"] <= 8
        assert it.seen(0)["puts_received"] == 0


async def test_the_check_of_access_lets_other_refusals_pass() -> None:
    """A key that may not read the root resource may still be good for its project."""
    async with atlas(faulty(Fault(on=Kind.ROOT, kind=FaultKind.STATUS, status=404))) as it:
        await it.client.check_access()
    async with atlas(faulty(Fault(on=Kind.ROOT, kind=FaultKind.STATUS, status=403))) as it:
        with pytest.raises(ApiError, match="403"):
            await it.client.check_access()


@pytest.mark.parametrize("body", list(Garbage))
@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_garbage_in_the_answer_to_a_read(body: Garbage, api: str) -> None:
    """A value, or an error of ours after some tries; never anything else."""
    async with atlas(faulty(Fault(on=Kind.READ, kind=FaultKind.GARBAGE, body=body)), api=api) as it:
        if body in (Garbage.UNKNOWN_STATUS, Garbage.NULL_STATUS, Garbage.NULL_LAG):
            job = await it.client.job(GROUP, live(0))
            expected_status = {Garbage.UNKNOWN_STATUS: "RECONCILING", Garbage.NULL_STATUS: None}
            assert job.status == expected_status.get(body, "WORKING")
            assert job.lag is None or body is not Garbage.NULL_LAG
            return
        with pytest.raises(AtlasError) as caught:
            await it.client.job(GROUP, live(0))
        expected = AnswerLostError if body is Garbage.CUT else BadAnswerError
        assert isinstance(caught.value, expected)


@pytest.mark.parametrize("body", list(Garbage))
@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_garbage_in_the_answer_to_a_put(body: Garbage, api: str) -> None:
    """A 2xx says that it was accepted, whatever the body; only a connection that breaks leaves it open."""
    async with atlas(faulty(Fault(on=Kind.CUTOVER, kind=FaultKind.GARBAGE, body=body)), api=api) as it:
        if body is Garbage.CUT:
            with pytest.raises(AnswerLostError):
                await it.put()
        else:
            assert (await it.put()).http_status in (200, 202)
        assert it.seen(0)["puts_received"] == 1


@pytest.mark.parametrize(
    ("kind", "error", "carried_out"),
    [
        (FaultKind.LOST_BEFORE, AnswerLostError, 0),
        (FaultKind.LOST_AFTER, AnswerLostError, 1),
        (FaultKind.HANG_BEFORE, AnswerTimeoutError, 0),
        (FaultKind.HANG_AFTER, AnswerTimeoutError, 1),
        (FaultKind.LATE, AnswerTimeoutError, 0),
        (FaultKind.SLOW, AnswerTimeoutError, 1),
    ],
)
async def test_a_put_without_an_answer_is_sent_once(kind: FaultKind, error: type[AtlasError], carried_out: int) -> None:
    """The class tells a broken connection from a timeout; neither is repeated, by us or by aiohttp."""
    fault = Fault(on=Kind.CUTOVER, kind=kind, delay=60)
    async with atlas(faulty(fault), request_timeout=5.0) as it:
        await it.client.job(GROUP, live(0))
        began = it.record()["elapsed"]
        with pytest.raises(AnswerLostError) as caught:
            await it.put()
        assert type(caught.value) is error
        assert it.record()["elapsed"] - began <= 5.1
        assert it.seen(0)["puts_received"] == 1
        assert it.seen(0)["puts_processed"] == carried_out


async def test_statistics_count_every_wire_request() -> None:
    """The challenge counts, a request without an answer counts as `error`."""
    async with atlas(faulty(Fault(on=Kind.CUTOVER, kind=FaultKind.LOST_AFTER))) as it:
        await it.client.job(GROUP, live(0))
        with pytest.raises(AnswerLostError):
            await it.put()
        assert it.client.statistics.by_status == {"401": 1, "200": 1, "error": 1}
        assert it.record()["requests"]["total"] == 3


async def test_a_try_that_got_no_token_is_no_retry() -> None:
    """Atlas has heard of one request; that another was wanted, and there was none to be had in time, is not among what was sent."""
    fault = Fault(on=Kind.READ, kind=FaultKind.STATUS, status=502, times=1)
    silent = RateLimit(capacity=1200, refill=500, per=60.0, headers=False)
    async with atlas(replace(faulty(fault), rate_limit=silent), burst=1, requests=1, per=600.0) as it:
        with pytest.raises(NotSentError):
            await it.client.job(GROUP, live(0), priority=Priority.GATE, deadline=anyio.current_time() + 30)
        assert it.client.statistics.retries == 0
