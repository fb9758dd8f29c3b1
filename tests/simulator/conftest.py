"""A small workflow, and a simulator of it on a real socket with a digest client in front."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import DigestAuthMiddleware
from multidict import CIMultiDictProxy

from orchestrator.core.workflow import Migration, Wave, Workflow
from orchestrator.simulator import RunningSimulator, Scenario, Simulator

GROUP = "7e68e12770616e75e6df43d0"
IDS = {
    "orders": "a659ce44c03ca1e348b1e992",
    "billing": "a659ce44c03ca1e348b1e993",
    "legacy": "a659ce44c03ca1e348b1e994",
}
V2 = {"Accept": "application/vnd.atlas.2023-01-01+json"}
JSON = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, read to its end."""

    status: int
    body: bytes
    headers: CIMultiDictProxy[str]
    document: Any


def _is_document(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A running simulator and a client session that authenticates."""

    running: RunningSimulator
    session: aiohttp.ClientSession
    api: str

    def path(self, name: str, *, cutover: bool = False) -> str:
        """The path of migration *name* (or of a live migration id), below the base URL."""
        return f"/groups/{GROUP}/liveMigrations/{IDS.get(name, name)}{'/cutover' if cutover else ''}"

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        """One request to *path* below the base URL."""
        options.setdefault("headers", V2 if self.api == "v2" else JSON)
        async with self.session.request(method, self.running.base_url(self.api) + path, **options) as response:
            body = await response.read()
            document = json.loads(body) if _is_document(body) else None
            return Answer(status=response.status, body=body, headers=response.headers, document=document)

    async def read(self, name: str, query: str = "") -> Answer:
        """GET the job of migration *name*."""
        return await self.request("GET", self.path(name) + query)

    async def cutover(self, name: str, query: str = "") -> Answer:
        """PUT the cutover of migration *name*."""
        return await self.request("PUT", self.path(name, cutover=True) + query)

    def seen(self, name: str) -> Any:
        """The record of migration *name*."""
        return self.running.record()["migrations"][IDS.get(name, name)]


Serve = Callable[..., AbstractAsyncContextManager[Atlas]]


@pytest.fixture
def workflow() -> Workflow:
    """Three migrations in one wave."""
    migrations = tuple(Migration(name=name, group_id=GROUP, live_migration_id=number) for name, number in IDS.items())
    return Workflow(name="small", waves=(Wave(name="all", migrations=migrations),))


@pytest.fixture
def serve(workflow: Workflow, keys: tuple[str, str]) -> Serve:
    """What starts a simulator of `workflow` for a scenario, an API and whatever else it may be told."""

    @asynccontextmanager
    async def start(scenario: Scenario, *, api: str = "v2", **facts: Any) -> AsyncIterator[Atlas]:
        simulator = Simulator(workflow=workflow, keys=keys, scenario=scenario, **facts)
        digest = DigestAuthMiddleware(login=keys[0], password=keys[1])
        async with (
            simulator.serve() as running,
            aiohttp.ClientSession(middlewares=(digest,)) as session,
        ):
            session._retry_connection = False  # aiohttp repeats a PUT by itself when a reused connection drops
            yield Atlas(running=running, session=session, api=api)

    return start
