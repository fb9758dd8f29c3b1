"""The places on the wire: how many requests may be out at once, over all projects, and that no kind takes all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from .line import Line
from .shares import Priority

KEPT = 2
"""Places that each kind may always have: a hundred reads that hang hide neither a PUT nor the reads of what is under way."""

AGAIN = (Priority.POLL, Priority.GATE)
"""Kinds that are sent again and again, so that a large wave could fill every place for good."""

SHARE = 5
"""While another kind wants a place, each of these has one in so many at most: neither a wave's first reads nor its PUTs are
queued behind them. Twenty places are fifty reads a second at Atlas's mean latency, the budget of three projects."""


class Places:
    """*total* places. Whoever entered leaves once; those who wait are let in by `Priority`."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._share = max(1, total // SHARE)
        self._kept = min(KEPT, total // (2 * len(Priority)))
        self._taken = dict.fromkeys(Priority, 0)
        self._lines: dict[Priority, Line[None]] = {kind: Line() for kind in Priority}
        self._asking: dict[Callable[[], None], Collection[Priority]] = {}

    def has_room(self, kind: Priority) -> bool:
        """Whether a request of *kind* may enter."""
        taken, kept = self._taken, self._kept
        if kind in AGAIN and taken[kind] >= self._share and self._wanted_besides(kind):
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

    def ask(self, when_free: Callable[[], None], kinds: Collection[Priority]) -> None:
        """Call *when_free* when a place has become free that *kinds* want; for as long as they do: none ends it."""
        if kinds:
            self._asking[when_free] = kinds
        else:
            self._asking.pop(when_free, None)

    def leave(self, kind: Priority) -> None:
        """Give a place back."""
        self._free += 1
        self._taken[kind] -= 1
        for waiting, line in self._lines.items():
            while line and self.has_room(waiting):
                self.enter(waiting)
                line.call_next(None)
        for when_free in list(self._asking):
            if self._free <= 0:
                return
            if when_free in self._asking:  # the next place is somebody else's turn
                self._asking[when_free] = self._asking.pop(when_free)
                when_free()

    def _wanted_besides(self, kind: Priority) -> bool:
        if any(line for other, line in self._lines.items() if other is not kind):
            return True
        return any(other is not kind for kinds in self._asking.values() for other in kinds)
