"""What the verbs have in common that steer a run: the request goes through the journal to the process that works on it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from ..core.approvals import covered
from ..core.arguments import several, text, text_or_none
from ..core.errors import InputError
from ..core.events import Event, RunFinished
from ..core.leftovers import outlives_who_was_asked
from ..core.needs import Need
from ..core.observer import Say
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..core.steered import Command, between_sessions
from ..core.steering import ABOUT_A_WAVE, ABOUT_MIGRATIONS, GateChange, SteeringRequest, decide
from ..files.own_secrets import secrets_of
from ..machine.person import who_am_i
from ..store.journal import Control, Journal, RunRow, open_journal
from ..store.locks import MOMENT, LockedError, locked, run_lock, worker_of
from ..text.likeness import composed
from ..text.redaction import Redactor
from .apart import wait_for
from .deciding import decided, decided_whole, refusals
from .find import find_run, find_run_under_way, state_dir_of
from .leftovers import PATIENCE, Leftovers, older_than, sort_out, told
from .reporting import Unwritten

_LOOK_AGAIN = 0.1


class Taken(StrEnum):
    """What became of a request."""

    ASKED = "asked"
    """The process that works on the run heeds it within a second."""
    TAKEN = "taken"
    """The run, which Temporal works on, has taken it: no PUT leaves any more that it holds up."""
    KEPT = "kept"
    """No process works on the run; the one that continues it heeds it."""
    ENDED = "ended"
    """No process worked on the run, and now it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What came of a request to the run *run_id*.

    *unwatched*: cutovers that it left under way or in doubt when it ended here; nobody watches them any more. *unwritten*:
    reports that could not be written. *dropped*: what was asked of a run at Temporal before, and is not passed on any more, in sentences.
    *unreadable*: how many of its events cannot be read, so that what they say is in no report. *events_missing*: why it was ended without all that
    was written of it, so that whatever is not known to be cut over is in doubt (None: all was there). *here_alone*: it was recorded in this state
    directory, and a session of the run at Temporal that begins with another one does not know it. *left_out*: of which migrations it was asked
    as well, and why it does nothing for them, in sentences. *not_run*: hooks without which it ended here, and what a person does in their place.
    """

    run_id: str
    taken: Taken
    unwatched: tuple[str, ...] = ()
    unwritten: tuple[Unwritten, ...] = ()
    dropped: tuple[str, ...] = ()
    unreadable: int = 0
    events_missing: str | None = None
    here_alone: bool = False
    left_out: tuple[str, ...] = ()
    not_run: tuple[Need, ...] = ()


def ask(
    journal: Journal, run_id: str, *requests: SteeringRequest, at: float, after: int | None = None
) -> Steered | None:
    """Leave *requests* for the process that works on the run; None where there is none, and nothing was left.

    A process whose session is over, or has yet to begin, may never look for them: it is given time to let go of the run, or to begin.
    *at*: Unix seconds. *after*: the last that had been asked of the run when it was looked at (None: that does not matter).

    Raises:
        CrossedError: Something else was asked since.
        InputError: It has done neither, and *requests* would not hold the run up.
        JournalError: The journal cannot be read or written.
    """
    holds_up = all(outlives_who_was_asked(request) for request in requests)
    deadline = time.monotonic() + PATIENCE
    while (holder := worker_of(run_lock(journal.state_dir, run_id))) is not None:
        late = time.monotonic() >= deadline
        if journal.request(run_id, *requests, at=at, in_session=not (late and holds_up), after=after):
            return Steered(run_id=run_id, taken=Taken.ASKED)
        if late:
            raise InputError(
                f"run {run_id} is being ended, or begun again, by {holder} just now, so nothing was asked: ask again in a moment"
            )
        time.sleep(_LOOK_AGAIN)
    return None


def steer(
    run_id: str | None,
    command: Command,
    *names: str,
    state_dir: Path | str | None,
    who: str | None,
    reason: str = "",
    gate: GateChange | None = None,
) -> Steered:
    """Ask for *command* about *names* (a wave, or migrations; none: the run), and tell what became of it.

    The process that works on the run heeds it within a second; where there is none, it is recorded for the one that
    continues the run. It is asked for those of *names* for which it does something.

    Args:
        run_id: The run, or how its id begins; None: the only one that a process works on.
        command: What is asked.
        names: What it is about.
        state_dir: Where the journal is; None: the usual place.
        who: Who asks, for log and report; None: this process's user and host.
        reason: Why, for log and report.
        gate: What `gate` changes; None: off.

    Raises:
        InputError: There is no such run, or what is asked changes nothing of any of *names*.
        JournalError: The journal cannot be read or written.
        TemporalError: The run is at Temporal, which does not answer.
    """
    names = several("names", names, text)
    text("reason", reason)
    text_or_none("who", who)
    directory = state_dir_of(state_dir)
    with open_journal(directory, readonly=True) as reading:
        row = find_run_under_way(reading, run_id) if run_id is None else find_run(reading, run_id)
        state = asked_already(reading, row.run_id)
        requests = requests_for(state, command, names, who or who_am_i(), reason, gate)
        if worker_of(run_lock(directory, row.run_id)) is None:
            # Of a process that is gone it was asked in vain: whoever says the same again is heeded in its place.
            state = asked_already(reading, row.run_id, but=requests)
        if command is not Command.RETRY:  # which takes up what an ended run has left
            refuse_when_over(row, command)
        # Of a run at Temporal the journal here may know less than its workers.
        meant = None if row.open_elsewhere else decided(state, requests)
    if meant is None:
        return ask_elsewhere(row, requests, directory)
    with open_journal(directory) as journal:
        left = ask(journal, row.run_id, *meant.requests, at=time.time())
        return replace(left, left_out=meant.left_out) if left else _record(journal, row.run_id, requests)


def ask_elsewhere(row: RunRow, requests: Sequence[SteeringRequest], state_dir: Path) -> Steered:
    """Ask the run *row*, which is open at Temporal, for *requests*; it has taken them when this returns.

    What was asked of it before, and left in the journal of *state_dir* for a process that follows it, comes before.

    Raises:
        InputError: They change nothing, or something older has not been passed on, or an event loop works in this thread.
        JournalError: The journal cannot be read or written.
        TemporalError: Temporal does not answer, or no worker.
    """
    from . import temporal_runs

    with open_journal(state_dir) as journal, ExitStack() as locks:
        older = older_than(requests, journal, row.run_id, locks)
        answers = wait_for(row.run_id, partial(temporal_runs.steer, row, requests, before=older.requests))
        if older.kept:
            journal.handled(older.kept)
    left_out = refusals(row.run_id, requests, answers)
    return Steered(run_id=row.run_id, taken=Taken.TAKEN, dropped=older.dropped, left_out=left_out)


def asked_already(journal: Journal, run_id: str, *, but: Sequence[SteeringRequest] = ()) -> RunState:
    """The run as it will stand when what others have asked is heeded, *but* for what asks for the same as one of these."""
    row = journal.find(run_id)
    # Requests before events: one that is heeded between these two reads is then in both, and the second time it changes nothing.
    if row is not None and row.temporal is not None and worker_of(run_lock(journal.state_dir, run_id)) is None:
        readable, _ = journal.asked(run_id)
        controls = [control for control in readable if outlives_who_was_asked(control.request)]  # as `sort_out` does
    else:
        controls = journal.controls(run_id)
    state = journal.state(run_id)
    _heeded(_others(controls, but), state)
    return state


def take_up_what_waits(journal: Journal, run_id: str) -> RunState:
    """Record what others have asked of a run whose process ended before it heeded them; how it stands then. The caller holds its lock.

    So nothing that is asked later is overruled by what was asked before, and a session begins with what was confirmed. An `abort`
    is left for the session, which follows what is under way.

    Raises:
        JournalError: It cannot be read or written, or events of the run are missing.
    """
    controls = journal.controls(run_id)
    state = journal.state(run_id)
    if controls and all(control.request.command is not Command.ABORT for control in controls):
        journal.commit(run_id, _heeded(controls, state), {}, handled=controls)
    return state


def heeding_what_waits(journal: Journal, state: RunState) -> RunState:
    """*state*, which `take_up_what_waits` has given, as it will stand when the session has heeded what was left for it: as `asked_already` has it.

    Raises:
        JournalError: The journal cannot be read.
    """
    heeded = state.after()
    _heeded(journal.controls(state.run_id), heeded)
    return heeded


def take_up_what_was_kept(journal: Journal, run_id: str, leftovers: Leftovers) -> None:
    """Record what still counts of what was left for whoever followed the run, which is open nowhere: its next session begins with that.

    Raises:
        JournalError: It cannot be read or written, or events of the run are missing.
    """
    if leftovers.kept:
        events = _heeded(leftovers.kept, journal.state(run_id))
        journal.commit(run_id, events, {}, handled=leftovers.kept)


def take_up_what_came_late(journal: Journal, state: RunState, say: Say) -> None:
    """Record what was asked of the run in *state* while its session ended, which did not heed it any more; *state* is as it stands then.

    The caller has recorded that end, and holds the run's lock: nobody leaves anything from then on (`ask`). *say* tells of each. What cannot
    be read is left where it is: it keeps the run from going on.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    left, unreadable = journal.asked(state.run_id)
    if unreadable or not left or state.finished_at is None:
        return
    code_before = state.exit_code()
    events: list[Event] = []
    for control in left:
        event = decide(state, control.request, at=time.time())
        if isinstance(event, str):
            say("request_dropped", run_id=state.run_id, detail=f"{told(control)} does nothing: {event}")
            continue
        event = between_sessions(event)
        state.apply(event)
        events.append(event)
        say("request_kept", run_id=state.run_id, detail=f"{told(control)} came as the session ended: `resume` heeds it")
    if events:
        events.append(_finished(state, state.finished_at, code_before=code_before))
        state.apply(events[-1])
    journal.commit(state.run_id, events, {}, handled=left)


