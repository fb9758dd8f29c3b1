"""`rehearse`: a run against the built-in simulator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..core.observer import Observer
from ..core.settings import Settings
from ..core.workflow import Workflow
from .find import settings_or_usual
from .options import Host, Options
from .result import EMBEDDED, RunResult, Stop, with_reports
from .target import Rehearsal
from .work import start


async def rehearse(
    workflow: Workflow,
    settings: Settings | None = None,
    rehearsal: Rehearsal | None = None,
    *,
    only: Sequence[str] = (),
    observers: Sequence[Observer] = (),
    outputs: Sequence[Path | str] = (),
    stop: Stop | None = None,
    host: Host = EMBEDDED,
) -> RunResult:
    """Run *workflow* against a simulated Atlas on loopback: it needs no keys, and claims no live migration.

    Hooks are really run. A rehearsal is marked as such everywhere, and no real run ever continues it.

    Args:
        workflow: What is to be rehearsed.
        settings: Where journal and reports are; None: what environment and defaults say.
        rehearsal: What the simulated Atlas is like; None: calm, ten times as fast as the clock.
        only: Names of waves or migrations; empty: all. What is under way is followed in any case.
        observers: Are told of each event (`Observer`).
        outputs: Files to write the report to, besides those of the state directory; the suffix chooses the format.
        stop: Once it is set, no new cutover starts, answers on the wire are waited for, and the report says what is left.
        host: What the process around gives the session.

    Raises:
        InputError: A name in *only* is unknown.
        BusyError: Another process rehearses the workflow.
        JournalError: The journal cannot be used.
    """
    settings = settings_or_usual(settings)
    options = Options(only=tuple(only), rehearsal=rehearsal or Rehearsal(), observers=observers, host=host)
    return await with_reports(partial(start, workflow, settings), settings, options, outputs=outputs, stop=stop)
