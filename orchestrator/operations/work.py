"""Begins, continues and ends runs, each under its locks.

    open journal ▸ lock ▸ look what is recorded ▸ conduct a session

`start` begins a run or continues the unfinished one of its workflow, `resume` continues one without its file. Both return
an `Ending`; they raise `CutoverError` when nothing was begun.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import BusyError, InputError
from ..core.events import ForecastMade, RunResumed, WindowChanged
from ..core.migration import starts_afresh
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..machine.person import who_am_i
from ..store.ground import OpenFile
from ..store.journal import Journal, open_journal
from ..store.locks import MOMENT, LockedError, locked, run_lock, workflow_lock
from .assignment import Assignment
from .forecasting import history_of, make_forecast
from .foresight import beginning, continuation, keep_to_what_was_confirmed, select, unfinished_run
from .missing_here import refuse_foreign_programs
from .options import Ending, Options
from .secrets_in import refuse_secrets
from .session import conduct
from .steering import heeding_what_waits, take_up_what_waits
from .whose import refuse_foreign


def new_run_id(now: float) -> str:
    """An id that sorts by time: `20261128-000000-3f9a1c`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)


async def start(workflow: Workflow, settings: Settings, options: Options) -> Ending:
    """Run *workflow*; where an unfinished run of it exists, continue that one (unless `options.new`).

    Raises:
        InputError: A name in `options.only` is unknown, a hook's program is somebody else's, a key stands in the workflow, the unfinished run is one of another workflow than *workflow* (a
            new window apart), or something else would be done than was confirmed.
        BusyError: Another process holds the workflow or one of its live migrations.
        JournalError: The journal cannot be used.
        AtlasError: Atlas is not reachable or refuses the keys.
    """
    select(workflow, options.only)
    refuse_secrets(workflow, settings)
    refuse_foreign_programs(workflow)
    with open_journal(settings.state_dir, checkpoint=options.host.checkpoint) as journal:
        other = unfinished_run(journal, workflow, settings, options)
        if other is not None:
            return await _continue(journal, other, workflow, settings, options)
        run_id = new_run_id(options.host.wall())
        with holding(settings.state_dir, workflow.name, run_id, rehearsal=options.rehearsal is not None) as locks:
            # Again: another process may have begun one, and died, before the lock was ours.
            other = unfinished_run(journal, workflow, settings, options)
            if other is None:
                assignment = beginning(journal, run_id, workflow, settings, options, now=options.host.wall())
                assignment = replace(assignment, also=forecast_of(journal, assignment, settings))
                keep_to_what_was_confirmed(journal, assignment, settings, options, now=options.host.wall())
                return await conduct(journal, replace(assignment, locks=locks), settings, options)
        return await _continue(journal, other, workflow, settings, options)


async def resume(run_id: str, settings: Settings, options: Options) -> Ending:
    """Continue run *run_id* as it is recorded; a finished one is left as it is, and its ending returned.

    Raises:
        InputError: There is no such run, or something else would be done than was confirmed.
        BusyError, JournalError, AtlasError: As `start`.
    """
    with open_journal(settings.state_dir, checkpoint=options.host.checkpoint) as journal:
        return await _continue(journal, run_id, None, settings, options)


async def _continue(
    journal: Journal,
    run_id: str,
    given: Workflow | None,
    settings: Settings,
    options: Options,
) -> Ending:
    row = journal.find(run_id)
    if row is None:
        raise InputError(f"there is no run {run_id} in {journal.path}")
    if row.unfinished or options.retry_failed:
        refuse_foreign(row, options.engine, settings.temporal)
    if not row.unfinished and not options.retry_failed:
        return as_it_ended(journal.state(run_id), options)
    with holding(settings.state_dir, row.workflow, run_id, rehearsal=row.rehearsal) as locks:
        state = take_up_what_waits(journal, run_id)  # under the lock: what another process still did is in it
        refuse_foreign_programs(state.workflow)
        assignment = continuation(state, given, settings, options, now=options.host.wall())
        assert isinstance(assignment.first, RunResumed)
        again = options.retry_failed and any(
            starts_afresh(state.migrations[name], retry_failed=True) for name in assignment.first.selected
        )
        if not (state.recorded_unfinished or again):
            return as_it_ended(state, options)
        # An `abort` that waits is heeded before the first step: it was reckoned with when the operator was asked.
        heeding = continuation(heeding_what_waits(journal, state), given, settings, options, now=assignment.first.at)
        keep_to_what_was_confirmed(journal, heeding, settings, options, now=options.host.wall())
        assignment = replace(
            assignment, also=(*assignment.also, *forecast_of(journal, assignment, settings)), locks=locks
        )
        return await conduct(journal, assignment, settings, options)


def as_it_ended(state: RunState, options: Options) -> Ending:
    """The ending of a run that was over before."""
    ending = Ending(state=state, exit_code=ExitCode(state.recorded_exit_code or 0))
    options.host.on_ended(ending)
    return ending


def forecast_of(journal: Journal, assignment: Assignment, settings: Settings) -> tuple[ForecastMade, ...]:
    """What is recorded of when the waves will have ended that *assignment* is the first to start; nothing, where there is nothing to judge by."""
    begun = {name for name, wave in assignment.state.waves.items() if wave.first_started_at is not None}
    new = {m.name for wave, m in assignment.workflow.migrations() if wave.name not in begun}.intersection(
        assignment.first.selected
    )
    if not new:
        return ()
    changed = next((event for event in assignment.also if isinstance(event, WindowChanged)), None)
    workflow = assignment.workflow if changed is None else replace(assignment.workflow, window=changed.window)
    history = history_of(journal, workflow, rehearsal=assignment.rehearsal)
    at = assignment.first.at
    made = make_forecast(workflow, new, settings, history, now=at, rehearsal=assignment.rehearsal)
    return () if made is None else (ForecastMade(at=at, forecast=made),)


@contextmanager
def holding(state_dir: Path, workflow: str, run_id: str, *, rehearsal: bool) -> Iterator[tuple[OpenFile, ...]]:
    """Hold a workflow and a run of it: what is read of them in here, no other process changes. The files that are locked.

    Raises:
        BusyError: Another process holds one of them.
    """
    holder = f"{who_am_i()}, run {run_id}"
    with ExitStack() as stack:
        try:
            locks = (
                stack.enter_context(locked(workflow_lock(state_dir, workflow, rehearsal=rehearsal), holder=holder)),
                stack.enter_context(locked(run_lock(state_dir, run_id), holder=holder, patience=MOMENT)),
            )
        except LockedError as error:
            if error.briefly:
                raise BusyError(
                    f"run {run_id} is held by {error.holder}, who works on no run (`pause` and its like, `abort`, `status` of one at Temporal), and has "
                    f"not let go of it in {MOMENT:.0f} s: start the command again once that has ended; nothing was begun"
                ) from None
            raise BusyError(
                f"workflow {workflow!r} is being run by {error.holder}: wait for its end; "
                "`atlas-cutover status --watch` follows it"
            ) from None
        yield locks
