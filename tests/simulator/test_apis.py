from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from orchestrator.core.errors import InputError
from orchestrator.simulator import RunningSimulator, Scenario, Simulator
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.jobs import JobStatus
from orchestrator.simulator.scenario import Documents, Fault, FaultKind, JobRules, Kind, Range, Special

pytestmark = pytest.mark.anyio

AT_ONCE = Range(low=0.0, high=0.0)
READY = JobRules(ready_after=AT_ONCE, cutover=Range(low=10.0, high=10.0), ready_lag=Range(low=1.0, high=1.0))
CALM = Scenario(jobs=READY)
VENDOR = "application/vnd.atlas.2023-01-01+json"


@pytest.mark.usefixtures("virtual_time")
async def test_a_job_of_v2_goes_from_new_to_complete(serve: Any) -> None:
    """The whole life over a socket, in simulated time that runs ten times as fast."""
    scenario = replace(CALM, jobs=replace(READY, ready_after=Range(low=100.0, high=100.0)))
    async with serve(scenario, speed=10.0) as atlas:
        assert (await atlas.read("orders")).document["status"] == "NEW"
        await asyncio.sleep(5)
        working = (await atlas.read("orders")).document
        assert (working["status"], working["readyForCutover"]) == ("WORKING", False)
        assert 1 < working["lagTimeSeconds"] < 60
        refused = await atlas.cutover("orders")
        assert (refused.status, refused.document["errorCode"]) == (409, "LIVE_MIGRATION_NOT_READY_FOR_CUTOVER")
        await asyncio.sleep(5)
        ready = (await atlas.read("orders")).document
        assert (ready["status"], ready["readyForCutover"], ready["lagTimeSeconds"]) == ("WORKING", True, 1)
        accepted = await atlas.cutover("orders")
        assert (accepted.status, accepted.body, accepted.headers["Content-Type"]) == (202, b"", VENDOR)
        cutting = (await atlas.read("orders")).document
        assert (cutting["status"], cutting["readyForCutover"], cutting.get("lagTimeSeconds")) == (
            "WORKING",
            False,
            None,
        )
        assert (await atlas.cutover("orders")).document["errorCode"] == "LIVE_MIGRATION_CUTOVER_ALREADY_STARTED"
        await asyncio.sleep(1)
        done = await atlas.read("orders")
        assert (done.document["status"], done.headers["Content-Type"]) == ("COMPLETE", VENDOR)
        assert (await atlas.cutover("orders")).document["errorCode"] == "LIVE_MIGRATION_ALREADY_FINISHED"
        seen = atlas.seen("orders")
    assert (seen["puts_received"], seen["puts_processed"], seen["puts_refused"]) == (4, 1, 3)
    assert (seen["status"], seen["ends"], seen["reads"]) == ("COMPLETE", "COMPLETE", 5)
    assert seen["finished_at"] - seen["processed_at"] == pytest.approx(1.0)
    assert seen["first_final_read"] == pytest.approx(seen["finished_at"], abs=0.1)


@pytest.mark.usefixtures("virtual_time")
async def test_v1_answers_with_the_document_of_its_page(serve: Any) -> None:
    """`_id, groupId, sourceGroupId, status`, PENDING first and SUCCESS in the end, 200 for the PUT too."""
    async with serve(replace(CALM, documents=Documents.BARE), api="v1.0") as atlas:
        accepted = await atlas.cutover("orders")
        assert accepted.status == 200
        assert list(accepted.document) == ["_id", "groupId", "sourceGroupId", "status"]
        assert accepted.document["status"] == "PENDING"
        assert accepted.headers["Content-Type"] == "application/json"
        await asyncio.sleep(10)
        done = await atlas.read("orders")
        assert done.document == {**accepted.document, "status": "SUCCESS"}


