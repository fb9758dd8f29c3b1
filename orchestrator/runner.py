"""Begins, continues and ends runs, each under its locks.

    open journal ▸ lock ▸ look what is recorded ▸ conduct a session

`start` begins a run or continues the unfinished one of its workflow, `resume` continues one without its file. Both return
an `Ending`; they raise `CutoverError` when nothing was begun. `abort_interrupted` ends one on which nobody works.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from .changes import describe_changes
from .conductor import Ending, LastWords, Options, Task, conduct
from .errors import BusyError, InputError
from .events import CutoversStopped, RunAborted, RunFinished, RunResumed, RunStarted
from .journal import Journal, open_journal
from .locks import LockedError, locked, run_lock, workflow_lock
from .migrationstate import starts_afresh
from .outcomes import ExitCode
from .plural import names_listed, plural
from .run import UNDER_WAY, RunState
from .settings import Settings
from .version import program_version
from .workflow import Workflow


def new_run_id(now: float) -> str:
    """An id that sorts by time: `20261128-000000-3f9a1c`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)


def who_am_i() -> str:
    """`user@host (pid N)`: for lock files, and for events that people cause."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (pid {os.getpid()})"


async def start(workflow: Workflow, settings: Settings, options: Options, *, wall: Callable[[], float]) -> Ending:
    """Run *workflow*; where an unfinished run of it exists, continue that one (unless `options.new`).

    Raises:
        InputError: A name in `options.only` is unknown.
        BusyError: Another process holds the workflow or one of its live migrations.
        JournalError: The journal cannot be used.
        AtlasError: Atlas is not reachable or refuses the keys.
    """
    selected = select(workflow, options.only)
    rehearsal = options.rehearsal is not None
    with open_journal(settings.state_dir) as journal:

        def unfinished() -> str | None:
            if options.new or rehearsal:
                return None
            return next((row.run_id for row in journal.unfinished(workflow=workflow.name, rehearsal=False)), None)

        other = unfinished()
        if other is not None:
            return await _continue(journal, other, workflow, settings, options, wall=wall)
        run_id = new_run_id(wall())
        with _holding(settings.state_dir, workflow.name, run_id, rehearsal=rehearsal):
            other = unfinished()  # again: another process may have begun one, and died, before the lock was ours
            if other is None:
                first = RunStarted(
                    at=wall(),
                    workflow=workflow,
                    base_url=settings.atlas.base_url,
                    rehearsal=rehearsal,
                    selected=tuple(m.name for _, m in workflow.migrations() if m.name in selected),
                    who=who_am_i(),
                    version=program_version(),
                )
                state = RunState(run_id=run_id)
                before = (
                    _in_place_of(journal, run_id, workflow, selected, now=wall())
                    if options.new and not rehearsal
                    else ()
                )
                task = Task(workflow=workflow, rehearsal=rehearsal, state=state, first=first, in_place_of=before)
                return await conduct(journal, task, settings, options, wall=wall)
        return await _continue(journal, other, workflow, settings, options, wall=wall)


async def resume(run_id: str, settings: Settings, options: Options, *, wall: Callable[[], float]) -> Ending:
    """Continue run *run_id* as it is recorded; a finished one is left as it is, and its ending returned.

    Raises:
        InputError: There is no such run.
        BusyError, JournalError, AtlasError: As `start`.
    """
    with open_journal(settings.state_dir) as journal:
        return await _continue(journal, run_id, None, settings, options, wall=wall)


async def _continue(
    journal: Journal,
    run_id: str,
    given: Workflow | None,
    settings: Settings,
    options: Options,
    *,
    wall: Callable[[], float],
) -> Ending:
    row = journal.find(run_id)
    if row is None:
        raise InputError(f"there is no run {run_id} in {journal.path}")
    if not row.unfinished and not options.retry_failed:
        return _as_it_ended(journal.state(run_id), options)
    with _holding(settings.state_dir, row.workflow, run_id, rehearsal=row.rehearsal):
        state = journal.state(run_id)  # read under the lock: what another process still did is in it
        if given is not None:
            for line in describe_changes(state.workflow, given):
                options.say(
                    "workflow_changed",
                    run_id=run_id,
                    workflow=given.name,
                    detail=f"the workflow file has changed since run {run_id} started: {line}; the recorded one is used "
                    "(`run --new` starts a run of the file as it is)",
                )
        if options.retry_failed and state.aborted_by is not None:
            raise InputError(f"run {run_id} was aborted by {state.aborted_by}: start a new one with `run --new`")
        if not row.rehearsal and _place(state.base_url) != _place(settings.atlas.base_url):
            raise InputError(
                f"run {run_id} was begun at {state.base_url}, and atlas.base_url is {settings.atlas.base_url}: what is "
                "known of its live migrations is not from there. Continue it where it began, or start another with `run --new`"
            )
        # What was under way when the last session ended is followed in any case, and counts.
        selected = select(state.workflow, options.only) | {
            name for name, known in state.migrations.items() if known.phase in UNDER_WAY
        }
        again = options.retry_failed and any(
            starts_afresh(state.migrations[name], retry_failed=True) for name in selected
        )
        if not (state.unfinished or again):
            return _as_it_ended(state, options)
        first = RunResumed(
            at=wall(),
            selected=tuple(m.name for _, m in state.workflow.migrations() if m.name in selected),
            retry_failed=options.retry_failed,
            who=who_am_i(),
            base_url="" if row.rehearsal else settings.atlas.base_url,
            settle=settings.atlas.settle,
        )
        task = Task(workflow=state.workflow, rehearsal=state.rehearsal, state=state, first=first)
        return await conduct(journal, task, settings, options, wall=wall)


def _in_place_of(
    journal: Journal, run_id: str, workflow: Workflow, selected: frozenset[str], *, now: float
) -> tuple[LastWords, ...]:
    """How the unfinished runs of *workflow* end, in whose place *run_id* begins, of *selected*; the workflow is locked.

    Raises:
        InputError: One of them has left something under way or in doubt that the new run would not follow.
    """
    followed = {(m.group_id, m.live_migration_id) for _, m in workflow.migrations() if m.name in selected}
    ends = []
    for row in journal.unfinished(workflow=workflow.name, rehearsal=False):
        state = journal.state(row.run_id)
        in_doubt = frozenset(state.in_doubt())
        lost = [
            m.name
            for _, m in state.workflow.migrations()
            if m.name in in_doubt and (m.group_id, m.live_migration_id) not in followed
        ]
        if lost:
            raise InputError(
                f"run {row.run_id} has left {plural(len(lost), 'cutover')} under way or in doubt that this run would not "
                f"follow ({names_listed(lost)}): `atlas-cutover resume {row.run_id}` sees to them, "
                f"`atlas-cutover abort {row.run_id}` gives them up; then start this one"
            )
        ends.append(_last_words(state, now=now, successor=run_id))
    return tuple(ends)


def _place(base_url: str) -> tuple[str, str]:
    """Which Atlas *base_url* means; its path is the version of the API."""
    parts = urlsplit(base_url)
    return parts.scheme, parts.netloc


def _as_it_ended(state: RunState, options: Options) -> Ending:
    ending = Ending(state=state, exit_code=ExitCode(state.recorded_exit_code or 0))
    options.on_ended(ending)
    return ending


@contextmanager
def _holding(state_dir: Path, workflow: str, run_id: str, *, rehearsal: bool) -> Iterator[None]:
    """Hold a workflow and a run of it: what is read of them in here, no other process changes.

    Raises:
        BusyError: Another process holds one of them.
    """
    holder = f"{who_am_i()}, run {run_id}"
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(workflow_lock(state_dir, workflow, rehearsal=rehearsal), holder=holder))
            stack.enter_context(locked(run_lock(state_dir, run_id), holder=holder))
        except LockedError as error:
            raise BusyError(
                f"workflow {workflow!r} is being run by {error.holder}: wait for its end; "
                "`atlas-cutover status --watch` follows it"
            ) from None
        yield


def select(workflow: Workflow, only: tuple[str, ...]) -> frozenset[str]:
    """The names of the migrations that *only* picks (`Workflow.select`).

    Raises:
        InputError: A name is neither a wave nor a migration.
    """
    try:
        return workflow.select(only)
    except KeyError as error:
        raise InputError(
            f"--only {error.args[0]}: workflow {workflow.name!r} has no wave or migration of that name (a run that is "
            "continued has those it was started with)"
        ) from None


def abort_interrupted(journal: Journal, run_id: str, *, now: float) -> RunState:
    """End the run *run_id*, on which no process works; the caller holds its lock. The state that it ends in.

    Its claims are released. What it left under way is IN_DOUBT in its report, and the journal remembers the PUTs, so no
    run sends another without evidence.
    """
    last = _last_words(journal.state(run_id), now=now)
    journal.commit(run_id, last.events, {})
    return last.state


def _last_words(state: RunState, *, now: float, successor: str | None = None) -> LastWords:
    """End *state*, that of an unfinished run on which no process works, and tell by which events."""
    aborted = RunAborted(at=now, who=who_am_i(), successor=successor)
    stopped = CutoversStopped(at=now, reason=f"aborted by {aborted.who}")
    for event in (aborted, stopped):
        state.apply(event)
    finished = RunFinished(
        at=now,
        outcome=state.outcome(),
        exit_code=int(state.exit_code()),
        unfinished=False,
        requests={"total": 0, "by_status": {}, "retries": 0},
    )
    state.apply(finished)
    return LastWords(state=state, events=(aborted, stopped, finished))
