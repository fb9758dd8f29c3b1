"""One run: the fold of all its events. Pure.

`RunState` is what the engine, the journal's readers, the status page and the report all know of a run (`run_facts`); it changes
only by `apply`, so a run that is continued from its journal knows exactly what the first process knew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappush

from . import approvals, migration_fold
from .counts import Census, Facets, facets_of
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
    JobsSeenBefore,
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
from .group_hooks import GroupHooks
from .migration import BEFORE_THE_PUT, UNDER_WAY, MigrationState, Phase
from .outcomes import Outcome
from .run_facts import Member, RunFacts
from .seen import seen_by_name, with_seen
from .steered import COMMANDS, Steering, decision_of, gate_after
from .wave_state import WaveState
from .window import Span
from .workflow import Wave

APPROVAL_TIMEOUT = "approval.timeout"
"""Who rejects a wave that nobody has approved in time; no person is called so (`steering.decide`)."""


@dataclass(slots=True, kw_only=True)
class RunState(RunFacts):
    """The fold of a run's events."""

    def apply(self, event: Event) -> None:
        """Take *event* in."""
        if event.__class__ in COMMANDS:
            self._keep(event)
        if event.__class__ not in COMMANDS or not event.between_sessions:  # type: ignore[attr-defined]
            self.last_at = event.at
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
            case JobsSeenBefore() | ForecastMade():
                self._learn(event)
            case RunPaused() | RunUnpaused():
                self._pause(event)
            case ConfirmationWaiting() | CutoversConfirmed():
                self.unconfirmed_since = event.at if isinstance(event, ConfirmationWaiting) else None
            case RunAborted():
                self.aborted_by, self.successor, self.aborted_for = event.who, event.successor, event.reason
            case CutoversStopped():
                self._stop(event)
            case CredentialsRefused():
                self.refused.setdefault(event.credentials, event.reason)
                self._count()
            case WindowChanged() | WindowWaiting() | WindowOpened():
                self._window(event)
            case HookStarted() | HookFinished():
                self._hook(event)
            case ApprovalWaiting() | WaveApproved() | WaveRejected() | WaveStarted() | WaveSoaking() | WaveFinished():
                self._wave(event)
            case VerificationFailed() if event.wave is None:
                self.run_hooks.refute(event.reason)
            case VerificationFailed() if event.wave in self.waves:
                self.waves[event.wave].hooks.refute(event.reason)

    def _stop(self, event: CutoversStopped) -> None:
        if self.stopped is None:
            self.stopped, self.stopped_at = event.reason, event.at

    def _start(self, event: RunStarted) -> None:
        self.workflow = event.workflow
        self.base_url, self.rehearsal = event.base_url, event.rehearsal
        self.approves = self.rehearsal and event.approves
        self.who, self.version = event.who, event.version
        self.started_at = self.session_at = event.at
        self.run_hooks = GroupHooks(self.workflow.hooks)
        self.waves = {wave.name: WaveState(hooks=GroupHooks(wave.hooks)) for wave in self.workflow.waves}
        nothing_known = MigrationState()
        self._waves = {wave.name: wave for wave in self.workflow.waves}
        self._members = {
            migration.name: Member(wave.name, number, migration)
            for wave in self.workflow.waves
            for number, migration in enumerate(wave.migrations)
        }
        self.migrations = dict.fromkeys(self._members, nothing_known)
        self.selected = frozenset(event.selected).intersection(self._members)
        self.sessions = 1
        self._count()

    def _learn(self, event: JobsSeenBefore | ForecastMade) -> None:
        """What earlier runs tell a session as it begins."""
        if isinstance(event, ForecastMade):
            self.forecast = event.forecast if self.forecast is None else self.forecast.followed_by(event.forecast)
            return
        for name, seen in seen_by_name(event).items():
            if name in self.migrations:
                self.migrations[name] = with_seen(self.migrations[name], seen)

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
        self.selected = frozenset(event.selected).intersection(self._members)
        self.who, self.sessions = event.who, self.sessions + 1
        self.steered_before, self._unheard = self._unheard, ()
        self.base_url = event.base_url or self.base_url
        self.session_at = event.at
        self.finished_at = self.recorded_exit_code = self.stopped = self.stopped_at = None
        self.refused = {}
        self.window_opens = self.opening = self.unconfirmed_since = None
        self.recorded_unfinished = self.recorded_claims_kept = True
        self.run_hooks.new_session()
        for name, state in self.migrations.items():
            if name not in self.selected and state.outcome is Outcome.IN_DOUBT:
                continue  # it stays as it ended, as nobody looks at it; it counts all the same (`told_of`)
            self.migrations[name] = migration_fold.reopen(
                state, at=event.at, retry_failed=event.retry_failed and name in self.selected, settle=event.settle
            )
        for wave in self.workflow.waves:
            known = self.waves[wave.name]
            known.finished_at = known.approval_since = None
            if known.timed_out:
                known.rejected_by, known.timed_out = None, False
            known.started = known.worked_on = False
            known.line = []
            known.retried = 0
            known.hooks.new_session()
            if known.first_started_at is not None and any(self._is_followed(m.name) for m in wave.migrations):
                known.hooks.begin(self.selected)
                self.run_hooks.begin(self.selected)
            if wave.approval:
                self._approve_again(wave)
        self._count()

    def _approve_again(self, wave: Wave) -> None:
        """*wave* is approved in this session, too, if that was for all that this session may start of it."""
        known = self.waves[wave.name]
        if not approvals.is_approved(self, wave):
            known.approved_by = None
        elif known.approved_by is None:  # an earlier session wanted more than this one
            known.approved_by = next(iter(known.approvals.values()))

    def _taken_up_again(self, wave: WaveState, event: MigrationRetried) -> None:
        """Into a wave under way by its name, so whoever asks for that lets it start; otherwise its wave is approved for it, too."""
        member = self._members[event.migration]
        if not approvals.is_uncovered(self, self._waves[member.wave], event.migration):
            return
        if wave.started and not event.between_sessions:
            wave.approvals = {**wave.approvals, event.migration: event.who}
        else:
            wave.approved_by = None

    def _migrate(self, name: str, event: Event) -> None:
        """Something happened to migration *name*: keep the counts of its wave in step."""
        before = self.migrations.get(name)
        if before is None:
            return
        after = self.migrations[name] = migration_fold.apply(before, event)
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
            self._taken_up_again(wave, event)
            wave.retried += 1
            self.recorded_unfinished = True  # also where all was over
            if not selected:
                return  # it starts in a session that is about it
            wave.finished_at = None
            if wave.started:
                if after.phase in BEFORE_THE_PUT:
                    wave.hooks.once_more()
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
        self.recorded_claims_kept = event.keep_claims
        self.requests.update(event.requests.get("by_status", {}))
        self.retries += event.requests.get("retries", 0)
        for name, polls in event.polls.items():
            if name in self.migrations:
                self.migrations[name] = migration_fold.read_so_often(self.migrations[name], polls)
        for wave in (None, *self.workflow.waves):
            self.hooks_of(wave).session_ended(self.after_hook(wave))

    def _pause(self, event: RunPaused | RunUnpaused) -> None:
        if isinstance(event, RunPaused):
            self.paused_by, self.paused_at, self.paused_for = event.who, event.at, event.reason
            return
        self._hold(since=event.at if self.paused_at is None else self.paused_at, until=event.at)
        self.paused_by, self.paused_at, self.paused_for = None, None, ""

    def _hold(self, *, since: float, until: float) -> None:
        """No cutover was to start in that time."""
        for name, state in self.migrations.items():
            self.migrations[name] = migration_fold.without_pause(state, since=since, until=until)

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
                wave.approval_since, wave.approved_by = event.at, None
                self.run_hooks.begin(self.selected)
            case WaveApproved():
                wave.approved_by, wave.approval_since = event.who, None
                wave.rejected_by, wave.timed_out = None, False
                names = approvals.covered(self, self._waves[event.wave], between_sessions=event.between_sessions)
                if event.migrations is not None:  # what came besides, whoever approved it has not been told
                    meant = frozenset(event.migrations)
                    names = tuple(name for name in names if name in meant)
                wave.approvals = {**wave.approvals, **dict.fromkeys(names, event.who)}
                if event.migrations is not None and not approvals.is_approved(self, self._waves[event.wave]):
                    wave.approved_by = None  # so it is asked for again
            case WaveRejected():
                wave.rejected_by = f"{event.who}: {event.reason}" if event.reason else event.who
                wave.timed_out = event.who == APPROVAL_TIMEOUT
                wave.rejected_at = event.at
                wave.unapproved = (event.reason or "nobody approved it in time") if wave.timed_out else ""
                wave.approval_since, wave.approvals = None, {}  # who rejects it takes back what was approved
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
                wave.approval_since = None  # all of it was skipped, say: nobody is asked any more

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