def _others(controls: Sequence[Control], but: Sequence[SteeringRequest]) -> list[Control]:
    """Those of *controls* that ask for something else than each of *but*."""
    same = {(each.command, each.wave, each.migration) for each in but}
    return [each for each in controls if (each.request.command, each.request.wave, each.request.migration) not in same]


def _heeded(controls: Sequence[Control], state: RunState) -> list[Event]:
    """What *controls* mean for *state*, in their order, which is brought up to it. What means nothing any more is left out."""
    events = []
    for control in controls:
        event = decide(state, control.request, at=time.time())
        if not isinstance(event, str):
            state.apply(event)
            events.append(between_sessions(event))
    return events


def requests_for(
    state: RunState, command: Command, names: Sequence[str], who: str, reason: str, gate: GateChange | None
) -> list[SteeringRequest]:
    """What *who* asks of the run with *command* about *names*, as `steer`, no secret in it.

    Raises:
        InputError: One of *names* is neither a wave nor a migration of the run, or *command* wants names and there are none.
    """
    clean = redactor_of_this_process().text
    who, reason = clean(who), clean(reason)
    if not names and command in ABOUT_MIGRATIONS:
        raise InputError(
            f"{command}: name the migrations, or waves for all of theirs; nothing was asked of run {state.run_id}"
        )
    if not names:
        return [SteeringRequest(command=command, who=who, reason=reason)]
    if command in ABOUT_A_WAVE:
        waves = [name if name in state.waves else composed(name) for name in names]
        found = [SteeringRequest(command=command, who=who, reason=reason, wave=name) for name in waves]
        decided_whole(state, [request for request in found if request.wave not in state.waves])
        return [_with_what_it_covers(request, state) for request in found]
    try:
        chosen = state.workflow.select(tuple(names))
    except KeyError as error:
        raise InputError(f"run {state.run_id} has neither a wave nor a migration {error.args[0]!r}") from None
    members = [migration.name for _, migration in state.workflow.migrations() if migration.name in chosen]
    return [SteeringRequest(command=command, who=who, reason=reason, migration=name, gate=gate) for name in members]


