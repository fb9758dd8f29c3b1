"""`run_workflow`: the main job for programs that embed it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import anyio

from ..core.observer import Observer
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..reports.model import RunReport, build
from .session import Interruption, Options, uninterrupted
from .target import Rehearsal
from .work import start


async def run_workflow(
    workflow: Workflow,
    settings: Settings,
    *,
    only: tuple[str, ...] = (),
    rehearsal: Rehearsal | None = None,
    observers: Sequence[Observer] = (),
    stop: anyio.Event | None = None,
) -> RunReport:
    """Run *workflow* on asyncio and return its report; an unfinished run of it is continued.

    It takes no signal handlers and prints nothing, so it may run in any thread, and in several at once on different
    workflows.

    Args:
        workflow: From `load_workflow`.
        settings: From `load_settings`.
        only: Names of waves or migrations to run; empty: all.
        rehearsal: Against the built-in simulator instead of Atlas.
        observers: Get each event (`orchestrator.core.events`) and the state after it.
        stop: Once it is set, no new cutover starts, answers on the wire are waited for, and the report says what is left.

    Raises:
        CutoverError: Nothing was begun; its `exit_code` is what the command line would exit with.
    """
    options = Options(
        only=only,
        rehearsal=rehearsal,
        observers=observers,
        environ=os.environ,
        interruptions=uninterrupted if stop is None else partial(_when, stop),
    )
    ending = await start(workflow, settings, options, wall=time.time)
    return build(ending.state, now=time.time(), exit_code=ending.exit_code)


@contextmanager
def _when(stop: anyio.Event) -> Iterator[AsyncIterator[Interruption]]:
    async def once() -> AsyncIterator[Interruption]:
        await stop.wait()
        yield Interruption(by="its caller")

    yield once()
