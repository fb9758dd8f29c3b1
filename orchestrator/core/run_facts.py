"""One run: what is known about it, and what follows from that. Pure.

`RunFacts` answers what the engine, the status page and the report ask; `RunState` (`run`) makes it of the events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop
from typing import Any, NamedTuple

from .events import HookFinished
from .forecast import Forecast
from .group_hooks import GroupHooks
from .migration import UNDER_WAY, MigrationState, Phase, after_hook_left, undo_left
from .outcomes import CUT_OVER, ExitCode, Outcome, RunOutcome
from .steered import Decision, Steering
from .wave_state import WaveState
from .window import Span
from .workflow import HookKind, Migration, Wave, Workflow, after_hook

_TOLD = frozenset({Outcome.SUCCESS, Outcome.FAILED, Outcome.UNVERIFIED})
_UNSETTLED = frozenset({Outcome.IN_DOUBT, Outcome.UNDER_WAY})


class Member(NamedTuple):
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
class RunFacts:
    """What is known about a run. Times are Unix seconds."""

    run_id: str
    """Its id."""
    workflow: Workflow = field(default_factory=lambda: Workflow(name="", waves=()))
    """What is cut over, as it was recorded; its window is the one that holds now."""
    base_url: str = ""
    """The API that is spoken to."""
    rehearsal: bool = False
    """It runs against the simulator."""
    approves: bool = False
    """This session, of a rehearsal, gives each approval by itself."""
    selected: frozenset[str] = frozenset()
    """The migrations that this session is about."""
    who: str = ""
    """Who began this session."""
    version: str = ""
    """The version of the program that began the run."""
    started_at: float | None = None
    """When its first session began."""
    session_at: float | None = None
    """When this session began."""
    last_at: float | None = None
    """When the last happened that a session has recorded."""
    finished_at: float | None = None
    """When this session ended; None: it goes on."""
    missing: str = ""
    """Why events of it may not be known here, PUTs among them; empty: all are. Who reads them says so, no event does."""
    recorded_unfinished: bool = True
    """What the last end said of whether anything is left to continue; True while a session goes on."""
    recorded_exit_code: int | None = None
    """With which code the last session ended; None: this one goes on."""
    recorded_claims_kept: bool = True
    """What the last end said of whether no other run may have its live migrations; True while a session goes on."""
    sessions: int = 0
    """How many have begun."""
    paused_by: str | None = None
    """Who holds it; None: nobody."""
    paused_for: str = ""
    """Why, where they have said so."""
    paused_at: float | None = None
    """Since when."""
    unconfirmed_since: float | None = None
    """When this session began, if it starts nothing before it is confirmed; None: it is confirmed, or needs not be."""
    aborted_by: str | None = None
    """Who ended it for good; None: nobody."""
    aborted_for: str = ""
    """Why, where they have said so."""
    successor: str | None = None
    """The run that took its place, and what it left under way with it; what has become of that is in its own events alone."""
    stopped: str | None = None
    """Why no further cutover starts in this session; None: one may."""
    stopped_at: float | None = None
    """Since when none does."""
    refused: dict[str | None, str] = field(default_factory=dict)
    """The sets of credentials that were refused in this session, with what was said; None: that of `atlas`."""
    window_opens: float | None = None
    """When the window opens that is waited for; None: none is."""
    window_waits_since: float = 0.0
    """Since when it is waited for, or was last."""
    opening: Span | None = None
    """The opening of the window that this session waits for or is in."""
    forecast: Forecast | None = None
    """Of each wave, made when the first session began that was to start it."""
    waves: dict[str, WaveState] = field(default_factory=dict)
    """Each wave by its name."""
    migrations: dict[str, MigrationState] = field(default_factory=dict)
    """Each migration by its name."""
    finished_hooks: list[HookFinished] = field(default_factory=list)
    """All hooks that ended, whosever they were, in order."""
    run_hooks: GroupHooks = field(default_factory=GroupHooks)
    """How the run's own hooks stand."""
    requests: Counter[str] = field(default_factory=Counter)
    """How many were sent, by HTTP status ("error": no answer)."""
    retries: int = 0
    """How many of them were repetitions."""
    steering: list[Decision] = field(default_factory=list)
    """What people have decided, in order."""
    steered_before: tuple[Steering, ...] = ()
    """What of it was decided between this session and the one before it."""
    _unheard: tuple[Steering, ...] = ()
    """What was decided since the last session."""
    _members: dict[str, Member] = field(default_factory=dict)
    """Where each migration stands in the workflow, by its name."""
    _waves: dict[str, Wave] = field(default_factory=dict)
    """The workflow's waves by their names."""

    def result(self, name: str) -> Result:
        """How migration *name* stands, were the run to end now."""
        return Result(outcome=self.outcome_of(name), error_message=self._why(name))

    def outcome_of(self, name: str) -> Outcome:
        """The outcome of migration *name*, were the run to end now."""
        state = self.migrations[name]
        if self.missing:
            return self._outcome_as_far_as_known(state)
        if state.outcome is not None:
            return state.outcome
        if state.phase in UNDER_WAY:
            return Outcome.UNDER_WAY if state.phase is Phase.ACCEPTED and not self.given_up else Outcome.IN_DOUBT
        if state.phase is Phase.VERIFYING and state.skipped is None:
            return Outcome.UNVERIFIED if self._is_over() else Outcome.UNDER_WAY
        return Outcome.NOT_STARTED

    def _outcome_as_far_as_known(self, state: MigrationState) -> Outcome:
        """The outcome where events are missing: a PUT may have left, unless the job is known to be cut over, and nothing takes that back."""
        if state.phase is Phase.VERIFYING:
            return Outcome.UNVERIFIED
        known = state.outcome
        return known if known in CUT_OVER or known is Outcome.TIMED_OUT else Outcome.IN_DOUBT

    def _why(self, name: str) -> str | None:
        """What is to be said about its outcome."""
        state = self.migrations[name]
        if self.missing and state.outcome is None and state.phase is Phase.VERIFYING:
            return "cut over; whether it was verified is not known here"
        if self.missing and self.outcome_of(name) is Outcome.IN_DOUBT:
            return self._why_doubted(state)
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

    def _why_doubted(self, state: MigrationState) -> str:
        """What is said of a migration that is in doubt as events are missing; with what is known of it, where that is something."""
        if state.outcome is not None and state.error_message:
            return f"events of the run are missing here; the last that is known: {state.outcome}: {state.error_message}"
        if state.phase in UNDER_WAY:
            return "events of the run are missing here; by those that are known its PUT was sent"
        return "events of the run are missing here, so whether its PUT was sent is not known"

    def withdrawn(self, name: str) -> str | None:
        """Why the PUT of migration *name* may not leave in this session, though others may; None: it may, for all of this."""
        return self.migrations[name].skipped or self._refusal(name)

    def unread(self, name: str) -> str | None:
        """Why nobody may see how migration *name* goes on, which is under way: its credentials were refused in this session; None: somebody does.

        That reads succeed again stands in no event that is kept, so whoever reads the journal hears of it with the job's next word.
        """
        return self._refusal(name) if self.migrations[name].phase in UNDER_WAY else None

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
        """What is said of a migration whose PUT may have been carried out, were the run to end now: others may ask while a session works on it."""
        if self._is_over() and self.successor is not None:
            why = f"run {self.successor}, which took this run's place, has taken it over"
        elif self._is_over() and state.requested_at is None and state.phase is Phase.DOUBT:
            why = "the run was given up, and whether a cutover is under way is not known: look at the live migration in Atlas"
        elif self._is_over():
            why = "the run was given up while the cutover was under way: look at the live migration in Atlas"
        elif state.phase is Phase.ACCEPTED:
            why = "Atlas accepted the cutover, and its end has not been seen yet: where no process works on the run, resume follows it at once"
        else:
            return (
                state.note
                or "the cutover's end has not been seen yet: where no process works on the run, resume follows it"
            )
        return f"{why} ({state.note})" if state.note else why

    def _why_not_started(self, name: str) -> str | None:
        if name not in self.selected:
            return "not selected"
        if self.stopped or self.refused:
            return self.withdrawn(name) or self.stopped or self.migrations[name].note
        return self.migrations[name].note

    def told_of(self) -> frozenset[str]:
        """Whom the session tells of: the selected migrations, and those that an earlier one has ended IN_DOUBT.

        Nobody reads these, and yet a person has to look at them: that is not over because another session is about something else.
        """
        return self.selected.union(name for name, state in self.migrations.items() if state.outcome is Outcome.IN_DOUBT)

    def rows(self) -> list[tuple[Wave, Migration]]:
        """The migrations that the session tells of (`told_of`) with their waves, in workflow order."""
        told_of = self.told_of()
        return [(wave, migration) for wave, migration in self.workflow.migrations() if migration.name in told_of]

    def totals(self) -> Counter[Outcome]:
        """How many of them have each outcome."""
        return Counter(self.outcome_of(name) for name in self.told_of())

    def outcome(self) -> RunOutcome:
        """The run's outcome over what the session tells of: in doubt before failed before incomplete."""
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

    def has_ended_at_atlas(self, name: str) -> bool:
        """Whether Atlas has told how migration *name* has ended."""
        known = self.migrations[name]
        return known.phase is Phase.VERIFYING or known.outcome in _TOLD

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
        in_doubt = Outcome.IN_DOUBT  # what an earlier session has left so makes a success of nothing
        outcomes = {self.outcome_of(n) for n in names if n in members or self.migrations[n].outcome is in_doubt}
        if outcomes == {Outcome.SUCCESS}:
            return hooks.at_success()
        return after_hook(Outcome.UNVERIFIED if outcomes <= CUT_OVER else Outcome.FAILED)

    def _migration_hook_left(self, migration: Migration) -> bool:
        state, hooks = self.migrations[migration.name], migration.hooks
        left = after_hook_left(state, hooks)
        return left is not None or bool(undo_left(state, on_failure=len(hooks.after_failure)))

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
