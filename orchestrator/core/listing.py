"""How a run under way stands as a whole, by the few events that decide it: for a list of runs, of which none is folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .events import (
    ApprovalWaiting,
    ConfirmationWaiting,
    CutoversConfirmed,
    CutoversStopped,
    Event,
    RunPaused,
    RunResumed,
    RunUnpaused,
    WaveApproved,
    WaveRejected,
    WindowChanged,
    WindowOpened,
    WindowWaiting,
)
from .run import APPROVAL_TIMEOUT
from .standing import verdict_of

DECIDING: tuple[type[Event], ...] = (
    RunResumed,
    CutoversStopped,
    ConfirmationWaiting,
    CutoversConfirmed,
    ApprovalWaiting,
    WaveApproved,
    WaveRejected,
    RunPaused,
    RunUnpaused,
    WindowChanged,
    WindowWaiting,
    WindowOpened,
)
"""The events that it follows from."""


class RunStanding:
    """What `standing.verdict` says of a run, kept event by event. *seq*: the number of the last event that was looked at, of any kind."""

    __slots__ = ("_approved", "_paused", "_rejected", "_stopped", "_unconfirmed", "_waiting", "_window", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self._stopped = self._unconfirmed = self._paused = self._window = False
        self._waiting: set[str] = set()
        self._approved: set[str] = set()
        self._rejected: dict[str, str] = {}  # by whom

    def take(self, events: Iterable[Event]) -> None:
        """Take *events* in, of which those count that are among `DECIDING`."""
        for event in events:
            self._take(event)

    def word(self, *, silent: bool) -> str:
        """How the run stands; *silent*: its process gives no sign of life."""
        waits = bool(self._waiting - self._approved - set(self._rejected))
        return verdict_of(
            silent=silent,
            stopped=self._stopped,
            unconfirmed=self._unconfirmed,
            approval=waits,
            paused=self._paused,
            window=self._window,
        )

    def _take(self, event: Event) -> None:
        match event:
            case RunResumed():
                self._stopped = self._unconfirmed = self._window = False
                self._waiting.clear()
                self._rejected = {wave: who for wave, who in self._rejected.items() if who != APPROVAL_TIMEOUT}
            case CutoversStopped():
                self._stopped = True
            case ConfirmationWaiting() | CutoversConfirmed():
                self._unconfirmed = isinstance(event, ConfirmationWaiting)
            case ApprovalWaiting():
                self._waiting.add(event.wave)
                self._approved.discard(event.wave)  # that was not for all that is to start now
            case WaveApproved():
                self._waiting.discard(event.wave)
                self._approved.add(event.wave)
                self._rejected.pop(event.wave, None)
            case WaveRejected():
                self._waiting.discard(event.wave)
                self._rejected[event.wave] = event.who
            case RunPaused() | RunUnpaused():
                self._paused = isinstance(event, RunPaused)
            case WindowChanged() | WindowWaiting() | WindowOpened():
                self._window = isinstance(event, WindowWaiting)
