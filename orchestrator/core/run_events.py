"""What happens to a run and its sessions: who steers it, its window, its requests to Atlas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .event import Event
from .forecast import Forecast
from .outcomes import RunOutcome
from .window import Window
from .workflow import Workflow


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
class JobsSeenBefore(Event):
    """What is remembered of the jobs when a session begins, by the names of their migrations: other runs, or `plan --online`, have read them.

    *reported_lag*: some document of the job had a lag. *lag_gone*: its cutover may have begun, by
    what it showed last. *was_ready*: it has said that it is ready.
    """

    name: ClassVar[str] = "jobs_seen_before"
    reported_lag: tuple[str, ...] = ()
    lag_gone: tuple[str, ...] = ()
    was_ready: tuple[str, ...] = ()


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
    under way or in doubt, or the session was interrupted, so no other run may touch this run's live migrations. *polls*: how
    often each job was read, in all sessions, of which that is not known from its end.
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

    *successor*: the run that took its place, and what it left under way with it.
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
