"""Rehearsals at Temporal: begun and gone on with on a stage of their own (`stage`), and mirrored as a real run is."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from ..core.settings import Settings
from ..core.workflow import Workflow
from ..store.journal import Journal, RunRow, open_journal
from .assignment import Assignment
from .follower import Follower
from .foresight import beginning, continuation, select
from .leftovers import sort_out
from .options import Ending, Options
from .secrets_in import refuse_secrets
from .stage import find_server, stage
from .steering import take_up_what_was_kept
from .target import Rehearsal
from .temporal_places import remote_of
from .temporal_runs import followed, refuse_too_large
from .work import as_it_ended, forecast_of, new_run_id


async def start(workflow: Workflow, settings: Settings, options: Options) -> Ending:
    """Rehearse *workflow* at Temporal.

    Raises:
        InputError: As `work.start`; or what it takes is not installed.
        BusyError: Another process rehearses the workflow.
        JournalError: The journal cannot be used.
        TemporalError: The stage could not be set; nothing was begun.
    """
    select(workflow, options.only)
    refuse_too_large(workflow)
    refuse_secrets(workflow, settings)
    find_server(options.host.environ)
    with open_journal(settings.state_dir) as journal, ExitStack() as locks:
        run_id = new_run_id(options.host.wall())
        locks.enter_context(followed(journal, workflow.name, run_id, options))
        assignment = beginning(journal, run_id, workflow, settings, options, now=options.host.wall())
        return await _play(journal, assignment, settings, options)


async def resume(row: RunRow, settings: Settings, options: Options) -> Ending:
    """Go on with the rehearsal *row*, on another stage, whose simulator has the past that the journal tells.

    Raises:
        InputError, BusyError, JournalError, TemporalError: As `start`.
    """
    find_server(options.host.environ)
    with open_journal(settings.state_dir) as journal, ExitStack() as locks:
        locks.enter_context(followed(journal, row.workflow, row.run_id, options))
        take_up_what_was_kept(journal, row.run_id, sort_out(journal, row.run_id, options.host.say))
        state = journal.state(row.run_id)  # read under the lock: what another process still did is in it
        if not state.recorded_unfinished and not options.retry_failed:
            return as_it_ended(state, options)
        assignment = continuation(state, None, settings, options, now=options.host.wall())
        return await _play(journal, assignment, settings, options)


async def _play(journal: Journal, assignment: Assignment, settings: Settings, options: Options) -> Ending:
    """Have the session of *assignment*, whose run's lock the caller holds, on a stage of its own."""
    rehearsal, workflow = options.rehearsal or Rehearsal(), assignment.workflow
    async with stage(workflow, settings, rehearsal, so_far=assignment.state, host=options.host) as its_own:
        # The first event says where the requests go; what had been recorded before was for a simulator that is gone.
        first = replace(assignment.first, at=options.host.wall(), base_url=its_own.settings.atlas.base_url)
        assignment = replace(assignment, first=first)
        assignment = replace(assignment, also=(*assignment.also, *forecast_of(journal, assignment, settings)))
        remote = await remote_of(its_own.settings.temporal, workflow.name, rehearsal=True)
        follower = Follower(journal, remote, its_own.settings, options, run_id=assignment.state.run_id, stage=its_own)
        return await follower.begin(assignment)
