"""Which hooks of a wave, or of the run, are still to be run. Pure.

What their `before` hooks prepared, their `after_…` hooks bring to an end: whoever works on the run next has to know that they
are owed, whatever became of the process that ran the former.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .events import HookFinished
from .workflow import NO_HOOKS, Hooks


@dataclass(slots=True)
class GroupHooks:
    """What is known about *hooks*.

    *owed*: their group has begun, and its `after_…` hooks have not all been run since; they tell how *members* ended.
    *before_done*: how many `before` hooks have succeeded in this session, the first of them at *before_at*; *refused*: one of
    them has failed.
    """

    hooks: Hooks = NO_HOOKS
    owed: bool = False
    members: frozenset[str] = frozenset()
    before_done: int = 0
    before_at: float | None = None
    refused: bool = False
    _done: dict[str, int] = field(default_factory=dict)

    def copy(self) -> GroupHooks:
        """The same, to change."""
        return replace(self, _done=dict(self._done))

    def new_session(self) -> None:
        """Another process goes on with the group: its `before` hooks are run again before it starts anything."""
        self.before_done, self.before_at, self.refused = 0, None, False

    def begin(self, selected: frozenset[str]) -> None:
        """The group begins with those of *selected* that are in it, or goes on with them: its end is still to come."""
        self.members = self.members | selected if self.owed and not selected >= self.members else selected
        self.owed = True
        self._done.clear()

    def take_in(self, event: HookFinished, selected: frozenset[str]) -> None:
        """One of them has ended."""
        if event.hook == "before":
            self.begin(selected)
            self.before_done += event.ok
            self.before_at = self.before_at or event.at
            self.refused = self.refused or not (event.ok or event.interrupted)
        elif not event.interrupted:
            self._done[event.hook] = self._done.get(event.hook, 0) + 1
            if not event.ok or not self.left(event.hook):  # after one that failed, no other is run
                self.owed = False

    @property
    def prepared(self) -> bool:
        """Whether all `before` hooks have succeeded in this session."""
        return not self.refused and self.before_done >= len(self.hooks.before)

    def left(self, hook: str) -> range:
        """Which of `after_success` or `after_failure` (*hook*) are still to be run, if the group ends with these."""
        count = len(self.hooks.after_success if hook == "after_success" else self.hooks.after_failure)
        return range(self._done.get(hook, 0), count) if self.owed else range(0)
