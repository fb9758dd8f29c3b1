"""What a hook is told of how things stand, whosever it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from .outcomes import Outcome
from .run import RunState
from .vars import Vars
from .workflow import Migration, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFacts:
    """What is known when a hook is about to run.

    *outcome*: how its migration, wave or run has ended, None before. *remote_status*, *lag* (seconds): as the job was last read. *error_message*: what is said of the migration's end. *reason*: why
    no further cutover starts, None while one may. *vars*: those of its migration, its wave, or the run.
    """

    outcome: Outcome | None = None
    remote_status: str | None = None
    lag: float | None = None
    error_message: str | None = None
    reason: str | None = None
    vars: Vars = field(default_factory=Vars)


def facts_for_hook(
    run: RunState, wave: Wave | None, migration: Migration | None, *, outcome: Outcome | None
) -> HookFacts:
    """What a hook of *migration* is told; of *wave* where that is None, of the run where both are."""
    if migration is None:
        return HookFacts(outcome=outcome, reason=run.stopped, vars=run.workflow.vars if wave is None else wave.vars)
    known = run.migrations[migration.name]
    return HookFacts(
        outcome=outcome,
        remote_status=known.remote_status,
        lag=known.lag,
        error_message=known.error_message,
        reason=run.stopped,
        vars=migration.vars,
    )
