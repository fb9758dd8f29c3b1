"""The simulator held against what Atlas publishes: the OpenAPI file, and the example request of the v1.0 page."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator

from orchestrator.simulator import Scenario
from orchestrator.simulator.bucket import RateLimit
from orchestrator.simulator.digest import NonceRules
from orchestrator.simulator.jobs import JobStatus
from orchestrator.simulator.scenario import Documents, JobRules, Range, Special

pytestmark = pytest.mark.anyio

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
OPENAPI = REFERENCE / "atlas-admin-api-v2-live-migrations.openapi.yaml"
READ = "/api/atlas/v2/groups/{groupId}/liveMigrations/{liveMigrationId}"
MEDIUM = "application/vnd.atlas.2023-01-01+json"
STAGES = JobRules(ready_after=Range(low=10.0, high=10.0), cutover=Range(low=10.0, high=10.0))
CALM = Scenario(jobs=replace(STAGES, ready_after=Range(low=0.0, high=0.0)))


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's dialect as JSON Schema draft 4: `nullable` becomes a type of its own."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True:
        plain["type"] = [node["type"], "null"]
        if "enum" in node:
            plain["enum"] = [*node["enum"], None]
    return plain


@pytest.fixture(scope="module")
def openapi() -> Any:
    """The OpenAPI file, as JSON Schema."""
    if not OPENAPI.exists():
        pytest.skip("the OpenAPI file is not here")
    return as_json_schema(yaml.safe_load(OPENAPI.read_text()))


def validate(openapi: Any, document: Any, schema: Any) -> None:
    """Raises where *document* breaks *schema*."""
    Draft4Validator({"allOf": [schema], "components": openapi["components"]}).validate(document)


@pytest.mark.usefixtures("virtual_time")
async def test_each_stage_of_a_job_satisfies_the_openapi_file(serve: Any, openapi: Any) -> None:
    """Root resource, NEW, WORKING, ready, cutover, COMPLETE, FAILED and EXPIRED."""
    answers = openapi["paths"][READ]["get"]["responses"]["200"]["content"][MEDIUM]["schema"]
    root = openapi["paths"]["/api/atlas/v2"]["get"]["responses"]["200"]["content"][MEDIUM]["schema"]
    special = {"billing": Special(ends=JobStatus.FAILED), "legacy": Special(status=JobStatus.EXPIRED)}
    seen = set()
    async with serve(Scenario(jobs=STAGES, special=special)) as atlas:
        validate(openapi, (await atlas.request("GET", "")).document, root)
        for second in range(25):
            for name in ("orders", "billing", "legacy"):
                answer = await atlas.read(name)
                assert answer.headers["Content-Type"] == MEDIUM
                validate(openapi, answer.document, answers)
                seen.add((answer.document["status"], answer.document["readyForCutover"]))
            if second == 11:
                assert "202" in openapi["paths"][READ + "/cutover"]["put"]["responses"]
                assert (await atlas.cutover("orders")).status == (await atlas.cutover("billing")).status == 202
            await asyncio.sleep(1)
    assert seen == {
        ("NEW", False),
        ("WORKING", False),
        ("WORKING", True),
        ("COMPLETE", False),
        ("FAILED", False),
        ("EXPIRED", False),
    }


async def test_a_projects_limits_satisfy_the_openapi_file(serve: Any, openapi: Any) -> None:
    """As version 2025-03-12 has them, and no older one."""
    medium = "application/vnd.atlas.2025-03-12+json"
    resource = openapi["paths"]["/api/atlas/v2/rateLimits"]["get"]["responses"]["200"]["content"][medium]["schema"]
    async with serve(CALM) as atlas:
        path = f"/rateLimits?groupId={'a' * 24}"
        answer = await atlas.request("GET", path, headers={"Accept": medium})
        assert (answer.status, answer.headers["Content-Type"]) == (200, medium)
        validate(openapi, answer.document, resource)
        assert answer.document["totalCount"] in (0, 1)
        assert (await atlas.request("GET", path)).status == 406
        assert (await atlas.request("GET", "/rateLimits?groupId=x", headers={"Accept": medium})).status == 400


async def test_errors_satisfy_the_openapi_file(serve: Any, openapi: Any) -> None:
    """The file has the parameters of a 429 as objects, the documented example has text and numbers; that one wins."""
    scenario = replace(CALM, rate_limit=RateLimit(capacity=5, refill=1, per=3600.0))
    async with serve(scenario) as atlas:
        answers = [
            await atlas.read("0" * 24),
            await atlas.read("short"),
            await atlas.cutover("orders"),
            await atlas.cutover("orders"),
            await atlas.request("GET", atlas.path("orders"), headers={"Accept": "application/json"}),
            await atlas.read("orders"),
        ]
    assert [answer.status for answer in answers] == [404, 400, 202, 409, 406, 429]
    answers[-1].document["parameters"] = []
    for answer in answers:
        if answer.body:
            assert answer.headers["Content-Type"] == "application/json"
            validate(openapi, answer.document, {"$ref": "#/components/schemas/ApiError"})


def words(*options: str, keys: tuple[str, str], url: str) -> list[str]:
    """The page's own command, its placeholders filled in."""
    return [
        "curl",
        *("--user", f"{keys[0]}:{keys[1]}", "--digest"),
        *("--header", "Accept: application/json"),
        *("--header", "Content-Type: application/json"),
        "--include",
        *options,
        *("--request", "PUT", url),
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize("qop", [True, False])
async def test_the_pages_own_curl_line_cuts_over(serve: Any, keys: tuple[str, str], qop: bool) -> None:
    """`curl --digest` as the v1.0 page prints it: a 401 with a challenge, then 200 and the document of the page."""
    async with serve(replace(CALM, nonce=NonceRules(qop=qop), documents=Documents.BARE), api="v1.0") as atlas:
        url = f"{atlas.running.base_url('v1.0')}{atlas.path('orders', cutover=True)}?pretty=true"
        command = words("--silent", "--show-error", keys=keys, url=url)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0
        record = atlas.running.record()
    challenge, head, body = output.decode().split("\r\n\r\n")
    assert challenge.startswith("HTTP/1.1 401 Unauthorized")
    assert "Content-Type: application/json;charset=ISO-8859-1" in challenge
    offered = "qop" if qop else "op"
    pattern = (
        f'WWW-Authenticate: Digest realm="MMS Public API", domain="", nonce="[^"]+", algorithm=MD5, {offered}="auth", '
    )
    assert re.search(pattern + "stale=false", challenge)
    assert head.startswith("HTTP/1.1 200 OK")
    assert "Strict-Transport-Security: max-age=300" in head
    assert json.loads(body)["status"] == "PENDING"
    assert body.startswith('{\n  "_id": ')
    assert record["credentials"] == {"no credentials": 1, "accepted": 1}
    assert atlas.seen("orders")["puts_processed"] == 1
