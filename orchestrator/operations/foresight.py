"""What the next session on a run would begin with: read from the journal, and nothing is sent or written.

`foresee` and `foresee_resume` tell what would be done, for the question that an operator is asked; `work` makes the same tasks
again under the run's locks, and `keep_to_what_was_confirmed` compares.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.advice import path_of
from ..core.changes import differences
from ..core.consent import Intention, intended
from ..core.errors import InputError
from ..core.events import (
    ConfirmationWaiting,
    Event,
    RunResumed,
    RunStarted,
    WindowChanged,
)
from ..core.migration import UNDER_WAY
from ..core.run import RunState
from ..core.settings import Settings
from ..core.typed import resume_command
from ..core.workflow import Workflow
from ..engines.local.session import doubts_of_earlier_puts
from ..machine.person import who_am_i
from ..machine.version import program_version
from ..store.journal import Journal, journal_in, open_journal
from ..text.counts import names_listed, plural
from ..text.likeness import closest
from .assignment import Assignment, LastWords, last_words
from .options import Options
from .other_servers import refuse_other_server, refuse_to_take_the_place
from .steering import asked_already
from .whose import refuse_foreign

_NAMES = 20
"""How many names a message lists."""


def foresee(workflow: Workflow, settings: Settings, options: Options, *, now: float) -> Intention:
    """What `start` would do now, were it confirmed; nothing is sent, and nothing is made.

    Raises:
        InputError, JournalError: As `start`.
    """
    select(workflow, options.only)
    if not journal_in(settings.state_dir):
        assignment = _first_of(RunState(run_id=""), workflow, settings, options, now=now)
        return intended(assignment.state, (assignment.first,), base_url=settings.atlas.base_url, ends=(), now=now)
    with open_journal(settings.state_dir) as journal:
        other = unfinished_run(journal, workflow, settings, options)
        journal.check_whole(*([other] if other else ()))
        assignment = (
            beginning(journal, "", workflow, settings, options, now=now)
            if other is None
            else continuation(asked_already(journal, other), workflow, settings, options, now=now)
        )
        return _intention(journal, assignment, settings, now=now)


def foresee_going_on(workflow: Workflow, settings: Settings, options: Options, *, now: float) -> Intention | None:
    """What `run` would do with the unfinished run of *workflow* that it would continue; None: there is none. The journal is only read.

    Raises:
        InputError: That run is one of another workflow than *workflow* is now, or of another Atlas; with what to do.
        JournalError: The journal cannot be read.
    """
    if not journal_in(settings.state_dir):
        return None
    with open_journal(settings.state_dir, readonly=True) as journal:
        other = unfinished_run(journal, workflow, settings, options)
        journal.check_whole(*([other] if other else ()))
        if other is None:
            return None
        return _intention(
            journal,
            continuation(asked_already(journal, other), workflow, settings, options, now=now),
            settings,
            now=now,
        )


def foresee_resume(run_id: str, settings: Settings, options: Options, *, now: float) -> Intention:
    """What `resume` would do now with run *run_id*, were it confirmed.

    Raises:
        InputError, JournalError: As `resume`.
    """
    with open_journal(settings.state_dir) as journal:
        journal.check_whole(run_id)
        assignment = continuation(asked_already(journal, run_id), None, settings, options, now=now)
        return _intention(journal, assignment, settings, now=now)


def unfinished_run(journal: Journal, workflow: Workflow, settings: Settings, options: Options) -> str | None:
    """The run of *workflow* that is to be continued.

    Raises:
        BusyError, InputError: As `refuse_foreign`.
    """
    if options.new or options.rehearsal is not None:
        return None
    row = next(iter(journal.unfinished(workflow=workflow.name, rehearsal=False)), None)
    if row is None:
        return None
    refuse_foreign(row, options.engine, settings.temporal)
    return row.run_id


def _first_of(
    state: RunState,
    workflow: Workflow,
    settings: Settings,
    options: Options,
    *,
    now: float,
    in_place_of: tuple[LastWords, ...] = (),
) -> Assignment:
    """The first session of a new run of *workflow*."""
    selected = select(workflow, options.only)
    first = RunStarted(
        at=now,
        workflow=workflow,
        base_url=settings.atlas.base_url,
        rehearsal=options.rehearsal is not None,
        selected=tuple(m.name for _, m in workflow.migrations() if m.name in selected),
        who=who_am_i(),
        version=program_version(),
        approves=_approves(options),
    )
    return Assignment(workflow=workflow, rehearsal=first.rehearsal, state=state, first=first, in_place_of=in_place_of)


def _approves(options: Options) -> bool:
    return options.rehearsal is not None and options.rehearsal.approves


def beginning(
    journal: Journal, run_id: str, workflow: Workflow, settings: Settings, options: Options, *, now: float
) -> Assignment:
    """The first session of run *run_id*, which takes the place of an unfinished one where that was asked for."""
    before: tuple[LastWords, ...] = ()
    if options.new and options.rehearsal is None:
        selected = select(workflow, options.only)
        before = _in_place_of(journal, run_id, workflow, selected, settings=settings, options=options, now=now)
    return _first_of(RunState(run_id=run_id), workflow, settings, options, now=now, in_place_of=before)


def continuation(
    state: RunState, given: Workflow | None, settings: Settings, options: Options, *, now: float
) -> Assignment:
    """The next session of the run in *state*; *given* is its workflow as the file has it now, where there is one.

    Raises:
        InputError: The run is one of another workflow, of another Atlas, or was aborted and shall be tried again.
    """
    run_id = state.run_id
    if given is not None and (changes := differences(state.workflow, given)):
        raise InputError(_two_ways_on(state, given, changes, settings, options, now=now))
    if options.retry_failed and state.aborted_by is not None:
        raise InputError(
            f"run {run_id} was aborted by {state.aborted_by}: start a new one with `atlas-cutover run --new {path_of(state.workflow)}`"
        )
    refuse_other_server(state, settings, now=now)
    # What was under way when the last session ended is followed in any case, and counts.
    selected = select(state.workflow, options.only) | {
        name for name, known in state.migrations.items() if known.phase in UNDER_WAY
    }
    first = RunResumed(
        at=now,
        selected=tuple(m.name for _, m in state.workflow.migrations() if m.name in selected),
        retry_failed=options.retry_failed,
        who=who_am_i(),
        base_url="" if state.rehearsal else settings.atlas.base_url,
        settle=settings.atlas.settle,
        approves=state.rehearsal and _approves(options),
    )
    also: list[Event] = []
    if given is not None and given.window != state.workflow.window:
        also.append(WindowChanged(at=now, window=given.window))
    if options.host.ask is not None:
        also.append(ConfirmationWaiting(at=now, who=who_am_i()))
    return Assignment(workflow=state.workflow, rehearsal=state.rehearsal, state=state, first=first, also=also)


def _two_ways_on(
    state: RunState, given: Workflow, changes: list[str], settings: Settings, options: Options, *, now: float
) -> str:
    """What a run that goes on would do otherwise than its workflow file says, and how to have the one or the other."""
    run_id, where = state.run_id, options.host.state_options
    assignment = continuation(state, None, settings, replace(options, only=(), retry_failed=False), now=now)
    recorded = intended(state, (assignment.first,), base_url=state.base_url, ends=(), now=now)
    cuts = [
        f"{plural(len(names), 'live migration')} {what}: {names_listed(names, _NAMES)}"
        for names, what in (
            (recorded.starts, "over"),
            (recorded.repeats, "over if the PUT before turns out not to have been carried out"),
        )
        if names
    ]
    left = state.unsettled()
    beforehand = f", once `resume` or `abort` has seen to what it left under way ({names_listed(left)})" if left else ""
    return "\n".join(
        (
            f"workflow {state.workflow.name!r} is not what its unfinished run {run_id} was started with; nothing was sent:",
            *(f"  {line}" for line in changes),
            "Choose one of the two:",
            f"  {resume_command(run_id)}{where}",
            f"      continues it as it is recorded: cuts {' and '.join(cuts) or 'nothing'}",
            f"  atlas-cutover run --new {path_of(given)}{where}",
            f"      starts another run, of the file as it is now; run {run_id} is over then{beforehand}",
        )
    )


def _intention(journal: Journal, assignment: Assignment, settings: Settings, *, now: float) -> Intention:
    """What the session of *assignment* does."""
    doubts = doubts_of_earlier_puts(
        assignment.workflow,
        assignment.state,
        assignment.first,
        {} if assignment.rehearsal else journal.earlier_puts(assignment.state.run_id, base_url=settings.atlas.base_url),
        settle=settings.atlas.settle,
    )
    return intended(
        assignment.state,
        (assignment.first, *assignment.also, *doubts),
        base_url=settings.atlas.base_url,
        ends=tuple(last.state.run_id for last in assignment.in_place_of),
        now=now,
    )


def keep_to_what_was_confirmed(
    journal: Journal, assignment: Assignment, settings: Settings, options: Options, *, now: float
) -> None:
    """See that the session of *assignment* does what the operator was asked about; the caller holds the run's locks.

    Raises:
        InputError: It would do something else.
    """
    confirmed, unasked = options.host.confirmed, options.host.unasked
    if confirmed is None and not unasked:
        return
    intention = _intention(journal, assignment, settings, now=now)
    if unasked and intention.may_put:
        raise InputError(
            f"when this command began there was nothing to ask you about, and now run {assignment.state.run_id} has something to "
            "cut over (another process has worked on it, or somebody has asked for that); nothing was sent. Start the command again"
        )
    if confirmed is not None and confirmed != intention:
        raise InputError(
            "what there is to do has changed since you were asked (another process has worked on it, or the window has "
            "closed); nothing was sent. Start the command again: it asks about what is left"
        )


def _in_place_of(
    journal: Journal,
    run_id: str,
    workflow: Workflow,
    selected: frozenset[str],
    *,
    settings: Settings,
    options: Options,
    now: float,
) -> tuple[LastWords, ...]:
    """How the unfinished runs of *workflow* end, in whose place *run_id* begins, of *selected*; the workflow is locked.

    Raises:
        BusyError: One of them is open at Temporal, for another engine or at another place.
        InputError: One of them has left something under way or in doubt that the new run would not follow, or anything at another server, or is foreign (`refuse_foreign`).
    """
    followed = {(m.group_id, m.live_migration_id) for _, m in workflow.migrations() if m.name in selected}
    ends = []
    for row in journal.unfinished(workflow=workflow.name, rehearsal=False):
        refuse_foreign(row, options.engine, settings.temporal)
        state = journal.state(row.run_id)
        refuse_to_take_the_place(state, settings, now=now)
        in_doubt = frozenset(state.unsettled())
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
        ends.append(last_words(state, now=now, successor=run_id))
    return tuple(ends)


def select(workflow: Workflow, only: tuple[str, ...]) -> frozenset[str]:
    """The names of the migrations that *only* picks (`Workflow.select`).

    Raises:
        InputError: A name is neither a wave nor a migration.
    """
    try:
        return workflow.select(only)
    except KeyError as error:
        name = error.args[0]
        meant = closest(name, [*(wave.name for wave in workflow.waves), *workflow.names()])
        ask = f"; did you mean {meant!r}?" if meant else ""
        raise InputError(
            f"workflow {workflow.name!r} has neither a wave nor a migration {name!r}{ask} (a run that is "
            "continued has those it was started with)"
        ) from None
