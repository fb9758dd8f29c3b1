"""Whether Temporal hears a worker: the SDK asks for work again and again, and says nothing of it when nobody answers."""

from __future__ import annotations

import anyio
from temporalio.client import Client

from ...core.errors import TemporalError
from ...core.observer import Say
from ...core.settings import Temporal
from .service import see_namespace

EVERY = 10.0
"""Seconds from one look to the next."""
AGAIN = 600.0
"""Seconds after which the same is said again."""


async def look_out(client: Client, cluster: Temporal, *, warn: Say, say: Say, every: float = EVERY) -> None:
    """Tell when *cluster* does not answer *client*, or has no such namespace any more, and when it answers again; until cancelled."""
    since: float | None = None
    said_at = 0.0
    while True:
        await anyio.sleep(every)
        try:
            await see_namespace(client, cluster)
        except TemporalError as error:
            now = anyio.current_time()
            if since is None or now - said_at >= AGAIN:
                said_at = now
                warn("temporal_silent", detail=f"{error}; this worker has nothing to do meanwhile, and sends no PUT")
            since = now if since is None else since
        else:
            if since is not None:
                silent = anyio.current_time() - since
                say("temporal_answers", detail=f"Temporal answers again, after {silent:.0f} s; this worker goes on")
            since = None
