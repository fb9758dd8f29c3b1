"""Runs the hooks of a run, a wave or a migration with the environment that docs/workflow.md lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio

from ..atlas.connection import MAX_IN_FLIGHT
from ..core.events import HookFinished, HookStarted
from ..core.hook_facts import facts_for_hook
from ..core.outcomes import Outcome
from ..core.run import RunState
from ..core.workflow import HookKind, Hooks, Migration, Wave
from ..machine.descriptors import connections_at_most, hooks_at_most
from ..machine.kept_groups import KeptGroups
from ..text.redaction import Redactor
from .hooks import hook_environment, run_hook

MOST_AT_ONCE = 64
"""Hooks that run side by side at most; fewer where the process may not open so many files."""


def most_at_once() -> int:
    """How many hooks may run side by side in this process."""
    return hooks_at_most(MOST_AT_ONCE, connections=connections_at_most(MAX_IN_FLIGHT))


def _half() -> int:
    return max(1, most_at_once() // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRunner:
    """Knows the run that hooks belong to. They wait for each other where there are more than `most_at_once`.

    `before` hooks have turns of their own: one of them may have to wait for its job to be read again, and whoever waits for
    an `after_…` hook must not wait for that with the application down.

    *state*: the fold of the run's events, which goes on. *environ*: the process's environment; *now*: the session's clock, Unix seconds; *secrets*: values no hook may see;
    *redactor*: takes secrets out of what is told of a hook; *kept*: ends hooks if this process dies;
    *on_interrupted* gets the end of a hook that was ended because the run is stopped, which nobody waits for any more.
    """

    state: RunState
    environ: Mapping[str, str]
    secrets: tuple[str, ...]
    redactor: Redactor
    now: Callable[[], float]
    kept: KeptGroups
    on_interrupted: Callable[[HookFinished], None]
    before_turns: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_half()))
    after_turns: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_half()))

    def start_of(self, wave: Wave | None, migration: Migration | None, hook: HookKind, index: int) -> HookStarted:
        """What is recorded before hook number *index* of *migration*'s, *wave*'s or the run's *hook* runs."""
        hooks = migration.hooks if migration else wave.hooks if wave else self.state.workflow.hooks
        return HookStarted(
            at=self.now(),
            hook=hook,
            argv=tuple(map(self.redactor.text, hooks.of(hook)[index])),
            wave=wave.name if wave else None,
            migration=migration.name if migration else None,
        )

    async def run_for_migration(
        self, wave: Wave, migration: Migration, hook: HookKind, index: int, *, outcome: Outcome | None
    ) -> HookFinished:
        """Run hook number *index* of *migration*'s *hook* (`before`, `after_success`, `after_failure`).

        The caller has one of the turns.
        """
        return await self._run(migration.hooks, wave, migration, hook, index, outcome)

    async def run_for_group(
        self, wave: Wave | None, hook: HookKind, index: int, *, outcome: Outcome | None
    ) -> HookFinished:
        """The same for the hooks of *wave*, or of the run (None)."""
        return await self._run(wave.hooks if wave else self.state.workflow.hooks, wave, None, hook, index, outcome)

    async def _run(
        self,
        hooks: Hooks,
        wave: Wave | None,
        migration: Migration | None,
        hook: HookKind,
        index: int,
        outcome: Outcome | None,
    ) -> HookFinished:
        argv = hooks.of(hook)[index]

        def environment() -> dict[str, str]:
            return hook_environment(
                self.environ,
                run_id=self.state.run_id,
                workflow=self.state.workflow.name,
                rehearsal=self.state.rehearsal,
                wave=wave,
                migration=migration,
                facts=facts_for_hook(self.state, wave, migration, hook, outcome=outcome, now=self.now()),
                secrets=self.secrets,
            )

        wave_name, name = wave.name if wave else None, migration.name if migration else None
        began = self.now()
        try:
            return await run_hook(
                argv,
                hook=hook,
                timeout=hooks.timeout,
                directory=self.state.workflow.directory,
                environment=environment,
                now=self.now,
                kept=self.kept,
                redact=self.redactor.text,
                wave=wave_name,
                migration=name,
            )
        except anyio.get_cancelled_exc_class():
            ended = HookFinished(
                at=self.now(),
                hook=hook,
                argv=tuple(map(self.redactor.text, argv)),
                exit_code=None,
                seconds=round(self.now() - began, 3),
                error="ended, because the run was stopped",
                wave=wave_name,
                migration=name,
                interrupted=True,
            )
            self.on_interrupted(ended)
            raise
