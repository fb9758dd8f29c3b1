"""A session from its beginning to its end: locks, journal, Atlas, engine, signals, reports.

    open journal ▸ lock ▸ reach Atlas ▸ begin or resume ▸ execute ▸ finish ▸ report

`start` begins a run or continues the unfinished one of its workflow, `resume` continues one without its file. Both return
an `Ending`; they raise `CutoverError` when nothing was begun.
"""

from __future__ import annotations

import getpass
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import anyio

from .atlas.client import AtlasClient, ClientSettings, open_client
from .atlas.errors import ApiError, AtlasError
from .changes import describe_changes
from .collector import rare_collections
from .engine.controls import heed_controls, heed_terminal
from .engine.hookrunner import HookRunner
from .engine.local import LocalEngine
from .engine.recorder import Recorder, Sink
from .engine.session import Session, settle_unknown
from .errors import BusyError, InputError, JournalError
from .events import CutoversStopped, Event, RunAborted, RunFinished, RunResumed, RunStarted
from .faultpoints import crash_point
from .journal import Journal, RunRow, Writer, open_journal
from .locks import LockedError, locked, run_lock, workflow_lock
from .outcomes import ExitCode, Outcome
from .polling import PollPolicy
from .run import RunState
from .settings import PRIVATE_KEY_VARIABLE, PUBLIC_KEY_VARIABLE, Settings
from .version import program_version
from .workflow import Workflow, to_json

if TYPE_CHECKING:
    from .simulator.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A run against the built-in simulator: *scenario* says what Atlas is like, *speed* how fast its time passes."""

    scenario: Scenario
    speed: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator asked for.

    *only*: names of waves or migrations; *new*: do not continue an unfinished run; *background*: tasks to run beside the
    engine (progress); *interactive*: Enter on the terminal approves the wave that waits; *say* tells the operator a line;
    *on_client* is given the client, whose budget and statistics may be looked at.
    """

    only: tuple[str, ...] = ()
    new: bool = False
    retry_failed: bool = False
    rehearsal: Rehearsal | None = None
    interactive: bool = False
    sinks: Sequence[Sink] = ()
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    say: Callable[[str], None] = lambda _: None
    on_client: Callable[[AtlasClient], None] = lambda _: None
    environ: Mapping[str, str] = field(default_factory=dict)
    random: Random = field(default_factory=Random)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a session ended. *journal_failure*: the journal could not be written any more, so `resume` knows less."""

    state: RunState
    exit_code: ExitCode
    commits: int = 0
    journaled: int = 0
    journal_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Which run a session works on, and the event that says so."""

    run_id: str
    workflow: Workflow
    rehearsal: bool
    state: RunState
    first: RunStarted | RunResumed


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
    selected = _select(workflow, options.only)
    rehearsal = options.rehearsal is not None
    with open_journal(settings.state_dir) as journal:

        def unfinished() -> RunRow | None:
            return None if options.new or rehearsal else journal.unfinished(workflow=workflow.name, rehearsal=False)

        row = unfinished()
        if row is not None:
            return await _continue(journal, row.run_id, workflow, settings, options, wall=wall)
        run_id = new_run_id(wall())
        with _holding(settings.state_dir, workflow.name, run_id, rehearsal=rehearsal):
            row = unfinished()  # again: another process may have begun one, and died, before the lock was ours
            if row is None:
                first = RunStarted(
                    at=wall(),
                    workflow=to_json(workflow),
                    base_url=settings.atlas.base_url,
                    rehearsal=rehearsal,
                    selected=tuple(m.name for _, m in workflow.migrations() if m.name in selected),
                    who=who_am_i(),
                    version=program_version(),
                )
                state = RunState(run_id=run_id)
                task = _Task(run_id=run_id, workflow=workflow, rehearsal=rehearsal, state=state, first=first)
                return await _locked_session(journal, task, settings, options, wall=wall)
        return await _continue(journal, row.run_id, workflow, settings, options, wall=wall)


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
    if row is None or row.run_id != run_id:
        raise InputError(f"there is no run {run_id} in {journal.path}")
    if not row.unfinished and not options.retry_failed:
        return _as_it_ended(journal.state(run_id))
    with _holding(settings.state_dir, row.workflow, run_id, rehearsal=row.rehearsal):
        state = journal.state(run_id)  # read under the lock: what another process still did is in it
        if given is not None:
            for line in describe_changes(state.workflow, given):
                options.say(
                    f"the workflow file has changed since run {run_id} started: {line}; the recorded one is used"
                )
        nothing_failed = not options.retry_failed or Outcome.FAILED not in state.totals()
        if not state.unfinished and nothing_failed:
            return _as_it_ended(state)
        selected = _select(state.workflow, options.only)
        first = RunResumed(
            at=wall(),
            selected=tuple(m.name for _, m in state.workflow.migrations() if m.name in selected),
            retry_failed=options.retry_failed,
            who=who_am_i(),
            settle=settle_unknown(settings.polling.initial, settings.atlas.request_timeout),
        )
        task = _Task(run_id=run_id, workflow=state.workflow, rehearsal=state.rehearsal, state=state, first=first)
        return await _locked_session(journal, task, settings, options, wall=wall)


