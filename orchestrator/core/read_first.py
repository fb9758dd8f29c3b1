"""Which jobs a session reads first, so that they can be asked for while it is still being begun. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .agenda import Drive, Record
from .events import Event
from .migration import BEFORE_THE_PUT
from .next_actions import migration_step, next_actions, to_drive
from .next_step import Policy, Read
from .run import RunState
from .workflow import Migration


def read_first(before: RunState, first: Iterable[Event], *, settle: float, now: float, wall: float) -> list[Migration]:
    """The migrations before their PUT whose jobs are read next, once the events *first* have begun a session.

    *before* is the run's state until then, which stays as it is. *settle* in seconds; *now* and *wall* as in `next_actions`.
    """
    run = before.after(*first)
    actions = next_actions(run, now, wall).actions
    while events := [action.event for action in actions if isinstance(action, Record)]:
        for event in events:
            run.apply(event)
        actions = next_actions(run, now, wall).actions
    return [
        migration
        for drive in actions
        if isinstance(drive, Drive)
        for migration in to_drive(run, run.wave(drive.wave))
        if run.migrations[migration.name].phase in BEFORE_THE_PUT
        and isinstance(migration_step(run, migration.name, Policy.of(migration, settle=settle), now, wall), Read)
    ]
