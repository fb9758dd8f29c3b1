"""What has to be waited for, for verbs that are no coroutines: a loop of its own does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..core.errors import InputError
from ..machine.loops import run_loop

T = TypeVar("T")


def wait_for(run_id: str, verb: Callable[[], Awaitable[T]]) -> T:
    """What *verb* comes to, which asks Temporal for the run *run_id*. It takes as long as Temporal's answers.

    Raises:
        InputError: An event loop works in this thread, and must not stand still for that long.
        TemporalError: Temporal does not answer.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run_loop(verb)
    raise InputError(
        f"run {run_id} is at Temporal, which has to be asked, and an event loop runs in this thread: call this function "
        "in another one, as by `await asyncio.to_thread(orchestrator.status, run_id)`"
    )