def _as_it_ended(state: RunState) -> Ending:
    return Ending(state=state, exit_code=ExitCode(state.recorded_exit_code or 0))


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


async def _locked_session(
    journal: Journal, task: _Task, settings: Settings, options: Options, *, wall: Callable[[], float]
) -> Ending:
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(_target(task, settings, options))
        relay = _Relay()
        client = await stack.enter_async_context(open_client(target, wall=wall, on_event=relay))
        await reach_atlas(client, target.base_url)
        options.on_client(client)
        if isinstance(task.first, RunStarted):  # a rehearsal's requests go to the simulator, and its report says so
            task = replace(task, first=replace(task.first, base_url=target.base_url))
        # From here on a signal stops the run in order, also while its beginning is still being recorded.
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            return await _session(journal, task, settings, options, client, relay, signals, wall=wall)


async def reach_atlas(client: AtlasClient, base_url: str) -> None:
    """See before anything else that Atlas answers at *base_url* and takes the keys.

    Raises:
        AtlasError: It does not; a note of the error says what to look at.
    """
    try:
        await client.check_access()
    except ApiError as error:
        if error.status in (401, 403):
            error.add_note(
                f"Atlas at {base_url} refuses the API keys; nothing was cut over. Check that both belong together, and "
                "that the key's access list has this machine's address"
            )
        raise
    except AtlasError as error:
        error.add_note(
            f"Atlas was not reached at {base_url}; nothing was cut over. Check atlas.base_url, network and proxy, "
            "then start again"
        )
        raise


