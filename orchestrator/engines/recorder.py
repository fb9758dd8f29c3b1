"""Where events go: into the fold, the journal, and every observer, in that order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..core.events import Event
from ..core.observer import Observer
from ..core.run import RunState


class EventWriter(Protocol):
    """What the recorder needs of `journalwriter.Writer`."""

    def post(self, event: Event) -> None:
        """Write *event* soon."""

    async def flush(self) -> None:
        """Return when all that was posted is on disk; raises `JournalError` when it is not."""

    async def append(self, event: Event) -> None:
        """Write *event* and return when it is on disk; raises `JournalError` when it is not."""


class Recorder:
    """Takes each event of one run in, once."""

    def __init__(self, state: RunState, writer: EventWriter, observers: Sequence[Observer]) -> None:
        self.state = state
        self._writer = writer
        self._observers = list(observers)

    def listen(self, observer: Observer) -> None:
        """Let *observer* have every event from now on."""
        self._observers.append(observer)

    def record(self, *events: Event) -> None:
        """Take *events* in; the journal writes them with its next commit."""
        for event in events:
            if event.journaled:
                self._writer.post(event)
            self.take_in(event)

    async def commit(self, event: Event) -> None:
        """Take *event* in once it is on disk.

        Raises:
            JournalError: It could not be written: the state has not taken it in.
        """
        await self._writer.append(event)
        self.take_in(event)

    async def flush(self) -> None:
        """Return when all that was recorded is on disk.

        Raises:
            JournalError: It could not be written.
        """
        await self._writer.flush()

    def take_in(self, event: Event) -> None:
        """Take *event* in that the journal has already, or cannot take any more."""
        self.state.apply(event)
        for observer in self._observers:
            observer(event, self.state)
