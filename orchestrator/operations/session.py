"""One session: a process's work on one run, from the event that begins it to the one that ends it.

reach Atlas ▸ begin or resume ▸ execute, beside interruptions, control requests and the terminal ▸ finish
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio

from ..atlas.clients import Clients, open_clients
from ..core.checkpoints import Checkpoint, unwatched
from ..core.consent import Intention
from ..core.errors import JournalError
from ..core.events import Event, RequestRetried, RunFinished, RunResumed, RunStarted
from ..core.observer import Observer
from ..core.outcomes import ExitCode
from ..core.run import RunState
from ..core.settings import Settings
from ..core.workflow import Workflow
from ..engines.clock import SessionClock, steady_time
from ..engines.hook_runner import HookRunner
from ..engines.local.confirmation import Confirmation
from ..engines.local.controls import heed_controls, heed_terminal
from ..engines.local.engine import LocalEngine
from ..engines.local.locked_journal import LockedJournal
from ..engines.local.session import Session, doubts_of_earlier_puts
from ..engines.recorder import Recorder
from ..store.ground import Ground, Place
from ..store.journal import Journal
from ..store.writer import Writer
from .target import Rehearsal, open_target, reach_atlas


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a session ended. *journal_failure*: the journal could not be written any more, so `resume` knows less."""

    state: RunState
    exit_code: ExitCode
    commits: int = 0
    journaled: int = 0
    journal_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """Somebody wants the session to stop in order. *by* says who; *exit_code*: what it then ends with (None: as it stands)."""

    by: str
    exit_code: ExitCode | None = None


Interruptions = Callable[[], AbstractContextManager[AsyncIterator[Interruption]]]
"""Listens for interruptions as long as its context lasts."""