async def test_a_final_status_may_come_in_the_answer_to_the_put(serve: Any) -> None:
    """A cutover that takes no time is over when v1.0 answers, and says why it failed."""
    special = {
        "billing": Special(ends=JobStatus.FAILED, error_message="disk full"),
        "legacy": Special(status=JobStatus.EXPIRED),
    }
    scenario = Scenario(jobs=replace(READY, cutover=AT_ONCE), special=special, documents=Documents.OLDER)
    async with serve(scenario, api="v1.0") as atlas:
        assert (await atlas.cutover("orders")).document["status"] == "SUCCESS"
        failed = (await atlas.cutover("billing")).document
        assert (failed["status"], failed["errorMessage"]) == ("FAILED", "disk full")
        expired = (await atlas.read("legacy")).document
        assert (expired["status"], "expired" in expired["errorMessage"]) == ("FAILED", True)
        assert (await atlas.cutover("legacy")).status == 409


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("api", ["v2", "v1.0"])
@pytest.mark.parametrize(
    ("documents", "fields", "before"),
    [
        (Documents.FULL, {"_id", "lagTimeSeconds", "migrationHosts", "readyForCutover", "status"}, "WORKING"),
        (Documents.OLDER, {"_id", "groupId", "readyForCutover", "sourceGroupId", "status"}, "PENDING"),
        (Documents.BARE, {"_id", "groupId", "sourceGroupId", "status"}, "PENDING"),
    ],
)
async def test_a_scenario_says_what_documents_look_like(
    serve: Any, documents: Documents, api: str, fields: set[str], before: str
) -> None:
    """On either API; none of them has a lag during the cutover."""
    async with serve(replace(CALM, documents=documents), api=api) as atlas:
        seen = (await atlas.read("orders")).document
        assert (seen.keys(), seen["status"], seen.get("readyForCutover", True)) == (fields, before, True)
        await atlas.cutover("orders")
        seen = (await atlas.read("orders")).document
        assert (seen["status"], seen.get("lagTimeSeconds"), seen.get("readyForCutover", False)) == (before, None, False)


@pytest.mark.usefixtures("virtual_time")
async def test_a_stale_read_shows_the_job_as_it_was(serve: Any) -> None:
    """A replica that lags behind: for 3 s after the cutover its job is ready, and reports its lag."""
    stale = Fault(on=Kind.READ, kind=FaultKind.STALE, age=3.0)
    async with serve(replace(CALM, faults=(stale,))) as atlas:
        await atlas.cutover("orders")
        for shown in (True, True, False):
            seen = (await atlas.read("orders")).document
            assert (seen["readyForCutover"], seen.get("lagTimeSeconds") is not None) == (shown, shown)
            await asyncio.sleep(1.6)
        assert atlas.running.record()["faults"] == {"stale": 3}


@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_pretty_and_envelope_shape_the_answer(serve: Any, api: str) -> None:
    """`pretty` indents; `envelope` wraps documents, errors and an empty answer, under HTTP 200."""
    async with serve(CALM, api=api) as atlas:
        plain, pretty = await atlas.read("orders"), await atlas.read("orders", "?pretty=true")
        assert b"\n" not in plain.body
        assert pretty.body == json.dumps(plain.document, indent=2).encode()
        wrapped = await atlas.read("orders", "?envelope=true&pretty=false")
        assert (wrapped.status, wrapped.document) == (200, {"status": 200, "envelope": plain.document})
        missing = await atlas.read("0" * 24, "?envelope=true")
        assert (missing.status, missing.document["status"]) == (200, 404)
        assert missing.document["envelope"]["errorCode"] == "LIVE_MIGRATION_NOT_FOUND"
        put = await atlas.cutover("orders", "?envelope=true")
        assert (put.status, put.document["status"]) == (200, 202)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/groups/{group}/liveMigrations/000000000000000000000000", 404, "LIVE_MIGRATION_NOT_FOUND"),
        ("GET", "/groups/000000000000000000000000/liveMigrations/{orders}", 404, "LIVE_MIGRATION_NOT_FOUND"),
        ("GET", "/groups/{group}/liveMigrations/short", 400, "INVALID_LIVE_MIGRATION_ID"),
        ("PUT", "/groups/ABCDEF000000000000000000/liveMigrations/{orders}/cutover", 400, "INVALID_GROUP_ID"),
        ("GET", "/groups/{group}/liveMigrations/{orders}?pretty=maybe", 400, "INVALID_QUERY_PARAMETER"),
        ("GET", "/groups/{group}/liveMigrations/{orders}?verbose=true", 400, "INVALID_QUERY_PARAMETER"),
        ("GET", "/groups/{group}/clusters", 404, "RESOURCE_NOT_FOUND"),
        ("GET", "/groups/{group}/liveMigrations/{orders}/cutover", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/groups/{group}/liveMigrations/{orders}/cutover", 405, "METHOD_NOT_ALLOWED"),
    ],
)
@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_a_wrong_request_gets_an_error_document(
    serve: Any, api: str, method: str, path: str, status: int, code: str
) -> None:
    """`ApiError` with its status, code and reason; the job is untouched."""
    async with serve(CALM, api=api) as atlas:
        group, orders = atlas.path("orders").split("/")[2::2]
        answer = await atlas.request(method, path.format(group=group, orders=orders))
        assert (answer.status, answer.document["error"], answer.document["errorCode"]) == (status, status, code)
        assert answer.headers["Content-Type"] == "application/json"
        assert atlas.seen("orders")["puts_received"] == 0


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (VENDOR, 200),
        ("application/vnd.atlas.2025-03-12+json", 200),
        ("text/html, application/vnd.atlas.2024-05-30+json;q=0.5", 200),
        ("application/vnd.atlas.2022-12-31+json", 406),
        ("application/vnd.atlas.2023-13-01+json", 406),
        ("application/json", 406),
        ("*/*", 406),
    ],
)
async def test_v2_insists_on_a_dated_version(serve: Any, accept: str, status: int) -> None:
    """An unversioned or too old `Accept` is 406, a later date resolves to the version that there is."""
    async with serve(CALM) as atlas:
        answer = await atlas.request("GET", atlas.path("orders"), headers={"Accept": accept})
        assert answer.status == status
        assert answer.headers["Content-Type"] == (VENDOR if status == 200 else "application/json")


