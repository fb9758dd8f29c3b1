"""The simulated Atlas on a loopback socket: inside this process, or as a program of its own."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import anyio
from aiohttp import web

from ..core.errors import InputError
from ..core.workflow import Migration, Workflow
from ..machine.loops import accept_no_more
from ..text.hosts import is_loopback, with_port
from .app import App
from .clock import Clock
from .jobs import Job, Past
from .organisations import Organisation, Organisations
from .scenario import Scenario

_KEEP_ALIVE_SECONDS = 3600.0  # an idle connection that the server closes would look like a lost answer
_GOODBYE_SECONDS = 0.5
_NO_PAST = Past()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSimulator:
    """A simulator that answers at *origin*, such as ``http://127.0.0.1:8080``."""

    origin: str
    app: App

    def base_url(self, api: str = "v2") -> str:
        """What a client's ``base_url`` has to be for *api*, `v2` or `v1.0`."""
        return f"{self.origin}/api/atlas/{api}"

    def record(self) -> dict[str, Any]:
        """What happened so far, the same as at ``GET /__simulator__/record``."""
        return self.app.record()


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """A simulated Atlas that is not running yet.

    Args:
        workflow: Its migrations are the jobs that exist; None: none but those the scenario lets come into being.
        keys: Public and private API key that it accepts; None: none but those of the scenario's organisations.
        account: Client id and secret of the service account that it accepts.
        scenario: What it is like.
        speed: Simulated seconds in one real second.
        past: What had become of its jobs before, by the migration's name; of all others nothing had.
        wall_clock: Unix seconds, for the record and the past alone.
    """

    workflow: Workflow | None
    keys: tuple[str, str] | None = None
    account: tuple[str, str] | None = None
    scenario: Scenario = field(default_factory=Scenario)
    speed: float = 1.0
    past: Mapping[str, Past] = field(default_factory=lambda: MappingProxyType({}))
    wall_clock: Callable[[], float] = time.time

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[RunningSimulator]:
        """Answer requests at *host* and *port* (0: any free one) while the block runs.

        Raises:
            InputError: *host* is not a loopback address, or the port cannot be had.
        """
        closing = anyio.Event()
        listening = _listen(host, port)
        app = App(
            organisations=Organisations(
                (Organisation(keys=self.keys, account=self.account), *self.scenario.organisations)
            ),
            scenario=self.scenario,
            jobs=self._jobs(),
            clock=Clock(self.speed, asyncio.get_running_loop().time),
            closing=closing,
            wall_clock=self.wall_clock,
        )
        runner = web.ServerRunner(
            web.Server(app.handle, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            shutdown_timeout=_GOODBYE_SECONDS,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listening, backlog=4096).start()
            yield RunningSimulator(origin=_origin(listening), app=app)
        finally:
            closing.set()
            with anyio.CancelScope(shield=True):
                await accept_no_more(listening)
                await runner.cleanup()

    def _jobs(self) -> list[Job]:
        if self.workflow is None:
            return []
        now = self.wall_clock()
        return [self._job(migration, now) for _, migration in self.workflow.migrations()]

    def _job(self, migration: Migration, now: float) -> Job:
        """The job of *migration* as it is at the start, which is at *now* by the wall clock."""
        past = self.past.get(migration.name, _NO_PAST)
        plan = self.scenario.plan(migration.live_migration_id, migration.name)
        if past.ended is not None:
            plan = replace(plan, fixed=past.ended, error_message=past.error_message)
        job = Job(
            name=migration.name,
            group_id=migration.group_id,
            live_migration_id=migration.live_migration_id,
            plan=plan,
        )
        if past.cut_over_at is not None:
            since_start = min(0.0, past.cut_over_at - now)  # a clock that was set back makes no cutover of the future
            job.was_cut_over(since_start * self.speed, put_at=since_start)
        return job


async def simulate(
    *,
    workflow: Workflow | None,
    keys: tuple[str, str] | None,
    account: tuple[str, str] | None = None,
    scenario: Scenario,
    speed: float,
    host: str = "127.0.0.1",
    port: int = 0,
    api: str = "v2",
) -> None:
    """Print the base URL for *api* as one line on stdout and answer until SIGINT or SIGTERM. See `Simulator`.

    Raises:
        InputError: As `Simulator.serve`.
    """
    simulator = Simulator(workflow=workflow, keys=keys, account=account, scenario=scenario, speed=speed)
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with simulator.serve(host, port) as running:
            sys.stdout.write(f"{running.base_url(api)}\n")
            sys.stdout.flush()
            async for _ in signals:
                break


def _listen(host: str, port: int) -> socket.socket:
    try:
        loopback = is_loopback(host)
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(f"the simulator listens on loopback alone, not on {host!r}; use 127.0.0.1 or ::1")
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        why = error.strerror if isinstance(error, OSError) else "no such port"
        raise InputError(f"cannot listen on {address}:{port}: {why}; --port 0 takes any free one") from error
    return listening


def _origin(listening: socket.socket) -> str:
    address, port, *_ = listening.getsockname()
    return f"http://{with_port(address, port)}"