@contextmanager
def uninterrupted() -> Iterator[AsyncIterator[Interruption]]:
    """Nobody stops the session but by a control request, or by cancelling it."""

    async def none() -> AsyncIterator[Interruption]:
        nothing: tuple[Interruption, ...] = ()
        for interruption in nothing:
            yield interruption

    yield none()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator asked for.

    *only*: names of waves or migrations; *new*: begin another run in place of an unfinished one, whose last state
    *on_superseded* is given; *confirmed*: nothing else than this is done (None: nobody was asked); *ask*
    puts the question in the session, whose *interactive* terminal answers it, and no cutover starts before; *background*: tasks to
    run beside the engine (progress); *interactive*: Enter on the terminal approves the wave that waits, and *on_line* is
    called for every line typed there; *say* logs a warning for the operator (the entry's event and fields); *on_clients* is
    given the clients, whose budget and statistics may be looked at; *on_ended* is given the ending, while no other process
    can work on the run; *place*: the options with which another command finds the same state directory, a space before
    each; *steady* is a clock that nobody sets;
    *interruptions* tells when somebody wants the session to stop; *checkpoint* is told of each moment at which losing the process would leave
    something half done.
    """

    only: tuple[str, ...] = ()
    new: bool = False
    retry_failed: bool = False
    confirmed: Intention | None = None
    ask: Callable[[Intention], None] | None = None
    rehearsal: Rehearsal | None = None
    interactive: bool = False
    on_line: Callable[[], None] = lambda: None
    observers: Sequence[Observer] = ()
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    say: Callable[..., None] = lambda _event, **_fields: None
    on_superseded: Callable[[RunState], None] = lambda _: None
    on_ended: Callable[[Ending], None] = lambda _: None
    on_clients: Callable[[Clients], None] = lambda _: None
    environ: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    random: Random = field(default_factory=Random)
    steady: Callable[[], float] = steady_time
    interruptions: Interruptions = uninterrupted
    checkpoint: Checkpoint = unwatched


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
    locks: tuple[Place, ...] = ()


async def conduct(
    journal: Journal, task: Task, settings: Settings, options: Options, *, wall: Callable[[], float]
) -> Ending:
    """Work on the run of *task*, whose locks the caller holds, until it ends or is stopped.

    Raises:
        BusyError: Another run has claimed one of its live migrations.
        JournalError: The journal cannot be written; nothing was begun.
        AtlasError: Atlas is not reachable or refuses the keys; nothing was begun.
    """
    rehearsal = (options.rehearsal or Rehearsal()) if task.rehearsal else None
    relay = _Relay(options.say)
    clock = SessionClock(wall, options.steady)
    async with (
        open_target(task.workflow, settings, rehearsal, so_far=task.state, wall=clock.now) as target,
        open_clients(target.settings, target.sets, wall=clock.now, on_event=relay) as clients,
    ):
        await reach_atlas(clients, target.base_url, so_far=task.state)
        await LockedJournal(task.state.run_id, options.say).wait_until_free(journal)
        options.on_clients(clients)
        if isinstance(task.first, RunStarted):  # a rehearsal's requests go to the simulator, and its report says so
            task = replace(task, first=replace(task.first, base_url=target.base_url))
        # From here on an interruption stops the run in order, also while its beginning is still being recorded.
        with options.interruptions() as interruptions:
            ending = await _session(journal, task, settings, options, clients, relay, interruptions, clock=clock)
        options.on_ended(ending)
        return ending


class _Relay:
    """Takes the client's events, before and after there is a recorder for them. *say*: tells of waits before there is."""

    def __init__(self, say: Callable[..., None]) -> None:
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


async def _session(
    journal: Journal,
    task: Task,
    settings: Settings,
    options: Options,
    clients: Clients,
    relay: _Relay,
    interruptions: AsyncIterator[Interruption],
    *,
    clock: SessionClock,
) -> Ending:
    state = task.state
    ids = {} if task.rehearsal else {m.name: (m.group_id, m.live_migration_id) for _, m in task.workflow.migrations()}
    settle = settings.atlas.settle
    doubts_of = partial(doubts_of_earlier_puts, task.workflow, state, task.first, settle=settle)
    if isinstance(task.first, RunStarted):
        ended = {last.state.run_id: last.events for last in task.in_place_of}
        doubts = journal.begin(state.run_id, task.workflow, task.first, doubts_of=doubts_of, in_place_of=ended)
        for last in task.in_place_of:
            options.on_superseded(last.state)
    else:
        doubts = journal.resume(
            state.run_id, task.workflow, task.first, also=task.also, rehearsal=task.rehearsal, doubts_of=doubts_of
        )
    options.checkpoint("run_begun")
    ground = Ground(run_id=state.run_id, places=(*task.locks, *journal.places))
    writer = Writer(journal, state.run_id, ids, ground=ground, on_locked=LockedJournal(state.run_id, options.say).tell)
    recorder = Recorder(state, writer, options.observers)
    for event in (task.first, *task.also, *doubts):
        recorder.take_in(event)
    relay.connect(recorder)
    session = Session(
        state=state,
        clients=clients,
        recorder=recorder,
        polling=settings.polling,
        settle=settle,
        clock=clock,
        random=options.random,
        checkpoint=options.checkpoint,
        hooks=HookRunner(
            state=state,
            environ=options.environ,
            secrets=tuple(settings.secrets()),
            now=clock.now,
            on_interrupted=recorder.record,
        ),
    )
    engine = LocalEngine(session)
    async with anyio.create_task_group() as writing:
        writing.start_soon(_write, writer)
        try:
            interruption = await _execute(engine, session, options, settings.state_dir, interruptions, ground, writer)
            ending = await _finish(session, writer, interruption)
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
    state_dir: Path,
    interruptions: AsyncIterator[Interruption],
    ground: Ground,
    writer: Writer,
) -> Interruption | None:
    """Let the engine work, and heed interruptions, control requests and the terminal meanwhile; what ended it."""
    received: list[Interruption] = []
    async with anyio.create_task_group() as beside:
        with anyio.CancelScope() as work:
            beside.start_soon(_heed_interruptions, interruptions, session, work, received, writer)
            beside.start_soon(heed_controls, engine, session, state_dir, ground)
            who = f"the terminal of {session.state.who}"
            confirmation = None
            if options.ask is not None:
                confirmation = Confirmation(session, options.ask, options.say, who=who)
                beside.start_soon(confirmation.run)
            if options.interactive:
                beside.start_soon(
                    partial(
                        heed_terminal,
                        engine,
                        session,
                        who=who,
                        on_line=options.on_line,
                        say=options.say,
                        confirmation=confirmation,
                    )
                )
            for task in options.background:
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
