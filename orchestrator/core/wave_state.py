"""One wave: what is known about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .counts import Census, Counts
from .group_hooks import GroupHooks


@dataclass(slots=True, kw_only=True)
class WaveState:
    """What is known about one wave. Times are Unix seconds."""

    first_started_at: float | None = None
    """When it started first, in whichever session."""
    last_started_at: float | None = None
    """When it started last, in whichever session."""
    finished_at: float | None = None
    """When it was finished, in this session."""
    ended_at: float | None = None
    """When it was finished last, in whichever session."""
    approval_since: float | None = None
    """Since when it waits for approval; None: it does not."""
    approved_by: str | None = None
    """Who let it start; None: nobody has yet, or not all that this session is to start of it."""
    approvals: Mapping[str, str] = field(default_factory=dict)
    """Each of its migrations that was approved, and by whom. It is replaced when it changes, so copies share it."""
    hooks: GroupHooks = field(default_factory=GroupHooks)
    """How its own hooks stand."""
    started: bool = False
    """In this session it has started."""
    worked_on: bool = False
    """In this session something has happened to one of its migrations, which earlier ones may have left under way."""
    census: Census = field(default_factory=Census)
    """Counts its migrations."""
    line: list[int] = field(default_factory=list)
    """A heap of the places of those that wait for a slot, and of some that do not any more."""
    last_end: float | None = None
    """When its last cutover ended."""
    soak_until: float | None = None
    """Until when its verification and the next wave wait; None: they do not."""
    rejected_by: str | None = None
    """Who does not want it to start in this session, and why."""
    rejected_at: float | None = None
    """When that was said."""
    timed_out: bool = False
    """It counts as rejected because nobody approved it in time, so the next session asks for it again."""
    unapproved: str = ""
    """Then: that nobody did, and within which time."""
    retried: int = 0
    """How often a migration of it was taken up again, in this session."""

    def copy(self) -> WaveState:
        """The same, to change."""
        return replace(self, hooks=self.hooks.copy(), census=self.census.copy(), line=list(self.line))

    @property
    def waits_for_approval(self) -> bool:
        """Whether somebody is asked to let it start, and nobody has answered."""
        return self.approval_since is not None and self.approved_by is None and self.rejected_by is None

    @property
    def rejection(self) -> str:
        """That it is rejected, and by whom or why, in words that follow its name."""
        if self.timed_out:
            return f"counts as rejected: {self.unapproved}"
        return f"was rejected by {self.rejected_by}"

    @property
    def counts(self) -> Counts:
        """How many of its migrations stand where."""
        return self.census.counts

    @property
    def over_since(self) -> float | None:
        """When it ended, in this session or in an earlier one that left nothing of it; None: it has not, or has been taken up again."""
        if self.finished_at is not None:
            return self.finished_at
        counts = self.counts
        left = counts.waiting or counts.under_way or counts.owing or counts.undoing
        return None if left or self.started or self.worked_on else self.ended_at

    @property
    def is_under_way(self) -> bool:
        """Whether it has been taken up, in this session or by one that was killed, and has not ended since."""
        if self.over_since is not None or self.first_started_at is None:
            return False
        return self.ended_at is None or self.started or self.worked_on or bool(self.counts.under_way)

    @property
    def is_open(self) -> bool:
        """Whether the wave lets its migrations go on to their PUTs: it has started, and its `before` hooks are done."""
        return self.started and self.hooks.prepared
