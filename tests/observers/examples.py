"""One event of every kind, and the run they belong to."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.events import (
    ApplicationWaiting,
    ApprovalWaiting,
    BudgetWaiting,
    ClockSet,
    ConfirmationWaiting,
    CredentialsRefused,
    CutoverAccepted,
    CutoverAdmitted,
    CutoverInDoubt,
    CutoverNotBegun,
    CutoverRefused,
    CutoverRequested,
    CutoversConfirmed,
    CutoversStopped,
    Event,
    ForecastMade,
    GateChanged,
    GateOpened,
    GateWaiting,
    HookFinished,
    HookStarted,
    JobsSeenBefore,
    MigrationFinished,
    MigrationRetried,
    MigrationSkipped,
    RateLimited,
    RequestRetried,
    RunAborted,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunUnpaused,
    StatusChanged,
    StatusPolled,
    VerificationFailed,
    VerificationStarted,
    WaveApproved,
    WaveFinished,
    WaveRejected,
    WaveSoaking,
    WaveStarted,
    WindowChanged,
    WindowOpened,
    WindowWaiting,
)
from orchestrator.core.forecast import Load, forecast
from orchestrator.core.history import History, Past
from orchestrator.core.outcomes import Outcome, RunOutcome
from orchestrator.core.run import RunState
from orchestrator.core.window import AbsoluteWindow
from orchestrator.core.workflow import Migration, Wave, Workflow

AT = 1_795_827_600.25  # 2026-11-28T01:00:00.250Z
TIMESTAMP = "2026-11-28T01:00:00.250Z"
GROUP = "7e68e12770616e75e6df43d0"
ORDERS = "a659ce44c03ca1e348b1e992"
PATH = f"/api/atlas/v2/groups/{GROUP}/liveMigrations/{ORDERS}"


def migration(number: int, name: str | None = None) -> Migration:
    """A migration of the group, with an id made of *number*."""
    return Migration(name=name or f"m{number:03}", group_id=GROUP, live_migration_id=f"{number:024x}")


WORKFLOW = Workflow(
    name="retail-eu",
    sha256="ab" * 32,
    waves=(
        Wave(
            name="canary",
            migrations=(Migration(name="orders", group_id=GROUP, live_migration_id=ORDERS),),
            concurrency=1,
        ),
        Wave(name="rest", migrations=tuple(migration(number) for number in range(8)), concurrency=4, approval=True),
    ),
)


def started(workflow: Workflow = WORKFLOW, *, rehearsal: bool = False, at: float = AT) -> RunStarted:
    """The first event of a run of all of *workflow*."""
    return RunStarted(
        at=at,
        workflow=workflow,
        base_url="https://cloud.mongodb.com/api/atlas/v2",
        rehearsal=rehearsal,
        selected=tuple(m.name for _, m in workflow.migrations()),
        who="ada@night (pid 7)",
        version="0.1.0",
    )


def running(workflow: Workflow = WORKFLOW, *, rehearsal: bool = False) -> RunState:
    """The state of a run that has just begun."""
    state = RunState(run_id="20261128-010000-3f9a1c")
    state.apply(started(workflow, rehearsal=rehearsal))
    return state


FORECAST = forecast(
    [Load(name="canary", kinds={None: 1}, concurrency=1), Load(name="rest", kinds={None: 8}, concurrency=4)],
    History().with_more([Past(60.0, 60.0, 60.0, None)], runs=1),
    made_at=AT,
    begins=AT,
    span=None,
)
assert FORECAST is not None

EVENTS: tuple[Event, ...] = (
    started(),
    ForecastMade(at=AT, forecast=FORECAST),
    RunResumed(at=AT, selected=("orders",), retry_failed=True, who="ada@night (pid 8)", settle=30.0),
    RunFinished(
        at=AT,
        outcome=RunOutcome.FAILED,
        exit_code=1,
        unfinished=True,
        requests={"total": 3, "by_status": {"200": 3}, "retries": 0},
    ),
    RunPaused(at=AT, who="ada@night"),
    RunUnpaused(at=AT, who="ada@night"),
    ConfirmationWaiting(at=AT, who="ada@night"),
    CutoversConfirmed(at=AT, who="ada@night"),
    RunAborted(at=AT, who="ada@night"),
    CutoversStopped(at=AT, reason="the window closed"),
    CredentialsRefused(at=AT, credentials="eu", reason="Atlas refuses it"),
    WindowChanged(at=AT, window=AbsoluteWindow(opens=AT + 60, closes=AT + 3600)),
    WindowWaiting(at=AT, opens=AT + 60, closes=AT + 3600, last_start=AT + 1800),
    WindowOpened(at=AT, closes=AT + 3600, last_start=AT + 3600),
    ClockSet(at=AT, by=-40.0),
    ApplicationWaiting(at=AT, migration="orders", seconds=120.0, reason="the run is paused"),
    ApprovalWaiting(at=AT, wave="rest"),
    WaveApproved(at=AT, wave="rest", who="grace@night"),
    WaveRejected(at=AT, wave="rest", who="grace@night", reason="not tonight"),
    WaveSoaking(at=AT, wave="rest", until=AT + 900),
    VerificationStarted(at=AT, migration="orders", status="COMPLETE"),
    VerificationFailed(at=AT, wave="rest", reason="./check did not pass within 10m"),
    MigrationSkipped(at=AT, migration="orders", who="ada@night", reason="no longer needed"),
    MigrationRetried(at=AT, migration="orders", who="ada@night"),
    GateChanged(at=AT, migration="orders", max_lag=60.0, timeout=1800.0, who="ada@night", reason="it is late"),
    WaveStarted(at=AT, wave="rest", migrations=8, concurrency=4),
    WaveFinished(at=AT, wave="rest", counts={"SUCCESS": 7, "FAILED": 1}),
    HookStarted(at=AT, hook="before", argv=("./stop", "writes"), migration="orders"),
    HookFinished(
        at=AT, hook="before", argv=("./stop", "writes"), exit_code=3, seconds=1.5, output="no\nway", migration="orders"
    ),
    RateLimited(at=AT, method="GET", path=PATH, scope=GROUP, retry_after=55.0, detail="retry after 55 seconds"),
    BudgetWaiting(at=AT, scope=GROUP, requests=12, wait=48.0),
    RequestRetried(at=AT, method="GET", path=PATH, reason="503", attempt=2, wait=1.5),
    JobsSeenBefore(at=AT, reported_lag=("orders", "m1"), lag_gone=("orders",)),
    GateWaiting(at=AT, migration="orders", status="WORKING", ready=True, lag=34.0, max_lag=10.0),
    GateOpened(at=AT, migration="orders", status="WORKING", ready=True, lag=4.0),
    CutoverRequested(at=AT, migration="orders"),
    CutoverAccepted(at=AT, migration="orders", http_status=202, status=None),
    CutoverInDoubt(at=AT, migration="orders", reason="connection reset", settle=4.0),
    CutoverRefused(at=AT, migration="orders", http_status=403, reason="PUT /cutover: 403 NO_ROLE", settle=4.0),
    CutoverNotBegun(at=AT, migration="orders", reason="still ready, with lag"),
    CutoverAdmitted(at=AT, migration="orders"),
    StatusPolled(at=AT, migration="orders", status="WORKING", ready=True, lag=4.0),
    StatusChanged(at=AT, migration="orders", status="COMPLETE", previous="WORKING"),
    MigrationFinished(
        at=AT, migration="orders", outcome=Outcome.FAILED, status="FAILED", error_message="oplog gone", polls=4
    ),
)


def at(event: Event, when: float) -> Event:
    """*event* at another time."""
    return replace(event, at=when)
