"""Where events go: into the fold, the journal, and every observer, in that order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.events import Event
from ..core.observer import Sink
from ..core.run import RunState


class EventWriter(Protocol):
    """What the recorder needs of `store.writer.Writer`."""

    def post(self, event: Event) -> None:
        """Write *event* soon."""

    async def flush(self) -> None:
        """Return when all that was posted is on disk; raises `JournalError` when it is not."""

    async def append(self, event: Event) -> None:
        """Write *event* and return when it is on disk; raises `JournalError` when it is not."""


LONGEST_HOLD = 1.0
"""Seconds that observers are told nothing newer than an event which is on its way to the disk."""


@dataclass(slots=True, eq=False)
class _Telling:
    """An event that observers will be told of when its turn comes; not *ready*: when it is on disk."""

    event: Event
    ready: bool


class Recorder:
    """Takes each event of one run in, once.

    Observers are told in the order of the events' times: what happens while an event is being written is told after it.
    """

    def __init__(self, state: RunState, writer: EventWriter, observers: Sequence[Sink]) -> None:
        self.state = state
        self._writer = writer
        self._observers = tuple(observers)
        self._listeners: list[Sink] = []
        self._untold: deque[_Telling] = deque()

    def listen(self, observer: Sink) -> None:
        """Let *observer* have every event from now on, as soon as it is taken in."""
        self._listeners.append(observer)

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
        telling = _Telling(event=event, ready=False)
        self._untold.append(telling)
        patience = asyncio.get_running_loop().call_later(LONGEST_HOLD, self._wait_no_longer, telling)
        try:
            await self._writer.append(event)
        except BaseException:
            self._wait_no_longer(telling)
            raise
        finally:
            patience.cancel()
        self._apply(event)
        if telling in self._untold:
            telling.ready = True
            self._tell()
        else:
            self._tell_of(event)

    async def flush(self) -> None:
        """Return when all that was recorded is on disk.

        Raises:
            JournalError: It could not be written.
        """
        await self._writer.flush()

    def take_in(self, event: Event) -> None:
        """Take *event* in that the journal has already, or cannot take any more."""
        self._apply(event)
        if self._untold:
            self._untold.append(_Telling(event=event, ready=True))
        else:
            self._tell_of(event)

    def _apply(self, event: Event) -> None:
        self.state.apply(event)
        for listener in self._listeners:
            listener(event, self.state)

    def _tell_of(self, event: Event) -> None:
        for observer in self._observers:
            observer(event, self.state)

    def _tell(self) -> None:
        """Tell of all up to the first that is not on disk yet."""
        while self._untold and self._untold[0].ready:
            self._tell_of(self._untold.popleft().event)

    def _wait_no_longer(self, telling: _Telling) -> None:
        """What came after *telling* is told without it: the disk takes its time, or has failed."""
        if telling in self._untold:
            self._untold.remove(telling)
            self._tell()