def _with_what_it_covers(request: SteeringRequest, state: RunState) -> SteeringRequest:
    """*request*, which if it is an approval is for what it is for as the run stands now: another session may be the one to heed it."""
    if request.command is not Command.APPROVE or request.wave is None:
        return request
    return replace(request, covers=covered(state, state.wave(request.wave), between_sessions=False))


def redactor_of_this_process() -> Redactor:
    """What knows secrets where no config is read: by their look, and those of this process's environment.

    A reason is typed by a person, who may paste what they should not; what is kept of it is in journal, report and page, whoever
    continues the run.
    """
    return Redactor(secrets_of(os.environ))


def _record(journal: Journal, run_id: str, requests: Sequence[SteeringRequest]) -> Steered:
    """Record *requests* in a run on which no process works: whoever continues it finds them."""
    try:
        with locked(run_lock(journal.state_dir, run_id), holder=requests[0].who, briefly=True, patience=MOMENT):
            row = journal.find(run_id)
            older = Leftovers(kept=tuple(journal.controls(run_id)))
            if row is not None and row.temporal is not None:
                older = sort_out(journal, run_id)
            state = journal.state(run_id)
            code_before = state.exit_code()
            if row is not None and requests[0].command is not Command.RETRY:
                refuse_when_over(row, requests[0].command)  # it may have ended since we looked
            # What was asked before comes before, or it would overrule this.
            events = _heeded(_others(older.kept, requests), state)
            # No session works on it, so nothing of one holds up what an approval is for.
            anew = [replace(request, covers=None) for request in requests]
            meant = decided(state, anew)
            own = [between_sessions(event) for event in meant.events]
            for event in own:
                state.apply(event)
            events += own
            if state.finished_at is not None:
                events.append(_finished(state, state.finished_at, code_before=code_before))
            journal.commit(run_id, events, {}, handled=older.kept)
    except LockedError as error:
        raise InputError(f"run {run_id} has just been taken up by {error.holder}: ask again") from None
    here_alone = row is not None and row.temporal is not None
    return Steered(
        run_id=run_id, taken=Taken.KEPT, dropped=older.dropped, here_alone=here_alone, left_out=meant.left_out
    )


def _finished(state: RunState, ended_at: float, *, code_before: ExitCode) -> RunFinished:
    """How the run stands, now that what is left of it is another; its session has ended when it has, and as it has.

    *code_before*: what `state.exit_code()` was before. Where nothing of that is another, the code stays that of the session, which a
    signal may have stopped; and what that has kept for its run stays kept as long as anything is left of it.
    """
    unfinished, code = state.is_unfinished(), int(state.exit_code())
    if unfinished and code == code_before and state.recorded_exit_code is not None:
        code = state.recorded_exit_code
    return RunFinished(
        at=ended_at,
        outcome=state.outcome(),
        exit_code=code,
        unfinished=unfinished,
        requests={"total": 0, "by_status": {}, "retries": 0},
        keep_claims=bool(state.unsettled()) or (unfinished and state.recorded_claims_kept),
    )


def refuse_when_over(row: RunRow, command: Command) -> None:
    """Raise where the run is over, so that there is nothing to *command*.

    Raises:
        InputError: It is.
    """
    if not row.unfinished:
        raise InputError(f"run {row.run_id} is over: there is nothing to {command}")
