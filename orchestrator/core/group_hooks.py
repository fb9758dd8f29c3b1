"""Which hooks of a wave, or of the run, are still to be run. Pure.

What their `before` hooks prepared, their `after_…` hooks bring to an end: whoever works on the run next has to know that they
are owed, whatever became of the process that ran the former.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .events import HookFinished, HookStarted
from .workflow import NO_HOOKS, HookKind, Hooks


@dataclass(slots=True)
class GroupHooks:
    """What is known about the hooks of a wave, or of the run.

    *commands*: what they run. *owed*: their group has begun, and its `after_…` hooks have not all been run since; they tell how *members* ended.
    *before_done*: how many `before` hooks have succeeded in this session, since an `after_…` hook has undone what they did, the first of them at
    *before_at*; *refused*: one of them has failed. *unverified*: why a `verify` hook has not proven it good, in this session. *verify_since*: when the first
    of these was begun; *not_yet_at*: when one said "not yet" last. *last_end*: when the last hook ended, of any kind. *down_since*: when the first `before` hook began that no
    `after_…` hook has followed since, in whichever session.
    """

    commands: Hooks = NO_HOOKS
    owed: bool = False
    members: frozenset[str] = frozenset()
    before_done: int = 0
    before_at: float | None = None
    refused: bool = False
    unverified: str | None = None
    verify_since: float | None = None
    not_yet_at: float | None = None
    last_end: float | None = None
    down_since: float | None = None
    _done: dict[HookKind, int] = field(default_factory=dict)

    def copy(self) -> GroupHooks:
        """The same, to change."""
        return replace(self, _done=dict(self._done))

    def new_session(self) -> None:
        """Another process goes on with the group.

        Its `before` hooks are run again before it starts anything, and its `verify` hooks where one had not proven it good.
        """
        self.before_done, self.before_at, self.refused = 0, None, False
        if self.unverified is not None:
            self.owed = True
            self._done.clear()
        self.unverified = self.verify_since = self.not_yet_at = None

    def begin(self, selected: frozenset[str]) -> None:
        """The group begins with those of *selected* that are in it, or goes on with them: its end is still to come."""
        self.members = self.members | selected if self.owed and not selected >= self.members else selected
        self.owed = True
        self._done.clear()

    def once_more(self) -> None:
        """A migration of the group starts again: the `before` hook that failed is run again, and all of them where `after_…` hooks have undone what they did."""
        self.refused = False
        if not self.owed:
            self.before_done, self.before_at = 0, None

    def take_in(self, event: HookStarted | HookFinished, selected: frozenset[str]) -> None:
        """One of them has ended, or a `before` hook begins."""
        if isinstance(event, HookFinished):
            self.last_end = event.at
        if isinstance(event, HookStarted):
            self._take_down(event.at, selected)
        elif event.hook == HookKind.BEFORE:
            self._take_down(event.at - event.seconds, selected)
            self.before_done += event.ok
            self.before_at = self.before_at or event.at
            self.refused = self.refused or not (event.ok or event.interrupted)
        elif event.hook == HookKind.VERIFY:
            self._verify(event)
        else:
            self._undo(event)

    def _undo(self, event: HookFinished) -> None:
        """An `after_…` hook has ended: whatever became of it, nothing of what `before` hooks did is there for certain any more."""
        self.before_done, self.before_at = 0, None
        if not event.interrupted:
            kind = HookKind(event.hook)
            self._done[kind] = self._done.get(kind, 0) + 1
            self.down_since = None
            if not event.ok or not self.left(kind):  # after one that failed, no other is run
                self.owed = False

    def _take_down(self, at: float, selected: frozenset[str]) -> None:
        self.begin(selected)
        self.down_since = at if self.down_since is None else self.down_since

    def session_ended(self, hook: HookKind) -> None:
        """A session has recorded its end; *hook*: what the group ends with. An end without hooks is an end, too."""
        self.owed = bool(self.left(hook))
        if not self.owed:
            self.down_since = None

    def _verify(self, event: HookFinished) -> None:
        if event.interrupted:
            return
        self.verify_since = event.at - event.seconds if self.verify_since is None else self.verify_since
        self.not_yet_at = event.at if event.not_yet else None
        if event.ok:
            self._done[HookKind.VERIFY] = self._done.get(HookKind.VERIFY, 0) + 1
        elif not event.not_yet:
            self.refute(event.what_failed)
        if not self.left(HookKind.VERIFY) and not self.commands.after_success:
            self.owed = False

    def refute(self, why: str) -> None:
        """It is not proven good, for *why*."""
        self.unverified = why
        self.owed = bool(self.commands.after_unverified)

    def at_success(self) -> HookKind:
        """Which hooks come next when all migrations of the group have succeeded."""
        if self.unverified is not None:
            return HookKind.AFTER_UNVERIFIED
        return HookKind.VERIFY if self.left(HookKind.VERIFY) else HookKind.AFTER_SUCCESS

    @property
    def prepared(self) -> bool:
        """Whether all `before` hooks have succeeded in this session, and no `after_…` hook has ended since."""
        return not self.refused and self.before_done >= len(self.commands.before)

    def left(self, kind: HookKind) -> range:
        """Which of the `verify` or `after_…` hooks (*kind*) are still to be run, if the group ends with these."""
        return range(self._done.get(kind, 0), len(self.commands.of(kind))) if self.owed else range(0)
