"""Hooks of a run on Temporal: each one errand, which is run once, and what came of it, recorded."""

from __future__ import annotations

import asyncio

from ...core import workflow as plan
from ...core.agenda import RunGroupHook
from ...core.events import HookFinished
from ...core.hook_facts import facts_for_hook
from ...core.outcomes import Outcome
from ...core.workflow import HookKind, Migration, Wave
from . import forms, names
from .alarm import now
from .errands import Errand, Errands
from .forms import Failed
from .ledger import Ledger

_LOST = "ended, because its worker was lost"
_ANOTHERS = "what was told of its end was told of another one's"  # by somebody on the cluster
_CLEANING_UP = 60.0  # seconds that a hook gets beyond its own time, to be ended in order


class Hooks:
    """Runs hooks, of the run, its waves and its migrations."""

    def __init__(self, order: forms.Order, ledger: Ledger, errands: Errands) -> None:
        self._order = order
        self._ledger = ledger
        self._errands = errands

    def begin(  # noqa: PLR0913 - whose hook it is, and which
        self,
        hooks: plan.Hooks,
        hook: HookKind,
        index: int,
        *,
        outcome: Outcome | None,
        wave: Wave | None,
        migration: Migration | None = None,
        batch_key: str,
        bell: asyncio.Event | None = None,
        within: float | None = None,
    ) -> Errand:
        """Have a hook run by the batch of *batch_key*; not at all, if no worker has time for it *within* so many seconds."""
        state, argv = self._ledger.state, hooks.of(hook)[index]
        task = forms.HookTask(
            session=self._errands.session,
            run_id=state.run_id,
            workflow=state.workflow.name,
            directory=state.workflow.directory,
            rehearsal=state.rehearsal,
            argv=list(argv),
            hook=str(hook),
            timeout=hooks.timeout,
            facts=forms.facts_out(facts_for_hook(state, wave, migration, hook, outcome=outcome, now=now())),
            told_at=now(),
            lease=self._order.lease,
            wave=None if wave is None else wave.name,
            migration=None if migration is None else forms.migration_out(migration),
        )
        name = None if migration is None else migration.name
        return self._errands.begin(
            "hook",
            whose_group(task.wave) if name is None else name,
            batch_key,
            task,
            queue=names.hooks_queue(self._order.queue),
            to_start=within,
            to_close=hooks.timeout + _CLEANING_UP,
            notes={
                "action": {"wave": task.wave, "hook": str(hook), "index": index, "outcome": outcome},
                "argv": list(argv),
                "migration": name,
                "began": now(),
            },
            bell=bell,
        )

    async def running(self, errand: Errand) -> None:
        """Wait for its end, and record it; nothing, if no worker had time for it and it has not begun."""
        while errand.returned is None:
            await errand.bell.wait()
            errand.bell.clear()
        returned, notes = self._errands.noted(errand), errand.notes
        if returned.failed is None:
            self._ledger.record(*forms.events_of(returned.result))
        elif returned.failed is not Failed.NOT_TAKEN_UP:
            finished = HookFinished(
                at=now(),
                hook=notes["action"]["hook"],
                argv=tuple(notes["argv"]),
                exit_code=None,
                seconds=round(now() - notes["began"], 3),
                error=_ANOTHERS if returned.failed is Failed.ANOTHERS else _LOST,
                wave=notes["action"]["wave"],
                migration=notes["migration"],
                interrupted=True,
            )
            self._ledger.record(finished)


def group_hook_of(errand: Errand) -> RunGroupHook:
    """What *errand*, the hook of a wave or of the run, was begun for."""
    action = errand.notes["action"]
    outcome = action["outcome"]
    return RunGroupHook(
        wave=action["wave"],
        hook=HookKind(action["hook"]),
        index=action["index"],
        outcome=None if outcome is None else Outcome(outcome),
    )


def whose_group(wave: str | None) -> str:
    """For whom a hook of *wave*, or of the run (None), is: no migration is called so."""
    return "\0run" if wave is None else f"\0wave {wave}"
