"""What a session is to work on, and its beginning in the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.events import Event, RunResumed, RunStarted
from ..core.run import RunState
from ..core.workflow import Workflow
from ..engines.local.session import doubts_of_earlier_puts
from ..store.ground import OpenFile
from ..store.journal import Journal
from .options import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """The events that end a run on which nobody works, and its *state* after them."""

    state: RunState
    events: Sequence[Event]


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
    doubts_of = partial(doubts_of_earlier_puts, assignment.workflow, assignment.state, first, settle=settle)
    if isinstance(first, RunStarted):
        ended = {last.state.run_id: last.events for last in assignment.in_place_of}
        doubts = journal.begin(
            run_id,
            assignment.workflow,
            first,
            also=also,
            doubts_of=doubts_of,
            in_place_of=ended,
            temporal=temporal,
        )
        for last in assignment.in_place_of:
            host.on_superseded(last.state)
    else:
        doubts = journal.resume(
            run_id, assignment.workflow, first, also=also, rehearsal=assignment.rehearsal, doubts_of=doubts_of
        )
    return (first, *also, *doubts)
