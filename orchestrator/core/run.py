"""One run: the fold of all its events, and the questions that others ask of it. Pure.

`RunState` is what the engine, the journal's readers, the status page and the report all know of a run; it changes only
by `apply`, so a run that is continued from its journal knows exactly what the first process knew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any, NamedTuple

from . import migration as migrationstate
from .counts import Census, Counts, Facets, facets_of
from .events import (
    ApprovalWaiting,
    ConfirmationWaiting,
    CredentialsRefused,
    CutoversConfirmed,
    CutoversStopped,
    Event,
    ForecastMade,
    GateChanged,
    HookFinished,
    HookStarted,
    MigrationEvent,
    MigrationRetried,
    RunAborted,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunUnpaused,
    VerificationFailed,
    WaveApproved,
    WaveFinished,
    WaveRejected,
    WaveSoaking,
    WaveStarted,
    WindowChanged,
    WindowOpened,
    WindowWaiting,
)
from .forecast import Forecast
from .group_hooks import GroupHooks
from .migration import UNDER_WAY, MigrationState, Phase
from .outcomes import ExitCode, Outcome, RunOutcome
from .steered import COMMANDS, Decision, Steering, decision_of, gate_after
from .window import Span
from .workflow import HookKind, Migration, Wave, Workflow, after_hook

APPROVAL_TIMEOUT = "approval.timeout"
"""Who rejects a wave that nobody has approved in time."""

_UNSETTLED = frozenset({Outcome.IN_DOUBT, Outcome.UNDER_WAY})
_CUT_OVER = frozenset({Outcome.SUCCESS, Outcome.UNVERIFIED})


@dataclass(slots=True, kw_only=True)
class WaveState:
    """What is known about one wave. Times are Unix seconds."""

    first_started_at: float | None = None
    """When it started first, in whichever session."""
    last_started_at: float | None = None
    """When it started last, in whichever session."""
    finished_at: float | None = None
    """When it was finished, in this session."""
    ended_at: float | None = None
    """When it was finished last, in whichever session."""
    approval_since: float | None = None
    """Since when it waits for approval; None: it does not."""
    approved_by: str | None = None
    hooks: GroupHooks = field(default_factory=GroupHooks)
    started: bool = False
    """In this session it has started."""
    worked_on: bool = False
    """In this session something has happened to one of its migrations, which earlier ones may have left under way."""
    census: Census = field(default_factory=Census)
    """Counts its migrations."""
    line: list[int] = field(default_factory=list)
    """A heap of the places of those that wait for a slot, and of some that do not any more."""
    last_end: float | None = None
    """When its last cutover ended."""
    soak_until: float | None = None
    """Until when its verification and the next wave wait; None: they do not."""
    rejected_by: str | None = None
    """Who does not want it to start in this session, and why."""
    retried: int = 0
    """How often a migration of it was taken up again, in this session."""

    def copy(self) -> WaveState:
        """The same, to change."""
        return replace(self, hooks=self.hooks.copy(), census=self.census.copy(), line=list(self.line))

    @property
    def counts(self) -> Counts:
        """How many of its migrations stand where."""
        return self.census.counts

    @property
    def is_open(self) -> bool:
        """Whether the wave lets its migrations go on to their PUTs: it has started, and its `before` hooks are done."""
        return self.started and self.hooks.prepared


class _Member(NamedTuple):
    """A migration, and where it stands in its workflow."""

    wave: str
    number: int
    migration: Migration


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one migration stands, in the words of the report; what was interrupted is NOT_STARTED, IN_DOUBT or UNDER_WAY."""

    outcome: Outcome
    error_message: str | None


