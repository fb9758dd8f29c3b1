"""What is remembered of a live migration's job from one run to the next: that it had a lag, that it was ready, and that this was gone. Pure.

A document says less by itself than beside the one before it: a job that is ready and has no lag may be of a kind that never
tells one, or in the middle of a cutover that somebody else has begun. Its next run has to know which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .events import (
    Event,
    GateOpened,
    GateWaiting,
    JobsSeenBefore,
    MigrationFinished,
    RunResumed,
    RunStarted,
    StatusChanged,
    StatusPolled,
)
from .migration import MigrationState, starts_afresh
from .migration_fold import apply
from .run_facts import RunFacts
from .workflow import Workflow


class Seen(NamedTuple):
    """What a job has shown, as `MigrationState` has it."""

    reported_lag: bool = False
    lag_gone: bool = False
    was_ready: bool = False


SHOWING = (GateWaiting, GateOpened, StatusChanged, MigrationFinished)
"""The journal's events of one migration in which its job shows something."""

SeenJobs = Mapping[tuple[str, str], Seen]
"""What each live migration's job (project and id) has shown."""


def seen_after(seen: Seen, event: Event) -> Seen:
    """What is known after *event* of the job of which *seen* was known: the fold of its run says the same."""
    known = apply(MigrationState(**seen._asdict()), event)
    return Seen(reported_lag=known.reported_lag, lag_gone=known.lag_gone, was_ready=known.was_ready)


def seen_after_reading(seen: Seen, *, status: str | None, ready: bool | None, lag: float | None) -> Seen:
    """The same after a read that no run has made."""
    return seen_after(seen, StatusPolled(at=0.0, migration="", status=status, ready=ready, lag=lag))


def with_seen(state: MigrationState, seen: Seen) -> MigrationState:
    """*state* with what was *seen* of its job before; what it knows itself stays."""
    return state._replace(
        reported_lag=state.reported_lag or seen.reported_lag,
        lag_gone=state.lag_gone or seen.lag_gone,
        was_ready=state.was_ready or seen.was_ready,
        was_there=state.was_there or seen != Seen(),
    )


def seen_by_name(event: JobsSeenBefore) -> dict[str, Seen]:
    """What *event* tells, by the names of the migrations."""
    lag, gone, ready = set(event.reported_lag), set(event.lag_gone), set(event.was_ready)
    return {name: Seen(name in lag, name in gone, name in ready) for name in lag | gone | ready}


def remembered(
    workflow: Workflow, state: RunFacts, first: RunStarted | RunResumed, jobs: SeenJobs
) -> tuple[JobsSeenBefore, ...]:
    """What the session that *first* begins is told of *jobs*, on a run that was in *state* before it; nothing where it knows all of that."""
    more: dict[str, Seen] = {}
    for _, migration in workflow.migrations():
        seen = jobs.get((migration.group_id, migration.live_migration_id), Seen())
        known = state.migrations.get(migration.name, MigrationState())
        again = isinstance(first, RunResumed) and first.retry_failed and migration.name in first.selected
        if seen != Seen() and starts_afresh(known, retry_failed=again):
            more[migration.name] = Seen(
                reported_lag=seen.reported_lag and not known.reported_lag,
                lag_gone=seen.lag_gone and not known.lag_gone,
                was_ready=seen.was_ready and not known.was_ready,
            )
    event = JobsSeenBefore(
        at=first.at,
        reported_lag=tuple(name for name, seen in more.items() if seen.reported_lag),
        lag_gone=tuple(name for name, seen in more.items() if seen.lag_gone),
        was_ready=tuple(name for name, seen in more.items() if seen.was_ready),
    )
    return (event,) if event.reported_lag or event.lag_gone or event.was_ready else ()
