"""`run_workflow`: the main job for programs that embed it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from ..core.observer import Observer
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..report.model import RunReport, build
from .session import Options
from .target import Rehearsal
from .work import start


async def run_workflow(
    workflow: Workflow,
    settings: Settings,
    *,
    only: tuple[str, ...] = (),
    rehearsal: Rehearsal | None = None,
    observers: Sequence[Observer] = (),
) -> RunReport:
    """Run *workflow* on asyncio and return its report; an unfinished run of it is continued.

    Args:
        workflow: From `load_workflow`.
        settings: From `load_settings`.
        only: Names of waves or migrations to run; empty: all.
        rehearsal: Against the built-in simulator instead of Atlas.
        observers: Get each event (`orchestrator.core.events`) and the state after it.

    Raises:
        CutoverError: Nothing was begun; its `exit_code` is what the command line would exit with.
    """
    options = Options(only=only, rehearsal=rehearsal, observers=observers, environ=os.environ)
    ending = await start(workflow, settings, options, wall=time.time)
    return build(ending.state, now=time.time(), exit_code=ending.exit_code)
