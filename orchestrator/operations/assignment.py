"""What a session is to work on, its beginning in the journal, and the end of a run in whose place it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.events import CutoversStopped, Event, RunAborted, RunFinished, RunResumed, RunStarted
from ..core.outcomes import ExitCode, RunOutcome
from ..core.run import RunState
from ..core.seen import SeenJobs, remembered
from ..core.steered import with_reason
from ..core.workflow import Workflow
from ..engines.local.session import doubts_of_earlier_puts
from ..machine.person import who_am_i
from ..store.ground import OpenFile
from ..store.journal import Journal
from ..store.reader import EarlierPuts
from .options import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """The events that end a run on which nobody works, and its *state* after them."""

    state: RunState
    events: Sequence[Event]


def last_words(
    state: RunState, *, now: float, who: str | None = None, reason: str = "", successor: str | None = None
) -> LastWords:
    """End *state*, that of an unfinished run on which no process works, and tell by which events; *who* ends it."""
    aborted = RunAborted(at=now, who=who or who_am_i(), successor=successor, reason=reason)
    stopped = CutoversStopped(at=now, reason=with_reason(f"aborted by {aborted.who}", reason))
    for event in (aborted, stopped):
        state.apply(event)
    over = RunFinished(
        at=now,
        outcome=RunOutcome.INCOMPLETE,
        exit_code=int(ExitCode.INCOMPLETE),
        unfinished=False,
        requests={"total": 0, "by_status": {}, "retries": 0},
    )
    ended = state.after(over)  # what it leaves under way is in doubt, now that nobody follows it
    finished = replace(over, outcome=ended.outcome(), exit_code=int(ended.exit_code()))
    state.apply(finished)
    return LastWords(state=state, events=(aborted, stopped, finished))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which run a session works on, in the *state* before it, and *first*, the event with which it begins.

    *also*: what is recorded with that. *in_place_of*: the runs that end when it begins. *locks*: the files whose locks the caller holds.
    """

    workflow: Workflow
    rehearsal: bool
    state: RunState
    first: RunStarted | RunResumed
    also: Sequence[Event] = ()
    in_place_of: Sequence[LastWords] = ()
    locks: tuple[OpenFile, ...] = ()


def record_beginning(
    journal: Journal,
    assignment: Assignment,
    host: Host,
    *,
    settle: float,
    temporal: Mapping[str, Any] | None = None,
) -> tuple[Event, ...]:
    """Write the first events of the session of *assignment* into *journal*, and claim its live migrations; these events.

    Args:
        journal: Nobody else adds to the run meanwhile.
        assignment: The run, and what begins.
        host: Is told of the runs that end.
        settle: `atlas.settle`, seconds.
        temporal: The cluster whose workers work on it; None: this process does.

    Raises:
        BusyError: Another run has claimed one of them.
        JournalError: It cannot be written; nothing was begun.
    """
    first, also, run_id = assignment.first, assignment.also, assignment.state.run_id
    workflow, state = assignment.workflow, assignment.state

    def told_of(puts: EarlierPuts, seen: SeenJobs) -> tuple[Event, ...]:
        doubts = doubts_of_earlier_puts(workflow, state, first, puts, settle=settle)
        return (*remembered(workflow, state, first, seen), *doubts)

    if isinstance(first, RunStarted):
        ended = {last.state.run_id: last.events for last in assignment.in_place_of}
        told = journal.begin(
            run_id,
            workflow,
            first,
            also=also,
            remembered=told_of,
            in_place_of=ended,
            temporal=temporal,
        )
        for last in assignment.in_place_of:
            host.on_superseded(last.state)
    else:
        told = journal.resume(run_id, workflow, first, also=also, rehearsal=assignment.rehearsal, remembered=told_of)
    return (first, *also, *told)
