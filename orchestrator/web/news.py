"""What the new events of a run come to for its page. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from logging import WARNING

from ..core.events import (
    BudgetWaiting,
    CredentialsRefused,
    CutoverAccepted,
    CutoverAdmitted,
    CutoverRequested,
    CutoversStopped,
    Event,
    GateOpened,
    GateWaiting,
    HookFinished,
    MigrationEvent,
    MigrationFinished,
    RateLimited,
    RequestRetried,
    RunAborted,
    RunFinished,
    RunResumed,
    RunStarted,
    StatusChanged,
)
from ..core.outcomes import Outcome
from ..observers.log.entries import level_of

LOG_LINES = 200
"""How many of the last events are shown in words, and how many of the last problems: a large run's are thousands of lines apart."""

_CONCERNS_ALL = (CredentialsRefused, CutoversStopped, RunAborted, RunFinished)
"""Events after which every migration may stand differently."""
_STEPS = (
    GateWaiting,
    GateOpened,
    CutoverAdmitted,
    CutoverRequested,
    CutoverAccepted,
    StatusChanged,
    RequestRetried,
    RateLimited,
    BudgetWaiting,
)
"""Events of a migration on its way, and of requests: nobody is wanted for them."""


def _goes_well(event: Event, failed_hooks: bool) -> bool:
    """Whether nobody is wanted, or not wanted any more, for *event*. *failed_hooks*: a hook has failed, which may be run again."""
    match event:
        case MigrationFinished():
            return event.outcome is Outcome.SUCCESS
        case HookFinished():
            return event.exit_code == 0 and not failed_hooks
    return isinstance(event, _STEPS)


@dataclass(slots=True, kw_only=True)
class News:
    """What the events since the last look come to; of thousands of them only those are kept that are shown in words.

    *selection*: the selected migrations may be others than before; *all_rows*: each of them may stand differently; *touched*: the names of those
    that do; *wants*: somebody may be wanted, or not any more.
    """

    any: bool = False
    selection: bool = False
    all_rows: bool = False
    touched: set[str] = field(default_factory=set)
    wants: bool = False
    last: deque[tuple[int, Event]] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    problems: deque[tuple[int, Event]] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    def take(self, seq: int, event: Event, *, failed_hooks: bool) -> None:
        """Take *event* in. *failed_hooks*: as `_goes_well` wants it."""
        self.any = True
        if isinstance(event, MigrationEvent):
            self.touched.add(event.migration)
        else:
            self.selection |= isinstance(event, (RunStarted, RunResumed))
            self.all_rows |= isinstance(event, _CONCERNS_ALL)
            if isinstance(event, HookFinished) and event.migration is not None:
                self.touched.add(event.migration)
        self.wants = self.wants or not _goes_well(event, failed_hooks)
        self.last.append((seq, event))
        if level_of(event) >= WARNING:
            self.problems.append((seq, event))

    def in_words(self) -> list[tuple[int, Event]]:
        """The last events, and the last problems, in order."""
        return sorted(dict((*self.problems, *self.last)).items())
