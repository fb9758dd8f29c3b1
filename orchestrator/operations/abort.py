"""`abort`: ends a run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..core.arguments import text, text_or_none
from ..core.errors import InputError, JournalDamagedError, TemporalError
from ..core.events import CutoverInDoubt
from ..core.migration import UNDER_WAY
from ..core.needs import of_hooks_not_run
from ..core.observer import Sink
from ..core.outcomes import Outcome
from ..core.run import RunState
from ..core.steered import Command
from ..core.steering import SteeringRequest
from ..machine.person import who_am_i
from ..reports.model import build
from ..store.journal import Journal, RunRow, open_journal
from ..store.locks import MOMENT, LockedError, locked, run_lock, worker_of
from ..store.records import RowDamagedError
from .aftermath import wait_for_hooks
from .apart import wait_for
from .assignment import last_words
from .deciding import decided_whole
from .find import find_run, state_dir_of
from .reporting import write_reports
from .steering import (
    Steered,
    Taken,
    ask,
    ask_elsewhere,
    asked_already,
    redactor_of_this_process,
    refuse_when_over,
)


def abort(run_id: str, *, state_dir: Path | str | None = None, who: str | None = None, reason: str = "") -> Steered:
    """End a run: no new cutover starts, now or later.

    The process that works on it follows what is under way to its end; where there is none, the run is over at once, and
    what it left under way is watched by nobody.

    Args:
        run_id: The run, or how its id begins.
        state_dir: Where its journal is; None: the usual place.
        who: Who ends it, for log and report; None: this process's user and host.
        reason: Why, for log and report.

    Raises:
        InputError: There is no such run, or it is over.
        JournalError: The journal cannot be read or written.
        TemporalError: The run is at Temporal, which does not answer.
    """
    return abort_and_tell((), run_id, state_dir=state_dir, who=who, reason=reason)


def abort_and_tell(
    observers: Sequence[Sink],
    run_id: str,
    *,
    state_dir: Path | str | None = None,
    who: str | None = None,
    reason: str = "",
) -> Steered:
    """As `abort`; *observers* are told of the end of a run that ends here, as no session tells of it."""
    text("reason", reason)
    text_or_none("who", who)
    directory = state_dir_of(state_dir)
    row = _found(directory, run_id)
    clean = redactor_of_this_process().text
    request = SteeringRequest(command=Command.ABORT, who=clean(who or who_am_i()), reason=clean(reason))
    if row.temporal is not None and row.unfinished and not row.rehearsal:
        return _abort_elsewhere(row, request, directory, observers)
    with open_journal(directory) as journal:
        # Where no process works on it, nobody has heeded what was asked before.
        if row.unfinished and worker_of(run_lock(directory, row.run_id)) is not None:
            decided_whole(asked_already(journal, row.run_id), [request])
        return ask(journal, row.run_id, request, at=time.time()) or _end(journal, row, request, observers)


def _found(directory: Path, run_id: str) -> RunRow:
    """The run *run_id*, also where the list of runs is damaged that says how it stands: its events say it, too."""
    with open_journal(directory, readonly=True) as reading:
        try:
            return find_run(reading, run_id)
        except RowDamagedError as error:
            if error.run_id != run_id:
                raise
    with open_journal(directory) as journal:
        with suppress(LockedError), locked(run_lock(directory, run_id), holder=who_am_i(), briefly=True):
            journal.mend(run_id)
        return find_run(journal, run_id)


def _abort_elsewhere(row: RunRow, request: SteeringRequest, directory: Path, observers: Sequence[Sink]) -> Steered:
    """Abort a run of Temporal's: by its workers where it is open, else here, with a word there, and then it lets go of its claims."""
    from . import temporal_runs

    if wait_for(row.run_id, partial(temporal_runs.is_open_row, row)):
        return ask_elsewhere(row, [request], directory)
    if row.open_elsewhere:  # it was closed there before it had ended: what it has sent is in its history
        with suppress(JournalDamagedError):  # which takes nothing in any more: it is ended as it stands here
            wait_for(row.run_id, partial(temporal_runs.take_in_its_end, row, directory, who=request.who))
    # Before it ends here: another state directory may have it unfinished, and go on with it.
    if wait_for(row.run_id, partial(temporal_runs.give_up, row, request.who)):
        try:
            return ask_elsewhere(row, [request], directory)
        except (InputError, TemporalError):
            if wait_for(row.run_id, partial(temporal_runs.is_open_row, row)):
                raise
        # It has seen the word before it could be asked, and has ended by itself.
        with suppress(JournalDamagedError):
            wait_for(row.run_id, partial(temporal_runs.take_in_its_end, row, directory, who=request.who))
    with open_journal(directory) as journal:
        ended = _end(journal, find_run(journal, row.run_id), request, observers)
        workflow = journal.readable_state(row.run_id)[0].workflow
    wait_for(row.run_id, partial(temporal_runs.let_go, row, workflow))
    return ended