async def test_the_root_resource_tells_who_asks(serve: Any, keys: tuple[str, str]) -> None:
    """The pre-flight's resource, on both APIs."""
    for api in ("v2", "v1.0"):
        async with serve(CALM, api=api) as atlas:
            answer = await atlas.request("GET", "")
            assert (answer.status, answer.document["appName"]) == (200, "MongoDB Atlas")
            assert answer.document["apiKey"]["publicKey"] == keys[0]


@pytest.mark.parametrize("api", ["v2", "v1.0"])
async def test_wrong_keys_are_refused_with_a_challenge(serve: Any, api: str) -> None:
    """401 with `WWW-Authenticate` and an error document, and nothing is processed."""
    async with serve(CALM, api=api) as atlas, aiohttp.ClientSession() as session:
        url = atlas.running.base_url(api) + atlas.path("orders", cutover=True)
        refused: tuple[dict[str, str], ...] = (
            {},
            {"Authorization": "Digest nonsense"},
            {"Authorization": "Basic YTpi"},
        )
        for headers in refused:
            async with session.put(url, headers=headers) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith(
                    'Digest realm="MMS Public API", domain="", nonce="'
                )
                assert (await response.json())["errorCode"] == "UNAUTHORIZED"
                charset = ";charset=ISO-8859-1" if api == "v1.0" else ""
                assert response.headers["Content-Type"] == "application/json" + charset
        record = atlas.running.record()
        assert atlas.seen("orders")["puts_received"] == 0
        assert record["credentials"] == {"no credentials": 1, "malformed header": 2}


@pytest.mark.parametrize("qop", [True, False])
async def test_aiohttps_own_digest_client_gets_through_stale_nonces(serve: Any, qop: bool) -> None:
    """With a nonce that wears out every 5 requests each request succeeds, at one 401 leg in six."""
    async with serve(replace(CALM, nonce=NonceRules(uses=5, qop=qop))) as atlas:
        for _ in range(20):
            assert (await atlas.read("orders")).status == 200
        record = atlas.running.record()
    assert record["credentials"] == {"no credentials": 1, "accepted": 20, "stale nonce": 3}
    assert record["unauthorized"] == 4


