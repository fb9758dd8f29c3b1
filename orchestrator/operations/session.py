"""One session: a process's work on one run, from the event that begins it to the one that ends it.

reach Atlas, and read what comes first ▸ begin or resume ▸ execute, beside interruptions, control requests and the terminal ▸ finish
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import anyio

from ..atlas.clients import Clients, open_clients
from ..core.errors import JournalError
from ..core.events import Event, RequestRetried, RunFinished, RunStarted
from ..core.needed_sets import needed_sets, one_will_do
from ..core.observer import Say
from ..core.outcomes import ExitCode
from ..core.read_first import read_first
from ..core.run import RunState
from ..core.settings import Settings
from ..engines.clock import SessionClock
from ..engines.hook_runner import HookRunner
from ..engines.hooks import keeping_hooks, without_keys
from ..engines.local.confirmation import Confirmation
from ..engines.local.controls import heed_controls, heed_terminal, offer_terminal
from ..engines.local.engine import LocalEngine
from ..engines.local.first_reads import FirstReads, reading_ahead
from ..engines.local.locked_journal import LockedJournal
from ..engines.local.session import Session
from ..engines.recorder import Recorder
from ..machine.kept_groups import KeptGroups
from ..store.ground import Ground
from ..store.journal import Journal
from ..store.writer import Writer
from .aftermath import hooks_held
from .assignment import Assignment, record_beginning
from .options import Ending, Host, Interruption, Options
from .steering import take_up_what_came_late
from .target import Rehearsal, learn_limits, open_target, reach_atlas


async def conduct(journal: Journal, assignment: Assignment, settings: Settings, options: Options) -> Ending:
    """Work on the run of *assignment*, whose locks the caller holds, until it ends or is stopped.

    Raises:
        InputError: Credentials that it needs are not there; nothing was begun.
        BusyError: Another run has claimed one of its live migrations; or hooks of a process that has died do not end.
        JournalError: The journal cannot be written; nothing was begun.
        AtlasError: Atlas is not reachable or refuses the keys; nothing was begun.
    """
    rehearsal = (options.rehearsal or Rehearsal()) if assignment.rehearsal else None
    relay = _Relay(options.host.say)
    clock = SessionClock(options.host.wall, options.host.steady)
    events = (assignment.first, *assignment.also)
    beginning = assignment.state.after(*events)
    needed, one = needed_sets(beginning, clock.wall()), one_will_do(beginning)
    async with (
        hooks_held(journal.state_dir, assignment, options.host.say) as (file, lock),
        keeping_hooks(without_keys(os.environ, settings.secrets()), descriptors=(lock,)) as kept,
        open_target(
            assignment.workflow,
            settings,
            rehearsal,
            so_far=assignment.state,
            needed=needed,
            one_will_do=one,
            wall=clock.now,
        ) as target,
        open_clients(target.settings, target.sets, wall=clock.now, on_event=relay) as clients,
        reading_ahead(clients, now=clock.now) as first_reads,
    ):
        settle, now, wall = settings.atlas.settle, clock.now(), clock.wall()
        first_reads.begin(read_first(assignment.state, events, settle=settle, now=now, wall=wall))
        await reach_atlas(
            clients,
            target.base_url,
            needed=needed,
            one_will_do=one,
            so_far=assignment.state,
            prove=first_reads.proved,
        )
        atlas = _Atlas(clients=clients, relay=relay, clock=clock, first_reads=first_reads)
        assignment = replace(assignment, locks=(*assignment.locks, file))
        await LockedJournal(assignment.state.run_id, options.host.say).wait_until_free(journal)
        options.host.on_clients(clients)
        if isinstance(assignment.first, RunStarted):
            # A rehearsal's requests go to the simulator, and its report says so.
            assignment = replace(assignment, first=replace(assignment.first, base_url=target.base_url))
        # From here on an interruption stops the run in order, also while its beginning is still being recorded.
        with options.host.interruptions() as interruptions:
            ending = await _work_on(journal, assignment, settings, options, atlas, interruptions, kept)
        ending = _with_what_came_late(journal, ending, options.host.say)
        options.host.on_ended(ending)
        return ending


def _with_what_came_late(journal: Journal, ending: Ending, say: Say) -> Ending:
    """*ending*, with what was asked while that was coming: answers on the wire and tokens take seconds, and whoever asked was told that it is heeded."""
    if ending.journal_failure is not None:
        return ending
    with suppress(JournalError):  # then it waits for whoever goes on with the run
        take_up_what_came_late(journal, ending.state, say)
    code = ending.state.recorded_exit_code
    return ending if code is None else replace(ending, exit_code=ExitCode(code))


class _Relay:
    """Takes the client's events, before and after there is a recorder for them. *say*: tells of waits before there is."""

    def __init__(self, say: Say) -> None:
        self.recorder: Recorder | None = None
        self._say = say
        self._early: list[Event] = []

    def __call__(self, event: Event) -> None:
        if self.recorder is None:
            self._early.append(event)
            if isinstance(event, RequestRetried):
                self._say("waiting_for_atlas", reason=event.reason, seconds=event.wait)
        else:
            self.recorder.record(event)

    def connect(self, recorder: Recorder) -> None:
        """From now on events go to *recorder*, those that came early first."""
        self.recorder = recorder
        recorder.record(*self._early)
        self._early.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Atlas:
    """Atlas as it was reached: who asks it, who hears what comes of that, by which clock, and what was asked already."""

    clients: Clients
    relay: _Relay
    clock: SessionClock
    first_reads: FirstReads