def _end(journal: Journal, row: RunRow, request: SteeringRequest, observers: Sequence[Sink]) -> Steered:
    _refuse_when_over(journal, row)
    try:
        with locked(run_lock(journal.state_dir, row.run_id), holder=request.who, briefly=True, patience=MOMENT):
            _refuse_when_over(journal, find_run(journal, row.run_id))  # it may have ended since we looked
            wait_for_hooks(journal.state_dir, row)  # its jobs may be another run's from here on
            state, unreadable = journal.readable_state(row.run_id)
            missing = state.missing or None
            state = _ended(journal, state, now=time.time(), who=request.who, reason=request.reason, observers=observers)
            # the reports that are there say that `resume` goes on
            _, unwritten = write_reports(build(state, now=time.time()), journal.state_dir)
    except LockedError as error:
        raise InputError(f"run {row.run_id} has just been taken up by {error.holder}: ask again") from None
    return Steered(
        run_id=row.run_id,
        taken=Taken.ENDED,
        unwatched=tuple(state.unsettled()),
        unwritten=tuple(unwritten),
        unreadable=unreadable,
        events_missing=missing,
        not_run=of_hooks_not_run(state),
    )


def abort_interrupted(
    journal: Journal,
    run_id: str,
    *,
    now: float,
    who: str | None = None,
    reason: str = "",
    observers: Sequence[Sink] = (),
) -> RunState:
    """End the run *run_id*, on which no process works; the caller holds its lock. The state that it ends in, once *observers* were told.

    Its claims are released. What it left under way is IN_DOUBT in its report, and the journal remembers the PUTs, so no
    run sends another without evidence.
    """
    return _ended(journal, journal.told_state(run_id), now=now, who=who, reason=reason, observers=observers)


def _refuse_when_over(journal: Journal, row: RunRow) -> None:
    """Raise where the run *row* is over, so that there is nothing to abort; where events of it are missing, nobody knows whether it is."""
    if row.unfinished or not journal.trouble(row.run_id):
        refuse_when_over(row, Command.ABORT)


def _doubts(state: RunState, now: float) -> list[CutoverInDoubt]:
    """That of each migration of *state* which is in doubt as events of the run are missing."""
    return [
        CutoverInDoubt(at=now, migration=name, reason=state.result(name).error_message or state.missing, settle=0.0)
        for name, known in state.migrations.items()
        if known.phase not in UNDER_WAY
        and state.outcome_of(name) is Outcome.IN_DOUBT  # the others are in doubt by what is known
    ]


def _ended(
    journal: Journal, state: RunState, *, now: float, who: str | None, reason: str, observers: Sequence[Sink]
) -> RunState:
    """As `abort_interrupted`, of a run that stands in *state*.

    Where events of it are missing, that is recorded as a doubt about each migration of which a PUT may have left: from here on the journal is
    as whole as it will ever be, and nobody could see any more what is not known.
    """
    doubts = _doubts(state, now) if state.missing else []
    state.missing = ""
    for doubt in doubts:
        state.apply(doubt)
    last = last_words(state, now=now, who=who, reason=reason)
    ids = {} if state.rehearsal else {m.name: (m.group_id, m.live_migration_id) for _, m in state.workflow.migrations()}
    last = replace(last, events=(*doubts, *last.events))
    journal.commit(state.run_id, last.events, ids if doubts else {}, damaged_too=True)
    for event in last.events:
        for observer in observers:
            observer(event, last.state)
    return last.state
