"""Runs that a Temporal cluster works on, for the commands of this machine: begun, followed into the journal, steered.

The events are Temporal's; the journal here mirrors them, in their order and without a gap, so that everything else reads them as
it reads those of a local run. Whoever mirrors a run holds its lock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.changes import differences
from ..core.errors import BusyError, InputError, TemporalError
from ..core.leftovers import outlives_who_was_asked
from ..core.run import RunState
from ..core.settings import DEFAULT_SETTLE, Settings
from ..core.steering import SteeringRequest
from ..core.workflow import Hooks, Workflow
from ..machine.person import who_am_i
from ..store.ground import OpenFile
from ..store.journal import Journal, RunRow, journal_in, open_journal
from ..store.locks import LockedError, locked, run_lock
from ..text.escaping import one_line
from .follower import Follower, unknown_puts
from .foresight import beginning, continuation, keep_to_what_was_confirmed, select
from .leftovers import sort_out
from .options import Ending, Options
from .other_servers import refuse_to_follow
from .secrets_in import refuse_secrets
from .steering import take_up_what_was_kept
from .temporal_places import refuse_strangers, remote_of, remote_of_run
from .whose import refuse_elsewhere, refuse_foreign
from .work import as_it_ended, forecast_of, holding, new_run_id

if TYPE_CHECKING:
    from ..engines.temporal.service import Remote

_EVENTS = 45_000  # of a run, which each worker that takes it over reads in one go: Temporal gives it 10 s
_OF_A_MIGRATION, _OF_A_HOOK = 7, 1  # events, in an undisturbed night


async def is_open(workflow: Workflow, settings: Settings) -> bool:
    """Whether a run of *workflow* is open at Temporal: then there is nothing to begin, and nothing to ask.

    Raises:
        BusyError, InputError: An unfinished run of it is elsewhere (`refuse_elsewhere`).
        TemporalError: Temporal does not answer.
    """
    _refuse_those_elsewhere(workflow, settings)
    found = await (await remote_of(settings.temporal, workflow.name, rehearsal=False)).find()
    return found is not None and found.is_open


def _refuse_those_elsewhere(workflow: Workflow, settings: Settings) -> None:
    """Raise where an unfinished run of *workflow* is at another place of Temporal's: whatever is open under its name here is another one.

    Raises:
        BusyError, InputError: As `refuse_elsewhere`.
        JournalError: The journal cannot be read.
    """
    if journal_in(settings.state_dir):
        with open_journal(settings.state_dir, readonly=True) as journal:
            for row in journal.unfinished(workflow=workflow.name, rehearsal=False):
                refuse_elsewhere(row, settings.temporal)


async def start(workflow: Workflow, settings: Settings, options: Options, *, detach: bool = False) -> Ending:
    """Run *workflow* at Temporal, or follow its open run; a closed one that is unfinished goes on, unless `options.new`.

    *detach*: return when it has begun.

    Raises:
        InputError: As `work.start`; or its unfinished run is a local one, or elsewhere at Temporal; or it is too large.
        BusyError: Another process follows it, or it names a live migration of another run, or is open elsewhere at Temporal.
        JournalError: The journal cannot be used.
        TemporalError: Temporal does not answer.
    """
    select(workflow, options.only)
    refuse_too_large(workflow)
    refuse_secrets(workflow, settings)
    _refuse_those_elsewhere(workflow, settings)
    remote = await remote_of(settings.temporal, workflow.name, rehearsal=False)
    found = await remote.find()
    with open_journal(settings.state_dir) as journal, ExitStack() as locks:
        if found is not None and found.is_open:
            refuse_strangers(found, remote)
            if options.new:
                raise BusyError(
                    f"run {found.run_id} of workflow {workflow.name!r} is open: `atlas-cutover abort {found.run_id}` ends it"
                )
            locks.enter_context(followed(journal, workflow.name, found.run_id, options))
            sort_out(journal, found.run_id, options.host.say)
            follower = Follower(journal, remote, settings, options, run_id=found.run_id)
            await follower.catch_up(least=1)
            refuse_to_follow(follower.state, settings)
            changes = differences(follower.state.workflow, workflow)
            if changes:
                raise InputError(
                    f"workflow {workflow.name!r} is not what its open run {found.run_id} was begun with; nothing was changed:\n"
                    + "\n".join(f"  {line}" for line in changes)
                    + f"\n`atlas-cutover resume {found.run_id}` follows it as it is"
                )
            return await follower.follow(detach=detach)
        if not options.new:
            row = next(iter(journal.unfinished(workflow=workflow.name, rehearsal=False)), None)
            if row is not None:
                refuse_foreign(row, options.engine, settings.temporal)
                locks.enter_context(followed(journal, workflow.name, row.run_id, options))
                return await _go_on(journal, remote, row, workflow, settings, options, detach=detach)
        run_id = new_run_id(options.host.wall())
        locks.enter_context(followed(journal, workflow.name, run_id, options))
        if options.new:
            await _take_in_whose_place_it_takes(journal, remote, workflow.name, settings, options)
        assignment = beginning(journal, run_id, workflow, settings, options, now=options.host.wall())
        assignment = replace(assignment, also=forecast_of(journal, assignment, settings))
        keep_to_what_was_confirmed(journal, assignment, settings, options, now=options.host.wall())
        follower = Follower(journal, remote, settings, options, run_id=run_id)
        return await follower.begin(assignment, after=found, detach=detach)


async def resume(row: RunRow, settings: Settings, options: Options) -> Ending:
    """Follow the open run *row* at Temporal again, or go on with a closed one that is unfinished.

    Raises:
        BusyError: Another process follows it, or another run of its workflow is open.
        InputError, JournalError, TemporalError: As `start`.
    """
    remote = await remote_of_run(row, settings)
    with open_journal(settings.state_dir) as journal, ExitStack() as locks:
        locks.enter_context(followed(journal, row.workflow, row.run_id, options))
        return await _go_on(journal, remote, row, None, settings, options)


async def _go_on(
    journal: Journal,
    remote: Remote,
    row: RunRow,
    given: Workflow | None,
    settings: Settings,
    options: Options,
    *,
    detach: bool = False,
) -> Ending:
    """Follow the run *row*, whose lock the caller holds, or begin its next session, as it stands at Temporal."""
    # First: who asks from now on asks this process.
    leftovers = sort_out(journal, row.run_id, options.host.say)
    found = await remote.find()
    follower = Follower(journal, remote, settings, options, run_id=row.run_id)
    if found is not None and found.run_id != row.run_id and found.is_open:
        refuse_strangers(found, remote)
        raise BusyError(f"another run of workflow {row.workflow!r} is open at Temporal: {found.run_id}")
    if found is not None and found.run_id == row.run_id and found.is_open:
        return await follower.follow(detach=detach)
    all_is_known = await follower.catch_up_with_its_end(found)
    follower.tell_if_closed()
    if leftovers.kept:
        take_up_what_was_kept(journal, row.run_id, leftovers)
        follower = Follower(journal, remote, settings, options, run_id=row.run_id)
    state = journal.state(row.run_id)
    if not state.recorded_unfinished and not options.retry_failed:
        return as_it_ended(state, options)
    assignment = continuation(state, given, settings, options, now=options.host.wall())
    keep_to_what_was_confirmed(journal, assignment, settings, options, now=options.host.wall())
    assignment = replace(assignment, also=(*assignment.also, *forecast_of(journal, assignment, settings)))
    if not all_is_known:
        doubts = unknown_puts(state, assignment.first.selected, settle=settings.atlas.settle, now=assignment.first.at)
        assignment = replace(assignment, also=(*assignment.also, *doubts))
    await _refuse_given_up(remote, state)
    return await follower.begin(assignment, after=found, detach=detach)


async def _refuse_given_up(remote: Remote, state: RunState) -> None:
    """Raise where the run in *state* is over for another state directory, which has left word of it at Temporal.

    Raises:
        InputError: It is.
        TemporalError: Temporal does not answer.
    """
    who = await remote.given_up_by(state.run_id)
    if who is not None:
        raise InputError(
            f"run {state.run_id} was ended by {one_line(who)[:200]} with another state directory, which this one had not heard of: nothing was "
            f"begun. `atlas-cutover abort {state.run_id}` ends it here, too"
        )


async def _take_in_whose_place_it_takes(
    journal: Journal, remote: Remote, workflow: str, settings: Settings, options: Options
) -> None:
    """Take in what Temporal knows of the unfinished runs of *workflow*, which the caller has locked, before another one takes their place.

    Raises:
        BusyError: Another process looks at one of them.
        TemporalError: Temporal does not answer, or no worker.
    """
    found = await remote.find()
    for row in journal.unfinished(workflow=workflow, rehearsal=False):
        refuse_foreign(row, options.engine, settings.temporal)
        try:
            with locked(run_lock(journal.state_dir, row.run_id), holder=who_am_i(), briefly=True):
                follower = Follower(journal, remote, settings, options, run_id=row.run_id)
                await follower.take_in_its_end(found, settle=settings.atlas.settle, now=options.host.wall())
        except LockedError as error:
            raise BusyError(f"{error.holder} looks at run {row.run_id} just now: start this command again") from None
        except TemporalError as error:
            raise TemporalError(
                f"what run {row.run_id} has sent, in whose place another one is to begin, is not known: {error}"
            ) from None


async def is_open_row(row: RunRow, settings: Settings | None = None) -> bool:
    """Whether the run *row* is open at Temporal. *settings*: as for `remote_of_run`.

    Raises:
        TemporalError: Temporal does not answer.
    """
    found = await (await remote_of_run(row, settings)).find()
    return found is not None and found.run_id == row.run_id and found.is_open


async def steer(
    row: RunRow, requests: Sequence[SteeringRequest], *, before: Sequence[SteeringRequest] = ()
) -> list[str | None]:
    """Ask the open run *row* for *requests*, and *before* them for what was asked earlier; why each did nothing, or None.

    Raises:
        InputError: It is not open any more.
        TemporalError: Temporal does not answer, or no worker.
    """
    remote = await remote_of_run(row)
    if not await is_open_row(row):
        raise InputError(
            f"run {row.run_id} is not open at Temporal any more: `atlas-cutover resume {row.run_id}` takes in how it has ended"
        )
    if all(outlives_who_was_asked(request) for request in (*before, *requests)):
        # As one: where no worker comes, all of it is left there.
        return (await remote.steer(row.run_id, [*before, *requests]))[len(before) :]
    if before:
        try:
            await remote.steer(row.run_id, before)
        except TemporalError as error:
            raise TemporalError(
                f"nothing was asked of run {row.run_id} by this command, as something older comes first: {error}"
            ) from None
    return await remote.steer(row.run_id, requests)


async def give_up(row: RunRow, who: str) -> bool:
    """Leave word at Temporal that *who* ends the run *row*, which is open nowhere; whether it is open all the same by now.

    Raises:
        TemporalError: Temporal does not answer.
    """
    remote = await remote_of_run(row)
    await remote.give_up(row.run_id, who)
    # After that, not before: a session that is not seen here begins later, and so sees the word (`words.give_up`).
    found = await remote.find()
    return found is not None and found.run_id == row.run_id and found.is_open


async def let_go(row: RunRow, workflow: Workflow) -> None:
    """Give up the claims that the closed run *row* of *workflow* has left at Temporal.

    Raises:
        TemporalError: Temporal does not answer.
    """
    remote = await remote_of_run(row)
    await remote.let_go([f"{m.group_id}/{m.live_migration_id}" for _, m in workflow.migrations()], row.run_id)


async def take_in_its_end(row: RunRow, state_dir: Path, *, who: str) -> None:
    """Take in what Temporal knows of the run *row*, which is open nowhere and which *who* is about to end; or that it does not know.

    Raises:
        InputError: Another process looks at it.
        JournalError: The journal cannot be written, or events of the run are missing.
        TemporalError: Temporal does not answer, or no worker.
    """
    remote = await remote_of_run(row)
    with open_journal(state_dir) as journal:
        try:
            with locked(run_lock(journal.state_dir, row.run_id), holder=who, briefly=True):
                follower = Follower(journal, remote, None, Options(), run_id=row.run_id)
                # Who begins another run waits as long as the config says then.
                await follower.take_in_its_end(await remote.find(), settle=DEFAULT_SETTLE, now=time.time())
        except LockedError as error:
            raise InputError(f"run {row.run_id} has just been taken up by {error.holder}: ask again") from None


async def catch_up(row: RunRow, state_dir: Path) -> bool:
    """Take in what has happened in the run *row*, if nobody here follows it; whether it was closed before it had ended.

    Raises:
        TemporalError: Temporal does not answer, or no worker.
    """
    remote = await remote_of_run(row)
    if await remote.find() is None:
        return False  # Temporal has forgotten it
    with open_journal(state_dir) as journal:
        try:
            with locked(run_lock(journal.state_dir, row.run_id), holder="status", briefly=True):
                follower = Follower(journal, remote, None, Options(), run_id=row.run_id)
                await follower.catch_up()
                return follower.closed
        except LockedError:
            return False  # somebody follows it


def followed(
    journal: Journal, workflow: str, run_id: str, options: Options
) -> AbstractContextManager[tuple[OpenFile, ...]]:
    """Hold a workflow and a run of it, as `work` does."""
    return holding(journal.state_dir, workflow, run_id, rehearsal=options.rehearsal is not None)


def refuse_too_large(workflow: Workflow) -> None:
    """Raise where a run would have more events than it can take along when it goes on with an empty history.

    Raises:
        InputError: It would.
    """
    expected = 0
    for wave in (None, *workflow.waves):
        hooks = workflow.hooks if wave is None else wave.hooks
        expected += _OF_A_HOOK * _runs_of(hooks)
    for _, migration in workflow.migrations():
        expected += _OF_A_MIGRATION + _OF_A_HOOK * _runs_of(migration.hooks)
    if expected > _EVENTS:
        raise InputError(
            f"workflow {workflow.name!r} is too large for one run at Temporal: about {expected} events, and at most {_EVENTS} "
            "fit. Split it into several workflows, or run it with `--engine local`"
        )


def _runs_of(hooks: Hooks) -> int:
    """How often hooks are run, at most; a `verify` that says "not yet" all the time is run again and again."""
    again = int(hooks.verify_timeout / max(1.0, hooks.verify_every)) if hooks.verify else 0
    return sum(1 for _ in hooks.argvs()) + again