async def _work_on(
    journal: Journal,
    assignment: Assignment,
    settings: Settings,
    options: Options,
    atlas: _Atlas,
    interruptions: AsyncIterator[Interruption],
    kept: KeptGroups,
) -> Ending:
    """Begin the session in the journal, and let the engine work until it ends."""
    state, host = assignment.state, options.host
    events = record_beginning(journal, assignment, host, settle=settings.atlas.settle)
    host.checkpoint("run_begun")
    ground = Ground(run_id=state.run_id, files=(*assignment.locks, *journal.open_files))
    migrations = () if assignment.rehearsal else assignment.workflow.migrations()
    ids = {migration.name: (migration.group_id, migration.live_migration_id) for _, migration in migrations}
    writer = Writer(journal, state.run_id, ids, ground=ground, on_locked=LockedJournal(state.run_id, host.say).tell)
    approves = options.rehearsal is not None and options.rehearsal.approves
    on_terminal = (offer_terminal(host.inform),) if host.interactive and not approves else ()
    recorder = Recorder(state, writer, (*options.observers, *on_terminal))
    for event in events:
        recorder.take_in(event)
    atlas.relay.connect(recorder)
    session = _session_of(state, settings, host, atlas, recorder, kept)
    engine = LocalEngine(session)
    async with anyio.create_task_group() as writing:
        writing.start_soon(_write, writer)
        try:
            interruption = await _execute(engine, session, options, settings, interruptions, ground, writer)
            ending = await _finish(session, writer, interruption)
        except Exception as error:
            # A fault of ours, whatever its type: told as an error of the files', or as a `CutoverError`, it would mean that nothing was begun.
            raise RuntimeError(
                f"run {state.run_id} had begun, and nobody works on it now: `atlas-cutover resume {state.run_id}` goes on with it"
            ) from error
        finally:
            writer.close()
    return ending


def _session_of(
    state: RunState, settings: Settings, host: Host, atlas: _Atlas, recorder: Recorder, kept: KeptGroups
) -> Session:
    """What the tasks of this session share."""
    hooks = HookRunner(
        state=state,
        environ=host.environ,
        secrets=tuple(settings.secrets()),
        redactor=settings.redactor,
        now=atlas.clock.now,
        kept=kept,
        on_interrupted=recorder.record,
    )
    return Session(
        state=state,
        clients=atlas.clients,
        recorder=recorder,
        polling=settings.polling,
        settle=settings.atlas.settle,
        clock=atlas.clock,
        random=host.random,
        checkpoint=host.checkpoint,
        first_reads=atlas.first_reads,
        hooks=hooks,
    )


