"""What the hooks of a run that is over were to do, and none does any more: an application may stand still for good. Pure.

A session that ends in order runs its hooks, and one that was killed leaves them to the next. Where somebody ends the run in its
place (`abort`, `run --new`), nobody runs them: only a person can let the application write again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .migration import BEFORE_THE_PUT, after_hook_left
from .no_return import InCharge, in_charge, point_in
from .run import RunState
from .workflow import HookKind, Hooks, Migration, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """What is left of the hooks of *migration*, of *wave* where that is None, of the run where both are.

    *hook*: what should have been run at their end. *stopped_since*: when the `before` hook began that nothing has undone; None: there was
    none. *commands*: what hooks there are. *in_charge*: where the application may write, as far as the run knows.
    """

    wave: Wave | None
    migration: Migration | None
    hook: HookKind
    stopped_since: float | None
    commands: Hooks
    in_charge: InCharge


def hooks_not_run(run: RunState) -> Iterator[NotRun]:
    """Those of *run*, if it is over; without what only calls for somebody, as whoever has ended it knows of that."""
    if run.finished_at is None or run.recorded_unfinished:
        return
    found = [*_of_groups(run), *_of_migrations(run)]
    yield from (each for each in found if each.stopped_since is not None or each.hook is not HookKind.AFTER_FAILURE)


def _of_groups(run: RunState) -> Iterator[NotRun]:
    for wave in (None, *run.workflow.waves):
        hooks = run.hooks_of(wave)
        if not hooks.owed:
            continue
        hook = run.after_hook(wave)
        if hooks.left(hook):
            names = run.migrations if wave is None else [migration.name for migration in wave.migrations]
            where = in_charge(point_in(run, name) for name in names if name in hooks.members)
            since = hooks.down_since
            yield NotRun(
                wave=wave, migration=None, hook=hook, stopped_since=since, commands=hooks.commands, in_charge=where
            )


def _of_migrations(run: RunState) -> Iterator[NotRun]:
    for wave, migration in run.workflow.migrations():
        state = run.migrations[migration.name]
        if state.phase in BEFORE_THE_PUT:
            hook = None if state.prepared_since is None else HookKind.AFTER_FAILURE
        else:
            left = after_hook_left(state, migration.hooks)
            hook = None if left is None else left[0]
        if hook is not None:
            yield NotRun(
                wave=wave,
                migration=migration,
                hook=hook,
                stopped_since=state.down_since,
                commands=migration.hooks,
                in_charge=in_charge([point_in(run, migration.name)]),
            )
