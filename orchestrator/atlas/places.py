"""The places on the wire: how many requests may be out at once, over all projects, and that no kind takes all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .line import Line
from .shares import Priority

KEPT = 2
"""Places that each kind may always have: a hundred reads that hang hide neither a PUT nor the reads of what is under way."""

READS = (Priority.POLL, Priority.GATE)
"""Kinds that are sent again and again, so that a large wave could fill every place for good. Each has half of the places at most: the
first reads of a wave, and its PUTs, are not queued behind them."""


class Places:
    """*total* places. Whoever entered leaves once; those who wait are let in by `Priority`."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._most_reads = max(1, total // 2)
        self._kept = min(KEPT, total // (2 * len(Priority)))
        self._taken = dict.fromkeys(Priority, 0)
        self._lines: dict[Priority, Line[None]] = {kind: Line() for kind in Priority}
        self._asking: deque[Callable[[], None]] = deque()

    def has_room(self, kind: Priority) -> bool:
        """Whether a request of *kind* may enter."""
        taken, kept = self._taken, self._kept
        if kind in READS and taken[kind] >= self._most_reads:
            return False
        if self._free <= 0 or taken[kind] < kept:
            return self._free > 0
        return self._free > sum(max(0, kept - taken[other]) for other in Priority if other is not kind)

    def enter(self, kind: Priority) -> None:
        """Take a place, of which there has to be one (`has_room`)."""
        self._free -= 1
        self._taken[kind] += 1

    async def take(self, kind: Priority) -> None:
        """Wait for a place and take it."""
        line = self._lines[kind]
        if not line and self.has_room(kind):
            self.enter(kind)
        else:
            await line.wait(undo=lambda _: self.leave(kind))

    def ask(self, when_free: Callable[[], None]) -> None:
        """Call *when_free* once when a place has become free; whoever finds none then asks again."""
        if when_free not in self._asking:
            self._asking.append(when_free)

    def leave(self, kind: Priority) -> None:
        """Give a place back."""
        self._free += 1
        self._taken[kind] -= 1
        for waiting, line in self._lines.items():
            while line and self.has_room(waiting):
                self.enter(waiting)
                line.call_next(None)
        for _ in range(len(self._asking)):
            if self._free <= 0:
                return
            self._asking.popleft()()
