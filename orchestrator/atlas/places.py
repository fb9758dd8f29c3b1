"""The places on the wire: how many requests may be out at once, over all projects, and that no kind takes all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from .line import Line
from .shares import Priority

KEPT = 2
"""Places that each kind may always have: a hundred reads that hang hide neither a PUT nor the reads of what is under way."""

AGAIN = (Priority.POLL, Priority.GATE)
"""Kinds that are sent again and again, so that a large wave could fill every place for good."""

SHARE = 10
"""While another kind wants a place, each of these has one in so many at most: neither a wave's first reads nor its PUTs are
queued behind them. Ten places are thirty reads a second at Atlas's mean latency, the budget of four projects."""

_KINDS = tuple(dict.fromkeys(kind.goes_out_as for kind in Priority))
"""Which have places of their own."""

LEAD = 4.0
"""Seconds after its job's read for which a PUT gives way to reads that other PUTs wait for; later it may be read again."""

READS_PER_PUT = 3
"""Of the places that come free while both want one. Reads take up to 3 s at Atlas: where PUTs always went first, a large wave's
last PUT waited for a slow read that could have gone out long before."""


class Places:
    """*total* places. Whoever entered leaves once; those who wait are let in by `Priority`."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._share = max(1, total // SHARE)
        self._kept = min(KEPT, total // (2 * len(_KINDS)))
        self._left = 0  # places, since one went to a PUT in any case
        self._taken = dict.fromkeys(_KINDS, 0)
        self._lines: dict[Priority, Line[None]] = {kind: Line() for kind in _KINDS}
        self._asking: dict[Callable[[], None], Collection[Priority]] = {}  # whose turn it is comes first
        self._asked_for = dict.fromkeys(_KINDS, 0)

    def has_room(self, kind: Priority) -> bool:
        """Whether a request of *kind* may enter."""
        taken, kept = self._taken, self._kept
        if kind in AGAIN and taken[kind] >= self._share and self._wanted_besides(kind):
            return False
        if self._free <= 0 or taken[kind] < kept:
            return self._free > 0
        return self._free > sum(max(0, kept - taken[other]) for other in _KINDS if other is not kind)

    def enter(self, kind: Priority) -> None:
        """Take a place; call it only when `has_room`."""
        self._free -= 1
        self._taken[kind] += 1

    async def take(self, kind: Priority, *, since: float | None = None) -> None:
        """Wait for a place and take it. *since*: the age of what it is for, by the event loop's clock; the oldest goes first."""
        line = self._lines[kind]
        if not line and self.has_room(kind):
            self.enter(kind)
        else:
            await line.wait(undo=lambda _: self.leave(kind), since=since)

    def ask(self, when_free: Callable[[], None], kinds: Collection[Priority]) -> None:
        """Call *when_free* when there is a place that one of *kinds* may have; for as long as they do: none ends it."""
        for kind in self._asking.get(when_free, ()):
            self._asked_for[kind] -= 1
        for kind in kinds:
            self._asked_for[kind] += 1
        if kinds:
            self._asking[when_free] = kinds
        else:
            self._asking.pop(when_free, None)

    def leave(self, kind: Priority) -> None:
        """Give a place back."""
        self._free += 1
        self._taken[kind] -= 1
        self._left = (self._left + 1) % (READS_PER_PUT + 1)
        if not self._left or self._lines[Priority.CUTOVER].first_waits >= LEAD:
            self._call_lines()
        self._call_asking()
        self._call_lines()

    def _call_lines(self) -> None:
        for kind, line in self._lines.items():
            while line and self.has_room(kind):
                self.enter(kind)
                line.call_next(None)

    def _call_asking(self) -> None:
        for _ in range(len(self._asking)):
            if not any(asked and self.has_room(kind) for kind, asked in self._asked_for.items()):
                return
            when_free = next(iter(self._asking))
            self._asking[when_free] = self._asking.pop(when_free)  # the next place is somebody else's turn
            when_free()

    def _wanted_besides(self, kind: Priority) -> bool:
        return any(self._asked_for[other] or self._lines[other] for other in _KINDS if other is not kind)
