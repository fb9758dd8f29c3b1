"""What answers the client in these tests: the simulator, or a raw server that misbehaves as it is told."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from orchestrator.atlas.client import AtlasClient
from orchestrator.atlas.clients import open_client
from orchestrator.atlas.connection import ClientSettings
from orchestrator.core.events import Event
from orchestrator.core.settings import ApiKey, Secret
from orchestrator.core.workflow import Migration, Wave, Workflow
from orchestrator.simulator import RunningSimulator, Scenario, Simulator

GROUP = "7e68e12770616e75e6df43d0"
LIVE = "a659ce44c03ca1e348b1e992"
KEYS = ("abcdefgh", "5f0c1a5e-0000-4000-8000-made-up-key0")


def live(number: int) -> str:
    """The id of live migration *number*."""
    return f"{number:024x}"


def make_workflow(count: int, *, group: str = GROUP) -> Workflow:
    """One wave of *count* migrations."""
    migrations = tuple(
        Migration(name=f"m{number}", group_id=group, live_migration_id=live(number)) for number in range(count)
    )
    return Workflow(name="small", waves=(Wave(name="all", migrations=migrations),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A running simulator with a client that talks to it, and the client's events."""

    running: RunningSimulator
    client: AtlasClient
    events: list[Event]

    def record(self) -> dict[str, Any]:
        """What the simulator saw."""
        return self.running.record()

    def seen(self, number: int) -> dict[str, Any]:
        """What the simulator knows of migration *number*."""
        found: dict[str, Any] = self.record()["migrations"][live(number)]
        return found

    async def put(self, number: int = 0, group: str = GROUP) -> Any:
        """Cut migration *number* over."""
        reservation = await self.client.reserve(group)
        try:
            return await self.client.cutover(group, live(number), reservation)
        finally:
            reservation.give_back()


@asynccontextmanager
async def atlas(
    scenario: Scenario | None = None, *, count: int = 3, api: str = "v2", speed: float = 1.0, **settings: Any
) -> AsyncIterator[Atlas]:
    """A simulator of *scenario* and a client of *api* whose other *settings* are given."""
    events: list[Event] = []
    simulator = Simulator(workflow=make_workflow(count), keys=KEYS, scenario=scenario or Scenario(), speed=speed)
    async with (
        simulator.serve() as running,
        client_of(running.base_url(api), events=events, **settings) as client,
    ):
        yield Atlas(running=running, client=client, events=events)


@asynccontextmanager
async def client_of(base_url: str, *, events: list[Event] | None = None, **settings: Any) -> AsyncIterator[AtlasClient]:
    """A client of *base_url*."""
    public_key, private_key = settings.pop("keys", KEYS)
    key = ApiKey(public_key=Secret(public_key), private_key=Secret(private_key))
    facts = ClientSettings(base_url=base_url, **{"credentials": key, **settings})
    async with open_client(facts, wall=lambda: 0.0, on_event=(events if events is not None else []).append) as client:
        yield client


@dataclass(slots=True)
class Raw:
    """A server that reads requests and answers what it is told; *requests* are `METHOD target`, with their headers."""

    base_url: str = ""
    origin: str = ""
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    ended: int = 0  # of these
    closing: bool = False  # close the connection after the answer, without having said so
    unasked: Callable[[], bytes | None] = lambda: None  # what follows an answer, a moment later, without a question
    greeting: bytes = b""  # what is said on a new connection before anything is asked
    answer: Answer | None = None  # what answers from now on

    def count(self, method: str) -> int:
        """How many requests of *method* came."""
        return sum(request.startswith(f"{method} ") for request in self.requests)


Answer = Callable[[Raw], Awaitable[bytes | None]]


@asynccontextmanager
async def raw_server(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
    """Answer each request with what *answer* gives; None closes the connection without a byte."""
    raw = Raw()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        raw.connections += 1
        try:
            writer.write(raw.greeting)
            while head := await _head(reader):
                line, *fields = head.decode("latin-1").split("\r\n")
                raw.requests.append(line.rpartition(" ")[0])
                raw.headers.append(dict(one.split(": ", 1) for one in fields if one))
                await reader.readexactly(int(raw.headers[-1].get("Content-Length", 0)))
                content = await (raw.answer or answer)(raw)
                if content is None:
                    return
                writer.write(content)
                await writer.drain()
                if raw.closing:
                    return
                if (more := raw.unasked()) is not None:
                    await anyio.sleep(0.01)
                    writer.write(more)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            raw.ended += 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    raw.origin = f"{'https' if tls else 'http'}://{host}:{port}"
    raw.base_url = f"{raw.origin}/api/atlas/v2"
    try:
        yield raw
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def job_document(raw: Raw, **more: Any) -> bytes:
    """A document of the job that the last request was about: ready, 1 s of lag, and *more*."""
    live_migration_id = raw.requests[-1].partition("/liveMigrations/")[2][:24]
    document = {"_id": live_migration_id, "status": "WORKING", "readyForCutover": True, "lagTimeSeconds": 1}
    return json.dumps(document | more).encode()


def http(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """An HTTP answer."""
    fields = {"Content-Length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
    lines = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1") + body
