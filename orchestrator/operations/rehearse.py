"""`rehearse`: a run against the built-in simulator."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ..core.arguments import called, several, text, word
from ..core.observer import Observer
from ..core.settings import Engine, Settings
from ..core.workflow import Workflow
from .find import settings_or_usual, workflow_given
from .options import Host, Options
from .result import RunResult, Stop, host_given, outputs_of, stop_given, with_reports
from .target import Rehearsal, rehearsal_given
from .work import start


async def rehearse(  # noqa: PLR0913 - each is one thing that may be asked for
    workflow: Workflow,
    settings: Settings | None = None,
    rehearsal: Rehearsal | None = None,
    *,
    only: Iterable[str] = (),
    engine: Engine | None = None,
    observers: Iterable[Observer] = (),
    outputs: Iterable[Path | str] = (),
    stop: Stop | None = None,
    host: Host | None = None,
) -> RunResult:
    """Run *workflow* against a simulated Atlas on loopback: it needs no keys, and claims no live migration.

    Hooks are really run. A rehearsal is marked as such everywhere, and no real run ever continues it.

    Args:
        workflow: What is to be rehearsed.
        settings: Where journal and reports are; None: what environment and defaults say.
        rehearsal: What the simulated Atlas is like; None: calm, ten times as fast as the clock.
        only: Names of waves or migrations; empty: all. What is under way is followed in any case.
        engine: What works on it; None: what the settings say. `TEMPORAL`: a Temporal server and workers of its own, which end with it.
        observers: Are told of each event (`Observer`).
        outputs: Files to write the report to, besides those of the state directory; the suffix chooses the format.
        stop: Once it is set, no new cutover starts, answers on the wire are waited for, and the report says what is left.
        host: What the process around gives the session; None: nothing but its environment, for hooks.

    Raises:
        InputError: A name in *only* is unknown; or Temporal's development server is not installed.
        BusyError: Another process rehearses the workflow.
        JournalError: The journal cannot be used.
        TemporalError: Temporal's development server, or a worker, did not come up; nothing was begun.
    """
    workflow_given(workflow)
    stop_given(stop)
    names, told, paths = several("only", only, text), several("observers", observers, called), outputs_of(outputs)
    settings = settings_or_usual(settings)
    engine = word("engine", engine or settings.engine, Engine)
    options = Options(
        only=names, rehearsal=rehearsal_given(rehearsal), engine=engine, observers=told, host=host_given(host)
    )
    session = partial(start, workflow, settings)
    if engine is Engine.TEMPORAL:
        from . import temporal_rehearsals

        session = partial(temporal_rehearsals.start, workflow, settings)
    return await with_reports(session, settings, options, outputs=paths, stop=stop)
