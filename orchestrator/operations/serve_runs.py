"""`worker`: serves the runs that a Temporal cluster works on."""

from __future__ import annotations

import os
import time
from functools import partial

import anyio

from ..core.errors import InputError
from ..core.observer import Say, silent
from ..core.settings import Credentials, CredentialSet, Settings
from .options import Interruptions, uninterrupted
from .target import client_settings, reach_atlas


async def serve_runs(
    settings: Settings,
    *,
    interruptions: Interruptions = uninterrupted,
    say: Say = silent,
    warn: Say = silent,
    guarded: bool = False,
) -> None:
    """Serve runs against the Atlas of *settings* until somebody interrupts it, then hand over what is left to other workers.

    It asks with each set of credentials that the settings have; a run that needs another one is not begun.

    Args:
        settings: Where Atlas and Temporal are, and with which keys.
        interruptions: Tells when it is to end.
        say: Logs a word for the operator.
        warn: The same, of what is wrong.
        guarded: Whether the process may be ended where it was stopped right before a PUT left. SIGALRM has to have its default effect, and
            this to run in the main thread; without it such a PUT could leave late.

    Raises:
        InputError: The extra `temporal` is not installed, or there are no credentials.
        TemporalError: Temporal is not reachable, or does not give it work.
        AtlasError: Atlas is not reachable or refuses the keys.
    """
    try:
        from ..engines.temporal import guard, lookout, names, refused_messages, service, worker
    except ModuleNotFoundError as error:
        raise InputError(
            f"a worker needs the extra `temporal` ({error.name} is not installed): `pip install 'atlas-cutover[temporal]'`"
        ) from None
    sets = credentials_of(settings)
    with guard.alarm_blocked():  # for the threads that Temporal's client makes
        client = await service.connect(settings.temporal)
    first = client_settings(settings, settings.atlas.base_url, next(iter(sets.values())))
    async with worker.serving(
        client,
        first,
        sets,
        wall=time.time,
        environ=os.environ,
        secrets=tuple(settings.secrets()),
        redactor=settings.redactor,
        before=lambda clients: reach_atlas(clients, first.base_url),
        guarded=guarded,
        lease=settings.temporal.lease,
    ):
        with refused_messages.told(warn), interruptions() as received:
            place = settings.temporal
            say(
                "worker_started",
                temporal=place.address,
                namespace=place.namespace,
                task_queue=names.queue(first.base_url),
                base_url=first.base_url,
                pid=os.getpid(),
                detail=f"serves the runs against {first.base_url} at Temporal, {place.address}",
            )
            async with anyio.create_task_group() as group:
                group.start_soon(partial(lookout.look_out, client, place, warn=warn, say=say))
                async for interruption in received:
                    say("worker_stopping", detail=f"{interruption.by}: what is left is handed over to other workers")
                    break
                group.cancel_scope.cancel()
    say("worker_stopped", detail="the worker has ended")


def credentials_of(settings: Settings) -> dict[str | None, Credentials]:
    """All sets of credentials that *settings* have.

    Raises:
        InputError: There is none, or what is there of one cannot be used.
    """
    known: dict[str | None, CredentialSet] = {None: settings.atlas.credentials}
    known.update(settings.credentials)
    problems = sorted({problem for name, each in known.items() if name or len(known) == 1 for problem in each.problems})
    if problems:
        raise InputError(problems=problems)
    sets = {name: each.credentials for name, each in known.items() if each.credentials is not None}
    if not sets:
        raise InputError("there are no credentials for Atlas: a worker needs them (docs/credentials.md)")
    return sets