async def test_a_stale_nonce_is_said_to_be_stale(serve: Any) -> None:
    """So that a client tries again with the same keys."""
    challenges: list[str] = []

    async def note(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await handler(request)
        challenges.extend(response.headers.getall("WWW-Authenticate", []))
        return response

    async with serve(replace(CALM, nonce=NonceRules(uses=1))) as atlas:
        atlas.session._middlewares += (note,)
        for _ in range(2):
            assert (await atlas.read("orders")).status == 200
    assert [challenge.rpartition("stale=")[2] for challenge in challenges] == ["false", "true"]


@pytest.mark.usefixtures("virtual_time")
async def test_the_bucket_refuses_with_the_documented_429(serve: Any, workflow: Any) -> None:
    """Every request costs a token but a 401 leg; the figures are in headers and document."""
    scenario = replace(CALM, rate_limit=RateLimit(capacity=3, refill=1, per=20.0))
    async with serve(scenario) as atlas:
        first = await atlas.read("orders")
        assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("3", "2")
        assert (await atlas.read("orders")).status == 200
        assert (await atlas.read("orders")).status == 200
        refused = await atlas.cutover("orders")
        path = "api/atlas/v2" + atlas.path("orders", cutover=True)
        assert refused.status == 429
        assert refused.headers["Retry-After"] == "20"
        assert refused.headers["RateLimit-Remaining"] == "0"
        assert refused.document == {
            "detail": f"Rate limit exceeded for {path}. Please retry after 20 seconds. Request capacity: 3. "
            "Refill rate: 1 per 20 seconds.",
            "error": 429,
            "errorCode": "RATE_LIMITED_TOKEN_BUCKET",
            "parameters": [path, 20, 3, 1, 20],
            "reason": "Too Many Requests",
        }
        other = f"/groups/{'1' * 24}/liveMigrations/{'2' * 24}"
        assert (await atlas.request("GET", other)).status == 404
        await asyncio.sleep(20)
        assert (await atlas.cutover("orders")).status == 202
        record = atlas.running.record()
    assert (record["rate_limited"], record["too_many_requests"], record["requests"]["total"]) == (1, 1, 7)
    assert atlas.seen("orders")["puts_received"] == 1


async def test_rate_limit_headers_may_be_missing_and_the_limit_may_be_off(serve: Any) -> None:
    """As at Atlas, where they "may be there and may be missing"."""
    quiet = replace(CALM, rate_limit=RateLimit(capacity=2, refill=1, per=60.0, headers=False))
    async with serve(quiet) as atlas:
        assert "RateLimit-Limit" not in (await atlas.read("orders")).headers
    async with serve(replace(CALM, unlimited=True), api="v1.0") as atlas:
        assert {(await atlas.read("orders")).status for _ in range(150)} == {200}


async def test_unknown_jobs_come_into_being_where_the_scenario_says_so(serve: Any) -> None:
    """For load tests: any well-formed id is a job, from the moment it is first asked for."""
    async with serve(replace(CALM, unknown_jobs=True)) as atlas:
        assert (await atlas.read("c" * 24)).document["_id"] == "c" * 24
        assert (await atlas.cutover("c" * 24)).status == 202
        assert atlas.seen("c" * 24)["puts_processed"] == 1
        elsewhere = f"/groups/{'1' * 24}/liveMigrations/{'c' * 24}"
        assert (await atlas.request("GET", elsewhere)).status == 404


async def test_a_second_put_is_processed_and_counted_where_the_scenario_says_so(serve: Any) -> None:
    """So that a test of a client sees a cutover that it sent twice."""
    async with serve(replace(CALM, repeat_puts=True)) as atlas:
        assert [(await atlas.cutover("orders")).status for _ in range(2)] == [202, 202]
        assert atlas.seen("orders")["puts_processed"] == 2


async def test_the_record_is_served_without_keys(serve: Any) -> None:
    """For a test in another process; it is the same as in this one."""
    async with serve(CALM) as atlas, aiohttp.ClientSession() as session:
        await atlas.read("orders")
        async with session.get(f"{atlas.running.origin}/__simulator__/record") as response:
            served = await response.json()
        own = atlas.running.record()
        assert {**served, "elapsed": 0} == {**own, "elapsed": 0}
        assert served["requests"] == {"total": 2, "by_kind": {"read": 2}, "by_status": {"200": 1, "401": 1}}


async def test_it_listens_on_loopback_alone_and_says_when_a_port_is_taken(keys: tuple[str, str]) -> None:
    """Made-up answers have no business on a network."""
    simulator = Simulator(workflow=None, keys=keys)
    for host, port, message in (
        ("192.0.2.1", 0, "loopback"),
        ("cloud.mongodb.com", 0, "loopback"),
        ("::1", 99999, "listen"),
    ):
        with pytest.raises(InputError, match=message):
            async with simulator.serve(host, port):
                pass
    async with simulator.serve() as running:
        assert isinstance(running, RunningSimulator)
        with pytest.raises(InputError, match="--port 0"):
            async with simulator.serve("localhost", int(running.origin.rpartition(":")[2])):
                pass
