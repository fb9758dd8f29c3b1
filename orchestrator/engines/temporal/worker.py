"""A worker: serves runs, hooks, and the budgets that it owns, until it is told to end."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from random import Random

import anyio
from temporalio.client import Client
from temporalio.worker import Worker

from ...atlas.clients import Clients, open_clients
from ...atlas.connection import ClientSettings
from ...core.errors import TemporalError
from ...core.settings import Credentials
from ...machine.threads import in_a_loop_thread
from ...text.redaction import Redactor
from ..hook_runner import most_at_once
from ..hooks import keeping_hooks, without_keys
from . import names
from .activities import Activities
from .arguments import OneArgument
from .counting import PerActivity, tell
from .guard import threads
from .lost import Lost
from .punctual import ClosedRuns, PunctualRunner
from .workflows import SERVED

_ENOUGH = 2000  # activities at once: most of them wait
_POLLS = 1  # a worker that is frozen takes as many tasks with it
_THREADS = 4
_STICKY = timedelta(seconds=2)  # how long a workflow waits for the worker that knew it, which may have died
_STUCK = 600  # seconds; nothing in a workflow waits for anything but Temporal
_DRAIN = timedelta(minutes=15)  # for hooks and PUTs of a worker that ends


@asynccontextmanager
async def serving(  # noqa: PLR0913 - what a worker is made of
    client: Client,
    settings: ClientSettings,
    sets: Mapping[str | None, Credentials],
    *,
    wall: Callable[[], float],
    environ: Mapping[str, str],
    secrets: tuple[str, ...],
    redactor: Redactor,
    before: Callable[[Clients], Awaitable[None]] | None = None,
    guarded: bool = True,
    lease: float = 10.0,
) -> AsyncIterator[None]:
    """Serve the runs of the Atlas at `settings.base_url` while the context lasts; at its end, hand them over in order.

    Args:
        client: Speaks to Temporal.
        settings: How to speak to Atlas.
        sets: Who asks, by the names of the credentials.
        wall: The wall clock, Unix seconds.
        environ: The environment of hooks.
        secrets: What they may not see.
        redactor: Takes secrets out of what is told of them.
        before: Is given the clients of Atlas, and awaited before anything is served.
        guarded: Whether a process that is stopped at the wire is ended (`guard`), for which SIGALRM has to be its own.
        lease: Seconds of silence after which Temporal gives work to another worker.

    Raises:
        TemporalError: Temporal gives it no work: it refuses its key, or has no such namespace any more.
    """
    _let_activities_end_first()
    queue = names.queue(settings.base_url)
    async with (
        keeping_hooks(without_keys(os.environ, secrets), run=in_a_loop_thread) as kept,
        open_clients(settings, sets, wall=wall, on_event=tell, statistics=PerActivity()) as clients,
    ):
        if before is not None:
            await before(clients)
        executor = threads(_THREADS)
        if guarded:
            asyncio.get_running_loop().set_default_executor(threads(_THREADS))

        async def serve(scope: str) -> None:
            """Serve the requests that draw from the budget *scope* until cancelled."""
            project = Worker(
                client,
                task_queue=names.project_queue(queue, scope),
                activities=[activities.follow, activities.cutover],
                interceptors=[Lost()],
                max_concurrent_activities=_ENOUGH,
                max_concurrent_activity_task_polls=_POLLS,
                graceful_shutdown_timeout=_DRAIN,
                disable_eager_activity_execution=True,
                max_heartbeat_throttle_interval=timedelta(seconds=lease / 4),
            )
            await run_worker(project)

        activities = Activities(
            client=client,
            clients=clients,
            serve=serve,
            wall=wall,
            environ=environ,
            secrets=secrets,
            redactor=redactor,
            kept=kept,
            guarded=guarded,
            random=Random(),  # noqa: S311 - jitter, no secret
        )
        runs = Worker(
            client,
            task_queue=queue,
            workflows=list(SERVED),
            activities=[activities.claim, activities.release, activities.reach, activities.own_project],
            workflow_runner=PunctualRunner(ClosedRuns(client)),
            interceptors=[OneArgument(), Lost()],
            workflow_task_executor=executor,
            max_concurrent_activities=_ENOUGH,
            max_concurrent_activity_task_polls=_POLLS,
            max_concurrent_workflow_tasks=_THREADS,  # one that waits for a thread would be held for stuck
            max_concurrent_workflow_task_polls=2,
            graceful_shutdown_timeout=_DRAIN,
            disable_eager_activity_execution=True,
            sticky_queue_schedule_to_start_timeout=_STICKY,
            max_heartbeat_throttle_interval=timedelta(seconds=lease / 4),
        )
        _be_patient(runs)
        hooks = Worker(
            client,
            task_queue=names.hooks_queue(queue),
            activities=[activities.hook],
            interceptors=[Lost()],
            max_concurrent_activities=most_at_once(),
            max_concurrent_activity_task_polls=_POLLS,
            graceful_shutdown_timeout=_DRAIN,
            disable_eager_activity_execution=True,
            max_heartbeat_throttle_interval=timedelta(seconds=lease / 4),
        )
        refused: list[RuntimeError] = []
        async with anyio.create_task_group() as group:

            async def run(worker: Worker) -> None:
                try:
                    await run_worker(worker)
                except RuntimeError as error:
                    refused.append(error)
                    group.cancel_scope.cancel()

            group.start_soon(run, runs)
            group.start_soon(run, hooks)
            yield
            group.cancel_scope.cancel()
    if refused:
        raise TemporalError(
            f"Temporal gives this worker no work ({refused[0]}): check temporal.namespace, and that temporal.api_key is valid for it, "
            "then start the worker again; the runs that it served go on on others"
        )


def _let_activities_end_first() -> None:
    """Let activities end by what they have heard themselves.

    They hear by their own heartbeats that they are not wanted any more, and may have ended when the SDK is told that, too. It warns of that then,
    in no form that a log has; and where warnings are errors, it gives the whole worker up.
    """
    warnings.filterwarnings("ignore", "Cannot find activity to cancel", UserWarning)


def _be_patient(worker: Worker) -> None:
    """Let the workflows of *worker* take their time.

    The SDK holds one for stuck that has not had its turn within 2 s, as on a machine that is busy, or was frozen. It interrupts it, and can neither
    go on with it nor forget it after that: the run stands still until the worker is started anew. There is no setting for that.
    """
    served = worker._workflow_worker  # noqa: SLF001
    assert served is not None
    served._deadlock_timeout_seconds = _STUCK  # noqa: SLF001


async def run_worker(worker: Worker) -> None:
    """Run *worker*; when cancelled, let it end what it has begun, and hand the rest over.

    Raises:
        RuntimeError: Temporal gives it no work: it refuses its key, or has no such namespace any more.
    """
    running = asyncio.create_task(worker.run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        ending = asyncio.create_task(_let_end(worker, running))
        with anyio.CancelScope(shield=True):
            while not ending.done():
                with suppress(
                    asyncio.CancelledError
                ):  # again, by the SDK, when it is an activity that runs it: raised below
                    await asyncio.shield(ending)
        await ending
        raise


async def _let_end(worker: Worker, running: asyncio.Task[None]) -> None:
    await worker.shutdown()
    await running
