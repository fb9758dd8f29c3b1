"""The sets of credentials without which a session is of no use: those of what it may still read or send. Pure."""

from __future__ import annotations

from .consent import starts_nothing
from .migration import BEFORE_THE_PUT, UNDER_WAY
from .next_actions import to_drive
from .no_return import SIDES, Side, point_of
from .run import RunState
from .workflow import Migration


def needed_sets(run: RunState, now: float) -> tuple[str | None, ...]:
    """Their names, in workflow order, for a session that has just begun with *run* at *now* (Unix seconds); None is the set of `atlas`.

    Where cutovers are under way they are those of these alone: no other set's end may keep them from being followed. What was to start
    with that one stays as it is, as when it is refused in the middle of a run.
    """
    followed = [migration for _, migration in run.rows() if run.migrations[migration.name].phase in UNDER_WAY]
    return tuple(dict.fromkeys(migration.credentials for migration in followed or _asked_for(run, now)))


def one_will_do(run: RunState) -> bool:
    """Whether a session begins that has one of its `needed_sets`, as cutovers are under way: those that can be read are followed to their end.

    Of the others nobody would see more if it did not begin. They are read all the while, as where their set is refused in the middle of a run.
    """
    return any(run.migrations[migration.name].phase in UNDER_WAY for _, migration in run.rows())


def _asked_for(run: RunState, now: float) -> list[Migration]:
    """What may still get a PUT, and what is looked at before a hook hears who is in charge."""
    stopped = starts_nothing(run, now)
    looked_at = {
        migration.name
        for wave in run.workflow.waves
        for migration in to_drive(run, wave)
        if SIDES[point_of(run.migrations[migration.name])] is Side.NOTHING_SENT
    }
    return [
        migration
        for _, migration in run.workflow.migrations()
        if migration.name in looked_at or (not stopped and _may_start(run, migration.name))
    ]


def _may_start(run: RunState, name: str) -> bool:
    before = run.migrations[name].phase in BEFORE_THE_PUT
    return before and name in run.selected and run.withdrawn(name) is None
