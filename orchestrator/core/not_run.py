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

    @property
    def said(self) -> str:
        """What has not been run, and what that leaves, in words."""
        if self.stopped_since is None:
            return f"`{self.hook}` has not run"
        rest = f"`{self.hook}` has not run" if self.commands.of(self.hook) else "nothing has undone what it did"
        return f"`before` may have stopped the application, and {rest}"

    def to_do(self, run: RunState) -> str:
        """What a person does in the place of hooks that nobody runs any more."""
        over = "The run is over, and runs no hook any more."
        if run.successor is not None:
            over = f"Run {run.successor} has taken its place, and runs `before` again for what it starts: look there first. Where it has not brought it to an end, and nobody works on it any more:"
        match self.in_charge:
            case InCharge.SOURCE:
                then = (
                    "look at the live migration in the Atlas UI, and unless somebody has cut it over meanwhile, let the application write to the source "
                    "by hand, as `after_failure` would"
                )
            case InCharge.TARGET:
                then = "it is cut over, so do by hand what the hook would do: the application writes to the new cluster, and never to the source again"
            case InCharge.MIXED:
                then = "some of its migrations are cut over and others are not, so look at each in the Atlas UI, and do by hand what the hooks would do"
            case _:
                then = "let no writer in anywhere before somebody has looked at both clusters in the Atlas UI; then let it write where they show, by hand"
        return f"{over} {then if over.endswith(':') else then[0].upper() + then[1:]}."


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
