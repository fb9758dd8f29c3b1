"""Everything that happens in a run, as typed, frozen events: the only record there is.

The journal stores them, the log prints them, progress, status page and report fold them. Each class has the name
that docs/logging.md lists; `event_json` has their stored form.

Times (`at`) are Unix seconds, UTC. A migration is known by its name, which is unique in its workflow.
*between_sessions*, of what somebody has decided: nobody worked on the run at that time, so no session has logged it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from .forecast import Forecast
from .outcomes import Outcome, RunOutcome
from .window import Window
from .workflow import HookKind, Workflow

NOT_YET = 75
"""The exit code of a `verify` hook that is to be run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at *at*. Subclasses say what."""

    name: ClassVar[str] = ""
    journaled: ClassVar[bool] = True

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run of *workflow* began: *selected* are the names it covers, *who* is `user@host (pid)`.

    *approves*: the session of a rehearsal gives each approval by itself.
    """

    name: ClassVar[str] = "run_started"
    workflow: Workflow
    base_url: str
    rehearsal: bool
    selected: tuple[str, ...]
    who: str
    version: str
    approves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastMade(Event):
    """When the waves are reckoned to end that the session is the first to start; recorded so that it can be held against what becomes of them."""

    name: ClassVar[str] = "forecast_made"
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Event):
    """An unfinished run goes on, in another process or another window.

    A PUT whose answer the journal lacks is in doubt; *settle*: for how many seconds it may still arrive at Atlas.
    *base_url*: the API that is spoken to from now on (empty: as before). *approves*: as in `RunStarted`.
    """

    name: ClassVar[str] = "run_resumed"
    selected: tuple[str, ...]
    retry_failed: bool
    who: str
    settle: float
    base_url: str = ""
    approves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The process is done with the run for now; *unfinished* says whether it may be continued.

    *requests*: what this session sent, as in the report (`total`, `by_status`, `retries`). *keep_claims*: something is
    under way or in doubt, so no other run may touch this run's live migrations. *polls*: how often each job was read, in all
    sessions, of which that is not known from its end.
    """

    name: ClassVar[str] = "run_finished"
    outcome: RunOutcome
    exit_code: int
    unfinished: bool
    requests: dict[str, Any]
    keep_claims: bool = False
    polls: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused(Event):
    """*who* asked that no new cutover starts until `run_unpaused`."""

    name: ClassVar[str] = "run_paused"
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUnpaused(Event):
    """*who* let cutovers start again."""

    name: ClassVar[str] = "run_unpaused"
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationWaiting(Event):
    """The session starts no cutover before *who* has confirmed it, who is asked when there is one to start."""

    name: ClassVar[str] = "confirmation_waiting"
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoversConfirmed(Event):
    """*who* has confirmed that this session may start cutovers."""

    name: ClassVar[str] = "cutovers_confirmed"
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAborted(Event):
    """*who* ended the run: no new cutover starts, now or later; those under way are followed to their end.

    *successor*: the run that took its place, and follows what it left under way.
    """

    name: ClassVar[str] = "run_aborted"
    who: str
    successor: str | None = None
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoversStopped(Event):
    """No further cutover starts in this session, for *reason* (window, failures, signal, abort, journal)."""

    name: ClassVar[str] = "cutovers_stopped"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsRefused(Event):
    """Atlas refuses the set *credentials* (None: that of `atlas`) altogether, for *reason*.

    No cutover that is asked for with it starts in this session; those of other sets go on.
    """

    name: ClassVar[str] = "credentials_refused"
    credentials: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChanged(Event):
    """The run goes on with *window* (None: whenever it likes), that of its workflow file as it is now."""

    name: ClassVar[str] = "window_changed"
    window: Window | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWaiting(Event):
    """The run waits for the window that opens at *opens* and closes at *closes* (Unix seconds).

    *last_start*: from when on no cutover starts in it (None: recorded by an older version, which knew no reserve).
    """

    name: ClassVar[str] = "window_waiting"
    opens: float
    closes: float
    last_start: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowOpened(Event):
    """Cutovers may start until *last_start*; the window opened at *opens*, and closes at *closes* (Unix seconds).

    *opens*, *last_start* None: recorded by an older version.
    """

    name: ClassVar[str] = "window_opened"
    closes: float
    opens: float | None = None
    last_start: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationWaiting(Event):
    """`before` hooks have stopped an application, and its cutover has not left for *seconds*, for *reason*.

    *migration* and *wave* say whose hooks they were (both None: the run's).
    """

    name: ClassVar[str] = "application_waiting"
    seconds: float
    reason: str
    wave: str | None = None
    migration: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSet(Event):
    """The wall clock was set, *by* so many seconds (negative: back). Times of this session go on as if it had not been."""

    name: ClassVar[str] = "clock_set"
    by: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWaiting(Event):
    """The wave waits for `approve`."""

    name: ClassVar[str] = "approval_waiting"
    wave: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveApproved(Event):
    """*who* let the wave start, for *reason*."""

    name: ClassVar[str] = "wave_approved"
    wave: str
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRejected(Event):
    """*who* decided that neither the wave nor those after it start in this session, for *reason*."""

    name: ClassVar[str] = "wave_rejected"
    wave: str
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationFailed(Event):
    """The `verify` hooks of *wave*, or of the run (None), have not proven it good in time, for *reason*."""

    name: ClassVar[str] = "verification_failed"
    reason: str
    wave: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSoaking(Event):
    """The wave's last cutover has ended; its `verify` hooks and the next wave wait until *until* (Unix seconds)."""

    name: ClassVar[str] = "wave_soaking"
    wave: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStarted(Event):
    """The wave's *migrations* (those that are left) begin, *concurrency* at once."""

    name: ClassVar[str] = "wave_started"
    wave: str
    migrations: int
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFinished(Event):
    """Every migration of the wave has ended or will not start; *counts* by outcome."""

    name: ClassVar[str] = "wave_finished"
    wave: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStarted(Event):
    """A `before` hook (*hook*: its `HookKind`) is about to run: *migration*'s, *wave*'s, or the run's (both None).

    On disk before it does: what it may have done is to be undone, also where the process is lost meanwhile.
    """

    name: ClassVar[str] = "hook_started"
    hook: str
    argv: tuple[str, ...]
    wave: str | None = None
    migration: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFinished(Event):
    """A hook of the kind *hook* (a `HookKind`) ended. *migration* and *wave* say whose it was (both None: the run's).

    *exit_code* None: it did not start or ran out of time, and *error* says so. *output* is cut. *interrupted*: it was ended
    because the run was stopped, so it still has to be run.
    """

    name: ClassVar[str] = "hook_finished"
    hook: str
    argv: tuple[str, ...]
    exit_code: int | None
    seconds: float
    output: str = ""
    error: str | None = None
    wave: str | None = None
    migration: str | None = None
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether the hook ended with 0."""
        return self.exit_code == 0

    @property
    def not_yet(self) -> bool:
        """Whether it is a `verify` hook that asks to be run again (EX_TEMPFAIL of sysexits.h)."""
        return self.hook == HookKind.VERIFY and self.exit_code == NOT_YET

    @property
    def what_failed(self) -> str:
        """How it ended, when that was not with 0, in words."""
        return f"{self.hook} hook: {self.error or f'{self.argv[0]} ended with {self.exit_code}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited(Event):
    """Atlas answered 429: *scope*'s bucket rests for *retry_after* seconds."""

    name: ClassVar[str] = "rate_limited"
    method: str
    path: str
    scope: str
    retry_after: float
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWaiting(Event):
    """*requests* wait for *scope*'s token bucket, which has nothing for *wait* seconds."""

    name: ClassVar[str] = "budget_waiting"
    scope: str
    requests: int
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRetried(Event):
    """A request came to nothing for *reason* and will be sent again in *wait* seconds (try number *attempt*)."""

    name: ClassVar[str] = "request_retried"
    method: str
    path: str
    reason: str
    attempt: int
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationEvent(Event):
    """Something that happened to one migration."""

    migration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWaiting(MigrationEvent):
    """The gate is closed: the job is not ready, lags too much, or could not be read (*note*)."""

    name: ClassVar[str] = "gate_waiting"
    status: str | None
    ready: bool | None
    lag: float | None
    max_lag: float | None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOpened(MigrationEvent):
    """The job was read and its cutover may be requested."""

    name: ClassVar[str] = "gate_opened"
    status: str | None
    ready: bool | None
    lag: float | None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverAdmitted(MigrationEvent):
    """The migration has one of its wave's slots (`concurrency`): its `before` hooks and its PUT come next."""

    name: ClassVar[str] = "cutover_admitted"
    journaled: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverRequested(MigrationEvent):
    """The PUT is about to leave. On disk before it does."""

    name: ClassVar[str] = "cutover_requested"


class Evidence(StrEnum):
    """What shows that Atlas has accepted a PUT."""

    ANSWER = "answer"
    JOB = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverAccepted(MigrationEvent):
    """Atlas accepted the PUT: by its answer (*http_status*), or, the answer lost, by what the job shows (*evidence*)."""

    name: ClassVar[str] = "cutover_accepted"
    http_status: int | None
    status: str | None
    evidence: Evidence = Evidence.ANSWER


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverInDoubt(MigrationEvent):
    """The PUT may or may not have been carried out: the job is read until it shows which."""

    name: ClassVar[str] = "cutover_in_doubt"
    reason: str
    settle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverRefused(MigrationEvent):
    """Atlas answered the PUT with a 4xx. Before that counts, the job is read: something on the way may have sent it twice.

    *settle*: as with a doubt, where the 4xx is a 409 or there was a doubt before.
    """

    name: ClassVar[str] = "cutover_refused"
    http_status: int | None
    reason: str
    settle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverNotBegun(MigrationEvent):
    """There is evidence that the last PUT was not carried out, so another is allowed.

    *http_status*: of the answer that says so (None: the job does, or there was no answer). Not *sent*: it never left.
    """

    name: ClassVar[str] = "cutover_not_begun"
    reason: str
    sent: bool = True
    http_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolled(MigrationEvent):
    """One read of the job; *error* where it gave nothing. In the log at debug, never in the journal.

    *took*: seconds from the request to its answer, which is as old as that.
    """

    name: ClassVar[str] = "status_polled"
    journaled: ClassVar[bool] = False
    status: str | None = None
    ready: bool | None = None
    lag: float | None = None
    error: str | None = None
    took: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(MigrationEvent):
    """The job's status word is another than before."""

    name: ClassVar[str] = "status_changed"
    status: str | None
    previous: str | None
    lag: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationStarted(MigrationEvent):
    """Atlas says that the cutover is complete (*status*), and the migration's `verify` hooks have to prove it good."""

    name: ClassVar[str] = "verification_started"
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSkipped(MigrationEvent):
    """*who* does not want it to be started any more, for *reason*."""

    name: ClassVar[str] = "migration_skipped"
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRetried(MigrationEvent):
    """*who* wants it taken up again, for *reason*: skipped, FAILED without a PUT, or UNVERIFIED (which is verified again)."""

    name: ClassVar[str] = "migration_retried"
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChanged(MigrationEvent):
    """*who* gave it another gate, for *reason*: *max_lag* and *timeout* in seconds, both None: none."""

    name: ClassVar[str] = "gate_changed"
    max_lag: float | None
    timeout: float | None
    who: str
    reason: str = ""
    between_sessions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFinished(MigrationEvent):
    """The migration has its outcome. *polls*: how often its job was read, in all sessions."""

    name: ClassVar[str] = "migration_finished"
    outcome: Outcome
    status: str | None
    error_message: str | None = None
    polls: int = 0
