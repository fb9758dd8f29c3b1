"""`run`: the main job."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ..core.arguments import called, expect, several, text, word
from ..core.observer import Observer
from ..core.settings import Engine, Settings
from ..core.workflow import Workflow
from .find import settings_or_usual, workflow_given
from .options import Host, Options
from .result import RunResult, Stop, host_given, outputs_of, stop_given, with_reports
from .work import start


async def run(  # noqa: PLR0913 - each is one thing that may be asked for
    workflow: Workflow,
    settings: Settings | None = None,
    *,
    only: Iterable[str] = (),
    new: bool = False,
    engine: Engine | None = None,
    retry_failed: bool = False,
    observers: Iterable[Observer] = (),
    outputs: Iterable[Path | str] = (),
    stop: Stop | None = None,
    host: Host | None = None,
) -> RunResult:
    """Cut *workflow*'s live migrations over; where an unfinished run of it exists, continue that one.

    Nobody is asked: to call this is to consent. It runs on asyncio, in any thread.

    Args:
        workflow: What is to be cut over.
        settings: Where, how fast, and with which keys; None: what environment and defaults say.
        only: Names of waves or migrations; empty: all. What is under way is followed in any case.
        new: Start another run; one that is unfinished is over then.
        engine: What works on it; None: what the settings say. `TEMPORAL`: it is begun at Temporal, or followed where it is open.
        retry_failed: When continuing: try again what failed before any PUT was sent.
        observers: Are told of each event (`Observer`).
        outputs: Files to write the report to, besides those of the state directory; the suffix chooses the format.
        stop: Once it is set, no new cutover starts, answers on the wire are waited for, and the report says what is left.
        host: What the process around gives the session; None: nothing but its environment, for hooks.

    Raises:
        InputError: A name in *only* is unknown, keys are missing, or the unfinished run is one of another workflow.
        BusyError: Another process holds the workflow or one of its live migrations.
        JournalError: The journal cannot be used.
        AtlasError: Atlas is not reachable or refuses the keys; nothing was begun.
    """
    workflow_given(workflow)
    expect("new", new, bool)
    expect("retry_failed", retry_failed, bool)
    stop_given(stop)
    names, told, paths = several("only", only, text), several("observers", observers, called), outputs_of(outputs)
    settings = settings_or_usual(settings)
    engine = word("engine", engine or settings.engine, Engine)
    options = Options(
        only=names, new=new, retry_failed=retry_failed, engine=engine, observers=told, host=host_given(host)
    )
    session = partial(start, workflow, settings)
    if engine is Engine.TEMPORAL:
        from . import temporal_runs

        session = partial(temporal_runs.start, workflow, settings)
    return await with_reports(session, settings, options, outputs=paths, stop=stop)
