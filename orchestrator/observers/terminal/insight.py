"""What a display shows that is reckoned over all migrations: who is wanted, the forecast, the sides of no return.

For thousands of them that takes a while, so it is done when something has happened, and no more often than it is worth.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from ...core.events import Event, StatusPolled
from ...core.forecast_words import in_sentences
from ...core.needs import Need, needs
from ...core.no_return import SIDES, Side, last_start, point_in
from ...core.outlook import outlook
from ...core.run import RunState

OFTEN = 1.0
"""Seconds between two reckonings, at least."""
AS_LONG = 100.0
"""So many times as long as a reckoning took, the next one waits."""


class Insight:
    """Needs and forecast of a run under way. *steady* gives seconds of a clock that nobody sets."""

    def __init__(self, *, steady: Callable[[], float] = time.perf_counter) -> None:
        self._steady = steady
        self._next = float("-inf")
        self._stale = True
        self._silent: float | None = None
        self._missing = ""
        self.needs: tuple[Need, ...] = ()
        self.sentences: tuple[str, ...] = ()
        self.last_start: float | None = None

    def take(self, event: Event) -> None:
        """*event* has happened."""
        self._stale = self._stale or not isinstance(event, StatusPolled)

    def reckon(
        self, state: RunState, now: float, *, holder: str | None, silent: float | None = None, at_once: bool = False
    ) -> None:
        """Reckon again, if it is time, or *at_once*. *now*: Unix seconds; *holder*, *silent*: as `needs` takes them."""
        began = self._steady()
        self._stale = self._stale or silent != self._silent or state.missing != self._missing
        if not self._stale or (began < self._next and not at_once):
            return
        self._silent, self._missing = silent, state.missing
        self._stale = False
        self.needs = needs(state, now, holder=holder, silent=silent)
        self.last_start = last_start(state, now)
        made = outlook(state, now)
        told = () if made is None else in_sentences(made, rehearsal=state.rehearsal)
        sides = Counter(SIDES[point_in(state, name)] for name in state.told_of())
        counted = ", ".join(f"{sides[side]} {side}" for side in Side if sides[side])
        self.sentences = (
            *(sentence for sentence in told if sentence.startswith("forecast: ")),
            f"point of no return: {counted}",
        )
        ended = self._steady()
        self._next = ended + max(OFTEN, AS_LONG * (ended - began))