@dataclass(slots=True, kw_only=True)
class RunState:
    """The fold of a run's events."""

    run_id: str
    workflow: Workflow = field(default_factory=lambda: Workflow(name="", waves=()))
    base_url: str = ""
    rehearsal: bool = False
    approves: bool = False  # this session, of a rehearsal, gives each approval by itself
    selected: frozenset[str] = frozenset()
    who: str = ""
    version: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    recorded_unfinished: bool = True
    recorded_exit_code: int | None = None
    sessions: int = 0
    paused_by: str | None = None
    paused_for: str = ""  # why, where they have said so
    paused_at: float | None = None
    unconfirmed_since: float | None = None  # when a session began that starts nothing before it is confirmed
    aborted_by: str | None = None
    aborted_for: str = ""
    successor: str | None = None
    stopped: str | None = None
    # Sets of credentials that Atlas refuses in this session, with what it said.
    refused: dict[str | None, str] = field(default_factory=dict)
    window_opens: float | None = None
    window_waits_since: float = 0.0
    opening: Span | None = None  # the opening of the window that this session waits for or is in
    forecast: Forecast | None = None  # of each wave, made when the first session began that was to start it
    waves: dict[str, WaveState] = field(default_factory=dict)
    migrations: dict[str, MigrationState] = field(default_factory=dict)
    finished_hooks: list[HookFinished] = field(default_factory=list)  # all that ended, whosever they were
    run_hooks: GroupHooks = field(default_factory=GroupHooks)
    requests: Counter[str] = field(default_factory=Counter)  # by HTTP status ("error": no answer)
    retries: int = 0
    steering: list[Decision] = field(default_factory=list)  # what people have decided, in order
    steered_before: tuple[Steering, ...] = ()  # what of it was decided between this session and the one before it
    _unheard: tuple[Steering, ...] = ()  # what was decided since the last session
    _members: dict[str, _Member] = field(default_factory=dict)
    _waves: dict[str, Wave] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Take *event* in."""
        if event.__class__ in COMMANDS:
            self._keep(event)
        if isinstance(event, MigrationEvent):
            self._migrate(event.migration, event)
        else:
            self._move(event)

    def _move(self, event: Event) -> None:
        """Something happened to the run, or to a wave."""
        match event:
            case RunStarted():
                self._start(event)
            case RunResumed():
                self._resume(event)
            case RunFinished():
                self._finish(event)
            case ForecastMade():
                self.forecast = event.forecast if self.forecast is None else self.forecast.followed_by(event.forecast)
            case RunPaused() | RunUnpaused():
                self._pause(event)
            case ConfirmationWaiting() | CutoversConfirmed():
                self.unconfirmed_since = event.at if isinstance(event, ConfirmationWaiting) else None
            case RunAborted():
                self.aborted_by, self.successor, self.aborted_for = event.who, event.successor, event.reason
            case CutoversStopped():
                self.stopped = self.stopped or event.reason
            case CredentialsRefused():
                self.refused.setdefault(event.credentials, event.reason)
                self._count()
            case WindowChanged() | WindowWaiting() | WindowOpened():
                self._window(event)
            case HookStarted() | HookFinished():
                self._hook(event)
            case ApprovalWaiting() | WaveApproved() | WaveRejected() | WaveStarted() | WaveSoaking() | WaveFinished():
                self._wave(event)
            case VerificationFailed():
                hooks = self.run_hooks if event.wave is None else self.waves[event.wave].hooks
                hooks.refute(event.reason)

    def _start(self, event: RunStarted) -> None:
        self.workflow = event.workflow
        self.base_url, self.rehearsal = event.base_url, event.rehearsal
        self.approves = self.rehearsal and event.approves
        self.selected = frozenset(event.selected)
        self.who, self.version, self.started_at = event.who, event.version, event.at
        self.run_hooks = GroupHooks(self.workflow.hooks)
        self.waves = {wave.name: WaveState(hooks=GroupHooks(wave.hooks)) for wave in self.workflow.waves}
        nothing_known = MigrationState()
        self._waves = {wave.name: wave for wave in self.workflow.waves}
        self._members = {
            migration.name: _Member(wave.name, number, migration)
            for wave in self.workflow.waves
            for number, migration in enumerate(wave.migrations)
        }
        self.migrations = dict.fromkeys(self._members, nothing_known)
        self.sessions = 1
        self._count()

    def _keep(self, event: Event) -> None:
        """Keep what somebody has decided; before it takes effect, as what was before is part of that."""
        assert isinstance(event, Steering)
        name = event.migration if isinstance(event, MigrationEvent) else None
        member = None if name is None else self._members.get(name)
        if member is None:
            self.steering.append(decision_of(event))
        else:
            self.steering.append(decision_of(event, wave=member.wave, gate_before=member.migration.gate))
        if event.between_sessions:
            self._unheard += (event,)

    def _window(self, event: WindowChanged | WindowWaiting | WindowOpened) -> None:
        match event:
            case WindowChanged():
                self.workflow = replace(self.workflow, window=event.window)
                self.window_opens = self.opening = None
            case WindowWaiting():
                self.window_opens = event.opens
                self.opening = _span(event, opens=event.opens)
                self.window_waits_since = event.at
            case WindowOpened():
                if self.window_opens is not None:
                    self._hold(since=self.window_waits_since, until=event.at)
                self.window_opens = None
                self.opening = _span(event, opens=event.at if event.opens is None else event.opens)

    def _resume(self, event: RunResumed) -> None:
        self.approves = self.rehearsal and event.approves
        self.selected = frozenset(event.selected)
        self.who, self.sessions = event.who, self.sessions + 1
        self.steered_before, self._unheard = self._unheard, ()
        self.base_url = event.base_url or self.base_url
        self.finished_at = self.recorded_exit_code = self.stopped = None
        self.refused = {}
        self.window_opens = self.opening = self.unconfirmed_since = None
        self.recorded_unfinished = True
        self.run_hooks.new_session()
        for name, state in self.migrations.items():
            if name not in self.selected and state.outcome is Outcome.IN_DOUBT:
                continue  # it stays as it ended: nobody looks at it
            self.migrations[name] = migrationstate.reopen(
                state, at=event.at, retry_failed=event.retry_failed and name in self.selected, settle=event.settle
            )
        for wave in self.workflow.waves:
            known = self.waves[wave.name]
            known.finished_at = known.approval_since = None
            if known.rejected_by is not None and known.rejected_by.startswith(APPROVAL_TIMEOUT):
                known.rejected_by = None  # it is asked for again
            known.started = known.worked_on = False
            known.line = []
            known.retried = 0
            known.hooks.new_session()
            if known.first_started_at is not None and any(self._is_followed(m.name) for m in wave.migrations):
                known.hooks.begin(self.selected)
                self.run_hooks.begin(self.selected)

        self._count()

    def _migrate(self, name: str, event: Event) -> None:
        """Something happened to migration *name*: keep the counts of its wave in step."""
        before = self.migrations.get(name)
        if before is None:
            return
        after = self.migrations[name] = migrationstate.apply(before, event)
        member = self._members[name]
        wave = self.waves[member.wave]
        wave.worked_on = True
        if isinstance(event, GateChanged):
            self._members[name] = member._replace(migration=replace(member.migration, gate=gate_after(event)))
        if _stands_alike(before, after):
            return
        selected = name in self.selected
        if not wave.census.moved_on(name, after):
            hooks, soaks = member.migration.hooks, self._waves[member.wave].soak > 0
            withdrawn = self._refusal(name) is not None
            wave.census.move(name, before, after, hooks, selected=selected, withdrawn=withdrawn, soaks=soaks)
        if after.ended_at is not None and before.ended_at is None and after.requested_at is not None:
            wave.last_end = after.ended_at
        if isinstance(event, MigrationRetried):
            wave.retried += 1
            wave.finished_at = None
            self.recorded_unfinished = True  # also where all was over
            if wave.started:
                wave.hooks.begin(self.selected)
                self.run_hooks.begin(self.selected)
        if after.phase is Phase.READY and not after.admitted and selected:
            # One whose application stands still, since an earlier session, is first in line (and -1 is the last's index).
            number = member.number - len(self._waves[member.wave].migrations) if after.prepared else member.number
            heappush(wave.line, number)

    def _count(self) -> None:
        """Count everything again: a session begins, or a set of credentials is refused."""
        for wave in self.workflow.waves:
            census = self.waves[wave.name].census = Census()
            counted, facets = None, Facets()
            for migration in wave.migrations:
                state, hooks, selected = (
                    self.migrations[migration.name],
                    migration.hooks,
                    migration.name in self.selected,
                )
                withdrawn = self._refusal(migration.name) is not None
                what = (id(state), id(hooks), selected, withdrawn)
                if what != counted:  # when a run starts, all are as the first
                    counted = what
                    facets = facets_of(state, hooks, selected=selected, withdrawn=withdrawn, soaks=wave.soak > 0)
                census.add(facets)

    def _is_followed(self, name: str) -> bool:
        return name in self.selected and self.migrations[name].phase in UNDER_WAY

    def _finish(self, event: RunFinished) -> None:
        self.finished_at = event.at
        self.recorded_unfinished = event.unfinished
        self.recorded_exit_code = event.exit_code
        self.requests.update(event.requests.get("by_status", {}))
        self.retries += event.requests.get("retries", 0)
        for name, polls in event.polls.items():
            if name in self.migrations:
                self.migrations[name] = migrationstate.read_so_often(self.migrations[name], polls)
        for wave in (None, *self.workflow.waves):
            hooks = self.hooks_of(wave)
            hooks.owed = bool(hooks.left(self.after_hook(wave)))  # an end without hooks is an end, too

    def _pause(self, event: RunPaused | RunUnpaused) -> None:
        if isinstance(event, RunPaused):
            self.paused_by, self.paused_at, self.paused_for = event.who, event.at, event.reason
            return
        self._hold(since=event.at if self.paused_at is None else self.paused_at, until=event.at)
        self.paused_by, self.paused_at, self.paused_for = None, None, ""

    def _hold(self, *, since: float, until: float) -> None:
        """No cutover was to start in that time."""
        for name, state in self.migrations.items():
            self.migrations[name] = migrationstate.without_pause(state, since=since, until=until)

    def _hook(self, event: HookStarted | HookFinished) -> None:
        if isinstance(event, HookFinished):
            self.finished_hooks.append(event)
        if event.migration is not None:
            self._migrate(event.migration, event)
        elif event.wave is None:
            self.run_hooks.take_in(event, self.selected)
        elif event.wave in self.waves:
            self.waves[event.wave].hooks.take_in(event, self.selected)

    def _wave(
        self, event: ApprovalWaiting | WaveApproved | WaveRejected | WaveStarted | WaveSoaking | WaveFinished
    ) -> None:
        wave = self.waves.get(event.wave)
        if wave is None:
            return
        match event:
            case ApprovalWaiting():
                wave.approval_since = event.at
                self.run_hooks.begin(self.selected)
            case WaveApproved():
                wave.approved_by, wave.approval_since, wave.rejected_by = event.who, None, None
            case WaveRejected():
                wave.rejected_by = f"{event.who}: {event.reason}" if event.reason else event.who
                wave.approval_since = None
            case WaveSoaking():
                wave.soak_until = event.until
            case WaveStarted():
                wave.first_started_at = wave.first_started_at or event.at
                wave.last_started_at = event.at
                wave.started = True
                wave.hooks.begin(self.selected)
                self.run_hooks.begin(self.selected)
            case WaveFinished():
                wave.finished_at = wave.ended_at = event.at

    def after(self, *events: Event) -> RunState:
        """What *events* would make of this state, which stays as it is."""
        state = replace(
            self,
            waves={name: wave.copy() for name, wave in self.waves.items()},
            migrations=dict(self.migrations),
            finished_hooks=list(self.finished_hooks),
            steering=list(self.steering),
            run_hooks=self.run_hooks.copy(),
            requests=Counter(self.requests),
            refused=dict(self.refused),
        )
        for event in events:
            state.apply(event)
        return state

    # -- questions ---------------------------------------------------------------------------------------------------

    def result(self, name: str) -> Result:
        """How migration *name* stands, were the run to end now."""
        return Result(outcome=self.outcome_of(name), error_message=self._why(name))

    def outcome_of(self, name: str) -> Outcome:
        """The outcome of migration *name*, were the run to end now."""
        state = self.migrations[name]
        if state.outcome is not None:
            return state.outcome
        if state.phase in UNDER_WAY:
            return Outcome.UNDER_WAY if state.phase is Phase.ACCEPTED and not self.given_up else Outcome.IN_DOUBT
        if state.phase is Phase.VERIFYING and state.skipped is None:
            return Outcome.UNVERIFIED if self._is_over() else Outcome.UNDER_WAY
        return Outcome.NOT_STARTED

    def _why(self, name: str) -> str | None:
        """What is to be said about its outcome."""
        state = self.migrations[name]
        if state.skipped is not None and state.outcome in (None, Outcome.NOT_STARTED) and state.phase not in UNDER_WAY:
            return state.skipped
        if state.outcome is not None:
            return state.error_message
        if state.phase in UNDER_WAY:
            return self._why_no_end(state)
        if state.phase is not Phase.VERIFYING:
            return self._why_not_started(name)
        if self._is_over():
            return "cut over; the run was given up before it was verified"
        return "cut over; the session ended before it was verified: `resume` verifies it"

    def withdrawn(self, name: str) -> str | None:
        """Why the PUT of migration *name* may not leave in this session, though others may; None: it may, for all of this."""
        return self.migrations[name].skipped or self._refusal(name)

    def _refusal(self, name: str) -> str | None:
        return self.refused.get(self._members[name].migration.credentials) if self.refused else None

    @property
    def given_up(self) -> bool:
        """Whether the run was ended with nobody to follow what it left under way."""
        return self._is_over() and self.aborted_by is not None and self.successor is None

    def _is_over(self) -> bool:
        return self.finished_at is not None and not self.recorded_unfinished

    def window_over(self, at: float) -> bool:
        """Whether the window does not open any more at or after *at* (Unix seconds); a rehearsal's opens whenever one begins."""
        return not self.rehearsal and self.workflow.window_over(at)

    def _why_no_end(self, state: MigrationState) -> str:
        """What is said of a migration whose PUT may have been carried out, were the run to end now."""
        if self._is_over() and self.successor is not None:
            why = f"run {self.successor}, which took this run's place, follows it"
        elif self._is_over():
            why = "the run was given up while the cutover was under way: look at the live migration in Atlas"
        elif state.phase is Phase.ACCEPTED:
            why = (
                "Atlas accepted the cutover, and the session ended before its end was seen: `resume` follows it at once"
            )
        else:
            return state.note or "the run was interrupted while the cutover was under way: `resume` follows it"
        return f"{why} ({state.note})" if state.note else why

    def _why_not_started(self, name: str) -> str | None:
        if name not in self.selected:
            return "not selected"
        if self.stopped or self.refused:
            return self.withdrawn(name) or self.stopped or self.migrations[name].note
        return self.migrations[name].note

    def rows(self) -> list[tuple[Wave, Migration]]:
        """The selected migrations with their waves, in workflow order."""
        return [(wave, migration) for wave, migration in self.workflow.migrations() if migration.name in self.selected]

    def totals(self) -> Counter[Outcome]:
        """How many of the selected migrations have each outcome."""
        return Counter(self.outcome_of(name) for name in self.selected)

    def outcome(self) -> RunOutcome:
        """The run's outcome over its selected migrations: in doubt before failed before incomplete."""
        totals = self.totals()
        if totals[Outcome.IN_DOUBT]:
            return RunOutcome.IN_DOUBT
        if totals[Outcome.FAILED] or totals[Outcome.TIMED_OUT] or totals[Outcome.UNVERIFIED]:
            return RunOutcome.FAILED
        if any(self.hooks_of(wave).unverified for wave in (None, *self.workflow.waves)):
            return RunOutcome.FAILED
        if totals[Outcome.NOT_STARTED] or totals[Outcome.UNDER_WAY]:
            return RunOutcome.INCOMPLETE
        return RunOutcome.SUCCESS

    def exit_code(self) -> ExitCode:
        """The exit code for `outcome`; a signal's own code takes precedence where the process was interrupted."""
        return {
            RunOutcome.SUCCESS: ExitCode.SUCCESS,
            RunOutcome.FAILED: ExitCode.FAILED,
            RunOutcome.INCOMPLETE: ExitCode.INCOMPLETE,
            RunOutcome.IN_DOUBT: ExitCode.IN_DOUBT,
        }[self.outcome()]

    def unsettled(self) -> list[str]:
        """Those of all migrations, selected or not, that are in doubt or under way, were the run to end now."""
        return [name for name in self.migrations if self.outcome_of(name) in _UNSETTLED]

    def is_unfinished(self) -> bool:
        """Whether anything is left to continue: a migration of the whole workflow, or the hooks of what is over."""
        left = _UNSETTLED if self.aborted_by is not None else _UNSETTLED | {Outcome.NOT_STARTED}
        names = (name for name, state in self.migrations.items() if state.skipped is None or state.phase in UNDER_WAY)
        return any(self.outcome_of(name) in left for name in names) or self.hooks_left()

    def hooks_left(self) -> bool:
        """Whether `after_…` hooks are still to be run of what has ended: a migration, a wave, the run."""
        groups = (None, *self.workflow.waves)
        owing = (wave for wave in groups if self.hooks_of(wave).commands)
        return any(self.hooks_of(wave).left(self.after_hook(wave)) for wave in owing) or any(
            self._migration_hook_left(migration) for _, migration in self.workflow.migrations()
        )

    def hooks_of(self, wave: Wave | None) -> GroupHooks:
        """The state of *wave*'s hooks, or of the run's (None)."""
        return self.run_hooks if wave is None else self.waves[wave.name].hooks

    def after_hook(self, wave: Wave | None) -> HookKind:
        """The hooks that *wave* (None: the run) ends with as it stands: `verify`, or those `after_…` it."""
        hooks = self.hooks_of(wave)
        members = hooks.members if hooks.owed else self.selected
        names = self.workflow.names() if wave is None else (m.name for m in wave.migrations)
        outcomes = {self.outcome_of(name) for name in names if name in members}
        if outcomes == {Outcome.SUCCESS}:
            return hooks.at_success()
        return after_hook(Outcome.UNVERIFIED if outcomes <= _CUT_OVER else Outcome.FAILED)

    def _migration_hook_left(self, migration: Migration) -> bool:
        state, hooks = self.migrations[migration.name], migration.hooks
        left = migrationstate.after_hook_left(state, hooks)
        return left is not None or bool(migrationstate.undo_left(state, on_failure=len(hooks.after_failure)))

    def polls_to_keep(self) -> dict[str, int]:
        """How often each job was read of which no end tells it: reads are in no journal."""
        return {
            name: state.polls
            for name, state in self.migrations.items()
            if state.polls and state.phase is not Phase.FINISHED
        }

    def ended_badly(self, wave: Wave) -> int:
        """How many of *wave*'s migrations ended without SUCCESS, selected this time or not."""
        return self.waves[wave.name].counts.ended_badly

    def to_cut_over(self, wave: Wave) -> int:
        """How many of *wave*'s selected migrations may still get a PUT: what somebody lets start who approves it. What is skipped is none."""
        return self.waves[wave.name].counts.waiting

    def too_many_failures(self, wave: Wave) -> bool:
        """Whether more of *wave*'s migrations ended without SUCCESS, IN_DOUBT included, than its `max_failures` allows.

        Doubts that are still open do not count: `doubts_may_be_too_many`.
        """
        return wave.max_failures is not None and self.ended_badly(wave) > wave.max_failures

    def doubts_may_be_too_many(self, wave: Wave) -> bool:
        """Whether too many would have ended without SUCCESS if all open doubts of *wave* ended IN_DOUBT: it waits, and the run is not stopped."""
        if wave.max_failures is None:
            return False
        doubts = self.waves[wave.name].counts.doubts
        return doubts > 0 and self.ended_badly(wave) + doubts > wave.max_failures

    def wave_and_migration(self, name: str) -> tuple[Wave, Migration]:
        """Migration *name* and its wave."""
        member = self._members[name]
        return self._waves[member.wave], member.migration

    def wave(self, name: str) -> Wave:
        """The wave called *name*."""
        return self._waves[name]

    def next_for_slot(self, wave: Wave) -> str | None:
        """Which of *wave*'s migrations gets the slot that is free: of those that are ready, the first in the file."""
        known = self.waves[wave.name]
        while known.line:
            name = wave.migrations[known.line[0]].name
            state = self.migrations[name]
            if state.phase is Phase.READY and not state.admitted and self.withdrawn(name) is None:
                return name
            heappop(known.line)
        return None

    def outcomes_of(self, wave: Wave) -> dict[str, int]:
        """*wave*'s selected migrations by outcome, zeros left out."""
        totals = Counter(str(self.outcome_of(m.name)) for m in wave.migrations if m.name in self.selected)
        return {str(outcome): totals[outcome] for outcome in Outcome if totals[outcome]}

    def request_statistics(self) -> dict[str, Any]:
        """What was sent, as in the report: `total`, `by_status`, `retries`."""
        by_status = {status: self.requests[status] for status in sorted(self.requests)}
        return {"total": sum(by_status.values()), "by_status": by_status, "retries": self.retries}


def _span(event: WindowWaiting | WindowOpened, *, opens: float) -> Span:
    last = event.closes if event.last_start is None else event.last_start
    return Span(opens=opens, closes=event.closes, last_start=last)


def _stands_alike(one: MigrationState, other: MigrationState) -> bool:
    """Whether the facets of both are the same, as what they follow from is."""
    return (
        one.phase is other.phase
        and one.outcome is other.outcome
        and one.admitted == other.admitted
        and one.prepared == other.prepared
        and one.after_hooks_done == other.after_hooks_done
        and one.skipped == other.skipped
    )


def fold(run_id: str, events: Iterable[Event]) -> RunState:
    """The state of run *run_id* after *events*."""
    state = RunState(run_id=run_id)
    for event in events:
        state.apply(event)
    return state
