"""`resume`: goes on with an unfinished run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ..core.arguments import called, expect, several, text
from ..core.errors import InputError
from ..core.observer import Observer
from ..core.settings import Engine, Settings
from ..store.journal import open_journal
from . import work
from .find import find_unfinished, settings_or_usual
from .options import Host, Options
from .result import RunResult, Stop, host_given, outputs_of, stop_given, with_reports
from .target import Rehearsal, rehearsal_given


async def resume(  # noqa: PLR0913 - each is one thing that may be asked for
    run_id: str | None = None,
    settings: Settings | None = None,
    *,
    only: Iterable[str] = (),
    retry_failed: bool = False,
    rehearsal: Rehearsal | None = None,
    observers: Iterable[Observer] = (),
    outputs: Iterable[Path | str] = (),
    stop: Stop | None = None,
    host: Host | None = None,
) -> RunResult:
    """Continue a run as it is recorded, without its workflow file; one that is over is reported as it ended.

    One that Temporal works on is followed there, and goes on there.

    Nobody is asked: to call this is to consent. It runs on asyncio, in any thread.

    Args:
        run_id: The run, or how its id begins; None: the newest unfinished one, real ones before rehearsals.
        settings: Where, how fast, and with which keys; None: what environment and defaults say.
        only: Names of waves or migrations; empty: all. What is under way is followed in any case.
        retry_failed: Try again what failed before any PUT was sent.
        rehearsal: What the simulated Atlas is like; of a rehearsal alone.
        observers: Are told of each event (`Observer`).
        outputs: Files to write the report to, besides those of the state directory; the suffix chooses the format.
        stop: Once it is set, no new cutover starts, answers on the wire are waited for, and the report says what is left.
        host: What the process around gives the session; None: nothing but its environment, for hooks.

    Raises:
        InputError: There is no such run, nothing to resume, or *rehearsal* is given and the run is a real one.
        BusyError: Another process holds the workflow or one of its live migrations.
        JournalError: The journal cannot be used.
        AtlasError: Atlas is not reachable or refuses the keys; nothing was begun.
    """
    expect("retry_failed", retry_failed, bool)
    stop_given(stop)
    names, told, paths = several("only", only, text), several("observers", observers, called), outputs_of(outputs)
    settings = settings_or_usual(settings)
    with open_journal(settings.state_dir, readonly=True) as journal:
        row = find_unfinished(journal, run_id)
    if rehearsal is not None:
        rehearsal_given(rehearsal)
    if rehearsal is not None and not row.rehearsal:
        raise InputError(f"run {row.run_id} is a real one, which cannot go on as a rehearsal; nothing was sent")
    engine = Engine.LOCAL if row.temporal is None else Engine.TEMPORAL
    options = Options(
        only=names, retry_failed=retry_failed, engine=engine, rehearsal=rehearsal, observers=told, host=host_given(host)
    )
    session = partial(work.resume, row.run_id, settings)
    if row.temporal is not None and (row.unfinished or retry_failed):
        from . import temporal_rehearsals, temporal_runs

        its_room = temporal_rehearsals if row.rehearsal else temporal_runs
        session = partial(its_room.resume, row, settings)
    return await with_reports(session, settings, options, outputs=paths, stop=stop)
