"""Why events of the runs in a list may not be known: each run that is not over is compared with its mark at each look, the others now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ..store.journal import Journal, RunRow

EVERY = 10.0
"""Seconds between two looks at the mark of a run that is over: there may be hundreds of them, and a list is looked at twice a second."""


class Troubles:
    """What was found last. *steady*: seconds by a clock that nobody sets."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._over: dict[str, tuple[RunRow, float, str]] = {}

    def of(self, journal: Journal, rows: Iterable[RunRow]) -> dict[str, str]:
        """Why the events of each of *rows* that are here cannot be taken for all that were written, by run id; empty: they can."""
        now, before, self._over = self._steady(), self._over, {}
        found: dict[str, str] = {}
        for row in rows:
            kept = before.get(row.run_id)
            if row.unfinished or kept is None or kept[0] != row or now - kept[1] >= EVERY:
                kept = (row, now, journal.trouble(row.run_id, thorough=False))
            if not row.unfinished:
                self._over[row.run_id] = kept
            found[row.run_id] = kept[2]
        return found
