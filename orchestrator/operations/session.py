"""One session: a process's work on one run, from the event that begins it to the one that ends it.

reach Atlas, and read what comes first ▸ begin or resume ▸ execute, beside interruptions, control requests and the terminal ▸ finish
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio

from ..atlas.clients import Clients, open_clients
from ..core.errors import JournalError
from ..core.events import Event, RequestRetried, RunFinished, RunResumed, RunStarted
from ..core.observer import Say
from ..core.read_first import read_first
from ..core.run import RunState
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..engines.clock import SessionClock
from ..engines.hook_runner import HookRunner
from ..engines.local.confirmation import Confirmation
from ..engines.local.controls import heed_controls, heed_terminal, offer_terminal
from ..engines.local.engine import LocalEngine
from ..engines.local.first_reads import FirstReads, reading_ahead
from ..engines.local.locked_journal import LockedJournal
from ..engines.local.session import Session, doubts_of_earlier_puts
from ..engines.recorder import Recorder
from ..store.ground import Ground, OpenFile
from ..store.journal import Journal
from ..store.writer import Writer
from .options import Ending, Interruption, Options
from .target import Rehearsal, learn_limits, open_target, reach_atlas


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """The events that end a run on which nobody works, and its *state* after them."""

    state: RunState
    events: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Which run a session works on, and the event that says so.

    *also*: what is recorded with that. *in_place_of*: the runs that end when it begins. *locks*: the files whose locks the caller holds.
    """

    workflow: Workflow
    rehearsal: bool
    state: RunState
    first: RunStarted | RunResumed
    also: Sequence[Event] = ()
    in_place_of: Sequence[LastWords] = ()
    locks: tuple[OpenFile, ...] = ()


async def conduct(journal: Journal, task: Task, settings: Settings, options: Options) -> Ending:
    """Work on the run of *task*, whose locks the caller holds, until it ends or is stopped.

    Raises:
        BusyError: Another run has claimed one of its live migrations.
        JournalError: The journal cannot be written; nothing was begun.
        AtlasError: Atlas is not reachable or refuses the keys; nothing was begun.
    """
    rehearsal = (options.rehearsal or Rehearsal()) if task.rehearsal else None
    relay = _Relay(options.host.say)
    clock = SessionClock(options.host.wall, options.host.steady)
    async with (
        open_target(task.workflow, settings, rehearsal, so_far=task.state, wall=clock.now) as target,
        open_clients(target.settings, target.sets, wall=clock.now, on_event=relay) as clients,
        reading_ahead(clients, now=clock.now) as first_reads,
    ):
        events = (task.first, *task.also)
        settle, now, wall = settings.atlas.settle, clock.now(), clock.wall()
        first_reads.begin(read_first(task.state, events, settle=settle, now=now, wall=wall))
        await reach_atlas(clients, target.base_url, so_far=task.state, prove=first_reads.proved)
        atlas = _Atlas(clients=clients, relay=relay, clock=clock, first_reads=first_reads)
        await LockedJournal(task.state.run_id, options.host.say).wait_until_free(journal)
        options.host.on_clients(clients)
        if isinstance(task.first, RunStarted):  # a rehearsal's requests go to the simulator, and its report says so
            task = replace(task, first=replace(task.first, base_url=target.base_url))
        # From here on an interruption stops the run in order, also while its beginning is still being recorded.
        with options.host.interruptions() as interruptions:
            ending = await _session(journal, task, settings, options, atlas, interruptions)
        options.host.on_ended(ending)
        return ending


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


async def _session(
    journal: Journal,
    task: Task,
    settings: Settings,
    options: Options,
    atlas: _Atlas,
    interruptions: AsyncIterator[Interruption],
) -> Ending:
    state, clock = task.state, atlas.clock
    ids = {} if task.rehearsal else {m.name: (m.group_id, m.live_migration_id) for _, m in task.workflow.migrations()}
    settle = settings.atlas.settle
    doubts_of = partial(doubts_of_earlier_puts, task.workflow, state, task.first, settle=settle)
    if isinstance(task.first, RunStarted):
        ended = {last.state.run_id: last.events for last in task.in_place_of}
        doubts = journal.begin(
            state.run_id, task.workflow, task.first, also=task.also, doubts_of=doubts_of, in_place_of=ended
        )
        for last in task.in_place_of:
            options.host.on_superseded(last.state)
    else:
        doubts = journal.resume(
            state.run_id, task.workflow, task.first, also=task.also, rehearsal=task.rehearsal, doubts_of=doubts_of
        )
    options.host.checkpoint("run_begun")
    ground = Ground(run_id=state.run_id, files=(*task.locks, *journal.open_files))
    writer = Writer(
        journal, state.run_id, ids, ground=ground, on_locked=LockedJournal(state.run_id, options.host.say).tell
    )
    by_itself = options.rehearsal is not None and options.rehearsal.approves
    on_terminal = (offer_terminal(options.host.inform),) if options.host.interactive and not by_itself else ()
    recorder = Recorder(state, writer, (*options.observers, *on_terminal))
    for event in (task.first, *task.also, *doubts):
        recorder.take_in(event)
    atlas.relay.connect(recorder)
    session = Session(
        state=state,
        clients=atlas.clients,
        recorder=recorder,
        polling=settings.polling,
        settle=settle,
        clock=clock,
        random=options.host.random,
        checkpoint=options.host.checkpoint,
        first_reads=atlas.first_reads,
        hooks=HookRunner(
            state=state,
            environ=options.host.environ,
            secrets=tuple(settings.secrets()),
            redactor=settings.redactor,
            now=clock.now,
            on_interrupted=recorder.record,
        ),
    )
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
            beside.start_soon(heed_controls, session, settings.state_dir, ground)
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
        keep_claims=bool(state.unsettled()) or interrupted,
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
