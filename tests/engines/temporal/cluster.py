"""Workers that serve a simulated Atlas, and runs on a Temporal server."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import anyio
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError

from orchestrator.core.events import Event, RunStarted
from orchestrator.core.run import RunState, fold
from orchestrator.core.settings import Credentials
from orchestrator.core.steered import Command
from orchestrator.core.steering import SteeringRequest
from orchestrator.core.workflow import Workflow
from orchestrator.engines.temporal import forms, names
from orchestrator.engines.temporal.service import Remote
from orchestrator.engines.temporal.worker import serving
from orchestrator.engines.temporal.workflows import Run
from orchestrator.operations.target import client_settings
from orchestrator.text.redaction import Redactor

from ..house import House

LEASE = 4.0
"""Seconds: shorter than in a real night, so that a lost worker is soon noticed."""


@asynccontextmanager
async def worker(
    client: Client, it: House, *, sets: Mapping[str | None, Credentials] | None = None, **options: Any
) -> AsyncIterator[None]:
    """A worker in this process, which serves the runs against the Atlas of *it*; *sets*: what it has beside the key."""
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
    async with serving(client, settings, {None: key, **(sets or {})}, **(given | options)):
        yield


async def until(happened: Callable[[], bool], within: float = 60.0) -> None:
    """Wait until it has *happened*."""
    with anyio.fail_after(within):
        while not happened():  # noqa: ASYNC110 - the simulator tells nobody
            await anyio.sleep(0.05)


@dataclass(slots=True)
class Begun:
    """A run that was begun."""

    client: Client
    handle: WorkflowHandle[Any, Any]
    run_id: str

    async def events(self) -> list[Event]:
        """All that has happened."""
        found: list[Any] = []
        while True:
            try:
                news = await self.handle.query(Run.news, len(found))
            except WorkflowQueryFailedError as error:  # at a moment at which it cannot say
                if names.ASK_AGAIN not in str(error):
                    raise
                await anyio.sleep(0.25)
                continue
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
                await anyio.sleep(0.25)

    async def idles(self) -> None:
        """Return when what is under way has ended."""
        with anyio.fail_after(60):
            while any(known.counts.under_way for known in (await self.state()).waves.values()):  # noqa: ASYNC110
                await anyio.sleep(0.2)

    async def steer(self, command: str, **about: Any) -> list[str | None]:
        """Ask for something, and have the answer."""
        request = SteeringRequest(command=Command(command), who="somebody", **about)
        return await Remote(self.client, self.handle.id).steer(self.run_id, [request])

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
    then: Sequence[Event] = (),
    **first: Any,
) -> Begun:
    """Begin a run of *plan*; *first* are fields of its first event, *then* what was recorded after that."""
    names_of = tuple(migration.name for _, migration in plan.migrations())
    given: dict[str, Any] = {"rehearsal": False, "selected": names_of, "who": "somebody", "version": "0"}
    started = RunStarted(at=time.time(), workflow=plan, base_url=it.settings.atlas.base_url, **(given | first))
    order = forms.Order(
        run_id=run_id,
        events=forms.pack([started, *then]),
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
        memo={"run_id": run_id},
    )
    return Begun(client, handle, run_id)
