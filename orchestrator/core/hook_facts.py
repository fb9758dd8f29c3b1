"""What a hook is told of how things stand, whosever it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import last_look
from .evidence import WORD_LIFE
from .no_return import SIDES, InCharge, Point, Side, in_charge, point_in
from .outcomes import Outcome
from .run import RunState
from .vars import Vars
from .workflow import HookKind, Migration, Wave


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
    run: RunState,
    wave: Wave | None,
    migration: Migration | None,
    hook: HookKind,
    *,
    outcome: Outcome | None,
    now: float,
) -> HookFacts:
    """What a *hook* of *migration* is told; of *wave* where that is None, of the run where both are. *now*: Unix seconds, by the session's clock."""
    names = [migration.name] if migration else [one.name for one in wave.migrations] if wave else list(run.migrations)
    since = last_look.stands_since(run, wave) if migration is None else now
    of_group_before = hook is HookKind.BEFORE and migration is None
    where = in_charge(_point_for_hooks(run, name, None if of_group_before else since) for name in names)
    if where in (InCharge.SOURCE, InCharge.MIXED) and hook is not HookKind.BEFORE and _is_late(run, names, since, now):
        where = InCharge.UNKNOWN
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


def _is_late(run: RunState, names: list[str], since: float, now: float) -> bool:
    """Whether a hook begins long after it could, so that none of what was read for it is new: the machine slept, or lacked what it takes to start one."""
    read_at = (run.migrations[name].last_read_at for name in names)
    return now - max([since, *(at for at in read_at if at is not None)]) > WORD_LIFE


def _point_for_hooks(run: RunState, name: str, since: float | None) -> Point:
    """Where migration *name* is; in doubt where nothing was sent for it, and its job was not read since: much may have been done by hand.

    *since* None: a `before` hook of its wave or the run, which comes before anything is read, and lets nobody in, is told what is known, unless an
    earlier session has prepared it, and this one has read nothing.
    """
    point, known = point_in(run, name), run.migrations[name]
    if SIDES[point] is not Side.NOTHING_SENT:
        return point
    if since is None:
        holds = known.known_at is not None or known.prepared_since is None
    else:
        holds = last_look.still_holds(known, since)
    return point if holds else Point.DOUBT