class _Relay:
    """Takes the client's events, before and after there is a recorder for them."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self._early: list[Event] = []

    def __call__(self, event: Event) -> None:
        if self.recorder is None:
            self._early.append(event)
        else:
            self.recorder.record(event)

    def connect(self, recorder: Recorder) -> None:
        """From now on events go to *recorder*, those that came early first."""
        self.recorder = recorder
        recorder.record(*self._early)
        self._early.clear()


@asynccontextmanager
async def _target(task: _Task, settings: Settings, options: Options) -> AsyncIterator[ClientSettings]:
    """Where the requests go: Atlas, or for a rehearsal a simulator that lives as long as the session."""
    if not task.rehearsal:
        public, private = settings.atlas.public_key, settings.atlas.private_key
        if public is None or private is None:
            raise InputError(f"no API keys: set {PUBLIC_KEY_VARIABLE} and {PRIVATE_KEY_VARIABLE}")
        yield client_settings(settings, settings.atlas.base_url, public.reveal(), private.reveal())
        return
    from .simulator.scenario import Scenario
    from .simulator.server import Simulator

    rehearsal = options.rehearsal or Rehearsal(scenario=Scenario())
    keys = (secrets.token_hex(4), secrets.token_hex(16))
    simulator = Simulator(workflow=task.workflow, keys=keys, scenario=rehearsal.scenario, speed=rehearsal.speed)
    async with simulator.serve() as running:
        yield client_settings(settings, running.base_url(settings.atlas.api), *keys)


def client_settings(settings: Settings, base_url: str, public_key: str, private_key: str) -> ClientSettings:
    """What a client needs to know, from the settings and the keys to use."""
    limit = settings.rate_limit
    return ClientSettings(
        base_url=base_url,
        public_key=public_key,
        private_key=private_key,
        request_timeout=settings.atlas.request_timeout,
        ca_file=settings.atlas.ca_file,
        requests=limit.requests,
        per=limit.per,
        burst=limit.burst,
        scope=limit.scope,
    )


async def _session(
    journal: Journal,
    task: _Task,
    settings: Settings,
    options: Options,
    client: AtlasClient,
    relay: _Relay,
    signals: AsyncIterator[signal.Signals],
    *,
    wall: Callable[[], float],
) -> Ending:
    state = task.state
    ids = {} if task.rehearsal else {m.name: (m.group_id, m.live_migration_id) for _, m in task.workflow.migrations()}
    if isinstance(task.first, RunStarted):
        journal.begin(task.run_id, task.workflow, task.first)
    else:
        if not task.rehearsal:
            journal.reclaim(task.run_id, task.workflow)
        journal.commit(task.run_id, [task.first], ids)
    crash_point("run_begun")
    earlier = {} if task.rehearsal else journal.earlier_puts(task.run_id)
    writer = Writer(journal, task.run_id, ids)
    recorder = Recorder(state, writer, options.sinks)
    recorder.take_in(task.first)
    relay.connect(recorder)
    polling = settings.polling
    session = Session(
        state=state,
        client=client,
        recorder=recorder,
        polling=PollPolicy(initial=polling.initial, factor=polling.factor, max=polling.max, jitter=polling.jitter),
        request_timeout=settings.atlas.request_timeout,
        wall=wall,
        random=options.random,
        hooks=HookRunner(
            run_id=task.run_id,
            workflow=task.workflow,
            rehearsal=task.rehearsal,
            environ=options.environ,
            secrets=_key_values(settings),
            wall=wall,
        ),
    )
    engine = LocalEngine(session)
    engine.doubt_earlier_puts(earlier)
    async with anyio.create_task_group() as writing:
        writing.start_soon(_write, writer)
        try:
            with rare_collections():
                signalled = await _execute(engine, session, options, settings.state_dir, signals)
            ending = await _finish(session, writer, signalled)
        finally:
            writer.close()
    return ending


async def _write(writer: Writer) -> None:
    """Run *writer* until it is closed: what happened is on disk before an error or a cancellation goes on."""
    with anyio.CancelScope(shield=True):
        await writer.run()


async def _execute(
    engine: LocalEngine, session: Session, options: Options, state_dir: Path, signals: AsyncIterator[signal.Signals]
) -> signal.Signals | None:
    """Let the engine work, and heed signals, control requests and the terminal meanwhile; the signal that ended it."""
    received: list[signal.Signals] = []
    async with anyio.create_task_group() as beside:
        with anyio.CancelScope() as work:
            beside.start_soon(_heed_signals, signals, session, work, received)
            beside.start_soon(heed_controls, engine, session, state_dir)
            if options.interactive:
                beside.start_soon(heed_terminal, engine, session)
            for task in options.background:
                beside.start_soon(task)
            await engine.execute()
        beside.cancel_scope.cancel()
    return received[0] if received else None


async def _heed_signals(
    signals: AsyncIterator[signal.Signals],
    session: Session,
    work: anyio.CancelScope,
    received: list[signal.Signals],
) -> None:
    """The first SIGINT or SIGTERM stops in order, the second at once."""
    async for number in signals:
        if received:
            os._exit(128 + number)
        received.append(number)
        session.stop(f"stopped by {number.name}")
        work.cancel()


async def _finish(session: Session, writer: Writer, signalled: signal.Signals | None) -> Ending:
    """Record the end of the session, also when the journal does not take it any more."""
    state = session.state
    code = ExitCode(128 + signalled) if signalled else state.exit_code()
    statistics = session.client.statistics
    totals = state.totals()
    finished = RunFinished(
        at=session.wall(),
        outcome=state.outcome(),
        exit_code=int(code),
        unfinished=state.is_unfinished(),
        requests={
            "total": statistics.by_status.total(),
            "by_status": dict(statistics.by_status),
            "retries": statistics.retries,
        },
        keep_claims=bool(totals[Outcome.IN_DOUBT]) or (signalled is not None and state.is_unfinished()),
    )
    failure = None
    crash_point("finishing")
    with anyio.CancelScope(shield=True):
        try:
            await session.recorder.commit(finished)
        except JournalError as error:
            failure = str(error)
            session.recorder.take_in(finished)
    crash_point("finished")
    return Ending(state=state, exit_code=code, commits=writer.commits, journaled=writer.events, journal_failure=failure)


def _key_values(settings: Settings) -> tuple[str, ...]:
    keys = (settings.atlas.public_key, settings.atlas.private_key)
    return tuple(key.reveal() for key in keys if key is not None)


def _select(workflow: Workflow, only: tuple[str, ...]) -> frozenset[str]:
    try:
        return workflow.select(only)
    except KeyError as error:
        raise InputError(
            f"--only {error.args[0]}: workflow {workflow.name!r} has no wave or migration of that name"
        ) from None


def abort_interrupted(journal: Journal, run_id: str, *, now: float) -> None:
    """End the run *run_id*, on which no process works; the caller holds its lock.

    Its claims are released. What it left under way is IN_DOUBT in its report, and the journal remembers the PUTs, so no
    run sends another without evidence.
    """
    state = journal.state(run_id)
    aborted = RunAborted(at=now, who=who_am_i())
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
    journal.commit(run_id, [aborted, stopped, finished], {})
