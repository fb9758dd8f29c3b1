"""Keys that are refused: for one project or everywhere, at the cost of few requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.errors import ApiError, AtlasError, KeysRefusedError
from orchestrator.atlas.shares import Priority

from .servers import GROUP, Raw, client_of, http, live, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

OTHER = "7e68e12770616e75e6df43d1"
JOB = b'{"_id": "%s", "status": "WORKING", "readyForCutover": true, "lagTimeSeconds": 1}'
ROOT = "/api/atlas/v2"


@dataclass(slots=True)
class Doorman:
    """A server that refuses the keys for *refused* projects, with a fresh challenge each time, as Atlas does."""

    refused: set[str] = field(default_factory=set)
    root: int = 200
    root_silent: bool = False
    nonces: int = 0
    accepted: set[str] = field(default_factory=set)

    async def answer(self, raw: Raw) -> bytes | None:
        """The answer to the last request."""
        path = raw.requests[-1].split(" ")[1]
        authorization = raw.headers[-1].get("Authorization")
        if path == ROOT:
            if self.root_silent:
                return None
            if self.root != 200 and authorization:
                return self._refuse(self.root)
        project = path.removeprefix(f"{ROOT}/groups/").partition("/")[0]
        if authorization is None or project in self.refused:
            return self._refuse(401)
        return http(200, JOB % path.rpartition("/")[2].encode())

    def _refuse(self, status: int) -> bytes:
        self.nonces += 1
        challenge = f'Digest realm="r", domain="", nonce="n{self.nonces}", algorithm=MD5, qop="auth", stale=false'
        return http(status, b'{"errorCode": "UNEXPECTED_ERROR"}', WWW_Authenticate=challenge)


@asynccontextmanager
async def guarded(doorman: Doorman) -> AsyncIterator[tuple[Raw, AtlasClient]]:
    """A server with *doorman*, and a client that has been let in once."""
    refused, doorman.refused = doorman.refused, set()
    root, doorman.root = doorman.root, 200
    async with raw_server(doorman.answer) as raw, client_of(raw.base_url) as client:
        await client.check_access()
        doorman.refused, doorman.root = refused, root
        yield raw, client


def asked(raw: Raw, project: str) -> int:
    """How many requests for jobs of *project* came."""
    return sum(f"/groups/{project}/" in request for request in raw.requests)


async def refusal(client: AtlasClient, group: str, number: int, priority: Priority = Priority.GATE) -> KeysRefusedError:
    """The error by which reading a job is refused."""
    with pytest.raises(KeysRefusedError) as caught:
        await client.job(group, live(number), priority=priority)
    return caught.value


async def test_a_project_that_refuses_the_keys_costs_two_requests() -> None:
    """Its first job's read answers the challenge once; the root resource is asked once; its other jobs cost nothing."""
    async with guarded(Doorman(refused={GROUP})) as (raw, client):
        before = len(raw.requests)
        first = await refusal(client, GROUP, 0)
        assert (first.everywhere, first.lasting, first.status, first.sent) == (False, True, 401, True)
        assert len(raw.requests) - before == 3
        for number in range(1, 40):
            known = await refusal(client, GROUP, number)
            assert (known.lasting, known.sent) == (True, False)
        reservation = await client.reserve(GROUP)
        with pytest.raises(KeysRefusedError):
            await client.cutover(GROUP, live(0), reservation)
        assert asked(raw, GROUP) == 2
        assert raw.count("PUT") == 0


async def test_a_project_that_refuses_the_keys_costs_other_projects_no_challenge() -> None:
    """Their jobs are read with one request each, before and after."""
    async with guarded(Doorman(refused={GROUP})) as (raw, client):
        await client.job(OTHER, live(1))
        await refusal(client, GROUP, 0)
        for number in range(10):
            await client.job(OTHER, live(number))
        assert asked(raw, OTHER) == 11


@pytest.mark.parametrize("status", [401, 403])
async def test_keys_that_are_refused_everywhere_are_told_from_that(status: int) -> None:
    """The root resource refuses them too: no project's fault, and asked once for all who were refused together."""
    async with guarded(Doorman(refused={GROUP, OTHER}, root=status)) as (raw, client):
        before = len(raw.requests)
        errors: list[KeysRefusedError] = []

        async def read(group: str, number: int) -> None:
            errors.append(await refusal(client, group, number))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(read, (GROUP, OTHER)[number % 2], number)
        assert {(error.everywhere, error.lasting) for error in errors} == {(True, False)}
        roots = len(raw.requests) - before - asked(raw, GROUP) - asked(raw, OTHER)
        assert roots == (2 if status == 401 else 1)


async def test_where_the_root_resource_does_not_answer_nothing_is_concluded() -> None:
    """The project may be fine: its jobs may be asked for again."""
    async with guarded(Doorman(refused={GROUP}, root_silent=False)) as (raw, client):
        doorman = Doorman(refused={GROUP}, root_silent=True)
        raw.answer = doorman.answer
        error = await refusal(client, GROUP, 0)
        assert (error.everywhere, error.lasting) == (None, False)
        before = asked(raw, GROUP)
        await refusal(client, GROUP, 0)
        assert asked(raw, GROUP) == before + 2


async def test_what_is_under_way_is_read_where_the_keys_are_refused_and_lifts_the_refusal() -> None:
    """A refusal may pass: a cutover that Atlas has accepted is followed, and its project's gates are read again."""
    doorman = Doorman(refused={GROUP})
    async with guarded(doorman) as (raw, client):
        await refusal(client, GROUP, 0)
        await refusal(client, GROUP, 0, Priority.POLL)
        assert asked(raw, GROUP) == 4
        doorman.refused.clear()
        assert (await client.job(GROUP, live(0), priority=Priority.POLL)).ready
        assert (await client.job(GROUP, live(1), priority=Priority.GATE)).ready


async def test_a_put_that_is_refused_was_not_carried_out_and_says_where() -> None:
    """401 and 403 alike."""
    doorman = Doorman()
    async with guarded(doorman) as (raw, client):
        await client.job(GROUP, live(0))
        doorman.refused.add(GROUP)
        reservation = await client.reserve(GROUP)
        with pytest.raises(KeysRefusedError) as caught:
            await client.cutover(GROUP, live(0), reservation)
        assert (caught.value.everywhere, caught.value.method) == (False, "PUT")
        assert raw.count("PUT") == 2


def test_it_is_an_error_of_atlas() -> None:
    """Whoever knows nothing of it sees a 401."""
    error = KeysRefusedError(method="GET", path="/x", status=401, everywhere=True)
    assert isinstance(error, ApiError)
    assert isinstance(error, AtlasError)
    assert not error.lasting