async def _write(writer: Writer) -> None:
    """Run *writer* until it is closed: what happened is on disk before an error or a cancellation goes on."""
    with anyio.CancelScope(shield=True):
        await writer.run()


async def _execute(
    engine: LocalEngine,
    session: Session,
    options: Options,
    settings: Settings,
    interruptions: AsyncIterator[Interruption],
    ground: Ground,
    writer: Writer,
) -> Interruption | None:
    """Let the engine work, and heed interruptions, control requests and the terminal meanwhile; what ended it."""
    received: list[Interruption] = []
    async with anyio.create_task_group() as beside:
        with anyio.CancelScope() as work:
            beside.start_soon(_heed_interruptions, interruptions, session, work, received, writer)
            heeded = anyio.Event()
            beside.start_soon(heed_controls, session, settings.state_dir, ground, options.host.say, heeded)
            await heeded.wait()  # what is there already was asked of what had not begun
            if settings.rate_limit.learn:  # beside the first reads: an answer may take seconds
                beside.start_soon(learn_limits, session.clients, session.state.workflow)
            who = f"the terminal of {session.state.who}"
            confirmation = None
            if options.host.ask is not None:
                confirmation = Confirmation(session, options.host.ask, options.host.say, who=who)
                beside.start_soon(confirmation.run)
            if options.host.interactive:
                beside.start_soon(
                    partial(
                        heed_terminal,
                        session,
                        who=who,
                        on_line=options.host.on_line,
                        say=options.host.say,
                        unseen=options.host.unseen,
                        confirmation=confirmation,
                    )
                )
            for task in options.host.background:
                beside.start_soon(task)
            await engine.execute()
        beside.cancel_scope.cancel()
    return received[0] if received else None


async def _heed_interruptions(
    interruptions: AsyncIterator[Interruption],
    session: Session,
    work: anyio.CancelScope,
    received: list[Interruption],
    writer: Writer,
) -> None:
    """The first one stops the run in order."""
    async for interruption in interruptions:
        if received:
            continue
        received.append(interruption)
        writer.patient = False  # who stops a run does not wait for a journal that somebody keeps locked
        session.stop(f"stopped by {interruption.by}")
        work.cancel()


async def _finish(session: Session, writer: Writer, interruption: Interruption | None) -> Ending:
    """Record the end of the session, also when the journal does not take it any more."""
    state = session.state
    unfinished = state.is_unfinished()
    interrupted = interruption is not None and unfinished  # else it came when all was over
    code = state.exit_code()
    if interruption is not None and interrupted and interruption.exit_code is not None:
        code = interruption.exit_code
    with anyio.CancelScope(shield=True):
        await session.clients.give_tokens_back()  # before what was sent is added up
    statistics = session.clients.statistics
    finished = RunFinished(
        at=session.now(),
        outcome=state.outcome(),
        exit_code=int(code),
        unfinished=unfinished,
        requests={
            "total": statistics.by_status.total(),
            "by_status": dict(statistics.by_status),
            "retries": statistics.retries,
        },
        keep_claims=bool(state.unsettled()) or interrupted or (session.in_trouble and unfinished),
        polls=state.polls_to_keep(),
    )
    failure = None
    session.checkpoint("finishing")
    with anyio.CancelScope(shield=True):
        try:
            await session.recorder.commit(finished)
        except JournalError as error:
            failure = str(error)
            session.recorder.take_in(finished)
    session.checkpoint("finished")
    return Ending(state=state, exit_code=code, commits=writer.commits, journaled=writer.events, journal_failure=failure)
