"""What a hook is told of how things stand, whosever it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from .no_return import SIDES, InCharge, Point, Side, in_charge, point_in
from .outcomes import Outcome
from .run import RunState
from .vars import Vars
from .workflow import Migration, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFacts:
    """What is known when a hook is about to run.

    *outcome*: how its migration, wave or run has ended, None before. *remote_status*, *lag* (seconds): as the job was last read. *error_message*: what is said of the migration's end. *reason*: why
    no further cutover starts, None while one may. *in_charge*: where its application may write, or those of its wave or the run. *vars*: those of its migration, its wave, or the run.
    """

    outcome: Outcome | None = None
    remote_status: str | None = None
    lag: float | None = None
    error_message: str | None = None
    reason: str | None = None
    in_charge: InCharge = InCharge.UNKNOWN
    vars: Vars = field(default_factory=Vars)


def facts_for_hook(
    run: RunState, wave: Wave | None, migration: Migration | None, *, outcome: Outcome | None
) -> HookFacts:
    """What a hook of *migration* is told; of *wave* where that is None, of the run where both are."""
    names = [migration.name] if migration else [one.name for one in wave.migrations] if wave else list(run.migrations)
    where = in_charge(_point_for_hooks(run, name) for name in names)
    if migration is None:
        named = run.workflow.vars if wave is None else wave.vars
        return HookFacts(outcome=outcome, reason=run.stopped, in_charge=where, vars=named)
    known = run.migrations[migration.name]
    return HookFacts(
        outcome=outcome,
        remote_status=known.remote_status,
        lag=known.lag,
        error_message=known.error_message,
        reason=run.stopped,
        in_charge=where,
        vars=migration.vars,
    )


def _point_for_hooks(run: RunState, name: str) -> Point:
    """Where migration *name* is; in doubt where an earlier session prepared it and this one has not read its job: much may have been done by hand since."""
    point, known = point_in(run, name), run.migrations[name]
    unread = known.gate_since is None and known.gate_opened_at is None and known.prepared_since is not None
    return Point.DOUBT if unread and SIDES[point] is Side.NOTHING_SENT else point
